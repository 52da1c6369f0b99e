"""Finds the clips that the rows of a label file name, and says why a clip is not found.

A row names its clip by `clip` (the store's pseudonym), by `sop_instance_uid`, or by `file`. The last two can identify a
patient: they become pseudonyms with the hospital's key and are never kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer
from heart2heart.errors import DicomError, LabelError, MissingInputError
from heart2heart.ingest.ledger import Ledger
from heart2heart.ingest.source_files import container, file_id, key_fingerprint, members_by_name, unpacked
from heart2heart.schema.status import StatusCode
from heart2heart.schema.store import frame_id
from heart2heart.store.frame_store import Frames, FrameStore, FrameStores

CLIP_COLUMNS = ("clip", "sop_instance_uid", "file")
"""Columns that may name the clip of a row; all but the first can identify a patient."""

NOT_INGESTED = "clips not in the store"
NO_SUCH_FILE = "files that are not on disk"
TWO_CLIPS = "files that are two clips in the stores"
NO_SUCH_FRAME = "frames that their clip does not have"
CHANGED = "files that changed after the ingest"
NO_CLIP = "files that became no clip, since their ingest ended with "
"""Why rows have no clip; the status code of the ledger follows the last."""

REMEDIES: Mapping[str, str] = {
    NOT_INGESTED: "Ingest these files first",
    NO_SUCH_FILE: "Give --archive with the folder that the paths are relative to",
    TWO_CLIPS: "Name the clip by the column clip",
    NO_SUCH_FRAME: "Correct the frames",
    CHANGED: "Ingest these files again",
}
"""What helps, where something does."""

_PARENTS = 3  # folders above the table's own in which a file is looked for


class ClipIndex:
    """The clips of some stores, by pseudonym and by identity, also those that wait for the review of their text.

    Args:
        stores: The stores with the clips.
        key: Key file with which the clips were ingested; needed to look up clips by UID or file.
        archives: Folders that the paths of a label file may be relative to.
    """

    def __init__(self, stores: Frames, key: Path | None, archives: Sequence[Path] = ()) -> None:
        self.table = _all_clips(stores)
        self._stores = stores
        self._key = None if key is None else Key.load(key)
        self._pseudonyms = None if self._key is None else Pseudonymizer(self._key)
        self._archives = tuple(archives)
        self._clips = set(self.table["clip"].to_pylist())
        self._by: dict[str, dict[str, str]] = {}
        self._frames: set[str] | None = None
        self._members: dict[Path, dict[str, Path]] = {}

    def need_key(self, what: str, where: Path) -> Pseudonymizer:
        """Return the pseudonymizer of the key.

        Raises:
            LabelError: no key was given, or no hospital of the stores was ingested with it.
        """
        if self._pseudonyms is None or self._key is None:
            remedy = "Give --key with the key of the ingest"
            raise LabelError(f"{what} need the hospital's key", where=where, remedy=remedy)
        checks = {check for ledger in self._ledgers() for check in ledger.key_checks()}
        if checks and key_fingerprint(self._key) not in checks:
            remedy = "Give --key with the key of the ingest; another key finds no clip"
            raise LabelError("no hospital of the stores was ingested with this key", where=where, remedy=remedy)
        return self._pseudonyms

    def finder(self, column: str, where: Path) -> Callable[[Mapping[str, str]], str | None]:
        """Return a function that returns the clip of a row, or None if no store holds it.

        Args:
            column: One of `CLIP_COLUMNS`.
            where: The label file. `file` is relative to an archive, to the folder of the label file, or to one of the
                three folders above it.
        """
        if column == "clip":
            return lambda row: row["clip"].strip() if row["clip"].strip() in self._clips else None
        pseudonyms = self.need_key(f"labels by {column}", where)
        if column == "sop_instance_uid":
            return lambda row: self.by_instance(pseudonyms, row["sop_instance_uid"])

        def by_file(row: Mapping[str, str]) -> str | None:
            file = self._file(row["file"], where)
            content = None if file is None else self._content(file)
            return None if content is None else self._unique_lookup("content").get(content)

        return by_file

    def reason(self, column: str, where: Path) -> Callable[[Mapping[str, str]], str]:
        """Return a function that says why the clip of a row was not found.

        Args:
            column: One of `CLIP_COLUMNS`.
            where: The label file.
        """

        def of_row(row: Mapping[str, str]) -> str:
            if column == "clip":
                return NOT_INGESTED
            if column == "sop_instance_uid":
                assert self._pseudonyms is not None
                pseudonym = self._pseudonyms.uid(row[column].strip())
                return TWO_CLIPS if self._number_of("instance", pseudonym) > 1 else NOT_INGESTED
            file = self._file(row[column], where)
            return NO_SUCH_FILE if file is None else self._reason_of_file(file)

        return of_row

    def by_instance(self, pseudonyms: Pseudonymizer, uid: str) -> str | None:
        """Return the clip of a SOP Instance UID, or None if no store holds it."""
        return self._unique_lookup("instance").get(pseudonyms.uid(uid.strip()))

    def frame(self, clip: str, text: str) -> str | None:
        """Return the identifier of a frame, given by index or identifier, or None if the clip lacks it."""
        if self._frames is None:
            self._frames = set(_all_frames(self._stores))
        frame_name = frame_id(clip, int(text)) if text.isascii() and text.isdigit() else text
        return frame_name if frame_name in self._frames and frame_name.startswith(f"{clip}:") else None

    def _file(self, written: str, where: Path) -> Path | None:
        """Return the file that a path means, or None; `archive.zip/name` is a member of a zip file."""
        relative = Path(written.strip().replace("\\", "/"))
        folders = [*self._archives, where.parent, *where.absolute().parent.parents[:_PARENTS]]
        for folder in folders:
            path = folder / relative
            if path.is_file():
                return path
            archive = container(path)
            if archive.is_file():
                if archive not in self._members:
                    self._members[archive] = members_by_name(archive)
                return self._members[archive].get(path.relative_to(archive).as_posix())
        return None

    def _content(self, file: Path) -> str | None:
        """Return the keyed hash of a file's bytes, or None if it cannot be read."""
        assert self._pseudonyms is not None
        try:
            with unpacked(file) as readable:
                return self._pseudonyms.content(readable)
        except (OSError, DicomError):
            return None

    def _reason_of_file(self, file: Path) -> str:
        content = self._content(file)
        if content is not None and self._number_of("content", content) > 1:
            return TWO_CLIPS
        assert self._key is not None
        for ledger in self._ledgers():
            sites = ledger.sites()
            for path in dict.fromkeys((file, file.absolute(), file.resolve())):
                for site in sites:
                    status = ledger.status_of(file_id(self._key, site, path))
                    if status is not None and status != StatusCode.ACCEPTED:
                        return f"{NO_CLIP}{status}"
                    if status is not None:
                        return CHANGED
        return NOT_INGESTED

    def _ledgers(self) -> Iterator[Ledger]:
        stores = self._stores.stores if isinstance(self._stores, FrameStores) else [self._stores]
        for store in stores:
            if isinstance(store, FrameStore):
                try:
                    yield Ledger(store.root)
                except MissingInputError:
                    continue

    def _number_of(self, column: str, name: str) -> int:
        return int(pc.sum(pc.equal(self.table[column], name)).as_py() or 0)

    def _unique_lookup(self, column: str) -> dict[str, str]:
        if column not in self._by:
            valid = self.table.filter(pc.is_valid(self.table[column]))
            names = valid[column].to_pylist()
            unique = {
                name for name, count in Counter(names).items() if count == 1
            }  # one UID of two clips names neither
            pairs = zip(names, valid["clip"].to_pylist(), strict=True)
            self._by[column] = {name: clip for name, clip in pairs if name in unique}
        return self._by[column]


def _all_clips(stores: Frames) -> pa.Table:
    """Return one row a clip, also of clips that the review withholds: their labels count once they are cleared."""
    if isinstance(stores, FrameStore):
        return stores.all_clips
    if isinstance(stores, FrameStores):
        return pa.concat_tables([store.all_clips for store in stores.stores])
    return stores.clips


def _all_frames(stores: Frames) -> Iterator[str]:
    for store in stores.stores if isinstance(stores, FrameStores) else [stores]:
        frames = store.frames_of(store.all_clips) if isinstance(store, FrameStore) else store.frames
        yield from frames["frame"].to_pylist()
