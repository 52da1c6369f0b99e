"""One simulated site as arrays, for statistics that need a `ScoredSite` and an `EvaluationContext`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from heart2heart.evaluation.classification import Floats, Ints
from heart2heart.evaluation.samples import AlteredFrames, SiteSample
from heart2heart.evaluation.sites import EvaluationContext, ScoredSite, arrange
from heart2heart.schema.predictions import SiteInfo
from tests.evaluation.factory import HOSPITALS, make_predictions

INFO = make_predictions(hospitals=HOSPITALS[:1]).provenance.sites[0]
Texts = npt.NDArray[np.object_]


def evaluation_context(classes: int, *, bca: bool = False, replicates: int = 400) -> EvaluationContext:
    """Return the evaluation context of `classes` classes."""
    names = tuple("ABCDEFG"[:classes])
    return EvaluationContext(names, tuple(range(classes)), "patient", 0, replicates, bca)


def make_site(
    logits: Floats,
    truth: Ints,
    cluster: Ints,
    *,
    replicates: int = 400,
    seed: int = 0,
    study: Ints | None = None,
    factors: Mapping[str, Texts] | None = None,
    altered: Mapping[str, AlteredFrames] | None = None,
    perturbed: Mapping[tuple[str, float], AlteredFrames] | None = None,
    info: SiteInfo = INFO,
) -> ScoredSite:
    """Make a site from logits `(n, classes)` or `(runs, n, classes)`; truth -1 is a view that is not a class."""
    runs = logits if logits.ndim == 3 else logits[None]
    sample = SiteSample(
        site=info.site, truth=truth, outside={}, unlabeled=0, cluster=cluster,
        unit_names=np.array([f"p{index}" for index in range(int(cluster.max()) + 1)], object),
        clip=np.arange(len(truth)), study=cluster if study is None else study, frame=np.arange(len(truth)),
        factors=dict(factors or {}), logits=runs, altered=dict(altered or {}),
        perturbed=dict(perturbed or {}),
    )  # fmt: skip
    site = arrange(info, sample, replicates=replicates, seed=seed)
    assert site is not None
    return site


def draw_frames(
    rng: np.random.Generator, clusters: int, classes: int = 3, most: int = 10, hard: float = 1.0
) -> tuple[Floats, Ints, Ints]:
    """Simulate logits `(n, classes)`, truth and cluster `(n,)` of patients who differ in difficulty."""
    frames = rng.integers(3, most, clusters)
    cluster = np.repeat(np.arange(clusters), frames)
    truth = rng.integers(0, classes, len(cluster))
    logits = rng.normal(0, 1, (len(cluster), classes))
    logits[np.arange(len(cluster)), truth] += 1.2 + hard * rng.normal(0, 1, clusters)[cluster]
    return logits, truth, cluster
