"""How far hospitals lie apart: real sites and manufacturers beside simulated hospitals.

    OMP_NUM_THREADS=1 python -m benchmarks.hospital_shift [--lung FOLDER] [--out shift.json]

Per clip the features of `heart2heart.store.appearance`; between two sites the Wasserstein-1 distance of each feature
and of the levels of the lit pixels, and the area under the ROC curve of a logistic regression that tells the sites
apart from the features, cross-validated with patients kept together. Real sites come from the lung clips (`clips.csv`
names file, site and patient) and from the ultrasound files of the packages `pydicom-data`, `pydicom` and `deid-data`.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heart2heart.dicom.header_values import DECODE_ERRORS
from heart2heart.schema.enums import ClipMode
from heart2heart.store.appearance import Bytes, lit_histogram, measure_appearance

LEAST_CLIPS = 10
LEAST_PATIENTS = 4
MOST_FRAMES = 24


@dataclass
class Site:
    """Clips of one site: features, patients and the mean histogram of the lit pixels."""

    name: str
    features: list[dict[str, float]] = field(default_factory=list)
    patients: list[str] = field(default_factory=list)
    histogram: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(256))

    def add(self, frames: Bytes, patient: str) -> None:
        """Measure one clip; a clip without a sector is left out."""
        appearance = measure_appearance(frames)
        if appearance is None:
            return
        self.features.append(appearance.values())
        self.patients.append(f"{self.name}/{patient}")
        self.histogram = self.histogram + lit_histogram(frames[:: max(1, len(frames) // 6)])

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """Return one feature of all clips."""
        return np.array([each[name] for each in self.features])


def lung_sites(folder: Path) -> list[Site]:
    """Measure the real lung clips of convex probes, by site."""
    sites: dict[str, Site] = {}
    with (folder / "clips.csv").open(encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["probe"] == "convex" and row["kind"] == "video"]
    for row in rows:
        frames = _decode(folder / row["file"])
        if frames is not None:
            sites.setdefault(row["site"], Site(row["site"])).add(frames, row["patient"])
    return list(sites.values())


def _decode(path: Path) -> Bytes | None:
    import cv2

    capture = cv2.VideoCapture(str(path))
    frames: list[Bytes] = []
    while len(frames) < MOST_FRAMES:
        read, frame = capture.read()
        if not read:
            break
        frames.append(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), dtype=np.uint8))
    capture.release()
    return np.stack(frames) if frames else None


def real_dicom() -> list[Site]:
    """Measure the B-mode ultrasound files of the development packages, by manufacturer; one or few clips each."""
    import data_store
    import deid_data
    import pydicom.data

    roots = [Path(str(package.__file__)).parent for package in (data_store, deid_data, pydicom.data)]
    names = (
        "color3d_jpeg_baseline.dcm", "JPGLosslessP14SV1_1s_1f_8b.dcm", "OBXXXX1A_2frame.dcm", "gdcm-US-ALOKA-16.dcm",
        "ultrasound-multiframe.dcm", "GREYSCALE_IMAGE.dcm", "US1_UNCR.dcm",
    )  # fmt: skip
    sites: dict[str, Site] = {}
    for name, root in itertools.product(names, roots):
        for path in sorted(root.rglob(name))[:1]:
            for maker, frames in _gray_dicom(path):
                sites.setdefault(maker, Site(maker)).add(frames, name)
    return list(sites.values())


def _gray_dicom(path: Path) -> Iterator[tuple[str, Bytes]]:
    import pydicom
    from pydicom.pixels.processing import apply_color_lut

    try:
        dataset = pydicom.dcmread(path)
        pixels = dataset.pixel_array
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            pixels = apply_color_lut(pixels, dataset)
            pixels = (pixels >> 8 if pixels.dtype == np.uint16 else pixels).astype(np.uint8)
    except DECODE_ERRORS:  # a file that pydicom alone does not decode is left out
        return
    if dataset.get("SamplesPerPixel", 1) == 3 or pixels.shape[-1] == 3:
        pixels = pixels.mean(axis=-1)
    if pixels.ndim == 2:
        pixels = pixels[None]
    words = str(dataset.get("Manufacturer", "")).split() or ["SonoSite" if "color3d" in path.name else "unknown"]
    yield words[0], pixels[:MOST_FRAMES].astype(np.uint8)


def simulated_sites(fresh: bool, patients: int, seed: int) -> list[Site]:
    """Measure labeled B-mode clips of simulated hospitals."""
    from heart2heart.synthetic import presets
    from heart2heart.synthetic.patient import draw_patient
    from heart2heart.synthetic.study import draw_recordings, record_mode, scanner
    from heart2heart.utils import random_stream

    hospitals = presets.fresh_hospitals(1.0) if fresh else presets.four_hospitals(1.0)
    sites = []
    for hospital in hospitals:
        site = Site(hospital.name)
        for index in range(patients):
            rng = random_stream(seed, "shift", hospital.name, index)
            patient = draw_patient(rng, hospital.variation)
            room = scanner(hospital, int(rng.integers(hospital.variation.layouts)))
            used = hospital.model_copy(update={"machine": room})
            for view, mode in draw_recordings(hospital, True, rng):
                if mode != ClipMode.B_MODE:
                    continue
                frames = record_mode(view, mode, patient, used, ("SYNTHETIC", "0", "2020"), rng).frames
                site.add(frames if frames.ndim == 3 else frames.mean(axis=-1).astype(np.uint8), str(index))
        sites.append(site)
    return sites


GEOMETRY = ("sector_share", "sector_aspect", "sector_angle", "apex_x", "apex_y")
"""Features of the layout of the picture; the store's crop to the sector takes most of them away."""


def domain_auc(first: Site, second: Site, *, geometry: bool) -> float:
    """Return the cross-validated area under the curve of telling two sites apart; 0.5 when they look alike."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    names = [name for name in first.features[0] if geometry or name not in GEOMETRY]
    x = np.array([[each[name] for name in names] for each in first.features + second.features])
    y = np.repeat([0, 1], [len(first.features), len(second.features)])
    groups = np.array(first.patients + second.patients)
    folds = min(5, len(set(first.patients)), len(set(second.patients)))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=2000))
    splits = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    scores = cross_val_predict(model, x, y, groups=groups, cv=splits, method="decision_function")
    return float(roc_auc_score(y, scores))


def distances(sites: Sequence[Site]) -> dict[str, dict[str, float]]:
    """Return, for each pair of sites, the distance of every feature, of the levels, and the domain classifier's AUC."""
    from scipy.stats import wasserstein_distance

    table = {}
    levels = np.arange(256)
    for first, second in itertools.combinations(sites, 2):
        row = {name: float(wasserstein_distance(first.column(name), second.column(name))) for name in first.features[0]}
        row["levels"] = float(wasserstein_distance(levels, levels, first.histogram, second.histogram))
        if min(len(set(first.patients)), len(set(second.patients))) >= LEAST_PATIENTS:
            row["auc_all_features"] = domain_auc(first, second, geometry=True)
            row["auc_without_geometry"] = domain_auc(first, second, geometry=False)
            spread = np.sqrt((first.column("median").var() + second.column("median").var()) / 2)
            row["median_over_spread"] = row["median"] / max(float(spread), 1e-9)
        table[f"{first.name} - {second.name}"] = row
    return table


def _print_means(title: str, sites: Sequence[Site]) -> None:
    print(f"\n## {title}: median (10th to 90th percentile) of the clips of a site")
    print(f"{'feature':<20}" + "".join(f"{site.name[:16] + ' ' + str(len(site.features)):>22}" for site in sites))
    for name in sites[0].features[0]:
        cells = [np.percentile(site.column(name), (50, 10, 90)) for site in sites]
        print(f"{name:<20}" + "".join(f"{f'{m:.2f} ({lo:.2f} {hi:.2f})':>22}" for m, lo, hi in cells))


def _print_distances(groups: dict[str, dict[str, dict[str, float]]]) -> None:
    print("\n## Distances between sites: least, median, most over the pairs")
    print(f"{'feature':<20}" + "".join(f"{name[:24]:>26}" for name in groups))
    for name in sorted({key for table in groups.values() for row in table.values() for key in row}):
        cells = []
        for table in groups.values():
            values = [row[name] for row in table.values() if name in row]
            cells.append("-" if not values else "{:.3f} {:.3f} {:.3f}".format(*np.percentile(values, (0, 50, 100))))
        print(f"{name:<20}" + "".join(f"{cell:>26}" for cell in cells))


def main() -> None:
    """Print the features of each site and the distances between sites."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lung", type=Path, help="folder with clips.csv and the clips")
    parser.add_argument("--patients", type=int, default=8, help="patients of each simulated hospital")
    parser.add_argument("--fresh", action="store_true", help="measure the fresh hospitals as well")
    parser.add_argument("--out", type=Path, help="write all numbers as JSON")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    groups: dict[str, list[Site]] = {"real DICOM": real_dicom()}
    if chosen.lung is not None:
        sites = lung_sites(chosen.lung)
        groups["real lung"] = [
            s for s in sites if len(s.features) >= LEAST_CLIPS and len(set(s.patients)) >= LEAST_PATIENTS
        ]
        groups["real lung, small sites"] = [s for s in sites if s not in groups["real lung"] and len(s.features) > 1]
    groups["simulated A-D"] = simulated_sites(False, chosen.patients, 3)
    if chosen.fresh:
        groups["simulated E-H"] = simulated_sites(True, chosen.patients, 3)
    for title, sites in groups.items():
        _print_means(title, sites)
    tables = {title: distances(sites) for title, sites in groups.items() if len(sites) > 1}
    _print_distances(tables)
    if chosen.out is not None:
        content = {"sites": {t: {s.name: s.features for s in sites} for t, sites in groups.items()}, "pairs": tables}
        chosen.out.write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
