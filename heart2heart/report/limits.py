"""Limitations that follow from the data at hand; each is printed only when it applies."""

from __future__ import annotations

from heart2heart.evaluate.schema import Metrics
from heart2heart.predictions import Provenance
from heart2heart.report.numbers import listed, plural


def limitations(metrics: Metrics, about: Provenance) -> list[str]:
    """List what a reader must hold against these results."""
    found = []
    synthetic = [site.site for site in metrics.sites if site.synthetic]
    if synthetic:
        found.append(
            f"The data of {listed(synthetic)} are synthetic: simulated pictures, not patients. Nothing here says how "
            "a model performs on real patients."
        )
    few = [site.site for site in metrics.sites if 0 < site.clusters < metrics.few_clusters_below]
    if few:
        found.append(
            f"Fewer than {metrics.few_clusters_below} {metrics.unit}s were scored at {listed(few)}. Intervals there "
            "are probably too narrow: in simulation, 95 % intervals over 15 held the truth in about 89 % of trials."
        )
    missing = {site.site: [v for v in metrics.classes if v not in site.views] for site in metrics.sites if site.frames}
    if any(missing.values()):
        gone = [f"{site} has no {listed(views, last='or')}" for site, views in missing.items() if views]
        found.append(
            f"Not every hospital has every view: {'; '.join(gone)}. Its balanced accuracy is over the views it has, so "
            "hospitals are not scored on the same task; the gap to the source is taken over shared views."
        )
    unscored = [site.site for site in metrics.sites if not site.frames]
    if unscored:
        found.append(f"Nothing could be scored at {listed(unscored)}.")
    if any(site.outside for site in metrics.sites):
        frames = sum(sum(site.outside.values()) for site in metrics.sites)
        found.append(
            f"{plural(frames, 'test frame')} show views that the model cannot name. They are left out of accuracy; in "
            "use the model would call each of them one of its views."
        )
    raters = {site.site: len(site.raters) for site in about.sites}
    single = [site for site, number in raters.items() if number == 1]
    if single:
        found.append(f"The labels of {listed(single)} come from one source, so agreement between raters is unknown.")
    if all(len(method.runs) == 1 for method in metrics.methods):
        found.append("Each model was trained once. How much another training seed would change the results is unknown.")
    warned = [check.name.replace("_", " ") for check in about.split.checks if check.status == "warn"]
    if warned:
        found.append(f"The leakage certificate carries warnings: {listed(warned)}.")
    found.append("The results are about the hospitals named here. Nothing is inferred about hospitals in general.")
    return found
