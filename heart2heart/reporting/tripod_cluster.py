"""TRIPOD-Cluster (Debray et al., BMJ 2023;380:e071018), filled from the records of an evaluation."""

from __future__ import annotations

from heart2heart.reporting.checklist import Checklist, ChecklistItem, ReportFacts, item_text
from heart2heart.reporting.limitations import certificate_name
from heart2heart.reporting.numbers import NOT_REPORTED, join_words
from heart2heart.reporting.participants import readable
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Provenance


def tripod_cluster(provenance: Provenance, metrics: Metrics) -> Checklist:
    """Fill the 19 items (37 with their parts) of TRIPOD-Cluster for a validation at several hospitals."""
    facts = ReportFacts(provenance, metrics)
    return Checklist(
        name="TRIPOD-Cluster",
        file="checklist_tripod_cluster.md",
        source="Debray TPA, Collins GS, Riley RD, et al. BMJ 2023;380:e071018, doi 10.1136/bmj-2022-071018",
        verification=(
            "Numbers and topics were compared with an open transcription of the published table (CC BY 4.0). Items are "
            "paraphrased; the page of the journal is authoritative. In this checklist, a cluster is a hospital."
        ),
        sections={
            "Title and abstract": _title(facts),
            "Introduction": _introduction(facts),
            "Methods: data": _data(facts),
            "Methods: analysis": _analysis(facts),
            "Results": _results(facts),
            "Discussion": _discussion(facts),
            "Other information": (
                ChecklistItem(
                    "18", "Access to protocol, code and data", _code(facts), "hashes", ("protocol", "data_access")
                ),
                ChecklistItem("19", "Funding and the role of the funders", keys=("funding",)),
            ),
        },
    )


def _title(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    return (
        ChecklistItem(
            "1",
            "Development or validation of a model, population and outcome",
            facts.purpose,
            "summary",
            ("model_training",),
        ),
        ChecklistItem("2", "Summary of aims, setting, data, methods and results", "Summary of the report", "summary"),
    )


def _introduction(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    return (
        ChecklistItem("3a", "Medical context, rationale and existing models", keys=("background",)),
        ChecklistItem(
            "3b",
            "Aims",
            f"To validate at hospitals without a part in training: {facts.held_out}",
            "summary",
            ("setting",),
        ),
    )


def _data(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    provenance = facts.provenance
    outcome = f"The view of a frame; labeled by: {facts.raters}"
    certificate, geometry = certificate_name(provenance), provenance.geometry
    prepared = certificate.capitalize()
    if geometry != NOT_REPORTED:
        prepared = f"One sector geometry ({geometry}); labels mapped to one taxonomy; {certificate}"
    return (
        ChecklistItem("4a", "Eligible participants and data sets", facts.eligible, "inclusion", ("eligibility",)),
        ChecklistItem("4b", "Origin and collection of the data", keys=("data_origin",)),
        ChecklistItem("5", "Determination of the sample size", keys=("sample_size",)),
        ChecklistItem("6a", "Outcome: definition and assessment", outcome, "tested", ("reference_standard",)),
        ChecklistItem(
            "6b",
            "Predictors: definition and measurement",
            f"One frame, geometry {geometry}",
            "methods",
            ("preprocessing",),
        ),
        ChecklistItem(
            "7a", "Data preparation: cleaning, harmonisation, quality checks", prepared, "split", ("preprocessing",)
        ),
        ChecklistItem("7b", "Assessment of the risk of bias in each cluster", keys=("risk_of_bias",)),
        ChecklistItem(
            "7c",
            "Differences from the development data",
            item_text("Manufacturers: {}", facts.manufacturers),
            "tested",
            ("differences_between_hospitals",),
        ),
        ChecklistItem("7d", "Handling of missing data", facts.missing, "inclusion", ("missing_data",)),
    )


def _analysis(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    metrics = facts.metrics
    measures = (
        "Balanced accuracy (primary), sensitivity, predictive value, AUROC, F1, log loss, Brier score, calibration"
    )
    groups = {readable(factor) for factor in facts.factors}
    probes = any(site.probes for run in metrics.runs for site in run.sites)
    planned = [f"by {join_words(sorted(groups))}"] if groups else []
    planned += ["with altered frames"] if probes else []
    heterogeneity = "Results by hospital; range and worst hospital; random effects with five or more held-out hospitals"
    updated = "Only a temperature, fitted on the source validation frames; nothing was fitted at a held-out hospital"
    return (
        ChecklistItem("8a", "Handling of predictors", "Pixels of one frame, as input of the network", "methods"),
        ChecklistItem("8b", "Model, its development and validation", f"{facts.networks}; {facts.selection}", "tested"),
        ChecklistItem("8c", "Parameters that differ between clusters", "None: one model for all hospitals", "methods"),
        ChecklistItem("8d", "Calculation of predictions", "The view with the largest logit of the frame", "methods"),
        ChecklistItem("8e", "Measures of performance and comparison", measures, "methods"),
        ChecklistItem("8f", "Quantification of differences in performance between clusters", heterogeneity, "results"),
        ChecklistItem("8g", "Updating of the model", updated, "probabilities"),
        ChecklistItem(
            "9",
            "Subgroup and sensitivity analyses",
            join_words(planned).capitalize() or NOT_REPORTED,
            "subgroups",
            ("subgroups",),
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
    scaled = "Calibration before and after temperature scaling by hospital" if fitted else NOT_REPORTED
    groups = any(site.strata for run in metrics.runs for site in run.sites)
    by_group = "By hospital and subgroup, with intervals" if groups else NOT_REPORTED
    compare = any(site.label_shift for run in metrics.runs for site in run.sites)
    shares = (
        "Shares of the views compared with the source; manufacturers; sex and age if recorded"
        if compare
        else NOT_REPORTED
    )
    return (
        ChecklistItem("10a", "Flow of clusters and participants", facts.scored, "inclusion"),
        ChecklistItem(
            "10b", "Characteristics of each data source, dates", facts.dates, "tested", ("collection_dates",)
        ),
        ChecklistItem(
            "10c", "Comparison with the development data", shares, "shift", ("differences_between_hospitals",)
        ),
        ChecklistItem("11", "Risk of bias found in each cluster", keys=("risk_of_bias",)),
        ChecklistItem(
            "12a",
            "Differences between clusters that affected model development",
            keys=("differences_between_hospitals",),
        ),
        ChecklistItem("12b", "Final model and instructions for its use", keys=("instructions",)),
        ChecklistItem("13a", "Performance with intervals, overall and by cluster", facts.accuracy, "results"),
        ChecklistItem("13b", "Differences in performance between clusters", extremes + spread, "results"),
        ChecklistItem("14", "Results of updating", scaled, "probabilities", ("model_updating",)),
        ChecklistItem("15", "Results of subgroup and sensitivity analyses", by_group, "subgroups", ("subgroups",)),
    )


def _discussion(facts: ReportFacts) -> tuple[ChecklistItem, ...]:
    by_rule = "Sentences derived from the intervals by rule; interpretation by the authors: not reported"
    return (
        ChecklistItem(
            "16a", "Interpretation, with the differences between clusters", by_rule, "summary", ("interpretation",)
        ),
        ChecklistItem(
            "16b", "Performance compared with that in development", "Gap to the source at each hospital", "results"
        ),
        ChecklistItem(
            "16c",
            "Strengths and limitations",
            "Limitations that can be derived from the data",
            "limitations",
            ("limitations",),
        ),
        ChecklistItem("17", "Use of the model and its applicability", keys=("implications",)),
    )


def _code(facts: ReportFacts) -> str:
    version = facts.provenance.code_version
    recorded = f"Code: heart2heart {version}; hashes of predictions, split and configuration"
    return f"{recorded}; protocol: {NOT_REPORTED}; data: {NOT_REPORTED}"
