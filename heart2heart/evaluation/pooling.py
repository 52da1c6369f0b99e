"""Joins the counts of several hospitals: accuracies, losses and claims, as far as counts give them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.comparison import compare, difference_claims, loss_claims, summarise
from heart2heart.evaluation.confidence import ECE_BINS
from heart2heart.evaluation.contrasts import contrast_estimate
from heart2heart.evaluation.counted_sites import CountedHospital, CountedLevel
from heart2heart.evaluation.intervals import CONFIDENCE, FEW_CLUSTERS, not_estimable
from heart2heart.evaluation.run_groups import RunGroup
from heart2heart.evaluation.simultaneous import make_family
from heart2heart.evaluation.sites import KEPT_ON_VALIDATION, EvaluationContext
from heart2heart.evaluation.task_words import TaskWords, with_task_words
from heart2heart.schema.counts import SMALLEST_CELL, Hidden, HospitalCounts, LevelCounts, RunName, counts_sha256
from heart2heart.schema.margin import MarginClaim
from heart2heart.schema.metrics import Metrics, Simultaneous, SiteSummary
from heart2heart.schema.pooled import PooledHospital, PooledMethod, PooledMetrics
from heart2heart.schema.predictions import MethodFacts
from heart2heart.schema.site_metrics import Estimate
from heart2heart.schema.validation import TrainingData
from heart2heart.utils import sha256_json

_REMEDY = "Pool the files that hospitals wrote for one model, one task and one margin"


def pool_counts(files: Sequence[HospitalCounts]) -> PooledMetrics:
    """Score hospitals from their counts; where nothing is hidden, the numbers are those of `evaluate_predictions`.

    Args:
        files: The counts, one item a hospital.

    Raises:
        EvaluationError: no file; two files of one hospital; or files of other models, classes, tasks, margins or
            training splits.

    Examples:
        >>> from pathlib import Path
        >>> from heart2heart.api.validation_tables import certified_table
        >>> from heart2heart.evaluation.release import release_counts
        >>> lines = [f"{i},p{i // 2},{'EF'[i % 4 > 1]},{'ab'[i % 2]},0.{1 + i % 9},0.{9 - i % 9}" for i in range(99)]
        >>> _ = Path("pool.csv").write_text(chr(10).join(["case,patient,site,truth,a,b", *lines]))
        >>> options = {"task": "severity", "name": None, "synthetic": True, "command": "example"}
        >>> pooled = pool_counts(release_counts(certified_table(Path("pool.csv"), None, **options)))
        >>> [site.site for site in pooled.metrics.sites], len(pooled.metrics.runs)
        (['E', 'F'], 0)
    """
    counts, hashes = _aligned(files), {each.site: counts_sha256(each) for each in files}
    first = counts[0]
    methods = counted_methods(first.runs)
    every = tuple(range(len(first.runs)))
    sites = [CountedHospital(each, every, every) for each in counts]
    names = [site.name for site in sites]
    common = tuple(label for label in sites[0].present if all(label in site.present for site in sites))
    context = EvaluationContext(first.classes, common, first.unit, seed=0, replicates=0)

    def of(*groups: RunGroup, claims: bool = False) -> list[CountedHospital]:
        runs = [run for group in groups for run in group.runs]
        return [site.claims_of_runs(runs) if claims else site.of_runs(runs) for site in sites]

    every_claim = [claim for method in methods for claim in loss_claims(method, of(method, claims=True), context)]
    for method in methods[1:]:
        every_claim += difference_claims(methods[0], method, of(methods[0], method, claims=True), context)
    family, margin = make_family(every_claim), _margin(counts)
    context = replace(context, family=family, margin=margin)
    training_data, note = _training_data(counts)
    metrics = Metrics(
        predictions_sha256=sha256_json(sorted(hashes.values())),
        split_sha256=next((each.manifest_sha256 for each in counts if each.manifest_sha256), ""),
        synthetic=any(each.synthetic for each in counts),
        classes=first.classes,
        common_views=tuple(first.classes[label] for label in common),
        task=first.task,
        training_data=training_data,
        training_data_note=note,
        unit=first.unit,
        confidence=CONFIDENCE,
        interval=f"from counts; Wilson intervals by class over whole {first.unit}s, joined by MOVER; no bootstrap",
        simultaneous=Simultaneous(tests=family.tests, each=family.each),
        margin=margin,
        kept_on_validation=KEPT_ON_VALIDATION,
        replicates=0,
        seed=0,
        few_clusters_below=FEW_CLUSTERS,
        ece_bins=ECE_BINS,
        sites=tuple(_summary(site) for site in sites),
        runs=(),
        methods=tuple(summarise(method, names, of(method), context) for method in methods),
        comparisons=tuple(
            compare(methods[0], method, names, of(methods[0], method), context) for method in methods[1:]
        ),
    )
    words = TaskWords(first.task, all(run.model_sha256 is None for run in first.runs))
    metrics = with_task_words(metrics, words)
    shares = [_shares(site) for site in sites]
    known = [share for share, site in zip(shares, sites, strict=True) if share is not None and not site.held_out]
    source = np.mean(known, axis=0) if known else None
    hospitals = []
    for site, share in zip(sites, shares, strict=True):
        shift = None if source is None or share is None else float(np.abs(share - source).sum() / 2)
        hospitals.append(
            PooledHospital(
                site=site.name,
                sha256=hashes[site.name],
                methods=tuple(_method(method, site.of_runs(method.runs), context) for method in methods),
                shares=None if share is None else dict(zip(first.classes, share.tolist(), strict=True)),
                shift=shift,
            )
        )
    return PooledMetrics(metrics=metrics, hospitals=tuple(hospitals), counts=tuple(counts))


def _aligned(files: Sequence[HospitalCounts]) -> list[HospitalCounts]:
    """Return the files in the order of the report, with the runs of each in the order of the first.

    Raises:
        EvaluationError: they cannot be pooled.
    """
    if not files:
        raise EvaluationError("no file of counts", remedy="Name one file a hospital")
    first = files[0]
    compared: dict[str, Callable[[HospitalCounts], object]] = {
        "other classes": lambda each: each.classes,
        "another task": lambda each: each.task,
        "another kind of cluster": lambda each: each.unit,
        "another margin": lambda each: each.margin,
        "another model": lambda each: sorted(map(_key, each.runs)),
        "another training split": lambda each: each.manifest_sha256 or _known_split(files),
    }
    for each in files:
        for what, value in compared.items():
            if value(each) != value(first):
                where = f"hospitals {first.site} and {each.site}"
                raise EvaluationError(f"these counts are of {what}", where=where, remedy=_REMEDY)
    for index, each in enumerate(files):
        for other in files[:index]:
            if each.site == other.site or (each.frames, each.clips) == (other.frames, other.clips):
                what = "two files of one hospital" if each.site == other.site else "two hospitals with the same counts"
                where = each.site if each.site == other.site else f"{other.site} and {each.site}"
                raise EvaluationError(what, where=where, remedy="Name the file of each hospital once")
    ordered = sorted(files, key=lambda each: (each.held_out, each.site))
    order = [_key(run) for run in ordered[0].runs]
    if len(set(order)) != len(order):
        raise EvaluationError("a model occurs twice in one file", where=ordered[0].site, remedy=_REMEDY)
    return [_reordered(each, [[_key(run) for run in each.runs].index(key) for key in order]) for each in ordered]


def _key(run: RunName) -> str:
    """Return what a model is known by in every file: its hash, or of a table the name of the model."""
    return run.model_sha256 or f"table {run.run}"


def _known_split(files: Sequence[HospitalCounts]) -> str | None:
    return next((each.manifest_sha256 for each in files if each.manifest_sha256), None)


def _reordered(counts: HospitalCounts, order: Sequence[int]) -> HospitalCounts:
    """Return the same counts with the runs in another order."""
    if list(order) == list(range(len(order))):
        return counts
    size = len(counts.classes)
    columns = [run * size + label for run in order for label in range(size)]

    def moved(level: LevelCounts) -> LevelCounts:
        lines = tuple(tuple(level.correlation[i][j] for j in columns) for i in columns)
        return level.model_copy(update={"runs": tuple(level.runs[run] for run in order), "correlation": lines})

    runs = tuple(counts.runs[run] for run in order)
    return counts.model_copy(update={"runs": runs, "frames": moved(counts.frames), "clips": moved(counts.clips)})


def counted_methods(runs: Sequence[RunName]) -> list[RunGroup]:
    """Return the models of the runs of a file of counts.

    Args:
        runs: The runs.

    Examples:
        >>> runs = [RunName(run=f"m{seed}", method="M", seed=seed, model_sha256=None) for seed in (0, 1)]
        >>> [(method.label, method.runs) for method in counted_methods(runs)]
        [('M', (0, 1))]
    """
    positions: dict[str, list[int]] = {}
    for index, run in enumerate(runs):
        positions.setdefault(run.method, []).append(index)
    return [
        RunGroup(
            label=label,
            runs=tuple(members),
            names=tuple(runs[index].run for index in members),
            seeds=tuple(runs[index].seed for index in members),
            facts=MethodFacts(base="counts", title=label),
        )
        for label, members in positions.items()
    ]


def _margin(counts: Sequence[HospitalCounts]) -> MarginClaim | None:
    margin = counts[0].margin
    if margin is None:
        return None
    look = min(each.first_look for each in counts)
    return MarginClaim(margin=margin, sha256=margin.digest(), first_look=look, after_look=margin.registered_after(look))


def _training_data(counts: Sequence[HospitalCounts]) -> tuple[TrainingData | None, str | None]:
    """Return what of the training data was compared at every hospital, and a sentence on all."""
    ranked = [TrainingData.NOT_SEEN, TrainingData.NAMES_COMPARED, TrainingData.COMPARED]
    known = [each.training_data for each in counts if each.training_data is not None]
    if not known:
        return None, None
    notes: dict[str, list[str]] = {}
    for each in counts:
        notes.setdefault(each.training_data_note or "", []).append(each.site)
    if len(notes) == 1:
        return known[0], next(iter(notes))
    sentences = [f"{', '.join(names)}: {note}" for note, names in notes.items() if note]
    return min(known, key=ranked.index), " ".join(sentences)


def _summary(site: CountedHospital) -> SiteSummary:
    classes = site.counts.classes
    hidden = [
        f"{name} is hidden: "
        + (f"one {site.counts.unit} has most of its frames" if each.hidden is Hidden.ONE_PATIENT else
           f"it comes from fewer than {SMALLEST_CELL} {site.counts.unit}s")
        for name, each in zip(classes, site.counts.frames.classes, strict=True)
        if each.hidden
    ]  # fmt: skip
    return SiteSummary(
        site=site.name,
        held_out=site.held_out,
        synthetic=site.counts.synthetic,
        frames=site.rows,
        clips=int(site.clips.view_counts.sum()),
        mixed_clips=0,
        clusters=site.clusters,
        views={classes[label]: int(site.frames.view_counts[label]) for label in site.present},
        view_clusters={classes[label]: int(site.frames.view_clusters[label]) for label in site.present},
        outside={},
        unlabeled=0,
        reason="; ".join(hidden) or None,
    )


def _shares(site: CountedHospital) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
    """Return the share of each class; None where a class is hidden."""
    counts = site.frames.view_counts
    return None if site.counts.frames.rows is None else np.asarray(counts / counts.sum(), np.float64)


def _method(method: RunGroup, site: CountedHospital, context: EvaluationContext) -> PooledMethod:
    labels = [label for label in site.present if site.clips.view_counts[label]]
    return PooledMethod(
        method=method.label,
        sensitivity={
            name: _sensitivity(method, site.frames, label, context) for label, name in enumerate(context.classes)
        },
        clip_balanced_accuracy=_mean(method, site.clips, labels, context),
    )


def _sensitivity(method: RunGroup, level: CountedLevel, label: int, context: EvaluationContext) -> Estimate:
    if not level.view_counts[label] and not level.counts.classes[label].hidden:
        return not_estimable(f"no frame of {context.classes[label]} at this hospital")
    return _mean(method, level, [label], context)


def _mean(method: RunGroup, level: CountedLevel, labels: Sequence[int], context: EvaluationContext) -> Estimate:
    reason = context.why_not_estimable(level, labels)
    n = int(level.view_counts[list(labels)].sum())
    clusters = int(max((level.view_clusters[label] for label in labels), default=0))
    if not labels or any(level.counts.classes[label].hidden for label in labels):
        return not_estimable(reason or "nothing is shown", n=n, clusters=clusters)
    return contrast_estimate(
        level.mean_sensitivity(method.runs, labels),
        n=n,
        clusters=clusters,
        rarest=level.rarest(labels) if len(labels) > 1 else None,
        why_not_estimable=reason,
    )
