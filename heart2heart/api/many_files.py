"""Answers for many files: folders, zip files, stores and DICOMweb servers, one a file, into a file that goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heart2heart.api.audit import audited
from heart2heart.api.stores import path_list
from heart2heart.errors import ConfigError, DicomError, StoreError
from heart2heart.progress import Stage, silent_stage
from heart2heart.schema.enums import AuditAction
from heart2heart.schema.status import StatusCode

if TYPE_CHECKING:
    from heart2heart.api.scoped_model import ScopedModel
    from heart2heart.export.exported_model import ExportedModel
    from heart2heart.ingest.settings import Limits
    from heart2heart.ingest.worker import FileOutcome
    from heart2heart.prediction.answer_file import AnswerFile
    from heart2heart.prediction.loaded_clip import LoadedClip, PredictionTask
    from heart2heart.prediction.sources import FileSources, SourceFile
    from heart2heart.schema.answer_file import AnswerFileHeader
    from heart2heart.schema.clip_answer import ClipAnswer
    from heart2heart.store.frame_store import FrameStore
    from heart2heart.training.run import Run

Paths = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class ManyAnswers:
    """Result of one call of `predict_many`.

    Attributes:
        path: The file of answers.
        statuses: Files of this call by status of the answer; of failed ones by status code.
        earlier: Files that had an answer before.
        has_clips: Whether any answer in the file is of a file with frames.
        dropped_line: Whether the last line of the file was damaged and was removed.
        not_sent: Instances that a server listed, but did not send completely.
        tables: The tables that were written.
    """

    path: Path
    statuses: dict[str, int]
    earlier: int
    has_clips: bool
    dropped_line: bool
    not_sent: int = 0
    tables: tuple[Path, ...] = ()

    def summary(self) -> str:
        """Return the counts in some lines, for a terminal."""
        lines = [f"{files:>8}  {status}" for status, files in self.statuses.items()]
        lines += [f"{self.path}: {sum(self.statuses.values())} files; {self.earlier} files had an answer before"]
        if self.dropped_line:
            lines.append("The last line of that file was damaged; it was dropped, and its file was classified again.")
        if self.not_sent:
            lines.append(f"{self.not_sent} instances were listed by the server, but not sent whole; run it again.")
        return "\n".join([*lines, *map(str, self.tables)])

    def require_clips(self) -> None:
        """Raise DicomError if no file of this call or an earlier one gave frames."""
        if self.has_clips:
            return
        codes = {status: files for status, files in self.statuses.items() if ":" in status}
        code = StatusCode(max(codes, key=lambda status: codes[status])) if codes else StatusCode.FAILED_MISSING
        total = sum(self.statuses.values()) + self.earlier
        what = f"none of {total} files is an ultrasound clip, picture or video that can be read"
        raise DicomError(what, code=code, remedy=f"The answers say why: {self.path}")


@audited(AuditAction.PREDICT, beside="out", reads=["model", "sources"], writes=["out"])
def predict_many(
    model: str | Path | Run | ExportedModel,
    sources: Paths,
    out: str | Path,
    *,
    tables: Paths = (),
    frames: str = "all",
    workers: int = 0,
    dask: str | None = None,
    device: str = "cpu",
    file_seconds: float = 600.0,
    file_memory: str = "2048MiB",
    dicomweb: Mapping[str, Any] | None = None,
    stage: Stage = silent_stage,
) -> ManyAnswers:
    """Name the view of every clip in folders, zip files, frame stores and DICOMweb servers; one answer a file.

    Each file has one line in `out`, whatever happens to others. A call with the same `out` goes on: it classifies the
    files without a line, and tries those again whose status may change, such as `failed:unreadable`.

    Args:
        model: A run, an exported model, or its path.
        sources: Files, folders, zip files, frame stores, and addresses of DICOMweb servers (see `dicomweb`).
        out: File of answers, JSON Lines (mode 0600).
        tables: Tables of all answers in `out` to write at the end, `.csv` or `.parquet`.
        frames: Frames to read of each clip: `all`, `every:N`, `even:K` or `ed_es:K`; of a store, of its frames.
        workers: Processes that read files; 0 reads in this process, where a codec that crashes ends the call. The
            network runs in this process, on the frames of several clips at a time.
        dask: Address of a Dask scheduler, or its scheduler file, whose workers read the files instead.
        device: Where the network runs, such as `cpu` or `cuda`.
        file_seconds: Seconds that one file may take in a worker; then it is `failed:timeout`.
        file_memory: Memory that one file may take in a worker; beyond it the file is `failed:memory`.
        dicomweb: Arguments of `retrieve`, with `spool`, the folder into which instances are fetched before.
        stage: Opens the progress.

    Raises:
        ConfigError: a setting that is not valid, or two files that would have one name.
        RunError: `out` holds answers of another model or with other settings; or no such model.
        StoreError: `out` is no file of answers, or a store has another geometry.
        NoSpaceError: the disk is full; `out` ends with a whole answer.

    Examples:
        >>> from heart2heart.api import predict_many
        >>> done = predict_many("run", ["clip.dcm", "store"], "answers.jsonl", tables="answers.csv")
        >>> done.statuses, predict_many("run", ["clip.dcm", "store"], "answers.jsonl").earlier
        ({'answered': 51}, 51)
    """
    from heart2heart.api.scoped_model import open_scoped_model
    from heart2heart.ingest.settings import Limits, parse_memory
    from heart2heart.prediction.answer_file import AnswerFile
    from heart2heart.prediction.answer_tables import table_writer, write_answer_table
    from heart2heart.prediction.batches import ACCELERATOR_FRAMES, CPU_FRAMES, classify_clips
    from heart2heart.prediction.loaded_clip import PredictionTask
    from heart2heart.store.frame_sampling import FrameRule

    path, written, rule = Path(out), path_list(tables), str(FrameRule.parse(frames))
    for table in written:
        table_writer(table)
    limits = Limits.parse({"seconds": file_seconds, "memory_mib": parse_memory(file_memory)}, where="limits")
    if workers < 0:
        raise ConfigError("the number of workers is negative", where="--workers", remedy="Give 0 or more")
    frozen = _open_model(model, device)
    scoped = open_scoped_model(frozen)
    header = _header(scoped, rule)
    paths, not_sent = _fetched(sources, dicomweb, stage)
    files, stores = _split_sources(paths, frozen, [path, *written])
    answer = partial(scoped.answer, model=header.model)
    batch_frames = CPU_FRAMES if device == "cpu" else ACCELERATOR_FRAMES
    counts: Counter[str] = Counter()
    with AnswerFile.open(path, header) as answers:
        todo = [] if files is None else [file for file in files.files if file.file not in answers.settled]
        task = PredictionTask(frozen.geometry, rule, frozenset() if files is None else files.foreign_links)
        clips = [store.clips["clip"].to_pylist() for store in stores]
        total = (0 if files is None else len(files.files)) + sum(map(len, clips))
        earlier = total - len(todo) - sum(clip not in answers.settled for each in clips for clip in each)
        loaded = _loaded_clips(task, todo, stores, answers, workers=workers, dask=dask, limits=limits)
        with stage("predict", total) as progress, closing(loaded):
            for batch in classify_clips(loaded, scoped.predict, answer, batch_frames=batch_frames):
                answers.append(batch)
                counts.update(_status(each) for each in batch)
                progress.update(earlier + counts.total(), _note(counts))
        dropped, has_clips = answers.dropped, answers.has_clips
    for table in written:
        write_answer_table(path, table)
    return ManyAnswers(path, dict(sorted(counts.items())), earlier, has_clips, dropped, not_sent, tuple(written))


def _open_model(model: str | Path | Run | ExportedModel, device: str) -> Run | ExportedModel:
    from heart2heart.api.frozen_models import load_frozen
    from heart2heart.training.run import Run

    frozen = load_frozen(model)
    if isinstance(frozen, Run):
        return frozen if str(frozen.device) == device else Run.load(frozen.path, device=device)
    if device != "cpu":
        remedy = "Name the run, or leave out --device"
        raise ConfigError("an exported model predicts on the CPU alone", where=device, remedy=remedy)
    return frozen


def _header(scoped: ScopedModel, rule: str) -> AnswerFileHeader:
    from heart2heart.api.model_identity import model_identity
    from heart2heart.schema.answer_file import AnswerFileHeader

    frozen = scoped.model
    identity = model_identity(frozen, scope_sha256=scoped.scope_sha256)
    return AnswerFileHeader(model=identity, classes=scoped.classes, geometry=str(frozen.geometry), frames=rule)


def _fetched(sources: Paths, dicomweb: Mapping[str, Any] | None, stage: Stage) -> tuple[list[Path], int]:
    """Return the sources as paths, servers replaced by the spool folder, and the instances that were not sent."""
    from heart2heart.api.transfer import retrieve

    texts = [sources] if isinstance(sources, str | Path) else list(sources)
    paths: list[Path] = []
    not_sent = 0
    for source in texts:
        if not str(source).startswith(("http://", "https://")):
            paths.append(Path(source))
            continue
        options = dict(dicomweb or {})
        if not options.get("spool"):
            remedy = "Name a folder for its instances with --spool"
            raise ConfigError("a DICOMweb server needs a spool folder", where=str(source), remedy=remedy)
        spool = Path(options.pop("spool"))
        not_sent += retrieve(str(source), spool, stage=stage, **options).summary.refused
        paths.append(spool)
    return list(dict.fromkeys(paths)), not_sent


def _split_sources(
    paths: Sequence[Path], frozen: Run | ExportedModel, without: Sequence[Path]
) -> tuple[FileSources | None, list[FrameStore]]:
    """Return the files, and the frame stores among the paths."""
    from heart2heart.prediction.sources import list_sources
    from heart2heart.store.frame_store import FrameStore

    roots = [path for path in paths if (path / "store.json").is_file()]
    stores = [FrameStore.open(root) for root in roots]
    for store in stores:
        if store.geometry != frozen.geometry:
            what = f"this model takes frames of {frozen.geometry}, the store holds {store.geometry}"
            raise StoreError(what, where=store.root, remedy="Ingest with the model's geometry, or name the DICOM files")
    others = [path for path in paths if path not in roots]
    return (list_sources(others, without=without) if others or not roots else None), stores


def _loaded_clips(
    task: PredictionTask,
    files: Sequence[SourceFile],
    stores: Sequence[FrameStore],
    answers: AnswerFile,
    *,
    workers: int,
    dask: str | None,
    limits: Limits,
) -> Generator[LoadedClip]:
    """Yield the files that have no answer yet, then the clips of the stores."""
    from heart2heart.ingest.executors import run_ordered
    from heart2heart.ingest.source_files import close_archives
    from heart2heart.prediction.loaded_clip import LoadedClip
    from heart2heart.prediction.stored_clips import stored_clips

    present = [file for file in files if file.code is None]
    yield from (LoadedClip(file.file, None, code=file.code) for file in files if file.code is not None)
    paths = [file.path for file in present]
    outcomes = run_ordered(task, paths, workers, limits) if dask is None else _on_dask(task, paths, dask, limits)
    for file, outcome in zip(present, outcomes, strict=True):
        yield LoadedClip.from_outcome(file.file, outcome)
    close_archives()
    for store in stores:
        yield from stored_clips(store, task.rule, done=answers.settled)


def _on_dask(task: PredictionTask, paths: Sequence[Path], address: str, limits: Limits) -> Iterator[FileOutcome]:
    try:
        from heart2heart.ingest.dask_executor import run_on_dask
    except ModuleNotFoundError as error:
        raise ConfigError("distributed is not installed", remedy="Run: pip install 'heart2heart[dask]'") from error
    return run_on_dask(task, paths, address, limits)


def _status(answer: ClipAnswer) -> str:
    return answer.status.value if answer.code is None else answer.code.value


def _note(counts: Counter[str]) -> str:
    return ", ".join(f"{status} {files}" for status, files in sorted(counts.items()))
