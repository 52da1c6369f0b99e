"""TRIPOD+AI (Collins et al., BMJ 2024;385:e078378), filled from the records of an evaluation and from `study.yaml`."""

from __future__ import annotations

from heart2heart.reporting.checklist import Checklist, ChecklistItem, ReportFacts, item_text
from heart2heart.reporting.limitations import certificate_name
from heart2heart.reporting.numbers import NOT_REPORTED, join_words
from heart2heart.reporting.participants import readable
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Provenance


def tripod_ai(provenance: Provenance, metrics: Metrics) -> Checklist:
    """Fill the 27 items (52 with their parts) of TRIPOD+AI for an evaluation of a model at other hospitals.

    Examples:
        >>> from heart2heart.evaluation import evaluate_predictions
        >>> from heart2heart.schema.predictions import Predictions
        >>> predictions = Predictions.read("evaluation/predictions.parquet")
        >>> metrics = evaluate_predictions(predictions, replicates=100)
        >>> len(tripod_ai(predictions.provenance, metrics).items)
        52
    """
    facts = ReportFacts(provenance, metrics)
    return Checklist(
        name="TRIPOD+AI",
        file="checklist_tripod_ai.md",
        source="Collins GS, Moons KGM, Dhiman P, et al. BMJ 2024;385:e078378, doi 10.1136/bmj-2023-078378",
        verification=(
            "The counts (27 items, 52 parts) are those of the publication. Items are paraphrased; their numbers were "
            "not compared with the table in the journal, which is authoritative. The study is an evaluation, so items "
            "on development refer to the records of the training."
        ),
        sections={
            "Title, abstract and introduction": _introduction(facts),
            "Methods: data and participants": _data(facts),
            "Methods: outcome and predictors": _outcome(facts),
            "Methods: analysis": _analysis(facts),
            "Open science and patient involvement": _open_science(facts),
            "Results": _results(facts),
            "Discussion": _discussion(),
        },
    )


def _introduction(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    aim = f"Evaluation of a frozen model at hospitals without a part in training: {facts.held_out}"
    return (
        ChecklistItem(
            "1", "Title: development or evaluation, population, outcome", facts.purpose, "summary", ("model_training",)
        ),
        ChecklistItem("2", "Abstract", "Summary of the report", "summary"),
        ChecklistItem("3a", "Healthcare context, rationale, existing models", keys=("background",)),
        ChecklistItem(
            "3b", "Target population, purpose in the care pathway, users", keys=("intended_use", "intended_users")
        ),
        ChecklistItem("3c", "Known health inequalities between groups", keys=("health_inequalities",)),
        ChecklistItem("4", "Objectives: development or evaluation", aim, "summary", ("setting",)),
    )


def _data(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    provenance = facts.provenance
    prepared = certificate_name(provenance).capitalize()
    if provenance.geometry != NOT_REPORTED:
        prepared = f"One sector geometry ({provenance.geometry}); {certificate_name(provenance)}"
    return (
        ChecklistItem("5a", "Sources of data, their choice and representativeness", keys=("data_origin",)),
        ChecklistItem("5b", "Dates of the data", facts.dates, "tested", ("collection_dates",)),
        ChecklistItem("6a", "Setting: number and location of centres", facts.scored, "tested", ("setting",)),
        ChecklistItem("6b", "Eligibility", facts.eligible, "inclusion", ("eligibility",)),
        ChecklistItem("6c", "Treatments, and how they were handled", keys=("treatments",)),
        ChecklistItem("7", "Preparation and quality checks of the data", prepared, "split", ("preprocessing",)),
    )


def _outcome(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    labeled = f"The view of a frame; labeled by: {facts.raters}"
    return (
        ChecklistItem("8a", "Outcome: definition and assessment", labeled, "tested", ("reference_standard",)),
        ChecklistItem("8b", "Assessors of a subjective outcome: qualification", keys=("annotators",)),
        ChecklistItem("8c", "Blinding of the assessment of the outcome", keys=("blinding",)),
        ChecklistItem("9a", "Choice of the predictors", "Pixels of one frame, as input of the network", "methods"),
        ChecklistItem(
            "9b",
            "Predictors: definition and measurement",
            item_text("Frames of ultrasound clips; manufacturers: {}", facts.manufacturers),
            "tested",
            ("acquisition",),
        ),
        ChecklistItem("9c", "Assessors of subjective predictors", "None: the predictors are pixels", "methods"),
        ChecklistItem("10", "Study size", keys=("sample_size",)),
        ChecklistItem("11", "Missing data", facts.missing, "inclusion", ("missing_data",)),
    )


def _analysis(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    provenance = facts.provenance
    parts = f"Frozen split “{provenance.split.name}”, disjoint by {provenance.split.unit}"
    if provenance.validation is not None:
        parts = f"Frozen model; nothing was fitted at {join_words(provenance.validation.sites)}"
    heterogeneity = "Results by hospital; range and worst hospital; random effects with five or more held-out hospitals"
    measures = (
        "Balanced accuracy (primary), sensitivity, predictive value, AUROC, F1, log loss, Brier score, calibration"
    )
    updated = "Only a temperature, fitted on the source validation frames; nothing was fitted at a held-out hospital"
    return (
        ChecklistItem("12a", "Use of the data for development and evaluation", parts, "split"),
        ChecklistItem("12b", "Handling of predictors", "Pixels of one frame", "methods", ("preprocessing",)),
        ChecklistItem(
            "12c",
            "Type of model, its development and tuning",
            f"{facts.networks}; {facts.training}; {facts.selection}",
            "tested",
            ("model_training", "model_choice"),
        ),
        ChecklistItem("12d", "Heterogeneity between clusters", heterogeneity, "results"),
        ChecklistItem("12e", "Measures and plots of performance", measures, "methods"),
        ChecklistItem("12f", "Updating of the model", updated, "probabilities", ("model_updating",)),
        ChecklistItem("12g", "Calculation of predictions", "The view with the largest logit of the frame", "methods"),
        ChecklistItem("13", "Class imbalance", keys=("class_imbalance",)),
        ChecklistItem("14", "Fairness", keys=("fairness",)),
        ChecklistItem(
            "15", "Output of the model", f"A probability of each class: {facts.views}", "methods", ("user_output",)
        ),
        ChecklistItem(
            "16",
            "Differences between training and evaluation",
            item_text("Other hospitals; manufacturers: {}", facts.manufacturers),
            "shift",
            ("differences_between_hospitals",),
        ),
        ChecklistItem("17", "Ethical approval and consent", keys=("ethics",)),
    )


def _open_science(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    version = facts.provenance.code_version
    code = f"Code: heart2heart {version}, with hashes of predictions, split and configuration; model: {NOT_REPORTED}"
    return (
        ChecklistItem("18a", "Funding and the role of the funders", keys=("funding",)),
        ChecklistItem("18b", "Conflicts of interest", keys=("conflicts_of_interest",)),
        ChecklistItem("18c", "Protocol", keys=("protocol",)),
        ChecklistItem("18d", "Registration", keys=("registration",)),
        ChecklistItem("18e", "Access to the data", keys=("data_access",)),
        ChecklistItem("18f", "Access to the code", code, "hashes", ("code_access",)),
        ChecklistItem("19", "Involvement of patients and the public", keys=("patient_involvement",)),
    )


def _results(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    metrics = facts.metrics
    known = [readable(factor) for factor in facts.factors if factor in ("sex", "age")]
    patients = f"{join_words(known).capitalize()} by hospital; disease: {NOT_REPORTED}" if known else NOT_REPORTED
    shares = "Shares of the views compared with the source; manufacturers"
    compared = any(site.label_shift for run in metrics.runs for site in run.sites)
    parameters = "; ".join(f"{run.run}: configuration {run.config_sha256[:12]}" for run in facts.provenance.runs)
    scaled = any(run.temperature.value is not None for run in metrics.runs)
    updated = "Calibration before and after temperature scaling by hospital" if scaled else NOT_REPORTED
    return (
        ChecklistItem("20a", "Flow of participants", facts.scored, "inclusion"),
        ChecklistItem("20b", "Characteristics of the participants", patients, "tested", ("patient_characteristics",)),
        ChecklistItem(
            "20c",
            "Comparison with the development data",
            shares if compared else NOT_REPORTED,
            "shift",
            ("differences_between_hospitals",),
        ),
        ChecklistItem("21", "Participants and events in each analysis", facts.scored, "inclusion"),
        ChecklistItem("22", "Specification of the model", parameters, "hashes", ("instructions",)),
        ChecklistItem("23a", "Performance with intervals, also in subgroups", facts.accuracy, "results"),
        ChecklistItem(
            "23b", "Heterogeneity of performance between clusters", "Results and losses by hospital", "results"
        ),
        ChecklistItem("24", "Results of updating", updated, "probabilities", ("model_updating",)),
    )


def _discussion() -> tuple[ChecklistItem, ...]:
    by_rule = f"Sentences derived from the intervals by rule; interpretation by the authors: {NOT_REPORTED}"
    derived = "Limitations that can be derived from the data"
    return (
        ChecklistItem("25", "Interpretation, fairness, earlier studies", by_rule, "summary", ("interpretation",)),
        ChecklistItem("26", "Limitations", derived, "limitations", ("limitations",)),
        ChecklistItem("27a", "Inputs of poor quality or unavailable", keys=("poor_input",)),
        ChecklistItem("27b", "Interaction and expertise of users", keys=("user_skills",)),
        ChecklistItem("27c", "Next steps", keys=("next_steps",)),
    )
