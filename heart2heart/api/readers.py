"""The human ceiling: how well two readers agree who read the same clips blind, and the model with each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.schema.reader_agreement import MODEL, AgreementRow, PairKind, ReaderAgreement

if TYPE_CHECKING:
    from heart2heart.labels.events import LabelEvent
    from heart2heart.schema.predictions import Predictions

REPLICATES = 2000
"""Bootstrap replicates of a kappa."""

Readings = Mapping[str, Mapping[str, str]]
"""By clip the answer of each reader."""


@dataclass(frozen=True)
class ModelClip:
    """A test clip of a scored view: its hospital, patient and the view that the model gives it."""

    site: str
    patient: str
    predicted: str


def compare_readers(
    predictions: Predictions,
    labels: str | Path,
    *,
    sha256: str | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> ReaderAgreement:
    """Compare the readers of a label store with each other and with the model, on the test clips read twice.

    Only blind readings of whole clips count: no model's suggestion was shown. An adjudication is no reading, `unsure`
    is none either. The model is the first run of the last method; its answer to a clip is that of the report.

    Args:
        predictions: Predictions with the names of clips and patients.
        labels: Label store.
        sha256: Hash of the predictions that the result is kept beside; None takes that of `predictions`.
        replicates: Bootstrap replicates of kappa.
        seed: Seed of the bootstrap.

    Raises:
        MissingInputError: no such label store.

    Examples:
        >>> from heart2heart.api.readers import compare_readers
        >>> from heart2heart.schema.predictions import Predictions
        >>> compare_readers(Predictions.read(Path("evaluation/predictions.parquet")), "labels.db").reason
        'no test clip was read blind by two readers'
    """
    from heart2heart.evaluation.run_groups import group_runs
    from heart2heart.evaluation.samples import digest
    from heart2heart.labels.label_store import LabelStore

    run = group_runs(predictions.provenance.runs)[-1].names[0]
    clips = model_clips(predictions, run)
    readings = {clip: answers for clip, answers in blind_readings(LabelStore(labels).events()).items() if clip in clips}
    sites = [info.site for info in predictions.provenance.sites]
    rows = tuple(row for site in sites for row in _site_rows(site, clips, readings, replicates=replicates, seed=seed))
    reason = None if rows else "no test clip was read blind by two readers"
    return ReaderAgreement(predictions_sha256=sha256 or digest(predictions), run=run, rows=rows, reason=reason)


def blind_readings(events: Iterable[LabelEvent]) -> dict[str, dict[str, str]]:
    """Return by clip the last answer of each reader, for clips that two or more read without a suggestion.

    Examples:
        >>> from heart2heart.labels.events import LabelEvent
        >>> events = [LabelEvent("clip1", "", "A4C", reader, "", "page") for reader in ("one", "two")]
        >>> blind_readings(events)
        {'clip1': {'one': 'A4C', 'two': 'A4C'}}
    """
    from heart2heart.labels.events import active_events
    from heart2heart.schema.enums import EventKind, LabelAnswer

    answers: dict[str, dict[str, str]] = {}
    for event in active_events(events):
        if event.kind is not EventKind.LABEL or event.frame:
            continue
        of_clip = answers.setdefault(event.clip, {})
        if event.suggestion_shown or event.answer is LabelAnswer.UNSURE:
            of_clip.pop(event.rater, None)  # the last answer of this reader is no blind one
        else:
            of_clip[event.rater] = event.value
    return {clip: of_clip for clip, of_clip in answers.items() if len(of_clip) > 1}


def model_clips(predictions: Predictions, run: str) -> dict[str, ModelClip]:
    """Return the test clips of scored views, with what one run predicts for each.

    Examples:
        >>> from heart2heart.schema.predictions import Predictions
        >>> predictions = Predictions.read(Path("evaluation/predictions.parquet"))
        >>> clips = model_clips(predictions, predictions.provenance.runs[0].run)
        >>> sorted({clip.site for clip in clips.values()})
        ['A', 'B']
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from heart2heart.schema.clip_probabilities import clip_log_probabilities
    from heart2heart.schema.enums import PredictionRole

    table, classes = predictions.table, predictions.provenance.classes
    scored = pc.is_in(table["truth"], value_set=pa.array(classes, pa.string()))
    chosen = pc.and_(pc.and_(pc.equal(table["run"], run), pc.equal(table["role"], PredictionRole.TEST)), scored)
    rows = np.flatnonzero(chosen.to_numpy(zero_copy_only=False))
    if not len(rows):
        return {}
    clip, site, patient = (table[name].to_numpy(zero_copy_only=False)[rows] for name in ("clip", "site", "patient"))
    names, first, member = np.unique(clip.astype(str), return_index=True, return_inverse=True)
    predicted = clip_log_probabilities(predictions.logits[rows], member, len(names)).argmax(-1)
    return {
        str(name): ModelClip(str(site[at]), str(patient[at]), classes[label])
        for name, at, label in zip(names, first, predicted, strict=True)
    }


def _site_rows(
    site: str, clips: Mapping[str, ModelClip], readings: Readings, *, replicates: int, seed: int
) -> Iterator[AgreementRow]:
    here = [clip for clip in sorted(readings) if clips[clip].site == site]
    readers = sorted({reader for clip in here for reader in readings[clip]})
    for first, second in combinations(readers, 2):
        both = [clip for clip in here if first in readings[clip] and second in readings[clip]]
        if not both:
            continue
        patients = [clips[clip].patient for clip in both]
        answers = {reader: [readings[clip][reader] for clip in both] for reader in (first, second)}
        answers[MODEL] = [clips[clip].predicted for clip in both]
        for kind, one, other in (
            (PairKind.READERS, first, second), (PairKind.MODEL, MODEL, first), (PairKind.MODEL, MODEL, second),
        ):  # fmt: skip
            yield _compare(site, kind, (one, other), (answers[one], answers[other]), patients, replicates, seed)


def _compare(
    site: str,
    kind: PairKind,
    names: tuple[str, str],
    answers: tuple[Sequence[str], Sequence[str]],
    patients: Sequence[str],
    replicates: int,
    seed: int,
) -> AgreementRow:
    """Compute share of equal answers and kappa of two lists of answers, with intervals over patients."""
    import numpy as np

    from heart2heart.evaluation.contrasts import contrast_estimate, mean_share, shares_by_cluster
    from heart2heart.evaluation.intervals import Resamples, cluster_weights, make_estimate, replicate
    from heart2heart.labels.agreement_coefficients import cohen_kappa

    values = {value: index for index, value in enumerate(sorted({*answers[0], *answers[1]}))}
    clusters, cluster = np.unique(np.array(patients, str), return_inverse=True)
    tables = np.zeros((len(clusters), len(values), len(values)))
    first, second = (np.array([values[value] for value in column], np.int64) for column in answers)
    np.add.at(tables, (cluster, first, second), 1)
    n, reason = len(patients), None if len(clusters) > 1 else "only one patient; an interval needs two"
    equal = np.trace(tables, axis1=1, axis2=2)[:, None]
    agreement = contrast_estimate(
        mean_share(shares_by_cluster(equal, tables.sum((1, 2))[:, None], site), [0]),
        n=n, clusters=len(clusters), why_not_estimable=reason,
    )  # fmt: skip
    value = float(cohen_kappa(tables.sum(0)))
    weights = cluster_weights(len(clusters), replicates, seed, site, *names)
    draws = Resamples(replicate(weights, tables, cohen_kappa))
    if np.isnan(value):
        reason = "all answers are the same view"
    elif np.isnan(draws.replicates).mean() > 0.1:
        reason = reason or "too many resamples hold one view only"
    kappa = make_estimate(value, draws, n=n, clusters=len(clusters), why_not_estimable=reason)
    return AgreementRow(site=site, kind=kind, first=names[0], second=names[1], agreement=agreement, kappa=kappa)
