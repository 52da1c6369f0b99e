"""Which steps of an onboarding are finished: a step is skipped while its inputs and outputs are as they were."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import heart2heart as h2h
from heart2heart.errors import ExistsError, Heart2HeartError
from heart2heart.reporting.onboarding_page import write_onboarding_page
from heart2heart.schema.onboarding import OnboardingRecord, StepFact, StepName, StepRecord, StepState, read_onboarding
from heart2heart.utils import sha256_file, sha256_json, write_json

RECORD = "onboarding.json"
PAGE = "onboarding.html"


@dataclass(frozen=True)
class StepResult:
    """What a step did.

    Attributes:
        summary: See `schema.onboarding.StepRecord`, as for all that follow.
        facts: By name its value.
        missing: What is missing.
        next_commands: What a person does next.
        outputs: Files and folders in the folder.
        files: Those to read.
        state: What became of it.
    """

    summary: str
    facts: Mapping[str, str | int]
    missing: tuple[str, ...] = ()
    next_commands: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    state: StepState = StepState.DONE


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: Which.
        inputs: Returns the hash of each input.
        work: Does it.
        cleared: Files and folders in the folder that are removed before it is done.
    """

    name: StepName
    inputs: Callable[[], dict[str, str]]
    work: Callable[[], StepResult]
    cleared: tuple[str, ...] = ()


class Journal:
    """The record of a folder.

    Args:
        folder: The folder.
        site: The hospital.
        model: Name of the model.

    Raises:
        ExistsError: the folder belongs to another hospital.
    """

    def __init__(self, folder: Path, site: str, model: str) -> None:
        self.folder = folder
        self.record = OnboardingRecord(site=site, model=model, code_version=h2h.__version__)
        if (folder / RECORD).exists():
            kept = read_onboarding(folder / RECORD)
            if kept.site != site:
                what = f"this folder holds the onboarding of hospital {kept.site!r}"
                raise ExistsError(what, where=folder, remedy="Name another folder with --out")
            self.record = kept.model_copy(update={"model": model, "code_version": h2h.__version__})

    def save(self, record: OnboardingRecord) -> None:
        """Write a record in the place of the present one, and the page."""
        self.record = record
        write_json(self.folder / RECORD, record.model_dump(mode="json"))
        write_onboarding_page(record, self.folder / PAGE)

    def outputs(self, name: StepName) -> str:
        """Return one hash of all outputs of a step; empty for a step without a record."""
        step = self.record.find(name)
        return "" if step is None else sha256_json([step.state, step.outputs])

    def begin_validation(self) -> None:
        """Record when the first validation begins."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self.save(self.record.model_copy(update={"first_validated": self.record.first_validated or now}))

    def count_validation(self) -> int:
        """Record a validation that ended, and return their number."""
        self.save(self.record.model_copy(update={"validations": self.record.validations + 1}))
        return self.record.validations

    def run(self, step: Step) -> tuple[StepRecord, bool]:
        """Do a step, or find it done.

        Returns:
            Its record, and whether it was found.

        Raises:
            Heart2HeartError: the step failed; the record says so.
        """
        inputs = step.inputs()
        kept = self.record.find(step.name)
        if kept is not None and self._is_current(kept, inputs):
            return kept, True
        self.save(self.record.without_step(step.name))  # a step that is killed has no record
        for name in step.cleared:
            _remove(self.folder / name)
        begin = time.monotonic()
        try:
            result = step.work()
        except Heart2HeartError as error:
            # Not `error.where`, which may be a path of the archive.
            missing = tuple(part for part in (error.what, error.remedy) if part)
            self._add(step, StepResult("The step ended with an error.", {}, missing, state=StepState.FAILED), {}, begin)
            raise
        return self._add(step, result, inputs, begin), False

    def _add(self, step: Step, result: StepResult, inputs: dict[str, str], begin: float) -> StepRecord:
        record = StepRecord(
            name=step.name,
            state=result.state,
            summary=result.summary,
            facts=tuple(StepFact(name=name, value=str(value)) for name, value in result.facts.items()),
            missing=result.missing,
            next_commands=result.next_commands,
            files=result.files,
            inputs=inputs,
            outputs={name: content_sha256(self.folder / name) for name in result.outputs},
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - begin, 1),
        )
        self.save(self.record.with_step(record))
        return record

    def _is_current(self, kept: StepRecord, inputs: dict[str, str]) -> bool:
        if kept.state not in (StepState.DONE, StepState.NOT_POSSIBLE) or kept.inputs != inputs:
            return False
        paths = {name: self.folder / name for name in kept.outputs}
        return all(path.exists() and content_sha256(path) == kept.outputs[name] for name, path in paths.items())


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Keep a second process out of the folder.

    Raises:
        ExistsError: another process works there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            what, remedy = "another process works in this folder", "Wait until it has ended"
            raise ExistsError(what, where=folder, remedy=remedy) from error
        yield


def content_sha256(path: Path) -> str:
    """Return the hash of a file, of the clips of a store, of the events of a label store, or of a folder's files."""
    if path.is_file():
        if path.suffix == ".db":
            return sha256_json(sorted(event.identifier for event in h2h.LabelStore(path).events()))
        return sha256_file(path)
    if (path / "store.json").exists():
        return h2h.open_store(path).digest()
    files = sorted(each for each in path.rglob("*") if each.is_file())
    return sha256_json([[str(each.relative_to(path)), sha256_file(each)] for each in files])


def archive_fingerprint(folder: Path) -> str:
    """Return a hash of the names, sizes and times of all files of an archive, which may be too large to read twice."""
    files = [folder] if folder.is_file() else sorted(each for each in folder.rglob("*") if each.is_file())
    stats = [(str(each.relative_to(folder)), each.stat()) for each in files]
    return sha256_json([[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats])


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
