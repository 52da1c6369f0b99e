"""Studies in order: by view, the best clip of each view first, as a table and as key object selections."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heart2heart.api.answered_studies import Paths, check_model_names, read_answered_studies, read_models
from heart2heart.api.audit import audited
from heart2heart.api.dicom_results import destination_settings, send_results
from heart2heart.api.stores import path_list
from heart2heart.errors import ConfigError, MissingInputError, RemoteError
from heart2heart.progress import Stage, silent_stage
from heart2heart.schema.enums import AuditAction, ClipEventKind, ImageQuality

if TYPE_CHECKING:
    from heart2heart.dicom_results.answered_clip import AnsweredClip
    from heart2heart.pacs.destination import DestinationSettings
    from heart2heart.schema.clip_answer import ClipAnswer
    from heart2heart.schema.clip_order import RankedClip


@dataclass(frozen=True)
class SortedClips:
    """Result of one call of `sort_clips`.

    Attributes:
        table: The table.
        rows: The clips of all studies, in its order.
        studies: Number of studies.
        key_objects: Files of the key object selections, one a study with a view.
        sent: Key object selections by what became of them at the archive.
        refusal: What the archive said of the first one that it refused; empty: it refused none.
    """

    table: Path
    rows: tuple[RankedClip, ...] = field(repr=False)
    studies: int
    key_objects: tuple[Path, ...]
    sent: dict[str, int]
    refusal: str = ""

    def best(self) -> list[RankedClip]:
        """Return the best clip of each view of each study."""
        return [row for row in self.rows if row.rank == 1]

    def require_taken(self) -> None:
        """Raise RemoteError if the archive refused a key object selection."""
        if self.refusal:
            raise RemoteError(f"{self.sent['refused']} objects were refused: {self.refusal}")


@audited(AuditAction.SEND, beside="table", reads=["answers", "source", "store", "labels"], writes=["table"])
def sort_clips(
    answers: str | Path,
    table: str | Path,
    *,
    source: Paths = (),
    store: Paths = (),
    labels: str | Path | None = None,
    key_objects: str | Path | None = None,
    to: Mapping[str, Any] | DestinationSettings | None = None,
    stage: Stage = silent_stage,
) -> SortedClips:
    """Rank the clips of each study by view, the best clip of each view first.

    The score is explained in `schema.clip_order`; the table shows each of its parts.

    Args:
        answers: File of answers that `predict_many` wrote.
        table: CSV table to write; it holds no identity.
        source: The DICOM files that were classified, which say what belongs to a study.
        store: The frame stores that were classified, in the place of DICOM files.
        labels: Label store with image qualities by readers; for clips of a store.
        key_objects: Folder (mode 0700) for a Key Object Selection of each study, which names the best clips; it needs
            `source`.
        to: The archive for the key objects; see `write_dicom_results`.
        stage: Opens the progress.

    Raises:
        ConfigError: neither or both of source and store, or key objects without DICOM files.
        MissingInputError: no study has an answer.
        RemoteError: the archive does not answer.

    Examples:
        >>> from heart2heart.api import predict_many
        >>> from heart2heart.api.clip_order import sort_clips
        >>> predict_many("run", "clip.dcm", "answers.jsonl").has_clips
        True
        >>> [row.rank for row in sort_clips("answers.jsonl", "order.csv", source="clip.dcm").rows]
        [1]
    """
    from heart2heart.prediction.clip_order import rank_clips, write_clip_order

    folders, stores = path_list(source), path_list(store)
    if bool(folders) == bool(stores):
        raise ConfigError("the studies of the clips are not known", remedy="Give --source or --store, and not both")
    if folders and labels is not None:
        raise ConfigError("labels name clips of a store", where=labels, remedy="Give --store in the place of --source")
    if not folders and (key_objects is not None or to is not None):
        raise ConfigError("key objects need the DICOM files", remedy="Give --source in the place of --store")
    settings = destination_settings(to)
    if settings is not None and key_objects is None:
        raise ConfigError("there is nothing to send", where="--to", remedy="Name a folder with --key-objects")
    paths: list[Path] = []
    if stores:
        qualities = {} if labels is None else _reader_qualities(Path(labels))
        groups = _by_stored_study(Path(answers), stores)
        rows = [row for study in sorted(groups) for row in rank_clips(study, groups[study], qualities)]
        studies = len(groups)
    else:
        check_model_names(read_models(answers))
        content = read_answered_studies(answers, folders, stage=stage)
        studies, rows = len(content.studies), []
        for study_number, clips in enumerate(content.studies, start=1):
            ranked = rank_clips(str(study_number), [clip.answer for clip in clips])
            rows += ranked
            best = _best(clips, ranked)
            if key_objects is not None and best:
                paths.append(_write_key_objects(best, Path(key_objects), content.made_at))
    write_clip_order(rows, Path(table))
    sent, refusal = send_results(paths, settings, stage)
    return SortedClips(Path(table), tuple(rows), studies, tuple(paths), sent, refusal)


def _best(clips: list[AnsweredClip], ranked: list[RankedClip]) -> list[AnsweredClip]:
    by_file = {clip.answer.file: clip for clip in clips}
    return [by_file[row.file] for row in ranked if row.rank == 1]


def _write_key_objects(clips: list[AnsweredClip], folder: Path, made_at: Any) -> Path:
    from heart2heart.dicom_results.key_objects import key_object_selection
    from heart2heart.dicom_results.result_files import KEY_OBJECTS, open_result_folder, result_path, write_result

    open_result_folder(folder)
    document = key_object_selection(clips, made_at=made_at)
    path = result_path(folder, KEY_OBJECTS, str(document.SOPInstanceUID))
    write_result(document, path)
    return path


def _by_stored_study(path: Path, stores: list[Path]) -> dict[str, list[ClipAnswer]]:
    from heart2heart.prediction.answer_file import read_answers
    from heart2heart.store.frame_store import FrameStore

    studies: dict[str, str] = {}
    for root in stores:
        rows = FrameStore.open(root).clips.select(["clip", "study"]).to_pylist()
        studies |= {row["clip"]: row["study"] for row in rows}
    groups: dict[str, list[ClipAnswer]] = defaultdict(list)
    for answer in read_answers(path)[1]:
        if answer.file in studies:
            groups[studies[answer.file]].append(answer)
    if not groups:
        remedy = "Name the store that `heart2heart predict --out` read"
        raise MissingInputError("no clip of the store has an answer in this file", where=path, remedy=remedy)
    return groups


def _reader_qualities(path: Path) -> dict[str, list[ImageQuality]]:
    """Return the last image quality of each reader, by clip."""
    from heart2heart.api.labels import open_label_store

    last: dict[tuple[str, str], str] = {}
    for _, event in open_label_store(path).clip_events():
        if event.kind == ClipEventKind.QUALITY:
            last[event.clip, event.rater] = event.value
    qualities: dict[str, list[ImageQuality]] = defaultdict(list)
    for (clip, _), value in last.items():
        if value:
            qualities[clip].append(ImageQuality(value))
    return qualities
