"""The steps of an onboarding that need no label: ingest, health check, adaptation, plan and queue."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

import heart2heart as h2h
from heart2heart.active_learning.queue import QueueSettings, build_queue
from heart2heart.active_learning.queue_file import write_queue
from heart2heart.api import count_files, load_run, plan_validation, require_no_faults, verify_store
from heart2heart.errors import MissingInputError, RunError, SplitError
from heart2heart.progress import progress_bar
from heart2heart.schema.adaptation import AdaptationRecord
from heart2heart.schema.enums import POOL_MODES, SplitRole
from heart2heart.schema.onboarding import StepState
from heart2heart.schema.status import StatusCode
from heart2heart.store.frame_store import Frames
from heart2heart.store.geometry import Geometry
from heart2heart.store.text_review import TextReview
from heart2heart.utils import random_stream, read_json, sha256_json, write_json
from pipelines.onboarding_journal import StepResult
from pipelines.onboarding_settings import MARGIN, OnboardingSettings

SOURCE_PATIENTS = 100
"""Test patients of the source in the plan, where the split of the training is not at hand."""
LEAST_SOURCE = 4
"""Test patients of the source with which a plan can be computed at least."""


def ingest(settings: OnboardingSettings) -> StepResult:
    """De-identify the archive into the store, in the geometry of the model."""
    facts: dict[str, str | int]
    if settings.archive is None:
        store = h2h.open_store(settings.store)
        facts = {"clips": _count(store.clips, settings.site), "frames": _count(store.frames, settings.site)}
        return StepResult("The frames were in a store already.", facts)
    geometry = settings.model.geometry
    _forget_other_settings(settings, geometry)
    result = h2h.ingest_files(
        settings.archive,
        site=settings.site,
        store=settings.store,
        key=settings.store_key,
        geometry=geometry.name,
        size=geometry.size,
        frames=settings.frames,
        viewing_copies=False,  # nobody labels here
        workers=settings.workers,
        stage=progress_bar,
    )
    result.require_frames()
    store = h2h.open_store(settings.store)
    facts = {
        "files": sum(result.summary.total.values()),
        "accepted files": result.summary.accepted,
        "clips": _count(store.clips, settings.site),
        "frames": _count(store.frames, settings.site),
        "geometry": str(geometry),
    }
    return StepResult(
        "The DICOM files lost their identities and became frames.",
        facts,
        ("The key of the pseudonyms is beside the store. It identifies patients: never pass it on.",),
        outputs=("store",),
        files=("store/ingest_report.html",),
    )


def _forget_other_settings(settings: OnboardingSettings, geometry: Geometry) -> None:
    """Remove the store that was made with other settings: all files of a hospital are ingested alike."""
    path = settings.out / "ingest.json"
    content = {"geometry": str(geometry), "frames": settings.frames}
    if path.exists() and read_json(path, what="record of the ingest") != content:
        shutil.rmtree(settings.store, ignore_errors=True)
    write_json(path, content)


def health(settings: OnboardingSettings) -> StepResult:
    """Check the store for damage, unreadable files, identities and usable clips."""
    require_no_faults(settings.store, verify_store(settings.store))
    store = h2h.open_store(settings.store)
    if store.geometry != settings.model.geometry:
        what = f"the model takes frames of {settings.model.geometry}, the store holds {store.geometry}"
        raise RunError(what, remedy="Ingest the hospital with the geometry of the model")
    clips = store.clips.filter(pc.equal(store.clips["site"], settings.site))
    usable = usable_clips(store, settings.site)
    if not len(usable):
        what = f"no clip of {settings.site} is B-mode or colour, so there is nothing to classify"
        raise MissingInputError(what, remedy="Name an archive that holds such clips")
    modes = Counter(str(mode) for mode in clips["mode"].to_pylist())
    facts: dict[str, str | int] = {
        "patients": len(pc.unique(clips["patient"])),
        "patients with usable clips": len(pc.unique(usable["patient"])),
        "clips by mode": ", ".join(f"{mode} {count}" for mode, count in modes.most_common()),
        "damaged shards": 0,
    }
    missing = []
    if settings.archive is not None:
        files = {code: count for site, code, count in count_files(settings.store) if site == settings.site}
        others = {code: count for code, count in sorted(files.items()) if code != StatusCode.ACCEPTED}
        facts["files that were not accepted"] = ", ".join(f"{code} {count}" for code, count in others.items()) or "none"
        if failed := sum(count for code, count in others.items() if code.startswith("failed")):
            missing.append(f"{failed} files failed. The ingest report says why, and what to do.")
        search = h2h.verify_deidentification([settings.store], archive=settings.archive, stage=progress_bar)
        if search.result.findings:
            search.require_clean()
        facts["search for identities"] = search.summary()
        missing += [f"Not searched for: {check}." for check in search.result.checks_skipped]
    else:
        missing.append("The archive is not at hand, so identities were not searched for.")
    if settings.manifest is None:
        missing.append("The split of the training is not at hand: name it with --split.")
    return StepResult("The store is intact and holds clips that the model can classify.", facts, tuple(missing))


def adapt(settings: OnboardingSettings) -> StepResult:
    """Adapt the model with frames of patients who will not be scored; keep the source's statistics in case of harm."""
    try:
        run = h2h.adapt(
            settings.model,
            settings.store,
            settings.out / "adapted",
            site=settings.site,
            split=settings.split,
            seed=settings.seed,
        )
    except (RunError, SplitError, MissingInputError) as error:
        shutil.rmtree(settings.out / "adapted", ignore_errors=True)
        limits = (f"Reason: {error.what}.", "All labeled patients are scored, with the model as it is.")
        return StepResult("The model cannot be adapted here.", {}, limits, state=StepState.NOT_POSSIBLE)
    record = run.directory.record.adaptation
    assert record is not None
    facts = {
        "patients who adapt": len(record.patients),
        "patients left to be scored": len(record.reserved_patients) or "by the split",
        "statistics": str(record.statistics).replace("_", " "),
        "checks": "; ".join(f"{check.name}: {'passed' if check.passed else 'failed'}" for check in record.checks),
    }
    missing = ("Patients who adapt the model are never scored, so their clips need no label.",)
    return StepResult(f"The model {record.outcome}.", facts, missing, outputs=("adapted",))


@dataclass(frozen=True)
class PatientFrames:
    """The frames of some patients of a store, for the queue.

    Attributes:
        store: The store.
        patients: Their pseudonyms.
    """

    store: Frames
    patients: tuple[str, ...]

    @property
    def geometry(self) -> Geometry:
        """How the frames were made."""
        return self.store.geometry

    @property
    def clips(self) -> pa.Table:
        """The rows of their clips."""
        return self._of_patients(self.store.clips)

    @property
    def frames(self) -> pa.Table:
        """The rows of their frames."""
        return self._of_patients(self.store.frames)

    @property
    def text_review(self) -> TextReview:
        """Which clips may be shown."""
        return self.store.text_review

    def read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return the pixels of rows."""
        return self.store.read(rows)

    def _of_patients(self, table: pa.Table) -> pa.Table:
        return table.filter(pc.is_in(table["patient"], pa.array(self.patients, pa.string())))


def usable_clips(store: Frames, site: str) -> pa.Table:
    """Return the clips of a hospital that a validation takes: B-mode and colour."""
    clips = store.clips.filter(pc.equal(store.clips["site"], site))
    return clips.filter(pc.is_in(clips["mode"], pa.array(POOL_MODES, pa.string())))


def adaptation_record(settings: OnboardingSettings) -> AdaptationRecord | None:
    """Return how the model was adapted in this folder; None: it was not."""
    folder = settings.out / "adapted"
    return load_run(folder).directory.record.adaptation if (folder / "run.json").exists() else None


def scored_patients(settings: OnboardingSettings) -> tuple[str, ...]:
    """Return the patients with usable clips who did not adapt the model, in the drawn order of the queue."""
    record = adaptation_record(settings)
    adapting = set(record.patients) if record is not None else set()
    owners = set(usable_clips(h2h.open_store(settings.store), settings.site)["patient"].to_pylist())
    left = np.array(sorted(owners - adapting), object)
    order: list[str] = random_stream(settings.seed, "onboarding", settings.site).permutation(left).tolist()
    return tuple(order)


def plan(settings: OnboardingSettings) -> StepResult:
    """Compute how many patients show that no more than the margin is lost."""
    available = len(scored_patients(settings))
    registered = settings.registered_margin
    margin = registered.margin if registered else MARGIN
    models = 1 if adaptation_record(settings) is None else 2
    source_patients = _source_patients(settings)
    planned = plan_validation(
        settings.out / "plan.svg",
        margin=margin,
        pilot=settings.reference,
        source_patients=max(LEAST_SOURCE, source_patients),
        claims=2 * models - 1,
        classes=None if settings.reference else len(settings.model.classes),
        studies=settings.studies,
        seed=settings.seed,
    )
    target_patients = settings.patients or planned.needed or available
    to_label = min(target_patients, available)
    content = {"margin": margin, "needed": planned.needed, "available": available, "patients": to_label}
    write_json(settings.out / "plan.json", content)
    facts = {
        "largest acceptable loss": f"{margin:g} points, {'registered' if registered else 'by assumption'}",
        "patients needed": planned.needed or f"more than {planned.powers[-1].patients}",
        "patients in the store who may be scored": available,
        "patients to label": to_label,
        "test patients of the source": source_patients,
    }
    missing = []
    if source_patients < LEAST_SOURCE:
        missing.append(f"The source has {source_patients} test patients, so no loss against it can be shown.")
    if registered is None:
        missing.append("No margin is registered. Register it before the model is tested.")
    if settings.reference is None:
        missing.append("The accuracy at the source is assumed: name its metrics.json with --reference.")
    if planned.needed is None or planned.needed > available:
        missing.append("The store has too few patients for the plan: intervals will be wide.")
    command = 'heart2heart plan --margin 5 --register margin.json --question "..." --by "..."'
    commands = () if registered else (command,)
    return StepResult(planned.sentence, facts, tuple(missing), commands, ("plan.json", "plan.svg"), ("plan.svg",))


def _source_patients(settings: OnboardingSettings) -> int:
    """Return the number of test patients of the sources; an assumption where the split is not at hand."""
    if settings.manifest is None:
        return SOURCE_PATIENTS
    members, sites = settings.manifest.members, settings.manifest.source_sites
    rows = members.select(["site", "role", "patient"]).to_pylist()
    return len({row["patient"] for row in rows if row["role"] == SplitRole.TEST and row["site"] in sites})


def queue(settings: OnboardingSettings) -> StepResult:
    """Draw random patients, and list their clips for labeling; a larger draw contains a smaller one."""
    to_label = int(read_json(settings.out / "plan.json", what="plan")["patients"])
    store = h2h.open_store(settings.store)
    patients = scored_patients(settings)[:to_label]
    clips = usable_clips(store, settings.site)
    withheld = pa.array(sorted(store.text_review.withheld), pa.string())  # the label page shows none of them
    owners = Counter(clips.filter(pc.invert(pc.is_in(clips["clip"], withheld)))["patient"].to_pylist())
    budget = sum(min(owners[patient], settings.clips_each) for patient in patients)
    chosen = QueueSettings.parse(
        {"by": "random", "budget": budget, "per_patient": settings.clips_each, "seed": settings.seed},
        where="onboarding",
    )
    listed = build_queue(PatientFrames(store, patients), chosen, events=[], model_outputs=None, find_duplicates=None)
    write_queue(listed, chosen, settings.out / "queue.csv")
    facts = {"patients": len(patients), "clips": budget, "most clips of a patient": settings.clips_each}
    missing = ("The patients are drawn at random. Label all of them: leaving hard ones out makes the result too good.",)
    return StepResult(
        "The clips to label are listed in a drawn order.", facts, missing, outputs=("queue.csv",), files=("queue.csv",)
    )


def settings_sha256(*values: object) -> str:
    """Return one hash of values of options."""
    return sha256_json([str(value) for value in values])


def _count(table: pa.Table, site: str) -> int:
    return int(pc.sum(pc.equal(table["site"], site)).as_py() or 0)


def file_sha256(path: Path | None) -> str:
    """Return the hash of a file or folder that may be left out."""
    from pipelines.onboarding_journal import content_sha256

    return "" if path is None or not path.exists() else content_sha256(path)
