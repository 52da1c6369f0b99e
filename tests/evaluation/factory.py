"""Synthetic predictions with the structure of a real study: two methods at four synthetic hospitals."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from heart2heart.schema.predictions import (
    PREDICTIONS,
    MethodFacts,
    Predictions,
    Provenance,
    RunInfo,
    SiteInfo,
)
from heart2heart.schema.split import REQUIRED_CHECKS, Certificate, Check, SplitInfo
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.utils import random_stream

IMAGES_A_SITE = 14


@dataclass(frozen=True)
class Hospital:
    """One synthetic hospital; `skill` is the mean logit margin of the reference and of the candidate."""

    name: str
    held_out: bool
    patients: int
    views: tuple[str, ...]
    outside: tuple[str, ...]
    skill: tuple[float, float]
    makers: tuple[str, ...]


HOSPITALS = (
    Hospital("north", False, 44, SCORED_VIEWS, ("A3C", "OTHER"), (3.4, 3.7), ("Maker One",)),
    Hospital("east", True, 34, SCORED_VIEWS, ("A5C",), (2.0, 2.9), ("Maker Two", "Maker One")),
    Hospital("south", True, 31, ("A4C", "A2C"), (), (2.6, 2.5), ("Maker Three",)),
    Hospital("west", True, 9, SCORED_VIEWS, ("SUBCOSTAL", "A3C"), (1.6, 2.0), ("Maker Four",)),
)
METHODS = ("labels only", "fixmatch + Fix-A-Step")
CONFUSED = {"A2C": "A4C", "A4C": "A2C", "PLAX": "PSAX", "PSAX": "PLAX"}


def _logits(truth: str, skill: float, patient: float, generator: np.random.Generator) -> list[float]:
    scores = generator.normal(0, 0.9, len(SCORED_VIEWS))
    if truth in SCORED_VIEWS:
        scores[SCORED_VIEWS.index(truth)] += skill + patient
        scores[SCORED_VIEWS.index(CONFUSED[truth])] += 0.7 - 0.5 * patient
    return [float(score) for score in scores]


def _picture(generator: np.random.Generator) -> bytes:
    """Draw a gray sector as a placeholder for a frame of the gallery."""
    y, x = np.mgrid[0:112, 0:112]
    inside = (np.hypot(x - 56, y + 4) < 112) & (np.abs(x - 56) < 0.75 * (y + 6))
    centre = generator.uniform(40, 72, 2)
    tissue = 60 + 60 * (np.hypot(x - centre[0], y - centre[1]) > 24) + generator.normal(0, 18, (112, 112))
    pixels = np.where(inside, np.clip(tissue, 0, 255), 0).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def _site_rows(hospital: Hospital, runs: Sequence[tuple[str, int, int]]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    generator = random_stream(7, hospital.name)
    pictures = 0
    for index in range(hospital.patients):
        patient = f"{hospital.name}-p{index:03d}"
        effect = float(generator.normal(0, 1.1))
        role = "validation" if not hospital.held_out and index % 4 == 3 else "test"
        views = [*hospital.views, *(view for view in hospital.outside if generator.random() < 0.4)]
        for position, view in enumerate(views):
            clip = f"{patient}-c{position}"
            kept = pictures < IMAGES_A_SITE and index % 2 == 0
            pictures += kept
            for frame_index in range(3):
                frame = f"{clip}:{frame_index:04d}"
                base = {
                    "site": hospital.name, "patient": patient, "study": f"{patient}-s0", "clip": clip,
                    "frame": frame, "index": frame_index, "mode": "b_mode",
                    "maker": hospital.makers[index % len(hospital.makers)], "quality": 0.8, "role": role,
                    "truth": view, "image": _picture(generator) if kept and frame_index == 0 else None,
                }  # fmt: skip
                for run, method, seed in runs:
                    draw = random_stream(seed + 1, run, frame)
                    rows.append({**base, "run": run, "logits": _logits(view, hospital.skill[method], effect, draw)})
    return rows


def _site_info(hospital: Hospital, rows: Sequence[dict[str, Any]], synthetic: bool) -> SiteInfo:
    labels: dict[str, int] = {}
    roles: dict[str, int] = {}
    for row in rows:
        labels[row["truth"]] = labels.get(row["truth"], 0) + 1
        roles[row["role"]] = roles.get(row["role"], 0) + 1
    if not hospital.held_out:
        roles |= {"train": 96, "unlabeled": 1800}
    clips = len({row["clip"] for row in rows})
    return SiteInfo(
        site=hospital.name,
        held_out=hospital.held_out,
        synthetic=synthetic,
        files={"accepted": clips + 20, "excluded:not_ultrasound": 6, "failed:truncated": 2, "excluded:duplicate": 3},
        patients=hospital.patients,
        studies=hospital.patients,
        clips=clips + 20,
        frames=sum(roles.values()) + 60,
        roles=roles | {"excluded": 60},
        labels=labels,
        raters=("rater-1",),
        makers=hospital.makers,
        modes={"b_mode": clips + 12, "colour": 8},
        date_from="2031-02-01",
        date_to="2031-11-20",
    )


def _run_info(run: str, method: int, seed: int) -> RunInfo:
    history = []
    for step in range(50, 551, 50):
        point = {
            "step": float(step),
            "validation_balanced_accuracy": 0.25 + (0.5 + 0.05 * method) * step / (step + 120),
        }
        point["loss_labeled"] = 1.4 * 120 / (step + 120)
        if method:
            point["conflict_rate"] = 0.35 - 0.0002 * step
        history.append(point)
    return RunInfo(
        run=run,
        method=METHODS[method],
        facts=MethodFacts(
            base="fixmatch" if method else "labels_only",
            title="fixmatch" if method else "labels only",
            mixing=bool(method),
            rule="fix_a_step" if method else "sum",
            unlabeled=bool(method),
        ),
        network="wideresnet_canonical",
        seed=seed,
        config_sha256=f"{method}{seed}" * 32,
        config={"steps": 550, "batch": 32, "optimiser": {"lr": 0.03}},
        parameters=1_467_610,
        steps=550,
        selected_step=500,
        selection="best source-validation balanced accuracy, EMA weights",
        seconds=81.5,
        device="cpu",
        versions={"torch": "2.13.0", "heart2heart": "0.1.0"},
        history=tuple(history),
    )


def make_predictions(
    *, seeds: Sequence[int] = (0,), hospitals: Sequence[Hospital] = HOSPITALS, synthetic: bool = True
) -> Predictions:
    """Simulate the predictions of both methods, trained with each seed, at the hospitals."""
    runs = [(f"{'ref' if not method else 'fix'}-{seed}", method, seed) for method in (0, 1) for seed in seeds]
    by_site = {hospital.name: _site_rows(hospital, runs) for hospital in hospitals}
    first = runs[0][0]
    infos = [
        _site_info(hospital, [row for row in by_site[hospital.name] if row["run"] == first], synthetic)
        for hospital in hospitals
    ]
    findings = {
        "patient_disjoint": Check(name="patient_disjoint", status="pass", detail="No patient is in two roles."),
        "near_duplicates": Check(name="near_duplicates", status="pass", detail="No near-duplicate frames."),
        "metadata_probe": Check(name="metadata_probe", status="warn", detail="Maker and size alone reach 31 %."),
    }
    checks = tuple(findings.get(name, Check(name=name, status="pass", detail="Fine.")) for name in REQUIRED_CHECKS)
    split = SplitInfo(
        name="fold-0",
        sha256="5e" * 32,
        certificate_sha256=Certificate(split_sha256="5e" * 32, checks=checks).digest(),
        source_sites=tuple(hospital.name for hospital in hospitals if not hospital.held_out),
        held_out_sites=tuple(hospital.name for hospital in hospitals if hospital.held_out),
        checks=checks,
    )
    provenance = Provenance(
        code_version="0.1.0",
        created="2031-12-01T10:00:00Z",
        command="heart2heart evaluate RUNS --store STORE",
        classes=SCORED_VIEWS,
        geometry="tmed2/1",
        split=split,
        sites=tuple(infos),
        runs=tuple(_run_info(*run) for run in runs),
    )
    rows = [row for hospital in hospitals for row in by_site[hospital.name]]
    return Predictions(pa.Table.from_pylist(rows, schema=PREDICTIONS), provenance)


def certify(split: SplitInfo) -> SplitInfo:
    """Return a changed split with the hash of its certificate."""
    checks = tuple(check for check in split.checks if check.name in REQUIRED_CHECKS)
    certificate = Certificate(split_sha256=split.sha256, checks=checks)
    return split.model_copy(update={"checks": checks, "certificate_sha256": certificate.digest()})


def with_rows(predictions: Predictions, rows: list[dict[str, Any]]) -> Predictions:
    """Return the same provenance with other rows."""
    return Predictions(pa.Table.from_pylist(rows, schema=PREDICTIONS), predictions.provenance)
