"""The audit sample of the service: clips chosen by chance, as a queue for the label page.

The file of a chosen clip lies beside the table until it is in the store of the sample, de-identified; then it is
removed. The table is what `heart2heart curate --queue` reads. It holds no identity, and the page shows no answer of it.
"""

from __future__ import annotations

import csv
import os
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from heart2heart.csv_files import CsvWriter
from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer
from heart2heart.errors import MissingInputError, StoreError
from heart2heart.schema.monitor import MonitorWeek
from heart2heart.service.drift import Week
from heart2heart.service.queue import AnsweredRow
from heart2heart.service.settings import MonitorPart
from heart2heart.utils import make_private_file, make_private_folder, sha256_json

AUDIT_TABLE, AUDIT_STORE = "audit.csv", "store"
"""Table and frame store in the folder of the sample."""


@dataclass(frozen=True)
class AuditRow:
    """One row of the table.

    Attributes:
        clip: Name of the clip in the store of the sample.
        why: Why it is in the queue.
        file: Its file, as long as it is not in the store.
        patient: Keyed hash of its patient; empty: not known.
        view: The view that the active model gave; empty: not one view.
        answer: The answer in words.
        answered: Time of the answer, UTC, ISO 8601.
    """

    clip: str
    why: str
    file: str
    patient: str
    view: str
    answer: str
    answered: str

    @property
    def week(self) -> str:
        """ISO week of the answer."""
        return Week.of(datetime.fromisoformat(self.answered).timestamp()).name


_COLUMNS = tuple(field.name for field in fields(AuditRow))


def read_audit_table(folder: Path) -> list[AuditRow]:
    """Return the rows of the table; empty: there is no table.

    Args:
        folder: Folder of the sample.

    Raises:
        StoreError: the table is damaged.
    """
    path = folder / AUDIT_TABLE
    try:
        rows = list(csv.reader(_complete(path.read_bytes()).decode().splitlines()))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StoreError("this table of audited clips cannot be read", where=path) from error
    if rows and (tuple(rows[0]) != _COLUMNS or any(len(row) != len(_COLUMNS) for row in rows)):
        raise StoreError("this table of audited clips is damaged", where=path, remedy="Move the folder away")
    return [AuditRow(*row) for row in rows[1:]]


def _complete(content: bytes) -> bytes:
    """Return the complete lines; a killed service may leave a part of one."""
    return content[: content.rfind(b"\n") + 1]


class AuditSample:
    """Keeps the files of some answered clips, and lists them for the label page.

    Args:
        folder: Folder for the files and their table.
        settings: Share and number of kept clips.
        key: Key of the names of clips in the store of the sample.
    """

    def __init__(self, folder: Path, settings: MonitorPart, key: Key) -> None:
        self._folder, self._settings, self._lock = folder, settings, threading.Lock()
        self._names = Pseudonymizer(key)
        if settings.audit_share:
            make_private_folder(folder)
        table = folder / AUDIT_TABLE
        if table.exists():
            os.truncate(table, len(_complete(table.read_bytes())))
        self._kept = {row.file for row in read_audit_table(folder)}

    def keep(self, row: AnsweredRow, active: str, path: Path) -> None:
        """Keep the file of a clip if chance chooses it: by its name, so the same clip is always chosen or never.

        Args:
            row: The clip and its answers, which are not yet recorded.
            active: Name of the active model.
            path: Its file.
        """
        answer = row.answers[active]
        if int(row.name[:8], 16) >= self._settings.audit_share * 2**32 or answer.sha256 is None or row.measures is None:
            return
        target = self._folder / f"{row.name}.dcm"
        with self._lock:
            if target.name not in self._kept:
                if len(self._kept) >= self._settings.audit_clips:
                    return
                clip = self._names.clip(self._names.content_of_hash(answer.sha256))
                view = answer.views[0] if len(answer.views) == 1 else ""
                time = datetime.now(UTC).isoformat(timespec="seconds")
                self._append(
                    AuditRow(clip, "chosen by chance", target.name, row.patient or "", view, answer.sentence, time)
                )
            if not target.exists():  # a killed service may have written the row alone
                os.link(path, target)
            self._kept.add(target.name)

    def _append(self, row: AuditRow) -> None:
        table = self._folder / AUDIT_TABLE
        is_new = not table.exists() or not table.stat().st_size
        make_private_file(table)
        with table.open("a", encoding="utf-8", newline="") as handle:
            writer = CsvWriter(handle)
            if is_new:
                writer.writerow(_COLUMNS)
            writer.writerow(astuple(row))


def audit_record(week: str, rows: Sequence[AuditRow], labels: Mapping[str, str], classes: Sequence[str]) -> MonitorWeek:
    """Return the record of the audited clips of a week, for the journal of the drift test.

    Only clips to which the model gave one view count, and only labels that are views of the model.

    Args:
        week: ISO week.
        rows: The table.
        labels: Label by clip.
        classes: Views of the model.

    Raises:
        MissingInputError: no such clip.
    """
    right: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        if row.week == week and row.view and labels.get(row.clip) in classes:
            right[row.patient or row.clip].append(labels[row.clip] == row.view)
    if not right:
        remedy = "Label clips of this week that the model gave one view: heart2heart curate --queue"
        raise MissingInputError("no answered clip of this week has a label that is a view of the model", where=week,
                                remedy=remedy)  # fmt: skip
    accuracy = sorted(round(float(np.mean(each)), 6) for each in right.values())
    content = {
        "kind": "audit",
        "week": week,
        "added": datetime.now(UTC).isoformat(timespec="seconds"),
        "predictions_sha256": sha256_json([week, sorted(right), accuracy]),
        "patients": len(accuracy),
        "accuracy": accuracy,
    }
    return MonitorWeek.parse(content, where=week)
