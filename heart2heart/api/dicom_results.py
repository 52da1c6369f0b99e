"""Answers as DICOM objects: written into a folder of the hospital, and sent to its archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heart2heart.api.answered_studies import Paths, check_model_names, read_answered_studies, read_models
from heart2heart.api.audit import audited
from heart2heart.errors import DicomError, RemoteError
from heart2heart.progress import Stage, silent_stage
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    from heart2heart.dicom_results.answered_clip import AnsweredClip
    from heart2heart.pacs.destination import DestinationSettings


@dataclass(frozen=True)
class DicomResults:
    """Result of one call of `write_dicom_results` or of `sort_clips` with key objects.

    Attributes:
        out: The folder of the objects.
        objects: Objects in the folder by kind: reports, copies, key objects.
        earlier: Objects that an earlier call had written; they stay as they are.
        sent: Objects by what became of them at the archive: `stored`, `present` or `refused`.
        files: Files of the source without an answer, or without a clip, by why.
        unanswered_studies: Studies with ultrasound of which no clip has an answer.
        refusal: What the archive said of the first object that it refused; empty: it refused none.
    """

    out: Path
    objects: dict[str, int]
    earlier: int
    sent: dict[str, int]
    files: dict[str, int]
    unanswered_studies: int
    refusal: str = ""

    def summary(self) -> str:
        """Return the counts in some lines, for a terminal."""
        lines = [f"{count:>8}  {kind}" for kind, count in self.objects.items()]
        lines += [f"{count:>8}  {outcome} at the archive" for outcome, count in self.sent.items()]
        lines += [f"{count:>8}  files: {why}" for why, count in self.files.items()]
        if self.unanswered_studies:
            lines.append(f"{self.unanswered_studies:>8}  studies without any answer")
        lines.append(f"{self.out}: {sum(self.objects.values())} objects, {self.earlier} of them written before")
        return "\n".join(lines)

    def require_taken(self) -> None:
        """Raise RemoteError if the archive refused an object."""
        if self.refusal:
            remedy = "The objects are kept in the folder; run the same command again to send them"
            raise RemoteError(f"{self.sent['refused']} objects were refused: {self.refusal}", remedy=remedy)


@audited(AuditAction.SEND, beside="out", reads=["answers", "source"], writes=["out"])
def write_dicom_results(
    answers: Paths,
    source: Paths,
    out: str | Path,
    *,
    tag_view: bool = False,
    to: Mapping[str, Any] | DestinationSettings | None = None,
    stage: Stage = silent_stage,
) -> DicomResults:
    """Write the answers for DICOM clips as one structured report a study, and send them to an archive.

    The originals are never changed. An object that is in the folder stays as it is, and is sent again, so a call after
    a fault goes on.

    Args:
        answers: Files of answers that `predict_many` wrote, of one model each.
        source: The DICOM files: files, folders, zip files; of a server the spool folder.
        out: Folder for the objects (mode 0700), outside any store. They hold patients' identities.
        tag_view: Write a copy of each clip with one view, with the View Code Sequence and UIDs of its own.
        to: The archive, as settings or their content, such as `{"address": "dicom://PACS@127.0.0.1:104"}`.
        stage: Opens the progress.

    Raises:
        ConfigError: two models of one name, a folder that others may enter, or an address that is not valid.
        MissingInputError: no ultrasound in the source, or no clip with an answer.
        RemoteError: the archive does not answer; what is written stays, and the next call sends it.

    Examples:
        >>> from heart2heart.api import predict_many
        >>> from heart2heart.api.dicom_results import write_dicom_results
        >>> predict_many("run", "clip.dcm", "answers.jsonl").has_clips
        True
        >>> write_dicom_results("answers.jsonl", "clip.dcm", "results", tag_view=True).objects
        {'copy': 1, 'report': 1}
    """
    from heart2heart.dicom_results.answer_report import answer_report, report_uid
    from heart2heart.dicom_results.result_files import REPORT, open_result_folder, result_path, write_result

    check_model_names(read_models(answers))
    folder, settings = Path(out), destination_settings(to)
    open_result_folder(folder)
    content = read_answered_studies(answers, source, stage=stage)
    counts, paths, earlier = Counter(content.files), list[Path](), 0
    with stage("write results", len(content.studies)) as progress:
        for count, clips in enumerate(content.studies, start=1):
            path = result_path(folder, REPORT, report_uid(clips))
            earlier += path.exists()
            if not path.exists():
                write_result(answer_report(clips, made_at=content.made_at), path)
            paths.append(path)
            for copied in _copies(clips, folder, content.made_at) if tag_view else ():
                if isinstance(copied, DicomError):
                    counts[f"no copy, {copied.code}"] += 1
                    continue
                earlier += copied[1]
                paths.append(copied[0])
            progress.update(count)
    objects = dict(sorted(Counter(path.name.rpartition("_")[0] for path in paths).items()))
    sent, refusal = send_results(paths, settings, stage)
    return DicomResults(folder, objects, earlier, sent, dict(counts), content.unanswered_studies, refusal)


def _copies(clips: Sequence[AnsweredClip], folder: Path, made_at: datetime) -> Iterator[tuple[Path, bool] | DicomError]:
    """Yield the file of each copy and whether it was there before, or why a clip cannot be copied."""
    from heart2heart.dicom_results.result_files import COPY, result_path, write_result
    from heart2heart.dicom_results.view_copy import view_copy, view_copy_uid
    from heart2heart.ingest.source_files import unpacked

    for clip in clips:
        uid = view_copy_uid(clip)
        if uid is None:
            continue
        path = result_path(folder, COPY, uid)
        is_there = path.exists()
        if not is_there:
            try:
                with unpacked(clip.path) as readable:
                    write_result(view_copy(clip, readable, made_at=made_at), path)
            except DicomError as error:
                yield error
                continue
        yield path, is_there


def destination_settings(to: Mapping[str, Any] | DestinationSettings | None) -> DestinationSettings | None:
    """Return the settings of an archive; None for none.

    Args:
        to: Settings, or their content; values of None are left out.

    Raises:
        ConfigError: a value is not acceptable.

    Examples:
        >>> settings = destination_settings({"address": "dicom://PACS@127.0.0.1:104", "ca": None})
        >>> settings.attempts
        5
    """
    from heart2heart.pacs.destination import DestinationSettings

    if to is None or isinstance(to, DestinationSettings):
        return to
    content = {name: value for name, value in to.items() if value is not None}
    return DestinationSettings.parse(content, where="--to") if content.get("address") else None


def send_results(
    paths: Sequence[Path], settings: DestinationSettings | None, stage: Stage = silent_stage
) -> tuple[dict[str, int], str]:
    """Send files to an archive; return what became of them, and the first refusal.

    Args:
        paths: DICOM files with file meta information.
        settings: The archive; None sends nothing.
        stage: Opens the progress.

    Raises:
        UnreachableError: the archive does not answer after all attempts.

    Examples:
        >>> send_results([], None)
        ({}, '')
    """
    if settings is None:
        return {}, ""
    from heart2heart.pacs.destination import UnreachableError
    from heart2heart.pacs.open_destination import open_destination

    outcomes: Counter[str] = Counter()
    refusal = ""
    with open_destination(settings) as destination, stage("send results", len(paths)) as progress:
        for count, path in enumerate(paths, start=1):
            try:
                outcomes[destination.send(path).value] += 1
            except UnreachableError:
                raise
            except RemoteError as error:
                outcomes["refused"] += 1
                refusal = refusal or str(error)
            progress.update(count)
    return dict(sorted(outcomes.items())), refusal
