"""Shows the pairs of frames that a certificate suspects to be copies, and records those that a person cleared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.audit import audited
from heart2heart.errors import SplitError
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    from heart2heart.schema.reviewed_pairs import ReviewedPairs, SuspectedPair, SuspectedPairs
    from heart2heart.splits.manifest import SplitManifest


def read_suspected_pairs(split: str | Path) -> tuple[SuspectedPair, ...]:
    """Return the pairs that the certificate of a split suspects, the most alike first; a reader numbers them from 1.

    Raises:
        MissingInputError: no split there.
        LeakageError: the split is not certified.
        SplitError: the list was edited, or is of another split.

    Examples:
        >>> from heart2heart.api import read_suspected_pairs
        >>> read_suspected_pairs("split")
        ()
    """
    from heart2heart.splits.manifest import SplitManifest

    manifest = SplitManifest.load(split)
    manifest.certificate()
    suspected = _suspected(manifest)
    return () if suspected is None else suspected.pairs


@audited(AuditAction.SHOW, beside="out", reads=["store"], writes=["out"])
def show_pairs(split: str | Path, store: str | Path | Sequence[str | Path], out: str | Path) -> tuple[Path, int]:
    """Write a page with both frames of every suspected pair, laid over one another.

    A pair is shown only where no text is suspected in its clips and frames, or a person cleared them.

    Args:
        split: Folder of a certified split.
        store: The stores of the split.
        out: HTML file to write.

    Returns:
        The page, and the number of suspected pairs.

    Raises:
        SplitError: the stores do not hold the split's data, or the list of pairs was edited.

    Examples:
        >>> from heart2heart.api import show_pairs
        >>> page, pairs = show_pairs("split", "store", "pairs.html")
        >>> page.name, pairs
        ('pairs.html', 0)
    """
    import numpy as np
    import pyarrow.compute as pc

    from heart2heart.api.shown_frames import frames_with_text
    from heart2heart.reporting.pair_sheet import MAX_PAIRS, FrameFacts, PairView, pair_pictures, write_pair_sheet
    from heart2heart.splits.manifest import SplitManifest
    from heart2heart.store.frame_store import FrameStores

    manifest, stores = SplitManifest.load(split), FrameStores.open(store)
    manifest.check_data(stores)
    pairs = read_suspected_pairs(split)
    names = sorted({frame for pair in pairs for frame in (pair.left, pair.right)})
    members = manifest.members.take(pc.index_in(_strings(names), manifest.members["frame"])).to_pylist()
    facts = {row["frame"]: FrameFacts(row["frame"], row["site"], row["role"], row["patient"][:16]) for row in members}
    rows = stores.frames.take(pc.index_in(_strings(names), stores.frames["frame"]))["row"].to_numpy()
    frames = dict(zip(names, stores.read(rows.astype(np.int64)), strict=True)) if names else {}
    withheld = frames_with_text(stores, {row["frame"]: row["clip"] for row in members}, frames)
    views = []
    for pair_number, pair in enumerate(pairs[:MAX_PAIRS], start=1):
        pictures: tuple[str, ...] = ()
        mirrored = False
        if not {pair.left, pair.right} & withheld:
            pictures, mirrored = pair_pictures(frames[pair.left], frames[pair.right])
        views.append(PairView(pair_number, pair, facts[pair.left], facts[pair.right], pictures, mirrored))
    synthetic = bool(pc.all(stores.clips["synthetic"]).as_py())
    command = 'heart2heart clear-pairs SPLIT --pair NUMBER --reviewer NAME --reason "WHY" --reviewed reviewed.json'
    page = write_pair_sheet(
        views, Path(out), split=manifest.name, total=len(pairs), synthetic=synthetic, command=command
    )
    return page, len(pairs)


def clear_pairs(
    split: str | Path, numbers: Sequence[int], *, reviewer: str, reason: str, reviewed: str | Path
) -> ReviewedPairs:
    """Record that a person looked at suspected pairs and judged them to be no copies.

    `certify_splits` honours the file. A review is bound to the pixels of both frames, and the file to its content.

    Args:
        split: Folder of the certified split.
        numbers: Numbers of the pairs on the page, from 1.
        reviewer: Who looked at them.
        reason: Why they are no copies.
        reviewed: File of cleared pairs; created, or extended.

    Raises:
        SplitError: no pair has such a number, or its frames have equal pixels; or the file was edited.
        ConfigError: reviewer or reason is empty or too long.

    Examples:
        >>> from heart2heart.api import clear_pairs
        >>> clear_pairs("split", [1], reviewer="Reader 1", reason="other valve", reviewed="reviewed.json")
        Traceback (most recent call last):
        ...
        heart2heart.errors.SplitError: no pair 1 among the 0 suspected pairs: split. Numbers are those of the page
    """
    from datetime import UTC, datetime

    from heart2heart.schema.reviewed_pairs import ClearedPair, ReviewedPairs

    pairs = read_suspected_pairs(split)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    path = Path(reviewed)
    cleared = list(ReviewedPairs.read(path).pairs) if path.exists() else []
    for number in sorted(set(numbers)):
        if not 1 <= number <= len(pairs):
            what = f"no pair {number} among the {len(pairs)} suspected pairs"
            raise SplitError(what, where=split, remedy="Numbers are those of the page")
        pair = pairs[number - 1]
        if len(pair.pixels) == 1:
            remedy = "Equal pixels are a copy: propose a split without one of the clips"
            raise SplitError(f"the frames of pair {number} have equal pixels", where=split, remedy=remedy)
        content = pair.model_dump() | {"reviewer": reviewer.strip(), "reason": reason.strip(), "reviewed": now}
        cleared = [each for each in cleared if each.pixels != pair.pixels]
        cleared.append(ClearedPair.parse(content, where="the review"))
    review = ReviewedPairs(pairs=tuple(cleared))
    review.write(path)
    return review


def _suspected(manifest: SplitManifest) -> SuspectedPairs | None:
    from heart2heart.schema.reviewed_pairs import SUSPECTED_FILE, SuspectedPairs

    path = manifest.path / SUSPECTED_FILE
    if not path.exists():
        return None
    suspected = SuspectedPairs.read(path)
    if suspected.split_sha256 != manifest.sha256:
        raise SplitError("the suspected pairs are of another split", where=path, remedy="Run `heart2heart certify`")
    return suspected


def _strings(names: Sequence[str]) -> object:
    import pyarrow as pa

    return pa.array(names, pa.string())
