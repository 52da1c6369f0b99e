"""Referees a split that is only a table of names and pictures: leaks between its parts, by rows of the table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.datasets import add_pictures
from heart2heart.api.pairs import read_suspected_pairs
from heart2heart.api.splits import certify_splits
from heart2heart.errors import ConfigError, LeakageError
from heart2heart.progress import Stage, silent_stage
from heart2heart.schema.enums import CheckStatus
from heart2heart.utils import sha256_file

if TYPE_CHECKING:
    from heart2heart.deidentify.pseudonyms import Pseudonymizer
    from heart2heart.schema.split import Check
    from heart2heart.splits.manifest import SplitManifest

_NO_LEAK = ("views_present",)  # a check that may fail although nothing leaks


@dataclass(frozen=True)
class TableCertificate:
    """What the checks found about a table.

    Attributes:
        table: The table.
        split: The frozen split; `out` holds it and its certificate.
        equal_files: Rows of two roles whose files have the same bytes; the frozen split excludes them.
        pairs: Rows and correlation of each suspected pair, the most alike first.
        notes: What was left out, one sentence each.
    """

    table: Path
    split: SplitManifest
    equal_files: tuple[tuple[str, str], ...]
    pairs: tuple[tuple[str, str, float], ...]
    notes: tuple[str, ...]

    @property
    def leaks(self) -> list[Check]:
        """The failed checks that show a leak."""
        failed = [check for check in self.split.certificate().checks if check.status == CheckStatus.FAIL]
        return [check for check in failed if check.name not in _NO_LEAK]

    def require_no_leak(self) -> None:
        """Raise LeakageError if a check found a leak between the parts of the table."""
        reasons = [check.name for check in self.leaks]
        if self.equal_files:
            reasons.insert(0, f"{len(self.equal_files)} pictures are in two roles under two names")
        if reasons:
            raise LeakageError(f"the split of this table leaks: {', '.join(reasons)}", where=self.table)


def certify_table(
    table: str | Path,
    out: str | Path,
    *,
    size: int = 112,
    whole: bool = False,
    workers: int = 2,
    reviewed: str | Path | None = None,
    stage: Stage = silent_stage,
) -> TableCertificate:
    """Check a table of pictures for leaks between its parts, without a store, labels or a key of your own.

    The pictures are added to a store in `out`, the roles are frozen as they are, and every check of a certificate runs.

    Args:
        table: CSV file with the columns `file` and `split`, and `label`, `patient` and `site` where they are known.
        out: Folder for `store`, `split` and the key; a later call goes on.
        size: Side of the square frames, pixels.
        whole: Keep the whole picture where no sector is found, for pictures that show the scan alone.
        workers: Processes.
        reviewed: File of pairs that persons looked at and cleared; see `clear_pairs`.
        stage: Opens the progress.

    Raises:
        LabelError: the table cannot be used; the message names the row.
        SplitError: the table gives no picture a role.
        ConfigError: `out` holds the split of another table, or of other pictures.

    Examples:
        >>> from pathlib import Path
        >>> from heart2heart.api import certify_table
        >>> with Path("pictures/table.csv").open("w") as file:
        ...     print("file,split", "A4C/one.png,train", "PLAX/two.gif,test", sep=chr(10), file=file)
        >>> result = certify_table("pictures/table.csv", "refereed", size=32, workers=0)
        >>> result.leaks, result.pairs
        ([], ())
    """
    from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer
    from heart2heart.splits.manifest import SplitManifest
    from heart2heart.splits.table_split import freeze_table
    from heart2heart.store.frame_store import FrameStore

    source, folder = Path(table), Path(out)
    if source.is_dir():
        raise ConfigError(
            "a folder is no table", where=source, remedy="Name a CSV file with the columns file and split"
        )
    digest = sha256_file(source) if source.exists() else ""
    if (folder / "split" / "split.json").exists():
        split = SplitManifest.load(folder / "split")
        if split.settings.get("table_sha256") != digest:
            remedy = "Name another folder, or delete its folder split"
            raise ConfigError("this folder holds the split of another table", where=folder, remedy=remedy)
    added = add_pictures(
        source, folder / "store", site="table", vocabulary="own", size=size, whole=whole, workers=workers, stage=stage
    )
    added.require_frames()
    store = FrameStore.open(folder / "store")
    row_of, equal_files = _rows_by_clip(source, Pseudonymizer(Key.load(folder / "store.key")))
    if not (folder / "split" / "split.json").exists():
        freeze_table(store, folder / "split", name=source.name, table_sha256=digest)
    split = SplitManifest.load(folder / "split")
    certify_splits([split], store, reviewed=reviewed)
    pairs = []
    for pair in read_suspected_pairs(split.path):
        left, right = (row_of.get(frame.partition(":")[0], frame) for frame in (pair.left, pair.right))
        pairs.append((left, right, pair.correlation))
    return TableCertificate(source, split, equal_files, tuple(pairs), added.report.notes)


def _rows_by_clip(table: Path, pseudonymizer: Pseudonymizer) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """Return row and file of each clip, and the rows of two roles whose files have the same bytes."""
    from heart2heart.datasets.picture_lists import ListedPicture, list_pictures

    first: dict[str, ListedPicture] = {}
    rows: dict[str, str] = {}
    equal: list[tuple[str, str]] = []
    for picture in list_pictures(table).pictures:
        if picture.refused is not None or not picture.path.is_file():
            continue
        clip = pseudonymizer.clip(pseudonymizer.content(picture.path))
        row = f"{picture.where} ({picture.path.name})"
        other = first.setdefault(clip, picture)
        if other.path != picture.path and other.role != picture.role:
            equal.append((rows[clip], row))
        rows.setdefault(clip, row)
    return rows, tuple(equal)
