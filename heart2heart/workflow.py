"""Joins of several rooms that both the command line and the studies in `pipelines/` need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heart2heart.aggregation import clip_log_probabilities, log_softmax
from heart2heart.errors import DicomError, MissingInputError
from heart2heart.files import encode_png
from heart2heart.progress import Part, Progress, Silent

if TYPE_CHECKING:
    from heart2heart.evaluate import Metrics
    from heart2heart.frames.store import FrameStore
    from heart2heart.predictions import SiteInfo
    from heart2heart.report.ingest_page import Sheet
    from heart2heart.sources.report import SourceReport
    from heart2heart.splits import SplitManifest


@dataclass(frozen=True)
class FramePrediction:
    """One frame: its index in the file, the likeliest view, one probability a class."""

    index: int
    view: str
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class ClipPrediction:
    """One file: the view of the clip (mean of its frames' log-probabilities) and of each frame."""

    file: str
    mode: str
    flags: tuple[str, ...]
    classes: tuple[str, ...]
    view: str
    probabilities: tuple[float, ...]
    frames: tuple[FramePrediction, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the form that `predict --format json` prints."""
        plain = asdict(self)
        for item in (plain, *plain["frames"]):
            item["probabilities"] = dict(zip(self.classes, item["probabilities"], strict=True))
        del plain["classes"]
        return plain


def predict_files(run: Path, files: Sequence[Path], *, rule: str = "all") -> list[ClipPrediction]:
    """Name the view of DICOM clips with a trained run.

    Args:
        run: Run folder.
        files: DICOM files; nothing of their identity is kept.
        rule: Frames to read: `all`, `every:N`, `even:K` or `ed_es:K`.

    Raises:
        DicomError: a file is not a clip; the message carries its status code.
    """
    from heart2heart.dicom import load_clip
    from heart2heart.learn import Run

    trained = Run.load(run)
    found = []
    for file in files:
        try:
            clip = load_clip(file, geometry=trained.geometry, rule=rule)
        except DicomError as error:
            remedy = f"Status {error.code}; docs/status-codes.md explains it"
            raise DicomError(error.what, code=error.code, where=file, remedy=remedy) from error
        log_p = log_softmax(trained.predict(clip.pixels))
        (mean,) = clip_log_probabilities(log_p, np.zeros(len(log_p), np.int64), 1)
        classes = trained.classes
        frames = tuple(
            FramePrediction(int(frame["index"]), classes[int(row.argmax())], tuple(np.exp(row).tolist()))
            for frame, row in zip(clip.frames, log_p, strict=True)
        )
        view = classes[int(mean.argmax())]
        flags = tuple(clip.facts.flags)
        probabilities = tuple(np.exp(mean).tolist())
        found.append(ClipPrediction(file.name, clip.facts.mode, flags, classes, view, probabilities, frames))
    return found


def evaluate_runs(
    runs: Sequence[Path],
    stores: Sequence[Path],
    out: Path,
    *,
    command: str,
    split: Path | None = None,
    labels: Path | None = None,
    replicates: int = 10_000,
    seed: int = 0,
    bca: bool = False,
    probes: bool = False,
    progress: Progress | None = None,
) -> Metrics:
    """Predict with every run, score every hospital, and write `predictions.parquet` and `metrics.json`.

    Args:
        runs: Run folders, all trained on one split.
        stores: The stores of that split.
        out: Folder for the two files.
        command: What a reader can run to get the same.
        split: The runs' split, if it is not where the first run's configuration says.
        labels: Label book, for the names of the raters.
        replicates: Bootstrap replicates.
        seed: Seed of the bootstrap.
        bca: BCa intervals instead of percentile intervals.
        probes: Predict altered frames as well, for the shortcut probes.
        progress: Told percent done.

    Raises:
        RunError: a run was trained on another split or geometry.
    """
    from heart2heart.evaluate import evaluate_predictions, write_metrics
    from heart2heart.frames.store import FrameStores
    from heart2heart.learn import Run
    from heart2heart.learn.predict import check_run, predict_split
    from heart2heart.predictions import Predictions
    from heart2heart.probing import add_probes
    from heart2heart.provenance import record_test_access, with_person
    from heart2heart.splits import SplitManifest

    opened = FrameStores.open(stores)
    loaded = [Run.load(run) for run in runs]
    manifest = SplitManifest.load(split or loaded[0].config.data.split)
    for run in loaded:  # all of them before the first predicts for an hour
        check_run(run, opened, manifest)
    sites = describe_sites(stores, manifest, labels)
    progress = progress or Silent()
    parts = []
    for number, run in enumerate(loaded):
        part = Part(progress, start=90 * number / len(loaded), span=90 / len(loaded), total=len(manifest.members))
        found = predict_split(run, opened, manifest, sites, command=command, progress=part)
        parts.append(add_probes(found, opened, run.predict) if probes else found)
    predictions = record_test_access(with_person(Predictions.concat(parts), opened), manifest)
    predictions.write(out / "predictions.parquet")
    metrics = evaluate_predictions(predictions, replicates=replicates, seed=seed, bca=bca)
    write_metrics(metrics, out / "metrics.json")
    progress.update(100)
    return metrics


def describe_sites(stores: Sequence[Path], manifest: SplitManifest, labels: Path | None = None) -> tuple[SiteInfo, ...]:
    """Describe every hospital of a split: who is in it, its files by status, and who labeled it.

    Args:
        stores: The stores of the split.
        manifest: The split.
        labels: Label book, for the names of the raters.
    """
    from heart2heart.curate import LabelBook
    from heart2heart.frames.store import FrameStores
    from heart2heart.ingest import Ledger
    from heart2heart.provenance import site_infos

    files: dict[str, dict[str, int]] = {}
    for root in stores:
        with suppress(MissingInputError):  # a store that a plain image set filled has no ledger
            files |= Ledger(root).counts()
    events = LabelBook(labels).events() if labels else []
    return site_infos(FrameStores.open(stores), manifest, files=files, events=events)


def label_source(report: SourceReport, book: Path) -> int:
    """Record the labels of a public data set, its title standing for the rater; return how many were new.

    Args:
        report: What was added.
        book: The label book; made if there are labels and it is missing.
    """
    from heart2heart.curate import LabelBook, LabelEvent
    from heart2heart.sources.catalogue import SOURCES

    rater, told = SOURCES[report.source].rater, f"source:{report.source}"
    events = [LabelEvent(clip, "", view, rater, "", told) for clip, view in sorted(report.labels.items())]
    return LabelBook(book).append(events) if events else 0


def ingest_report(store: Path, out: Path) -> Path:
    """Write the page about everything that was ingested into a store.

    Args:
        store: A store with a ledger.
        out: Where the HTML goes.

    Raises:
        MissingInputError: the store has no ledger.
    """
    from heart2heart import __version__
    from heart2heart.frames.store import FrameStore
    from heart2heart.ingest import CODES, FLAGS, Ledger
    from heart2heart.report.ingest_page import IngestContent, LeftOut, Reason, SiteIngest, write_ingest_page

    opened, ledger = FrameStore.open(store), Ledger(store)
    counts = ledger.counts()
    about = opened.sql(
        "SELECT site, count(DISTINCT patient) AS patients, count(DISTINCT study) AS studies,"
        " count(DISTINCT clip) AS clips FROM clips GROUP BY site"
    ).to_pylist()
    modes: dict[str, dict[str, int]] = {}
    for row in opened.sql("SELECT site, mode, count(*) AS n FROM frames GROUP BY ALL ORDER BY ALL").to_pylist():
        modes.setdefault(row["site"], {})[row["mode"]] = row["n"]
    known = {row.pop("site"): row for row in about}
    nothing = {"patients": 0, "studies": 0, "clips": 0}
    sites = [
        SiteIngest(site, files, modes=modes.get(site, {}), **known.get(site, nothing)) for site, files in counts.items()
    ]
    codes = sorted({code for files in counts.values() for code in files} - {"accepted"})
    flags = Counter(flag for found in opened.clips["flags"].to_pylist() for flag in found)
    kinds = set(opened.clips["synthetic"].to_pylist())
    left: dict[str, list[tuple[str | None, int]]] = {}
    for code, maker, number in ledger.left_out():
        left.setdefault(code, []).append((maker, number))
    content = IngestContent(
        store=store.name,
        geometry=str(opened.geometry),
        synthetic=None if len(kinds) > 1 else kinds == {True},
        sites=tuple(sites),
        reasons=tuple(
            Reason(
                code,
                CODES[code].meaning,
                CODES[code].remedy,
                {site: n[code] for site, n in counts.items() if code in n},
            )
            for code in codes
        ),
        flags=tuple((flag, FLAGS[flag], number) for flag, number in sorted(flags.items())),
        sheets=tuple(_sheets(opened)),
        left_out=tuple(
            LeftOut(code, CODES[code].meaning, CODES[code].withheld, tuple(makers)) for code, makers in left.items()
        ),
        code_version=__version__,
    )
    return write_ingest_page(content, out)


def _sheets(store: FrameStore) -> Iterator[Sheet]:
    """Yield sample frames by mode and maker, most frequent first; `report.ingest_page.SHEET_RULE` is the rule."""
    from heart2heart.report.ingest_page import Picture, Sheet

    flags = dict(zip(store.clips["clip"].to_pylist(), store.clips["flags"].to_pylist(), strict=True))
    kinds = store.sql(
        "SELECT mode, maker, count(DISTINCT clip) AS clips, count(*) AS frames FROM frames GROUP BY ALL"
        " ORDER BY frames DESC, mode, maker"
    )
    middles = store.sql(
        "SELECT mode, maker, patient, clip, list(row ORDER BY index)[(count(*) + 1) // 2] AS row FROM frames"
        " GROUP BY ALL ORDER BY clip"
    ).to_pylist()
    for kind in kinds.to_pylist():
        chosen: dict[str, tuple[int, str]] = {}
        for clip in middles:
            if (clip["mode"], clip["maker"]) == (kind["mode"], kind["maker"]):
                chosen.setdefault(clip["patient"], (clip["row"], clip["clip"]))
        shown = list(chosen.values())[:12]
        frames = store.read(np.array([row for row, _ in shown], np.int64))
        pictures = (
            Picture(encode_png(frame), tuple(flags[clip])) for frame, (_, clip) in zip(frames, shown, strict=True)
        )
        yield Sheet(kind["mode"], kind["maker"] or "maker unknown", kind["clips"], kind["frames"], tuple(pictures))
