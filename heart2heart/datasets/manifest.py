"""The manifest of a public data set before any picture is read, and the report on its files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from heart2heart.schema.status import CODES, StatusCode
from heart2heart.schema.store import OFFICIAL_SPLITS
from heart2heart.utils import write_json


@dataclass(frozen=True)
class DatasetFile:
    """One file that becomes one clip.

    Attributes:
        key: Its name within the data set, folder included, the same on every machine.
        path: Where it is.
        reader: A name of `pictures.READERS`.
        patient: Pseudonym of the patient, as the data set publishes it, after the site's name.
        study: Pseudonym of the study.
        view: A name of `views.VIEWS`, or None for a file without a usable label.
        index: Number of its first frame in the clip that it was cut from.
        phases: ED or ES by position in the file, from 0.
        frame_time_ms: Time between two frames.
        age: Years.
        sex: F or M.
        companions: Further files that it cannot be read without, such as the .raw of a .mhd.
    """

    key: str
    path: Path
    reader: str
    patient: str
    study: str
    view: str | None = None
    index: int = 0
    phases: Mapping[int, str] = field(default_factory=dict)
    frame_time_ms: float | None = None
    age: int | None = None
    sex: str | None = None
    companions: tuple[Path, ...] = ()


@dataclass(frozen=True)
class PublishedCount:
    """A published count of the data set.

    Attributes:
        what: What is counted.
        expected: How many there are in the published data set.
        names: What each clip counts for; two clips of one name count once.
    """

    what: str
    expected: int
    names: Mapping[str, str]


@dataclass(frozen=True)
class DatasetManifest:
    """A data set on disk: the expected files and the present files.

    Attributes:
        source: Its short name, which is also the site's.
        files: Files that are there, sorted by key.
        missing: Keys that its own tables name, or its layout requires, and that are not there.
        duplicates: Keys of files that are there a second time under another spelling.
        official_split: Rows of `frames.official.OFFICIAL`.
        published_counts: What is known of the published data set.
        notes: What was met on the way and changes what a user gets, one sentence each.
    """

    source: str
    files: tuple[DatasetFile, ...]
    missing: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()
    official_split: pa.Table = field(default_factory=OFFICIAL_SPLITS.empty_table)
    published_counts: tuple[PublishedCount, ...] = ()
    notes: tuple[str, ...] = ()


def clip_id(source: str, key: str) -> str:
    """Return the clip's name: the same file of the same data set is the same clip in every store."""
    return hashlib.sha256(f"{source}\x1f{key}".encode()).hexdigest()[:24]


def official_rows(
    split: str, clips: Sequence[str], roles: Sequence[str], views: Sequence[str | None] | None = None
) -> pa.Table:
    """Return rows of `OFFICIAL_SPLITS` of one split; no views at all means that none is labeled."""
    columns = [[split] * len(clips), list(clips), list(roles), [None] * len(clips) if views is None else list(views)]
    return pa.table(dict(zip(OFFICIAL_SPLITS.names, columns, strict=True)), schema=OFFICIAL_SPLITS)


@dataclass(frozen=True)
class CountCheck:
    """A published count, and the same count in the store.

    Attributes:
        what: What is counted.
        expected: The published number.
        found: The number in the store.
    """

    what: str
    expected: int
    found: int

    @property
    def difference(self) -> str:
        """Return `same`, or by how much it differs."""
        difference = self.found - self.expected
        return "same" if difference == 0 else f"{abs(difference)} {'more' if difference > 0 else 'fewer'}"


@dataclass(frozen=True)
class DatasetReport:
    """Result of adding a data set.

    Attributes:
        source: Its short name, which is also the site's.
        expected: Files that its tables name or its layout requires, and what is there besides.
        found: Files that are there.
        codes: Files by status, of all runs.
        files_not_in_store: Name within the data set and status of every file that is not in the store.
        clips: Clips that this run added.
        frames: Frames that this run added.
        patients: Patients of the site in the store.
        count_checks: Published counts beside those in the store.
        splits: Clips by official split, role and view; an empty view means not labeled.
        notes: What changes what a user gets, one sentence each.
        labels: View by clip, of clips in the store.
    """

    source: str
    expected: int
    found: int
    codes: Mapping[str, int]
    files_not_in_store: tuple[tuple[str, str], ...]
    clips: int
    frames: int
    patients: int
    count_checks: tuple[CountCheck, ...] = ()
    splits: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def accepted(self) -> int:
        """Files whose frames are in the store."""
        return self.codes.get(StatusCode.ACCEPTED, 0)

    def status_rows(self) -> list[tuple[str, int, str]]:
        """Return status, number of files and meaning, for a table."""
        return [(code, number, CODES[code].meaning) for code, number in sorted(self.codes.items())]

    def split_rows(self) -> list[tuple[str, str, str, int]]:
        """Return official split, role, view and clips, for a table."""
        return [(*name, number) for name, number in self.splits.items()]

    def count_rows(self) -> list[tuple[str, int, int, str]]:
        """Return name, published number, present number and verdict of each count, for a table."""
        return [(known.what, known.expected, known.found, known.difference) for known in self.count_checks]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form kept in the store; refused files are named as in the public data set."""
        return {
            "source": self.source,
            "files_expected": self.expected,
            "files_found": self.found,
            "files_by_status": dict(self.codes),
            "refused": [list(each) for each in self.files_not_in_store],
            "patients": self.patients,
            "known_counts": [
                {"what": known.what, "published": known.expected, "in_store": known.found}
                for known in self.count_checks
            ],
            "official_splits": [list(row) for row in self.split_rows()],
            "notes": list(self.notes),
        }

    def save(self, store: Path) -> Path:
        """Write it beside the frames, as `sources/<name>.json`."""
        path = store / "sources" / f"{self.source}.json"
        write_json(path, self.to_json())
        return path
