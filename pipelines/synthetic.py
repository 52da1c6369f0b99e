"""The four SYNTHETIC hospitals of a study, from nothing to stores with labels."""

from __future__ import annotations

from pathlib import Path

from heart2heart.files import sha256_json, write_text
from heart2heart.progress import stage

SOURCE = "A"
"""The hospital whose patients train."""


def simulate(out: Path, scale: float, seed: int, workers: int) -> tuple[str, ...]:
    """Write the hospitals' DICOM folders and return their names."""
    from heart2heart.simulate import four_hospitals, simulate_hospital

    hospitals = four_hospitals(scale)
    for hospital in hospitals:
        with stage(f"simulate hospital {hospital.name}", hospital.patients) as progress:
            simulate_hospital(hospital, out / "hospitals", seed, workers=workers, progress=progress)
    return tuple(hospital.name for hospital in hospitals)


def ingest(out: Path, sites: tuple[str, ...], seed: int, workers: int, *, size: int, frames: str) -> None:
    """De-identify each hospital into its own store, with its own key, and import its labels.

    A real key is random. These hospitals are synthetic and hide nobody, so their keys follow from the seed: pseudonyms,
    and with them the split, are the same in every run.

    Args:
        out: Holds `hospitals/`; receives `stores/`, `keys/` and `labels.db`.
        sites: The hospitals.
        seed: Seed of the simulation.
        workers: Processes.
        size: Side of the frames, pixels.
        frames: Frames to keep of a clip, such as `even:8`.
    """
    from heart2heart.curate import LabelBook, import_labels
    from heart2heart.frames.store import FrameStores
    from heart2heart.ingest import IngestSettings, find_files
    from heart2heart.ingest import ingest as ingest_folder
    from heart2heart.simulate import four_hospitals

    vocabulary = {hospital.name: hospital.vocabulary for hospital in four_hospitals()}
    for site in sites:
        folder, store, key = out / "hospitals" / site, out / "stores" / site, out / "keys" / f"{site}.key"
        if not key.exists():
            write_text(key, sha256_json(["demo key", seed, site]) + "\n", mode=0o600)
        with stage(f"ingest hospital {site}", len(find_files([folder]))) as progress:
            ingest_folder(
                [folder],
                site=site,
                store=store,
                key=key,
                settings=IngestSettings(size=size, frames=frames),
                workers=workers,
                progress=progress,
            )
        import_labels(
            folder / "labels.csv",
            LabelBook(out / "labels.db"),
            FrameStores.open([store]),
            vocabulary=vocabulary[site],
            key=key,
            skip_unknown=True,  # a labeled file that was cut short in the archive is not in the store
        )
