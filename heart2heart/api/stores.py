"""Stores, clips, simulated hospitals and ingest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, overload

from heart2heart.errors import MissingInputError, StoreError, UnknownNameError
from heart2heart.progress import Stage, silent_stage

if TYPE_CHECKING:
    import pyarrow as pa

    from heart2heart.deidentify.clip import PreparedClip
    from heart2heart.ingest.settings import IngestSummary
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
    """Read one DICOM file, remove every identity, and return its frames and technical facts.

    Args:
        path: The DICOM file.
        geometry: `tmed2` or `centred`, or a `Geometry`, such as that of a model (`model.geometry`).
        size: Side of the square frames, pixels; a `Geometry` has its own.
        frames: Frames to keep: `all`, `every:N`, `even:K` or `ed_es:K`.
        salvage: Keep the sound frames of a damaged file; else such a file is an error.

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
    from heart2heart.deidentify.clip import load_clip
    from heart2heart.store.geometry import Geometry

    known = Geometry(geometry, size) if isinstance(geometry, str) else geometry
    return load_clip(path, geometry=known, rule=frames, salvage=salvage)


@dataclass(frozen=True)
class SimulatedHospital:
    """A SYNTHETIC hospital on disk.

    Attributes:
        name: Its name.
        folder: Its DICOM files, beside `labels.csv` and `truth.csv`.
        labels: Labels of its cardiologist, in the hospital's words.
        vocabulary: Name of those words, for `import_labels`.
        patients: Number of patients.
        clips: Number of multi-frame files.
        frames: Number of frames.
        machine: Model of its machines.
    """

    name: str
    folder: Path
    labels: Path
    vocabulary: str
    patients: int
    clips: int
    frames: int
    machine: str


def simulate(
    out: str | Path,
    *,
    scale: float = 1.0,
    seed: int = 7,
    workers: int = 2,
    hospitals: Sequence[str] | None = None,
    stage: Stage = silent_stage,
) -> list[SimulatedHospital]:
    """Write SYNTHETIC hospitals as DICOM folders, so that everything can be tried without a patient.

    Args:
        out: Folder for the hospitals; made if missing.
        scale: Number of patients, relative to the demo's.
        seed: The same seed gives the same headers and tables, and on one kind of processor the same pixels.
        workers: Processes.
        hospitals: Names among `A`, `B`, `C` and `D`; None writes all.
        stage: Opens the progress of each hospital.

    Raises:
        UnknownNameError: a hospital that the simulator does not have.

    Examples:
        >>> import heart2heart as h2h
        >>> (hospital,) = h2h.simulate("simulated", scale=0.05, hospitals=["B"], workers=1)
        >>> hospital.name, hospital.patients, hospital.labels.name
        ('B', 1, 'labels.csv')
    """
    from heart2heart.synthetic.hospital import simulate_hospital
    from heart2heart.synthetic.presets import four_hospitals

    known = {hospital.name: hospital for hospital in four_hospitals(scale)}
    for name in hospitals or ():
        if name not in known:
            raise UnknownNameError.among("synthetic hospital", name, list(known))
    written = []
    for name in hospitals or known:
        config, folder = known[name], Path(out) / name
        with stage(f"simulate hospital {name}", config.patients) as progress:
            summary = simulate_hospital(config, Path(out), seed, workers=workers, progress=progress)
        labels, counts = folder / "labels.csv", (config.patients, summary.clips, summary.frames)
        written.append(SimulatedHospital(name, folder, labels, config.vocabulary, *counts, config.model))
    return written


@dataclass(frozen=True)
class IngestResult:
    """What one ingest did.

    Attributes:
        summary: Files by status, clips and frames.
        report: The HTML page about the store.
        table: The summary as a text table.
    """

    summary: IngestSummary
    report: Path
    table: str

    def require_frames(self) -> None:
        """Raise MissingInputError unless a file of the hospital is in the store."""
        if self.summary.accepted == 0:
            remedy = "The page Status codes of the documentation explains each status"
            raise MissingInputError("no file of this hospital became frames", where=self.summary.site, remedy=remedy)


def ingest_files(
    paths: str | Path | Sequence[str | Path],
    *,
    site: str,
    store: str | Path,
    key: str | Path | None = None,
    geometry: str = "tmed2",
    size: int = 112,
    frames: str = "all",
    workers: int = 2,
    dask: str | None = None,
    file_seconds: float = 600.0,
    file_memory: str = "2048MiB",
    report: str | Path | None = None,
    stage: Stage = silent_stage,
) -> IngestResult:
    """De-identify DICOM files and append their frames to a store; every file ends with one status.

    Args:
        paths: DICOM files or folders.
        site: Name of the hospital, as it may appear in a report.
        store: Folder of the frame store; made on first use.
        key: Key of the pseudonyms, made on first use (mode 0600). None takes `STORE.key`.
        geometry: `tmed2` or `centred`.
        size: Side of the square frames, pixels.
        frames: Frames to keep: `all`, `every:N`, `even:K` or `ed_es:K`.
        workers: Processes.
        dask: Dask scheduler, address or scheduler file; its workers replace the processes.
        file_seconds: Seconds that one file may take; then it is `failed:timeout`.
        file_memory: Memory that one file may take, such as `2GiB`; beyond it is `failed:memory`.
        report: HTML page about the store. None writes `STORE/ingest_report.html`.
        stage: Opens the progress.

    Raises:
        ConfigError: a setting that does not exist.
        MissingInputError: no files, or the key of a known hospital is gone.

    Examples:
        >>> import heart2heart as h2h
        >>> result = h2h.ingest_files("hospital", site="A", store="store", size=32, frames="even:2", workers=1)
        >>> result.summary.clips  # the store holds the same content already
        0
    """
    from heart2heart.ingest.discover import find_files
    from heart2heart.ingest.pipeline import ingest
    from heart2heart.ingest.settings import IngestSettings, Limits, parse_memory, status_table
    from heart2heart.reporting.ingest_page import ingest_report

    roots, target = path_list(paths), Path(store)
    settings = IngestSettings.parse({"geometry": geometry, "size": size, "frames": frames}, where="ingest")
    bounds = {"seconds": file_seconds, "memory_mib": parse_memory(file_memory)}
    limits = Limits.parse(bounds, where="ingest")
    with stage(f"ingest {site}", len(find_files(roots, outside=target))) as progress:
        summary = ingest(
            roots,
            site=site,
            store=target,
            key=key_path(target, key),
            settings=settings,
            workers=workers,
            limits=limits,
            dask=dask,
            progress=progress,
        )
    page = ingest_report(target, Path(report) if report is not None else target / "ingest_report.html")
    return IngestResult(summary, page, status_table(summary))


def count_frames(store: FrameStore) -> pa.Table:
    """Count patients, clips and frames of a store by hospital, mode and maker."""
    return store.sql(
        "SELECT site, mode, maker, count(DISTINCT patient) AS patients, count(DISTINCT clip) AS clips,"
        " count(*) AS frames, round(avg(quality), 3) AS quality FROM frames GROUP BY ALL ORDER BY ALL"
    )


def verify_store(path: str | Path) -> list[str]:
    """Re-hash every shard of a store and return a line for each fault; an empty list means whole."""
    return open_store(path).verify()


def require_no_faults(path: str | Path, faults: Sequence[str]) -> None:
    """Raise StoreError if `verify_store` found faults."""
    if faults:
        remedy = "Restore those shards from a copy, or ingest again into a new store"
        raise StoreError(f"{len(faults)} faults in this store", where=path, remedy=remedy)


def count_files(store: str | Path) -> list[tuple[str, str, int]]:
    """Return hospital, status and number of files of everything that was ingested into a store."""
    from heart2heart.ingest.ledger import Ledger

    return [(site, code, n) for site, codes in Ledger(Path(store)).counts().items() for code, n in codes.items()]


def files_by_status(
    paths: Sequence[str | Path], *, store: str | Path, codes: Sequence[str], key: str | Path | None = None
) -> list[Path]:
    """Return the files below `paths` that ended with one of `codes`; the paths may identify patients.

    Args:
        paths: Files or folders, as they were given to `ingest_files`, or below.
        store: The store with the ledger.
        codes: Status codes, such as `failed:truncated`.
        key: Key that the store was ingested with. None takes `STORE.key`.
    """
    from heart2heart.ingest.discover import locate_files

    return list(locate_files(path_list(paths), store=Path(store), key=key_path(Path(store), key), codes=codes))


def path_list(paths: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return one path or several as a list."""
    return [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]


def key_path(folder: Path, key: str | Path | None) -> Path:
    """Return the key's file, by default beside the folder: `FOLDER.key`."""
    return folder.with_name(f"{folder.name}.key") if key is None else Path(key)
