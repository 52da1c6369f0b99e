"""A classifier from one to five labels a class, on embeddings, and its comparison with fine-tuning."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heart2heart.api.audit import audited
from heart2heart.api.cases import read_audit_labels
from heart2heart.csv_files import CsvWriter
from heart2heart.errors import ConfigError, LabelError
from heart2heart.schema.enums import AuditAction, LabelAnswer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from heart2heart.representation.few_shot_trial import Classifier, TrialScore
    from heart2heart.schema.embeddings import Embeddings


@dataclass(frozen=True)
class FewShotAnswers:
    """Views of clips, from a few labels.

    Attributes:
        classes: The views, sorted by name.
        labels: Number of labeled clips.
        clips: Number of clips that got an answer.
        counts: Clips answered by view.
    """

    classes: tuple[str, ...]
    labels: int
    clips: int
    counts: dict[str, int]


@audited(AuditAction.PREDICT, beside="out", reads=["embeddings", "labels"], writes=["out"])
def few_shot(
    embeddings: str | Path,
    labels: str | Path,
    out: str | Path,
    *,
    site: str | None = None,
    views: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
) -> FewShotAnswers:
    """Classify every clip without a label from the few that have one, and write a table of answers.

    Args:
        embeddings: File of `embed`.
        labels: Label store, or a table with the columns `clip` and `truth` (or `view`).
        out: CSV file: clip, study, hospital, view, its probability, and a column of probabilities a view.
        site: Hospital whose clips are classified and whose labels are used; None takes all.
        views: Views to tell apart; labels of others are not read. Empty takes every labeled view.
        settings: Fields of `FewShotSettings`, such as `{"method": "class_means"}`.

    Raises:
        LabelError: fewer than two classes, or no label of these clips.
        ConfigError: a setting that does not exist, or no clip to classify.

    Examples:
        >>> from heart2heart.api import embed, few_shot
        >>> _ = embed("run", "store", "vectors.parquet")
        >>> answers = few_shot("vectors.parquet", "labels.db", "answers.csv", settings={"steps": 10})
        >>> answers.classes[:2], answers.clips > 0
        (('A2C', 'A4C'), True)
    """
    import numpy as np

    from heart2heart.representation.few_shot import FewShotSettings, classify
    from heart2heart.representation.similarity import unit_vectors
    from heart2heart.utils import check_writable, write_text

    chosen = FewShotSettings.parse(dict(settings or {}), where="settings")
    check_writable(Path(out))
    table, classes, targets = _labeled(embeddings, labels, site, views)
    labeled, rest = np.flatnonzero(targets >= 0), np.flatnonzero(targets < 0)
    if not len(rest):
        raise ConfigError("every clip has a label, so none is left to classify", where=embeddings)
    units = unit_vectors(table.vectors)
    chances = classify(units[labeled], targets[labeled], units[rest], len(classes), chosen)
    text, winners = io.StringIO(), chances.argmax(1)
    writer = CsvWriter(text)
    writer.writerow(("clip", "study", "site", "view", "probability", *classes))
    for row, winner, each in zip(table.take(rest).table.to_pylist(), winners, chances, strict=True):
        names = [row[key] or "" for key in ("name", "study", "site")]
        numbers = [f"{value:.4f}" for value in (each[winner], *each)]
        writer.writerow((*names, classes[winner], *numbers))
    write_text(Path(out), text.getvalue())
    counts = np.bincount(winners, minlength=len(classes))
    return FewShotAnswers(classes, len(labeled), len(rest), dict(zip(classes, counts.tolist(), strict=True)))


def few_shot_trial(
    embeddings: str | Path,
    labels: str | Path,
    *,
    shots: Sequence[int] = (1, 3, 5),
    draws: int = 5,
    site: str | None = None,
    views: Sequence[str] = (),
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    fine_tune: str | Path | None = None,
    stores: str | Path | Sequence[str | Path] = (),
    tuning: Mapping[str, Any] | None = None,
) -> list[TrialScore]:
    """Score class means, TIM and, if asked, fine-tuning over draws of labels, on clips of patients without a label.

    Args:
        embeddings: File of `embed`.
        labels: Label store or table, of many clips; a few of them are drawn, the others score.
        shots: Labels a class.
        draws: Draws of each number.
        site: Hospital; None takes all.
        views: Views to tell apart; empty takes every labeled view.
        seed: Seed of the draws and of fine-tuning.
        settings: Fields of `FewShotSettings` but `method`.
        fine_tune: Run or pretraining that is fine-tuned on the same labels; None leaves it out.
        stores: Stores with the frames, for fine-tuning.
        tuning: Fields of `FineTuneSettings`.

    Raises:
        LabelError: too few labeled clips of a class.
        ConfigError: a setting that does not exist, or fine-tuning without stores.

    Examples:
        >>> from heart2heart.api import embed, few_shot_trial
        >>> _ = embed("run", "store", "vectors.parquet")
        >>> scores = few_shot_trial("vectors.parquet", "labels.db", shots=[1], draws=1, settings={"steps": 10})
        >>> [score.method for score in scores]
        ['class means', 'TIM']
    """
    from heart2heart.representation.few_shot import FewShotSettings
    from heart2heart.representation.few_shot_trial import embedding_classifier, run_trials

    if draws < 1 or not shots or min(shots) < 1:
        raise ConfigError("a trial needs one draw and one shot at least", where="--shots", remedy="Give --shots 1,3,5")
    everything, classes, every_target = _labeled(embeddings, labels, site, views)
    known = (every_target >= 0).nonzero()[0]
    table, targets = everything.take(known), every_target[known]
    base = dict(settings or {})
    classifiers: dict[str, Classifier] = {
        title: embedding_classifier(
            table, len(classes), FewShotSettings.parse(base | {"method": name}, where="settings")
        )
        for name, title in (("class_means", "class means"), ("tim", "TIM"))
    }
    if fine_tune is not None:
        classifiers["fine-tuning"] = _fine_tuned(table, len(classes), fine_tune, stores, dict(tuning or {}), seed)
    return run_trials(targets, table.column("patient"), classifiers, shots=shots, draws=draws, seed=seed)


def read_shots(text: str) -> tuple[int, ...]:
    """Return the numbers of labels a class that a text such as `1,3,5` names.

    Raises:
        ConfigError: it is no list of whole numbers from 1 on.

    Examples:
        >>> from heart2heart.api import read_shots
        >>> read_shots("1,3, 5")
        (1, 3, 5)
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and 0 < int(word) <= 1000 for word in words):
        raise ConfigError(f"{text!r} is no list of labels a class", where="--shots", remedy="Example: --shots 1,3,5")
    return tuple(map(int, words))


def summarise_trial(scores: Sequence[TrialScore]) -> list[tuple[int, str, float, float, float, int]]:
    """Return labels a class, method, mean, lowest and highest balanced accuracy over the draws, and their number.

    The draws score overlapping clips, so that their spread is no confidence interval.

    Args:
        scores: Result of `few_shot_trial`.

    Examples:
        >>> from heart2heart.api import summarise_trial
        >>> from heart2heart.representation.few_shot_trial import TrialScore
        >>> summarise_trial([TrialScore("TIM", 1, draw, value, 9) for draw, value in enumerate((0.5, 0.75))])
        [(1, 'TIM', 0.625, 0.5, 0.75, 2)]
    """
    grouped: dict[tuple[int, str], list[float]] = {}
    for score in scores:
        grouped.setdefault((score.shots, score.method), []).append(score.balanced_accuracy)
    return [
        (shots, method, sum(values) / len(values), min(values), max(values), len(values))
        for (shots, method), values in grouped.items()
    ]


def _labeled(
    embeddings: str | Path, labels: str | Path, site: str | None, wanted_views: Sequence[str]
) -> tuple[Embeddings, tuple[str, ...], npt.NDArray[np.int64]]:
    """Return the clips, the classes, and the class of each clip; -1 where it has no label."""
    import numpy as np

    from heart2heart.schema.embeddings import read_embeddings

    table = read_embeddings(embeddings)
    if site is not None:
        of_site = np.flatnonzero(table.column("site") == site)
        if not len(of_site):
            known = ", ".join(sorted(set(table.column("site").tolist())))
            raise ConfigError(f"no clip of {site!r} is embedded", where="--site", remedy=f"There are: {known}")
        table = table.take(of_site)
    names = set(table.names)
    views = {
        clip: view
        for clip, view in read_audit_labels(labels).items()
        if clip in names and view not in (LabelAnswer.UNUSABLE, LabelAnswer.UNSURE, "")
    }
    if wanted_views:
        if missing := sorted(set(wanted_views) - set(views.values())):
            what = f"no clip here is labeled {', '.join(missing)}"
            raise LabelError(what, where=labels, remedy=f"Labeled are: {', '.join(sorted(set(views.values())))}")
        views = {clip: view for clip, view in views.items() if view in wanted_views}
    classes = tuple(sorted(set(views.values())))
    if len(classes) < 2:
        what = f"{len(views)} of these clips have a label, of {len(classes)} classes; two classes are needed"
        raise LabelError(what, where=labels, remedy="Label at least one clip of each class, by the clip's name")
    indices = {view: index for index, view in enumerate(classes)}
    targets = np.array([indices[views[name]] if name in views else -1 for name in table.names], np.int64)
    return table, classes, targets


def _fine_tuned(
    table: Embeddings,
    classes: int,
    run: str | Path,
    stores: str | Path | Sequence[str | Path],
    tuning: dict[str, Any],
    seed: int,
) -> Classifier:
    """Return the classifier that fine-tunes an encoder on the frames of the labeled clips."""
    import numpy as np

    from heart2heart.representation.fine_tuning import FineTuneSettings, fine_tune, frame_logits
    from heart2heart.representation.loaded_encoder import LoadedEncoder
    from heart2heart.store.frame_store import FrameStores

    if not stores:
        raise ConfigError("fine-tuning needs the frames", where="--store", remedy="Give at least one --store")
    chosen, frames = FineTuneSettings.parse(tuning, where="tuning"), FrameStores.open(stores)
    encoder = LoadedEncoder.load(run)
    encoder.require_geometry(frames.geometry)
    rows_of: dict[str, list[int]] = {}
    for clip, row in zip(*(frames.frames[name].to_pylist() for name in ("clip", "row")), strict=True):
        rows_of.setdefault(clip, []).append(row)
    if missing := [name for name in table.names if name not in rows_of]:
        what = f"{len(missing)} embedded clips are not in these stores"
        raise ConfigError(what, where="--store", remedy="Name the stores that were embedded")
    names = table.names

    def rows(positions: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        each = [rows_of[names[position]] for position in positions]
        lengths = [len(part) for part in each]
        return np.concatenate(each).astype(np.int64), np.repeat(np.arange(len(positions)), lengths)

    def predict(
        labeled: npt.NDArray[np.int64], targets: npt.NDArray[np.int64], scored: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        taught, owner = rows(labeled)
        model = fine_tune(encoder, frames, taught, targets[owner], classes, settings=chosen, seed=seed)
        read, clip = rows(scored)
        logits = frame_logits(model, frames, read, encoder.device).astype(np.float64)
        odds = np.exp(logits - logits.max(1, keepdims=True))
        sums = np.zeros((len(scored), classes))
        np.add.at(sums, clip, odds / odds.sum(1, keepdims=True))
        counts = np.bincount(clip, minlength=len(scored))
        return np.asarray((sums / counts[:, None]).argmax(1), np.int64)

    return predict
