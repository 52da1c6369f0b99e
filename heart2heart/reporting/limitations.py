"""Limitations that follow from the data of an evaluation, by fixed rules."""

from __future__ import annotations

from heart2heart.reporting.numbers import join_words, plural
from heart2heart.schema.enums import CheckStatus
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Provenance


def few_patients(metrics: Metrics) -> dict[str, tuple[str, int]]:
    """Return the hospitals whose rarest class comes from few patients: the class and its number of patients."""
    rarest = {
        site.site: min(site.view_clusters.items(), key=lambda item: item[1])
        for site in metrics.sites
        if site.view_clusters
    }
    return {name: view for name, view in rarest.items() if view[1] < metrics.few_clusters_below}


def certificate_name(provenance: Provenance) -> str:
    """Return what a reader calls the certificate of these predictions."""
    return "leakage certificate" if provenance.validation is None else "validation certificate"


def limitations(metrics: Metrics, provenance: Provenance) -> list[str]:
    """Return the limitations that follow from the data of an evaluation."""
    sentences = []
    synthetic = [site.site for site in metrics.sites if site.synthetic]
    if synthetic:
        sentences.append(
            f"The data of {join_words(synthetic)} are synthetic: simulated images, not patients. These results "
            "do not show how the model performs on real patients."
        )
    few = few_patients(metrics)
    if few:
        sentences.append(
            f"The rarest class comes from fewer than {metrics.few_clusters_below} {metrics.unit}s at "
            f"{join_words(list(few))}. The intervals of accuracies allow for that; those of other statistics, such as "
            "AUROC, are probably too narrow: in simulations with 15 patients, 95 % intervals contained the true value "
            "in about 91 % of the studies."
        )
    missing = {site.site: [v for v in metrics.classes if v not in site.views] for site in metrics.sites if site.frames}
    if any(missing.values()):
        missing_views = [f"{site} has no {join_words(views, last='or')}" for site, views in missing.items() if views]
        sentences.append(
            f"Not every hospital has every view: {'; '.join(missing_views)}. Balanced accuracy is averaged over the "
            "views that a hospital has, so values of different hospitals are not directly comparable. The difference "
            "from the source is computed over shared views."
        )
    unscored = [site.site for site in metrics.sites if not site.frames]
    if unscored:
        sentences.append(f"No frame could be scored at {join_words(unscored)}.")
    if any(site.outside for site in metrics.sites):
        frames = sum(sum(site.outside.values()) for site in metrics.sites)
        sentences.append(
            f"{plural(frames, 'test frame')} show views that are not classes of the model. They are excluded from "
            "accuracy. In use, the model would assign each of them to one of its classes."
        )
    raters = {site.site: len(site.raters) for site in provenance.sites}
    single = [site for site, number in raters.items() if number == 1]
    if single:
        sentences.append(
            f"The labels of {join_words(single)} come from a single source, so the agreement between raters is unknown."
        )
    if all(len(method.runs) == 1 for method in metrics.methods):
        sentences.append("Each model was trained once. The effect of another training seed on the results is unknown.")
    warned = [check.name.replace("_", " ") for check in provenance.split.checks if check.status == CheckStatus.WARN]
    if warned:
        sentences.append(f"The {certificate_name(provenance)} contains warnings: {join_words(warned)}.")
    sentences.append("The results apply to the hospitals named here. No conclusion is drawn about other hospitals.")
    return sentences
