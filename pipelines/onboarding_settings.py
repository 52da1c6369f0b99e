"""The options of `onboard_hospital`, what it loads, and the checks that come before any step."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import heart2heart as h2h
from heart2heart.api import load_run
from heart2heart.errors import ConfigError, Heart2HeartError, LeakageError, MissingInputError, UnknownNameError
from heart2heart.schema.criteria import REGISTERED, Criteria, read_criteria
from heart2heart.schema.enums import SplitRole
from heart2heart.schema.margin import RegisteredMargin, read_margin
from heart2heart.schema.study import read_study
from heart2heart.schema.views import VIEWS
from heart2heart.utils import write_text

if TYPE_CHECKING:
    from heart2heart.splits.manifest import SplitManifest
    from heart2heart.training.run import Run

MARGIN = 5.0
"""Largest loss of the plan, percentage points, where no margin is registered."""


@dataclass(frozen=True)
class OnboardingSettings:
    """The options.

    Attributes:
        site: The hospital.
        run: The model.
        out: Folder for everything that is written.
        archive: Its DICOM files; None: the frames are in `filled_store`.
        filled_store: A store that holds the hospital's frames already.
        key: Key of the pseudonyms; None takes `OUT/store.key`.
        frames: Frames to keep of a clip.
        labels: Table of labels, or a label store; None takes `OUT/labels.db`.
        vocabulary: Vocabulary of the views in a table.
        skip_unknown: Skip labels of clips that are not in the store.
        task: Noun of what the classes are.
        criteria: Criteria of the decision.
        study: Description of the study.
        margin: File of the registered margin.
        reference: `metrics.json` of the model at its source, a pilot for the plan.
        split: The run's split, where it moved.
        train_stores: The stores of the split, where they moved.
        patients: Patients to label; None takes the number of the plan.
        clips_each: Most clips of a patient to label.
        studies: Simulated studies of the plan, for each number of patients.
        replicates: Bootstrap replicates.
        seed: Root seed.
        workers: Processes of the ingest.
    """

    site: str
    run: Path
    out: Path
    archive: Path | None = None
    filled_store: Path | None = None
    key: Path | None = None
    frames: str = "all"
    labels: Path | None = None
    vocabulary: str = "heart2heart"
    skip_unknown: bool = False
    task: str = "view"
    criteria: Path | None = None
    study: Path | None = None
    margin: Path | None = None
    reference: Path | None = None
    split: Path | None = None
    train_stores: tuple[Path, ...] = ()
    patients: int | None = None
    clips_each: int = 8
    studies: int = 1000
    replicates: int = 10_000
    seed: int = 0
    workers: int = 2

    @property
    def store(self) -> Path:
        """The store with the hospital's frames."""
        return self.filled_store or self.out / "store"

    @property
    def store_key(self) -> Path:
        """The key of its pseudonyms."""
        return self.key or self.store.with_name(f"{self.store.name}.key")

    @cached_property
    def model(self) -> Run:
        """The model."""
        return load_run(self.run)

    @cached_property
    def manifest(self) -> SplitManifest | None:
        """The split that the model was trained with; None: not at hand."""
        if self.split is not None:
            return h2h.load_split(self.split)
        try:
            return self.model.load_split()
        except Heart2HeartError:  # it may have moved
            return None

    @cached_property
    def registered_margin(self) -> RegisteredMargin | None:
        """The margin; None: not registered."""
        return read_margin(self.margin) if self.margin else None

    @property
    def own_classes(self) -> bool:
        """Whether the classes are no views, so that labels come as a table of clip and class."""
        return not set(self.model.classes) <= set(VIEWS)

    @property
    def registered_criteria(self) -> Path:
        """The copy of the criteria that decides."""
        return self.out / "criteria.yaml"


def check_settings(settings: OnboardingSettings) -> None:
    """Check what can be checked before the first step.

    Raises:
        ConfigError: both or none of archive and store, a folder inside the archive, or criteria that contradict
            each other or the other options.
        MissingInputError: a named file or folder is missing.
        LeakageError: the hospital trained the model.
    """
    archive, store = settings.archive, settings.filled_store
    if (archive is None) == (store is None):
        raise ConfigError("the hospital needs an archive or a store", remedy="Give --archive or --store, not both")
    if archive is not None:
        if not archive.exists():
            raise MissingInputError("no archive here", where=archive, remedy="Name the folder with the DICOM files")
        if settings.out.resolve().is_relative_to(archive.resolve()):
            raise ConfigError("the folder of the results is in the archive", where=settings.out, remedy="Name another")
    if store is not None:
        sites = h2h.open_store(store).sites
        if settings.site not in sites:
            remedy = f"There are: {', '.join(sites) or 'none'}"
            raise MissingInputError(f"no clip of hospital {settings.site!r} in the store", where=store, remedy=remedy)
    for path in (settings.labels, settings.reference):
        if path is not None and not path.exists():
            raise MissingInputError("no such file", where=path, remedy="Check the name")
    _check_hospital(settings)
    if settings.study is not None:
        read_study(settings.study)
    if settings.registered_margin is None and settings.criteria is not None:
        _check_criteria(settings, read_criteria(settings.criteria))
    elif settings.criteria is not None:
        criteria = read_criteria(settings.criteria)
        _check_criteria(settings, criteria)
        assert settings.registered_margin is not None
        limit = settings.registered_margin.margin
        if isinstance(criteria.loss, float) and criteria.loss != limit:
            what = f"a largest loss of {criteria.loss:g} points contradicts the registered margin of {limit:g} points"
            raise ConfigError(what, where=settings.criteria, remedy="Write `loss: registered`")


def _check_hospital(settings: OnboardingSettings) -> None:
    manifest, site = settings.manifest, settings.site
    if manifest is None:
        return
    members = manifest.members.select(["site", "role"]).to_pylist()
    trained = {SplitRole.TRAIN, SplitRole.VALIDATION}
    if site in manifest.source_sites or any(row["site"] == site and row["role"] in trained for row in members):
        remedy = "Score its test patients with `heart2heart evaluate`, or name a hospital without a part in training"
        raise LeakageError(f"hospital {site!r} trained this model", where=settings.run, remedy=remedy)


def _check_criteria(settings: OnboardingSettings, criteria: Criteria) -> None:
    if criteria.hospitals and settings.site not in criteria.hospitals:
        what = f"these criteria are about {', '.join(criteria.hospitals)}, not about {settings.site}"
        raise ConfigError(what, where=settings.criteria, remedy="Leave `hospitals` empty, or name this hospital")
    for name in criteria.sensitivity if isinstance(criteria.sensitivity, dict) else ():
        if name not in settings.model.classes:
            raise UnknownNameError.among("class of the model", name, list(settings.model.classes))
    if criteria.loss == REGISTERED and settings.margin is None:
        what = "`loss: registered` takes a registered margin, and there is none"
        raise ConfigError(what, where=settings.criteria, remedy="Give --margin, or write the largest loss as a number")


def keep_criteria(settings: OnboardingSettings) -> None:
    """Copy the criteria into the folder, and register the copy if nobody did; the same criteria stay as they are."""
    if settings.criteria is None:
        return
    from heart2heart.api import register_criteria

    path, criteria = settings.registered_criteria, read_criteria(settings.criteria)
    if path.is_file():
        kept = read_criteria(path)
        if kept.content_sha256() == criteria.content_sha256() and criteria.registration in (None, kept.registration):
            return
    if path.resolve() != settings.criteria.resolve():
        write_text(path, settings.criteria.read_text(encoding="utf-8"))
    if criteria.registration is None:
        register_criteria(path)
        time.sleep(1)  # times are whole seconds: a test in the same second would count as before the registration
