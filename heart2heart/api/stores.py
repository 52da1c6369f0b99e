"""Opens stores and clips; counts and checks what a store holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

from heart2heart.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa

    from heart2heart.deidentify.clip import PreparedClip
    from heart2heart.store.frame_store import FrameStore, FrameStores
    from heart2heart.store.geometry import Geometry


@overload
def open_store(paths: str | Path) -> FrameStore: ...


@overload
def open_store(paths: list[str] | list[Path] | list[str | Path] | tuple[str | Path, ...]) -> FrameStores: ...


def open_store(
    paths: str | Path | list[str] | list[Path] | list[str | Path] | tuple[str | Path, ...],
) -> FrameStore | FrameStores:
    """Open one frame store, or several of one geometry as one.

    Args:
        paths: Folder of a store, or a list of folders.

    Raises:
        MissingInputError: no store there.
        StoreError: the stores differ in geometry.

    Examples:
        >>> import heart2heart as h2h
        >>> store = h2h.open_store("store")
        >>> store
        <FrameStore('store'): 2 sites, 50 clips, 100 frames of tmed2-32 (version 1)>
        >>> store.read(store.frames["row"].to_numpy()[:3]).shape
        (3, 32, 32)
    """
    from heart2heart.store.frame_store import FrameStore, FrameStores

    return FrameStore.open(paths) if isinstance(paths, str | Path) else FrameStores.open(paths)


def load_clip(
    path: str | Path,
    *,
    geometry: str | Geometry = "tmed2",
    size: int = 112,
    frames: str = "all",
    salvage: bool = True,
) -> PreparedClip:
    """Read one DICOM clip, picture or video, remove every identity, and return its frames and technical facts.

    Args:
        path: A DICOM file, a picture (PNG, JPEG, TIFF, GIF) or a video (MP4, MOV, AVI, MPEG).
        geometry: `tmed2` or `centred`, or a `Geometry`, such as that of a model (`model.geometry`).
        size: Side of the square frames, pixels; a `Geometry` has its own.
        frames: Frames to keep: `all`, `every:N`, `even:K` or `ed_es:K`.
        salvage: Keep the intact frames of a damaged file; otherwise such a file is an error.

    Returns:
        A clip with `pixels`, uint8 `(n, size, size)`, and `facts`; in a notebook it plays.

    Raises:
        DicomError: the file is not a clip; `code` says why.

    Examples:
        >>> import heart2heart as h2h
        >>> clip = h2h.load_clip("clip.dcm", size=64)
        >>> clip.pixels.shape, str(clip.facts.mode)
        ((4, 64, 64), 'b_mode')
    """
    from heart2heart.datasets.load_picture import load_file
    from heart2heart.store.geometry import Geometry

    known = Geometry(geometry, size) if isinstance(geometry, str) else geometry
    return load_file(Path(path), geometry=known, rule=frames, salvage=salvage)


def count_frames(store: FrameStore) -> pa.Table:
    """Count patients, clips and frames of a store by hospital, mode and manufacturer.

    Examples:
        >>> import heart2heart as h2h
        >>> from heart2heart.api import count_frames
        >>> sum(count_frames(h2h.open_store("store"))["frames"].to_pylist())
        100
    """
    return store.sql(
        "SELECT site, mode, maker, count(DISTINCT patient) AS patients, count(DISTINCT clip) AS clips,"
        " count(*) AS frames, round(avg(quality), 3) AS quality FROM frames GROUP BY ALL ORDER BY ALL"
    )


def verify_store(path: str | Path) -> list[str]:
    """Re-hash every shard of a store, and return a line for each fault.

    Examples:
        >>> from heart2heart.api import verify_store
        >>> verify_store("store")
        []
    """
    return open_store(path).verify()


def require_no_faults(path: str | Path, faults: Sequence[str]) -> None:
    """Raise StoreError if `verify_store` found faults.

    Examples:
        >>> from heart2heart.api import require_no_faults, verify_store
        >>> require_no_faults("store", verify_store("store"))
    """
    if faults:
        remedy = "Restore those shards from a copy, or ingest again into a new store"
        raise StoreError(f"{len(faults)} faults in this store", where=path, remedy=remedy)


def count_files(store: str | Path) -> list[tuple[str, str, int]]:
    """Return hospital, status and number of files, for all files that were ingested into a store.

    Examples:
        >>> from heart2heart.api import count_files
        >>> [row for row in count_files("store") if row[1] == "accepted"]
        [('A', 'accepted', 33), ('B', 'accepted', 17)]
    """
    from heart2heart.ingest.ledger import Ledger

    return [(site, code, n) for site, codes in Ledger(Path(store)).counts().items() for code, n in codes.items()]


def files_by_status(
    paths: Sequence[str | Path], *, store: str | Path, codes: Sequence[str], key: str | Path | None = None
) -> list[Path]:
    """Return the files below `paths` that ended with one of `codes`; the paths may identify patients.

    Args:
        paths: Files or folders that were ingested, or folders inside them.
        store: The store with the ledger.
        codes: Status codes, such as `failed:truncated`.
        key: Key that the store was ingested with. None takes `STORE.key`.

    Examples:
        >>> from heart2heart.api import files_by_status, ingest_files
        >>> result = ingest_files("hospital", site="A", store="new_store", size=32, frames="even:1", workers=1)
        >>> [path.name for path in files_by_status(["hospital"], store="new_store", codes=["excluded:not_dicom"])]
        ['note.txt']
    """
    from heart2heart.ingest.source_files import locate_files

    return list(locate_files(path_list(paths), store=Path(store), key=key_path(Path(store), key), codes=codes))


def path_list(paths: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return one path or several as a list.

    Examples:
        >>> from heart2heart.api.stores import path_list
        >>> path_list(["a", "b"]) == [*path_list("a"), *path_list("b")]
        True
    """
    return [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]


def key_path(folder: Path, key: str | Path | None) -> Path:
    """Return the file of the key, by default beside the folder: `FOLDER.key`.

    Examples:
        >>> from pathlib import Path
        >>> from heart2heart.api.stores import key_path
        >>> str(key_path(Path("stores/A"), None))
        'stores/A.key'
    """
    return folder.with_name(f"{folder.name}.key") if key is None else Path(key)
