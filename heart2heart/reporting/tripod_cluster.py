"""TRIPOD-Cluster (Debray et al., BMJ 2023;380:e071018), filled from the records of an evaluation."""

from __future__ import annotations

from heart2heart.reporting.checklist import Checklist, ChecklistItem, ReportFacts, item_text
from heart2heart.reporting.numbers import NOT_REPORTED, count, join_words, plural
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Provenance


def tripod_cluster(about: Provenance, metrics: Metrics) -> Checklist:
    """Fill the 19 items (37 with their parts) for a study that validates across hospitals."""
    facts = ReportFacts(about, metrics)
    return Checklist(
        name="TRIPOD-Cluster",
        file="checklist_tripod_cluster.md",
        source="Debray TPA, Collins GS, Riley RD, et al. BMJ 2023;380:e071018, doi 10.1136/bmj-2022-071018",
        checked=(
            "Numbers and topics were compared with an open transcription of the published table (CC BY 4.0); the "
            "wording here is ours, and the journal's own page decides. A cluster of this checklist is a hospital."
        ),
        sections={
            "Title and abstract": _title(facts),
            "Introduction": _introduction(facts),
            "Methods: data": _data(facts),
            "Methods: analysis": _analysis(facts),
            "Results": _results(facts),
            "Discussion": _discussion(facts),
            "Other information": (
                ChecklistItem("18", "Where protocol, code and data are to be had", _code(facts), "hashes"),
                ChecklistItem("19", "Funding, and what the funders did"),
            ),
        },
    )


def _title(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    return (
        ChecklistItem(
            "1", "Says that a model is developed or validated, for whom, for what outcome", facts.purpose, "answer"
        ),
        ChecklistItem(
            "2", "Summary of aims, setting, data, methods and results", "The first screen of the report", "answer"
        ),
    )


def _introduction(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    return (
        ChecklistItem("3a", "Medical context, reasons, models that exist already"),
        ChecklistItem(
            "3b", "Aims", f"To validate at hospitals that had no part in training: {facts.held_out}", "answer"
        ),
    )


def _data(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    about, metrics = facts.about, facts.metrics
    eligible = "Every ultrasound clip that could be read; why each other file was left out is counted"
    from_files = any(site.files for site in about.sites)
    outcome = f"The view of a frame; labeled by: {facts.raters}"
    prepared = f"One sector geometry ({about.geometry}); labels translated into one taxonomy; leakage certificate"
    return (
        ChecklistItem(
            "4a", "Who and which data sets were eligible", eligible if from_files else NOT_REPORTED, "inclusion"
        ),
        ChecklistItem("4b", "Where the data come from, and how they were collected"),
        ChecklistItem("5", "How the sample size came about"),
        ChecklistItem("6a", "The outcome: what, how and when assessed", outcome, "tested"),
        ChecklistItem(
            "6b", "The predictors: what, how and when measured", f"One picture, geometry {about.geometry}", "methods"
        ),
        ChecklistItem("7a", "Preparation: cleaning, harmonising, quality checks", prepared, "split"),
        ChecklistItem("7b", "How risk of bias was judged in each cluster"),
        ChecklistItem(
            "7c", "What differs from the development data", item_text("Makers: {}", facts.manufacturers), "tested"
        ),
        ChecklistItem("7d", "How missing data were handled", _missing(metrics), "inclusion"),
    )


def _missing(metrics: Metrics) -> str:
    unlabeled = sum(site.unlabeled for site in metrics.sites)
    outside = sum(sum(site.outside.values()) for site in metrics.sites)
    return (
        f"Nothing is imputed: {plural(unlabeled, 'test frame')} without a label and {count(outside)} of views outside "
        "the taxonomy are counted and not scored"
    )


def _analysis(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    metrics = facts.metrics
    measures = (
        "Balanced accuracy (primary), sensitivity, predictive value, AUROC, F1, likelihood loss, Brier, calibration"
    )
    groups = {stratum.factor for run in metrics.runs for site in run.sites for stratum in site.strata}
    probes = any(site.probes for run in metrics.runs for site in run.sites)
    planned = [f"by {join_words(sorted(groups))}"] if groups else []
    planned += ["with altered frames"] if probes else []
    heterogeneity = "Each hospital apart; range, worst hospital; random effects from five held-out hospitals on"
    updated = "Temperature only, fitted on source validation; nothing was fitted at a held-out hospital"
    return (
        ChecklistItem("8a", "How predictors were handled", "Pixels of one frame, as the network takes them", "methods"),
        ChecklistItem("8b", "Model, how it was built, how validated", f"{facts.networks}; {facts.selection}", "tested"),
        ChecklistItem(
            "8c", "How parameters were let differ between clusters", "They do not differ: one model", "methods"
        ),
        ChecklistItem("8d", "How predictions were calculated", "The view of the largest logit of the frame", "methods"),
        ChecklistItem("8e", "Measures of performance and comparison", measures, "methods"),
        ChecklistItem(
            "8f", "How differences in performance between clusters were quantified", heterogeneity, "results"
        ),
        ChecklistItem("8g", "Updating of the model", updated, "probabilities"),
        ChecklistItem(
            "9", "Subgroup and sensitivity analyses", join_words(planned).capitalize() or NOT_REPORTED, "subgroups"
        ),
    )


def _results(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    metrics = facts.metrics
    general = metrics.methods[-1].generalisation
    effects = general.random_effects
    spread = (
        f"standard deviation between hospitals {100 * effects.between:.1f} points"
        if effects.between is not None
        else f"random effects not estimable: {effects.reason}"
    )
    extremes = (
        f"lowest {100 * general.lowest:.1f} % at {general.worst_site}, highest {100 * general.highest:.1f} %; "
        if general.lowest is not None and general.highest is not None
        else ""
    )
    fitted = any(run.temperature.value is not None for run in metrics.runs)
    scaled = "Calibration before and after temperature scaling, by hospital" if fitted else NOT_REPORTED
    groups = any(site.strata for run in metrics.runs for site in run.sites)
    by_group = "By hospital and subgroup, with intervals" if groups else NOT_REPORTED
    compare = any(site.label_shift for run in metrics.runs for site in run.sites)
    shares = "Shares of the views against the source; makers; sex and age where known" if compare else NOT_REPORTED
    return (
        ChecklistItem("10a", "Clusters and participants, from found to analysed", facts.scored, "inclusion"),
        ChecklistItem("10b", "Characteristics of each data source, dates", facts.dates, "tested"),
        ChecklistItem("10c", "Comparison with the development data", shares, "shift"),
        ChecklistItem("11", "Risk of bias found in each cluster"),
        ChecklistItem("12a", "Differences between clusters that changed the development"),
        ChecklistItem("12b", "The final model, and how to use it"),
        ChecklistItem("13a", "Performance with intervals, overall and by cluster", facts.accuracy, "results"),
        ChecklistItem("13b", "Differences in performance between clusters", extremes + spread, "results"),
        ChecklistItem("14", "Results of updating", scaled, "probabilities"),
        ChecklistItem("15", "Results of subgroup and sensitivity analyses", by_group, "subgroups"),
    )


def _discussion(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    by_rule = "Sentences that follow from the intervals by rule; a person's interpretation is not in the records"
    return (
        ChecklistItem("16a", "Interpretation, with the differences between clusters", by_rule, "answer"),
        ChecklistItem(
            "16b", "Performance against that in development", "Gap to the source at each hospital", "results"
        ),
        ChecklistItem("16c", "Strengths and limitations", "Limitations that follow from the data", "limitations"),
        ChecklistItem("17", "Use of the model, and where it applies"),
    )


def _code(facts: ReportFacts) -> str:
    version = facts.about.code_version
    return f"Code: heart2heart {version}; hashes of predictions, split and configuration; the rest: {NOT_REPORTED}"
