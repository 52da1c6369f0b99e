"""DECIDE-AI (Vasey et al., Nature Medicine 2022;28:924-933), filled from the records and from `study.yaml`."""

from __future__ import annotations

from heart2heart.reporting.checklist import Checklist, ChecklistItem, ReportFacts, item_text
from heart2heart.reporting.numbers import NOT_REPORTED, join_words
from heart2heart.reporting.participants import readable
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Provenance


def decide_ai(provenance: Provenance, metrics: Metrics) -> Checklist:
    """Fill the 17 AI-specific items (28 with their parts) and the ten generic items of DECIDE-AI.

    DECIDE-AI is for the early use of a system by clinicians. The records of an evaluation hold no users, so most of its
    items come from the authors.

    Examples:
        >>> from heart2heart.evaluation import evaluate_predictions
        >>> from heart2heart.schema.predictions import Predictions
        >>> predictions = Predictions.read("evaluation/predictions.parquet")
        >>> metrics = evaluate_predictions(predictions, replicates=100)
        >>> len(decide_ai(predictions.provenance, metrics).items)
        38
    """
    facts = ReportFacts(provenance, metrics)
    return Checklist(
        name="DECIDE-AI",
        file="checklist_decide_ai.md",
        source="Vasey B, Nagendran M, Campbell B, et al. Nat Med 2022;28:924-933, doi 10.1038/s41591-022-01772-9",
        verification=(
            "The counts (17 AI-specific items with 28 parts, ten generic items) are those that the publication states. "
            "Items are paraphrased; their numbers were not compared with the table in the journal, which is "
            "authoritative. They are about the use by clinicians, of which an evaluation holds no record."
        ),
        sections={
            "Title, abstract and introduction": _introduction(facts),
            "Methods": _methods(facts),
            "Results": _results(facts),
            "Discussion": _discussion(),
            "Statements": (
                ChecklistItem("17", "Availability of data and code", keys=("data_access", "code_access")),
                ChecklistItem("X", "Conflicts of interest", keys=("conflicts_of_interest", "funding")),
            ),
        },
    )


def _introduction(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    aim = f"Accuracy at hospitals without a part in training: {facts.held_out}"
    return (
        ChecklistItem("1", "Title: early clinical evaluation, and its problem", keys=("title",)),
        ChecklistItem("I", "Abstract", "Summary of the report", "summary"),
        ChecklistItem("2a", "Intended use: condition, current practice, patients", keys=("intended_use", "background")),
        ChecklistItem("2b", "Intended users, care pathway, possible impact", keys=("intended_users",)),
        ChecklistItem("II", "Objectives", aim, "summary", ("setting",)),
    )


def _methods(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    measures = "Balanced accuracy (primary), sensitivity, predictive value, AUROC, calibration"
    analysis = f"{facts.percent} intervals: {facts.metrics.interval}"
    geometry = item_text("Frames, geometry {}", facts.provenance.geometry)
    return (
        ChecklistItem("III", "Protocol, registration and ethics", keys=("protocol", "registration", "ethics")),
        ChecklistItem("3a", "Recruitment of patients", facts.eligible, "inclusion", ("eligibility", "sample_size")),
        ChecklistItem("3b", "Recruitment of users", keys=("user_recruitment",)),
        ChecklistItem("3c", "Familiarisation of users with the system", keys=("user_training",)),
        ChecklistItem(
            "4a",
            "The system: version, algorithm, training population, earlier performance",
            f"{facts.networks}; {facts.training}",
            "tested",
            ("model_training",),
        ),
        ChecklistItem("4b", "Inputs: acquisition, entry, preparation", geometry, "methods", ("acquisition",)),
        ChecklistItem(
            "4c",
            "Outputs, and how users see them",
            f"A probability of each class: {facts.views}",
            "methods",
            ("user_output",),
        ),
        ChecklistItem("5a", "Implementation: setting", keys=("setting",)),
        ChecklistItem("5b", "Implementation: workflow and final decision", keys=("workflow",)),
        ChecklistItem("IV", "Outcomes", measures, "methods", ("outcomes",)),
        ChecklistItem("6a", "Definition of significant errors", keys=("error_definition",)),
        ChecklistItem("6b", "Risks to patients: identified and reduced", keys=("risks_to_patients",)),
        ChecklistItem("7", "Human factors: methods and participants", keys=("human_factors",)),
        ChecklistItem("V", "Analysis", analysis, "methods"),
        ChecklistItem("8", "Methods for an ethical aim, such as fairness", keys=("ethical_methods",)),
        ChecklistItem("VI", "Involvement of patients", keys=("patient_involvement",)),
    )


def _results(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    groups = join_words([readable(factor) for factor in facts.factors])
    return (
        ChecklistItem(
            "9a",
            "Characteristics of the patients, missing inputs",
            facts.scored,
            "inclusion",
            ("patient_characteristics",),
        ),
        ChecklistItem("9b", "Characteristics of the users", keys=("user_characteristics",)),
        ChecklistItem("10a", "Exposure of users, adherence", keys=("exposure",)),
        ChecklistItem("10b", "Changes of the workflow", keys=("workflow_changes",)),
        ChecklistItem("VII", "Main results", facts.accuracy, "results"),
        ChecklistItem(
            "VIII", "Subgroup analyses", f"By {groups}" if groups else NOT_REPORTED, "subgroups", ("subgroups",)
        ),
        ChecklistItem("11", "Modifications of the system during the study", keys=("modifications",)),
        ChecklistItem("12", "Agreement of users with the system", keys=("agreement_with_users",)),
        ChecklistItem("13a", "Significant errors and malfunctions", keys=("errors_observed",)),
        ChecklistItem("13b", "Risks and observed harm", keys=("harm_observed",)),
        ChecklistItem("14a", "Usability", keys=("usability",)),
        ChecklistItem("14b", "Learning curves", keys=("learning_curves",)),
    )


def _discussion() -> tuple[ChecklistItem, ...]:
    derived = "Limitations that can be derived from the data"
    return (
        ChecklistItem("15", "Support for the intended use", keys=("implications",)),
        ChecklistItem("16", "Safety", keys=("safety_discussion",)),
        ChecklistItem("IX", "Strengths and limitations", derived, "limitations", ("limitations",)),
    )
