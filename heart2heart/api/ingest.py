"""Simulates hospitals, and ingests DICOM files into a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.audit import audited
from heart2heart.api.links import link_patients
from heart2heart.api.stores import key_path, path_list
from heart2heart.errors import MissingInputError, UnknownNameError
from heart2heart.progress import Stage, silent_stage
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    from heart2heart.ingest.patient_links import LinkSummary
    from heart2heart.ingest.settings import IngestSummary


@dataclass(frozen=True)
class SimulatedHospital:
    """A SYNTHETIC hospital on disk.

    Attributes:
        name: Its name.
        folder: Its DICOM files, beside `labels.csv` and `truth.csv`.
        labels: Labels of its cardiologist, in the vocabulary of the hospital.
        vocabulary: Name of that vocabulary, for `import_labels`.
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
        out: Folder for the hospitals; created if missing.
        scale: Number of patients, relative to the demo's.
        seed: The same seed gives the same headers and tables, and on one kind of processor the same pixels.
        workers: Processes.
        hospitals: Names among `A` to `D` (the demo's) and `E` to `H` (fresh: kept for a final test), or `demo` or
            `fresh` for all four of a kind; None writes the demo's.
        stage: Opens the progress of each hospital.

    Raises:
        UnknownNameError: a hospital that the simulator does not have.

    Examples:
        >>> import heart2heart as h2h
        >>> (hospital,) = h2h.simulate("simulated", scale=0.05, hospitals=["B"], workers=1)
        >>> hospital.name, hospital.patients, hospital.labels.name
        ('B', 4, 'labels.csv')
    """
    from heart2heart.synthetic.hospital import simulate_hospital
    from heart2heart.synthetic.presets import four_hospitals, fresh_hospitals

    kinds = {"demo": four_hospitals(scale), "fresh": fresh_hospitals(scale)}
    known = {hospital.name: hospital for kind in kinds.values() for hospital in kind}
    names: list[str] = []
    for name in hospitals or ("demo",):
        if name not in known and name not in kinds:
            raise UnknownNameError.among("synthetic hospital", name, [*known, *kinds])
        names += [hospital.name for hospital in kinds.get(name, ())] or [name]
    written = []
    for name in dict.fromkeys(names):
        config, folder = known[name], Path(out) / name
        with stage(f"simulate hospital {name}", config.patients) as progress:
            summary = simulate_hospital(config, Path(out), seed, workers=workers, progress=progress)
        labels, counts = folder / "labels.csv", (config.patients, summary.clips, summary.frames)
        written.append(SimulatedHospital(name, folder, labels, config.vocabulary, *counts, config.model))
    return written


@dataclass(frozen=True)
class IngestResult:
    """Result of one ingest.

    Attributes:
        summary: Files by status, clips and frames.
        report: The HTML page about the store.
        table: The summary as a text table.
        links: Patients with a link code; None: no linking key was given.
    """

    summary: IngestSummary
    report: Path
    table: str
    links: LinkSummary | None = None

    def require_frames(self) -> None:
        """Raise MissingInputError unless a file of the hospital is in the store."""
        if self.summary.accepted == 0:
            remedy = "The page Status codes of the documentation explains each status"
            raise MissingInputError("no file of this hospital became frames", where=self.summary.site, remedy=remedy)


@audited(AuditAction.INGEST, beside="store", reads=["paths"], writes=["store"], site="site")
def ingest_files(
    paths: str | Path | Sequence[str | Path],
    *,
    site: str,
    store: str | Path,
    key: str | Path | None = None,
    geometry: str = "tmed2",
    size: int = 112,
    frames: str = "all",
    text: str = "blank",
    viewing_copies: bool = True,
    workers: int = 2,
    dask: str | None = None,
    file_seconds: float = 600.0,
    file_memory: str = "2048MiB",
    report: str | Path | None = None,
    linking_key: str | Path | None = None,
    stage: Stage = silent_stage,
) -> IngestResult:
    """De-identify DICOM files and append their frames to a store; every file ends with one status.

    Args:
        paths: DICOM files or folders.
        site: Name of the hospital, as it may appear in a report.
        store: Folder of the frame store; created on first use.
        key: Key of the pseudonyms, created on first use (mode 0600). None takes `STORE.key`.
        geometry: `tmed2` or `centred`.
        size: Side of the square frames, pixels.
        frames: Frames to keep: `all`, `every:N`, `even:K` or `ed_es:K`.
        text: What to do with text inside the scan: `blank`, `quarantine` or `refuse`; see `IngestSettings.text`.
        viewing_copies: Keep full-size copies for the label page; see `IngestSettings.viewing_copies`.
        workers: Processes.
        dask: Dask scheduler, address or scheduler file; its workers replace the processes.
        file_seconds: Seconds that one file may take; then it is `failed:timeout`.
        file_memory: Memory that one file may take, such as `2GiB`; beyond it is `failed:memory`.
        report: HTML page about the store. None writes `STORE/ingest_report.html`.
        linking_key: Write link codes too; see `link_patients`.
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
    from heart2heart.ingest.patient_links import load_linking_key
    from heart2heart.ingest.pipeline import ingest
    from heart2heart.ingest.settings import IngestSettings, Limits, parse_memory, status_table
    from heart2heart.ingest.source_files import find_files
    from heart2heart.reporting.ingest_page import ingest_report

    roots, target = path_list(paths), Path(store)
    chosen = {
        "geometry": geometry, "size": size, "frames": frames, "text": text, "viewing_copies": viewing_copies,
    }  # fmt: skip
    settings = IngestSettings.parse(chosen, where="ingest")
    if linking_key is not None:
        load_linking_key(Path(linking_key), target)
    bounds = {"seconds": file_seconds, "memory_mib": parse_memory(file_memory)}
    limits = Limits.parse(bounds, where="ingest")
    with stage(f"ingest {site}", len(find_files(roots, outside=target, foreign_links=set()))) as progress:
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
    links = None
    if linking_key is not None and summary.accepted:
        links = link_patients(paths, site=site, store=target, linking_key=linking_key, key=key, stage=stage)
    return IngestResult(summary, page, status_table(summary), links)
