"""Makes the structured report of each study, and sends it, with a new attempt after a longer wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from heart2heart.dicom_results.answer_report import answer_report
from heart2heart.dicom_results.answered_clip import AnsweredClip, group_by_study, read_clip_header
from heart2heart.dicom_results.result_files import REPORT, open_result_folder, result_path, write_result
from heart2heart.errors import DicomError, Heart2HeartError
from heart2heart.pacs.destination import MAX_WAIT, Destination, DestinationSettings, SendOutcome, UnreachableError
from heart2heart.pacs.open_destination import open_destination
from heart2heart.schema.service import ReportState
from heart2heart.service.intake import Intake
from heart2heart.service.queue import DueReport, ServiceQueue

Log = Callable[..., None]


@dataclass(frozen=True)
class ReportWriter:
    """Makes reports on the disk, whose UIDs follow from the answers: made again after a kill, a report is the same.

    Attributes:
        queue: The queue.
        intake: Where the files of clips are.
        folder: Folder of reports.
    """

    queue: ServiceQueue
    intake: Intake
    folder: Path

    def clean(self) -> None:
        """Remove what a killed process left: reports that are stored, or that the queue does not know."""
        open_result_folder(self.folder)
        states = self.queue.report_files()
        for path in self.folder.iterdir():
            if states.get(path.name, ReportState.STORED) == ReportState.STORED:
                path.unlink()

    def make_reports(self, quiet_seconds: float) -> int:
        """Make the report of each study that has been quiet for some seconds, and return their number.

        A backlog does not split a study: its report waits for every clip that arrived before the end of those seconds.
        """
        count = 0
        for study, names in self.queue.quiet_studies(quiet_seconds, self.intake.scanned_at).items():
            count += self._make(study, names)
        return count

    def _make(self, study: str, names: list[str]) -> int:
        clips, missing = [], []
        for name in names:
            try:
                header = read_clip_header(self.intake.path(name))
            except DicomError:  # its file was removed by somebody else
                missing.append(name)
                continue
            clips.append(AnsweredClip(header, self.queue.answers(name)[self.queue.active], self.intake.path(name)))
        if missing:
            self.queue.finish_clips(missing)
        made_at = datetime.fromtimestamp(self.queue.answered_at(names))
        groups = group_by_study(clips)
        for group in groups:
            report = answer_report(group, made_at=made_at)
            path = result_path(self.folder, REPORT, str(report.SOPInstanceUID))
            write_result(report, path)
            self.queue.add_report(path.name, study, [clip.path.stem for clip in clips])
        return len(groups)


@dataclass(frozen=True)
class ReportSender:
    """Sends the reports that are due.

    Attributes:
        queue: The queue.
        folder: Folder of reports.
        destination: The archive.
        log: Writes a line of the log.
        audited_send: Wraps the sending of one file, for the audit log.
    """

    queue: ServiceQueue
    folder: Path
    destination: DestinationSettings
    log: Log
    audited_send: Callable[[Path, Callable[[], object]], None]

    def send_due(self) -> list[str]:
        """Send what is due; return the clips whose files are not needed any more."""
        due = self.queue.due_reports()
        finished: list[str] = []
        if not due:
            return finished
        once = self.destination.model_copy(update={"attempts": 1})
        with open_destination(once) as destination:
            for report in due:
                path = self.folder / report.file
                try:
                    self.audited_send(path, partial(self._deliver, destination, path))
                except UnreachableError:
                    self._postpone(report)
                    break  # the others wait as well, until their own time
                except Heart2HeartError as error:
                    self.queue.count_event("reports_refused")
                    self.log("report refused", report=report.number, error=type(error).__name__)
                    self.queue.settle(report.number, ReportState.REFUSED)
                else:
                    finished += self.queue.settle(report.number, ReportState.STORED)
                    path.unlink(missing_ok=True)
        return finished

    def _deliver(self, destination: Destination, path: Path) -> None:
        if destination.send(path) == SendOutcome.PRESENT:  # sent before, and killed before that was recorded
            self.queue.count_event("reports_present")

    def _postpone(self, report: DueReport) -> None:
        wait = min(MAX_WAIT, max(self.destination.first_wait, 0.05) * 2.0 ** min(report.attempts, 20))
        self.queue.postpone(report.number, wait)
        self.queue.count_event("destination_failures")
        self.log("destination down", report=report.number, attempts=report.attempts + 1, wait_seconds=round(wait, 1))
