"""`study.yaml`: what the authors of a study know and the records do not; it completes the reporting checklists."""

from __future__ import annotations

import textwrap
from pathlib import Path

from pydantic import field_validator

from heart2heart.config import Config
from heart2heart.errors import ConfigError, EvaluationError, MissingInputError

STUDY_SCHEMA_VERSION = 1

MAX_BYTES = 2**20
"""Largest file, bytes."""
MAX_TEXT = 4000
"""Longest text of a key, characters."""


class Study(Config):
    """Texts of the authors by topic; an empty text leaves the items of the checklists "not reported".

    Write no names of patients, and no identifiers.
    """

    schema_version: int = STUDY_SCHEMA_VERSION
    """Version of this layout."""
    title: str = ""
    """Title of the study."""
    background: str = ""
    """Medical context, why a model is needed, and which models exist."""
    intended_use: str = ""
    """Condition, patients, and the role of the model in their care."""
    intended_users: str = ""
    """Who uses the model, where in the care pathway, and what it may change for patients."""
    health_inequalities: str = ""
    """Known inequalities of health between groups of such patients."""
    protocol: str = ""
    """Where the protocol is, or that there was none."""
    registration: str = ""
    """Registry and number of the study, or that it was not registered."""
    ethics: str = ""
    """Ethics committee, approval or waiver, and consent."""
    design: str = ""
    """Prospective or retrospective, and the kind of study."""
    setting: str = ""
    """Kind, number and location of the hospitals."""
    data_origin: str = ""
    """Where the data come from, how they were collected, and how well they represent such patients."""
    collection_dates: str = ""
    """First and last date of the data."""
    eligibility: str = ""
    """Who was included and excluded."""
    treatments: str = ""
    """Treatments of the patients that matter for the result, or that none do."""
    sample_size: str = ""
    """How the number of patients was decided."""
    acquisition: str = ""
    """How the images were acquired: scanners, protocols, operators."""
    deidentification: str = ""
    """How the data were de-identified."""
    missing_data: str = ""
    """How missing, unusable or poor data were handled."""
    risk_of_bias: str = ""
    """How the risk of bias was assessed at each hospital, and what was found."""
    differences_between_hospitals: str = ""
    """Differences between the hospitals that affected development or testing."""
    preprocessing: str = ""
    """How the images were prepared for the model."""
    reference_standard: str = ""
    """What the true classes rest on: definition, method, and when they were set."""
    reference_rationale: str = ""
    """Why this reference standard was chosen."""
    annotators: str = ""
    """Who labeled: number, profession, experience and training."""
    annotation_of_tests: str = ""
    """How the test data were labeled."""
    blinding: str = ""
    """Whether the annotators were blind to the model and to other facts."""
    rater_agreement: str = ""
    """Agreement of one rater with itself and of several raters."""
    initialisation: str = ""
    """What the weights began from."""
    model_training: str = ""
    """Where and how the model was trained: hospitals, data, steps, tuning."""
    model_choice: str = ""
    """Why this kind of model was chosen."""
    model_updating: str = ""
    """How the model was updated after the test, and with which result, or that it was not."""
    subgroups: str = ""
    """Planned subgroup and sensitivity analyses, and their results."""
    class_imbalance: str = ""
    """How rare classes were handled."""
    fairness: str = ""
    """What was done for fairness between groups, and why."""
    explainability: str = ""
    """Methods that explain predictions, and how they were checked."""
    user_output: str = ""
    """What the users see of the output, and how."""
    instructions: str = ""
    """Where the final model and its instructions for use are."""
    poor_input: str = ""
    """What a user does with inputs of poor quality or without an input."""
    user_skills: str = ""
    """What users must do and know to run the model."""
    patient_characteristics: str = ""
    """Sex, age, ethnicity, disease and severity of the patients."""
    interpretation: str = ""
    """Interpretation of the results by the authors, beside earlier studies."""
    limitations: str = ""
    """Limitations by the authors: bias, sample, generalisability."""
    implications: str = ""
    """What the results mean for practice, and whether they support the intended use."""
    next_steps: str = ""
    """Next steps of research."""
    user_recruitment: str = ""
    """How users were recruited for the study, and how their number was decided."""
    user_training: str = ""
    """How users were made familiar with the system."""
    user_characteristics: str = ""
    """Baseline characteristics of the users."""
    workflow: str = ""
    """Clinical workflow with the system: when it is used, and who takes the final decision."""
    workflow_changes: str = ""
    """Changes of the workflow caused by the system."""
    exposure: str = ""
    """How often users were exposed to the system, and how they kept to its intended use."""
    outcomes: str = ""
    """Primary and secondary outcomes."""
    error_definition: str = ""
    """How significant errors and malfunctions were defined and recognised."""
    risks_to_patients: str = ""
    """How risks to patients were identified, analysed and reduced."""
    errors_observed: str = ""
    """Significant errors and malfunctions: of recommendations, of software and hardware, of users."""
    harm_observed: str = ""
    """Observed risks and harm to patients."""
    safety_discussion: str = ""
    """What the results say about safety, and how errors can be reduced."""
    human_factors: str = ""
    """Methods and use cases of the evaluation of human factors, and who took part."""
    usability: str = ""
    """Results on usability."""
    learning_curves: str = ""
    """How users learned over time."""
    agreement_with_users: str = ""
    """How often users followed the system, and why not."""
    modifications: str = ""
    """Changes of the system or its hardware during the study, and why."""
    ethical_methods: str = ""
    """Methods for an ethical aim, such as fairness, and why they were chosen."""
    patient_involvement: str = ""
    """How patients and the public took part in the study."""
    data_access: str = ""
    """Who can get the data, and how."""
    code_access: str = ""
    """Where code and model are."""
    funding: str = ""
    """Funding, and the role of the funders."""
    conflicts_of_interest: str = ""
    """Conflicts of interest of the authors."""

    @field_validator("*", mode="before")
    @classmethod
    def _is_a_text(cls, value: object) -> object:
        if value is None:
            return ""
        if isinstance(value, str):
            if len(value) > MAX_TEXT:
                raise ValueError(f"this text is longer than {MAX_TEXT} characters")
            if not all(sign.isprintable() or sign.isspace() for sign in value):
                raise ValueError("this text has characters that cannot be printed")
            return " ".join(value.split())
        return value

    @property
    def texts(self) -> dict[str, str]:
        """Texts by key, without empty ones."""
        content = self.model_dump(exclude={"schema_version"})
        return {key: text for key, text in content.items() if text}


def study_keys() -> dict[str, str]:
    """Return the meaning of every key that holds a text.

    Examples:
        >>> study_keys()["funding"]
        'Funding, and the role of the funders.'
    """
    return {
        name: " ".join((field.description or "").split())
        for name, field in Study.model_fields.items()
        if name != "schema_version"
    }


def read_study(path: Path) -> Study:
    """Read `study.yaml`.

    Raises:
        MissingInputError: no such file.
        ConfigError: not YAML, too large, an unknown key, or a value that is no text.
        EvaluationError: another schema version.
    """
    if not path.is_file():
        remedy = "Write one with: heart2heart report --about-template study.yaml"
        raise MissingInputError("no description of the study here", where=path, remedy=remedy)
    if path.stat().st_size > MAX_BYTES:
        raise ConfigError(f"the description of a study is larger than {MAX_BYTES} bytes", where=path)
    try:
        study = Study.load(path)
    except ConfigError as error:
        remedy = "`heart2heart report --about-template FILE` writes every key; texts with a colon need quotes"
        raise ConfigError(error.what, where=path, remedy=remedy) from error
    if study.schema_version != STUDY_SCHEMA_VERSION:
        remedy = f"This version reads schema {STUDY_SCHEMA_VERSION}; write a new template"
        raise EvaluationError("this description has another schema version", where=path, remedy=remedy)
    return study


def study_template() -> str:
    """Return a description of a study to fill in, as YAML with a comment on each key."""
    lines = [
        "# What the authors know and the records do not. It completes the checklists of `heart2heart report --about`.",
        '# Write no names of patients, and no identifiers. Empty keys stay "not reported".',
        f"schema_version: {STUDY_SCHEMA_VERSION}",
    ]
    for key, meaning in study_keys().items():
        lines += [*(f"# {line}" for line in textwrap.wrap(meaning, 110)), f'{key}: ""']
    return "\n".join([*lines, ""])
