"""CLAIM, 2024 update (Tejani et al., Radiology: Artificial Intelligence 2024;6:e240300), filled from the records."""

from __future__ import annotations

from heart2heart.reporting.checklist import Checklist, ChecklistItem, ReportFacts, item_text
from heart2heart.reporting.numbers import NOT_REPORTED, count, join_words, plural
from heart2heart.schema.enums import CheckStatus
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Provenance


def claim(about: Provenance, metrics: Metrics) -> Checklist:
    """Fill the 44 items for a study that tests a view classifier across hospitals."""
    facts = ReportFacts(about, metrics)
    return Checklist(
        name="CLAIM 2024",
        file="checklist_claim.md",
        source="Tejani AS, Klontzas ME, Gatti AA, et al. Radiol Artif Intell 2024;6:e240300, doi 10.1148/ryai.240300",
        checked=(
            "The number of items (44) was verified at the publisher's companion site; order and topic of each item "
            "only from a checklist that others had filled, not from the journal's own table. The wording here is ours."
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
    use = f"Research on how view classifiers carry over; background: {NOT_REPORTED}"
    aim = f"Does the model carry over from {facts.source} to {facts.held_out}?"
    return (
        ChecklistItem("1", "Names the study as one of AI, and the kind of AI", facts.purpose, "answer"),
        ChecklistItem(
            "2", "Summary of design, methods, results and conclusions", "The first screen of the report", "answer"
        ),
        ChecklistItem("3", "Background; intended use and role of the AI", use, "tested"),
        ChecklistItem("4", "Aims and hypotheses", aim, "answer"),
    )


def _data(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    about, metrics = facts.about, facts.metrics
    readable = "Ultrasound clips that could be read; each exclusion is counted with its reason"
    files = any(site.files for site in about.sites)
    unlabeled = sum(site.unlabeled for site in metrics.sites)
    missing = f"Not imputed; {plural(unlabeled, 'test frame')} without a label not scored"
    pseudonyms = "Done when the files were read: only pseudonyms and shifted dates are stored"
    return (
        ChecklistItem("5", "Prospective or retrospective"),
        ChecklistItem("6", "Goal of the study", "Validation at other hospitals than those trained on", "answer"),
        ChecklistItem(
            "7", "Sources of the data", f"{join_words([site.site for site in about.sites])}; {facts.dates}", "tested"
        ),
        ChecklistItem("8", "Inclusion and exclusion", readable if files else NOT_REPORTED, "inclusion"),
        ChecklistItem("9", "Preprocessing", f"Sector geometry {about.geometry}", "methods"),
        ChecklistItem("10", "Choice of subsets", "Frames of the split's test part with a scored view", "inclusion"),
        ChecklistItem("11", "De-identification", pseudonyms if files else NOT_REPORTED, "tested"),
        ChecklistItem("12", "Missing data", missing, "inclusion"),
        ChecklistItem("13", "Acquisition of the images", item_text("Makers: {}", facts.manufacturers), "tested"),
    )


def _reference(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    several = [site.site for site in facts.about.sites if len(site.raters) > 1]
    agreement = f"Several raters at {join_words(several)}; agreement: {NOT_REPORTED}" if several else NOT_REPORTED
    return (
        ChecklistItem(
            "14", "How the reference standard was obtained", item_text("View labels by {}", facts.raters), "tested"
        ),
        ChecklistItem("15", "Why this reference standard"),
        ChecklistItem(
            "16", "Who annotated, with what training", item_text("{}; training: not reported", facts.raters), "tested"
        ),
        ChecklistItem("17", "How the test set was annotated"),
        ChecklistItem("18", "Agreement within and between raters", agreement, "tested"),
    )


def _model(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    about = facts.about
    versions = join_words(sorted({f"{name} {version}" for run in about.runs for name, version in run.versions.items()}))
    warned = [
        f"{check.name.replace('_', ' ')} {check.status}"
        for check in about.split.checks
        if check.status != CheckStatus.PASS
    ]
    certificate = f"not a plain pass: {join_words(warned)}" if warned else "all checks passed"
    level = f"By {about.split.unit} (leakage certificate, {certificate})"
    assigned = f"Frozen split “{about.split.name}”; hospitals held out whole: {facts.held_out}"
    training = f"{facts.training}; the full configuration is in the run, by its hash"
    return (
        ChecklistItem("19", "How data were assigned to partitions", assigned, "split"),
        ChecklistItem("20", "At what level partitions are disjoint", level, "split"),
        ChecklistItem("21", "Intended sample size"),
        ChecklistItem("22", "The model", facts.networks, "tested"),
        ChecklistItem("23", "Software and versions", versions or NOT_REPORTED, "hashes"),
        ChecklistItem("24", "How parameters were initialised"),
        ChecklistItem("25", "Training", training, "tested"),
        ChecklistItem("26", "How the final model was chosen", facts.selection, "methods"),
        ChecklistItem("27", "Ensembling", "None: every run is scored alone", "methods"),
    )


def _evaluation(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    metrics = facts.metrics
    probes = any(site.probes for run in metrics.runs for site in run.sites)
    robust = (
        "Altered frames, subgroups, label shift"
        if probes
        else "Subgroups and label shift; altered frames were not predicted"
    )
    intervals = (
        f"{facts.percent} intervals, {metrics.interval}, {count(metrics.replicates)} replicates; Holm over hospitals"
    )
    return (
        ChecklistItem("28", "Measures of performance", "Balanced accuracy; the others are listed", "methods"),
        ChecklistItem("29", "Significance and uncertainty", intervals, "methods"),
        ChecklistItem("30", "Robustness and sensitivity", robust, "shortcuts"),
        ChecklistItem("31", "Explainability"),
        ChecklistItem("32", "Evaluation on internal data", f"Test part of {facts.source}", "results"),
        ChecklistItem("33", "Testing on external data", facts.held_out, "results"),
        ChecklistItem("34", "Registration of a trial"),
    )


def _results(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    known = any(
        stratum.factor in ("sex", "age") for run in facts.metrics.runs for site in run.sites for stratum in site.strata
    )
    people = f"Sex and age; disease: {NOT_REPORTED}" if known else NOT_REPORTED
    return (
        ChecklistItem("35", "Patients or examinations included and excluded", facts.scored, "inclusion"),
        ChecklistItem("36", "Demographic and clinical characteristics", people, "tested"),
        ChecklistItem("37", "Performance with uncertainty", facts.accuracy, "results"),
        ChecklistItem(
            "38", "Diagnostic performance with precision", "Sensitivity and predictive value by view", "results"
        ),
        ChecklistItem("39", "Failures", "Confusion by hospital; gallery of the most confident mistakes", "frames"),
    )


def _discussion(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    software = f"Software: heart2heart {facts.about.code_version}; model and data: {NOT_REPORTED}"
    return (
        ChecklistItem("40", "Limitations", "Limitations that follow from the data", "limitations"),
        ChecklistItem("41", "Meaning for practice"),
        ChecklistItem("42", "Where the protocol is"),
        ChecklistItem("43", "Availability of software, model and data", software, "hashes"),
        ChecklistItem("44", "Funding, and what the funders did"),
    )
