"""CLAIM, 2024 update (Tejani et al., Radiology: Artificial Intelligence 2024;6:e240300), filled from the records."""

from __future__ import annotations

from heart2heart.reporting.checklist import Checklist, ChecklistItem, ReportFacts, item_text
from heart2heart.reporting.limitations import certificate_name
from heart2heart.reporting.numbers import NOT_REPORTED, count, join_words
from heart2heart.schema.enums import CheckStatus
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Provenance


def claim(provenance: Provenance, metrics: Metrics) -> Checklist:
    """Fill the 44 items of CLAIM 2024 for a study that tests a view classifier at other hospitals."""
    facts = ReportFacts(provenance, metrics)
    return Checklist(
        name="CLAIM 2024",
        file="checklist_claim.md",
        source="Tejani AS, Klontzas ME, Gatti AA, et al. Radiol Artif Intell 2024;6:e240300, doi 10.1148/ryai.240300",
        verification=(
            "The number of items (44) was verified on the publisher's companion site. The order and topic of each item "
            "come from a checklist that other authors completed, not from the table in the journal. Items are "
            "paraphrased."
        ),
        sections={
            "Title, abstract and introduction": _introduction(facts),
            "Methods: design and data": _data(facts),
            "Methods: reference standard": _reference(facts),
            "Methods: partitions and model": _model(facts),
            "Methods: evaluation": _evaluation(facts),
            "Results": _results(facts),
            "Discussion and other information": _discussion(facts),
        },
    )


def _introduction(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    use = f"Research on view classifiers at hospitals other than those of their training; background: {NOT_REPORTED}"
    aim = f"How accurate is a model trained at {facts.source} when it is used at {facts.held_out}?"
    return (
        ChecklistItem(
            "1",
            "Title identifies the study as one of AI, and the kind of AI",
            facts.purpose,
            "summary",
            ("model_training",),
        ),
        ChecklistItem("2", "Summary of design, methods, results and conclusions", "Summary of the report", "summary"),
        ChecklistItem("3", "Background; intended use and role of the AI", use, "tested", ("background",)),
        ChecklistItem("4", "Aims and hypotheses", aim, "summary", ("model_training", "setting")),
    )


def _data(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    provenance = facts.provenance
    files = any(site.files for site in provenance.sites)
    pseudonyms = "At ingest; the store contains only pseudonyms and shifted dates"
    return (
        ChecklistItem("5", "Prospective or retrospective", keys=("design",)),
        ChecklistItem("6", "Goal of the study", "Validation at hospitals without a part in training", "summary"),
        ChecklistItem(
            "7",
            "Sources of the data",
            f"{join_words([site.site for site in provenance.sites])}; {facts.dates}",
            "tested",
            ("collection_dates",),
        ),
        ChecklistItem("8", "Inclusion and exclusion", facts.eligible, "inclusion", ("eligibility",)),
        ChecklistItem("9", "Preprocessing", f"Sector geometry {provenance.geometry}", "methods", ("preprocessing",)),
        ChecklistItem("10", "Choice of subsets", "Test frames of the split with a scored view", "inclusion"),
        ChecklistItem(
            "11", "De-identification", pseudonyms if files else NOT_REPORTED, "tested", ("deidentification",)
        ),
        ChecklistItem("12", "Missing data", facts.missing, "inclusion", ("missing_data",)),
        ChecklistItem(
            "13",
            "Acquisition of the images",
            item_text("Manufacturers: {}", facts.manufacturers),
            "tested",
            ("acquisition",),
        ),
    )


def _reference(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    several = [site.site for site in facts.provenance.sites if len(site.raters) > 1]
    agreement = f"Several raters at {join_words(several)}; agreement: {NOT_REPORTED}" if several else NOT_REPORTED
    return (
        ChecklistItem(
            "14",
            "How the reference standard was obtained",
            item_text("View labels by {}", facts.raters),
            "tested",
            ("reference_standard",),
        ),
        ChecklistItem("15", "Rationale for the reference standard", keys=("reference_rationale",)),
        ChecklistItem(
            "16",
            "Annotators and their training",
            item_text("{}; training: not reported", facts.raters),
            "tested",
            ("annotators",),
        ),
        ChecklistItem("17", "Annotation of the test set", keys=("annotation_of_tests",)),
        ChecklistItem("18", "Agreement within and between raters", agreement, "tested", ("rater_agreement",)),
    )


def _model(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    provenance = facts.provenance
    warned = [
        f"{check.name.replace('_', ' ')} {check.status}"
        for check in provenance.split.checks
        if check.status != CheckStatus.PASS
    ]
    certificate = f"checks that did not pass: {join_words(warned)}" if warned else "all checks passed"
    level = f"By {provenance.split.unit} ({certificate_name(provenance)}, {certificate})"
    assigned = f"Frozen split “{provenance.split.name}”; held-out hospitals: {facts.held_out}"
    if provenance.validation is not None:
        validated = join_words(provenance.validation.sites)
        assigned = f"Frozen model, validated at {validated}. {provenance.validation.sentence()}"
    training = f"{facts.training}; the hash in the report identifies the full configuration of the run"
    return (
        ChecklistItem("19", "Assignment of data to partitions", assigned, "split", ("setting",)),
        ChecklistItem("20", "Level at which the partitions are disjoint", level, "split"),
        ChecklistItem("21", "Intended sample size", keys=("sample_size",)),
        ChecklistItem("22", "The model", facts.networks, "tested"),
        ChecklistItem("23", "Software and versions", facts.versions, "hashes", ("code_access",)),
        ChecklistItem("24", "Initialisation of the parameters", keys=("initialisation",)),
        ChecklistItem("25", "Training", training, "tested", ("model_training",)),
        ChecklistItem("26", "Selection of the final model", facts.selection, "methods"),
        ChecklistItem("27", "Ensembling", "None: every run is scored separately", "methods"),
    )


def _evaluation(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    metrics = facts.metrics
    probes = any(site.probes for run in metrics.runs for site in run.sites)
    robust = (
        "Altered frames, subgroups, label shift"
        if probes
        else "Subgroups and label shift; no altered frames were evaluated"
    )
    intervals = (
        f"{facts.percent} intervals, {metrics.interval}, {count(metrics.replicates)} replicates; Holm over hospitals"
    )
    return (
        ChecklistItem("28", "Measures of performance", "Balanced accuracy (primary); others in Methods", "methods"),
        ChecklistItem("29", "Significance and uncertainty", intervals, "methods"),
        ChecklistItem("30", "Robustness and sensitivity", robust, "shortcuts"),
        ChecklistItem("31", "Explainability", keys=("explainability",)),
        ChecklistItem(
            "32", "Evaluation on internal data", f"Test patients of {facts.source}", "results", ("model_training",)
        ),
        ChecklistItem("33", "Testing on external data", facts.held_out, "results", ("setting",)),
        ChecklistItem("34", "Registration of a trial", keys=("registration",)),
    )


def _results(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    known = any(
        stratum.factor in ("sex", "age") for run in facts.metrics.runs for site in run.sites for stratum in site.strata
    )
    demographics = f"Sex and age; disease: {NOT_REPORTED}" if known else NOT_REPORTED
    return (
        ChecklistItem("35", "Patients or examinations included and excluded", facts.scored, "inclusion"),
        ChecklistItem(
            "36", "Demographic and clinical characteristics", demographics, "tested", ("patient_characteristics",)
        ),
        ChecklistItem("37", "Performance with uncertainty", facts.accuracy, "results"),
        ChecklistItem(
            "38", "Diagnostic performance with precision", "Sensitivity and predictive value by view", "results"
        ),
        ChecklistItem("39", "Failures", "Confusion by hospital; frames with the most confident errors", "frames"),
    )


def _discussion(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    software = f"Software: heart2heart {facts.provenance.code_version}; model and data: {NOT_REPORTED}"
    return (
        ChecklistItem(
            "40", "Limitations", "Limitations that can be derived from the data", "limitations", ("limitations",)
        ),
        ChecklistItem("41", "Implications for practice", keys=("implications",)),
        ChecklistItem("42", "Access to the protocol", keys=("protocol",)),
        ChecklistItem("43", "Availability of software, model and data", software, "hashes", ("data_access",)),
        ChecklistItem("44", "Funding and the role of the funders", keys=("funding",)),
    )
