"""Plans a validation, and registers its margin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.errors import ConfigError

if TYPE_CHECKING:
    from heart2heart.evaluation.planning import Power, StudyDesign
    from heart2heart.schema.margin import RegisteredMargin

PATIENTS = (10, 20, 30, 60, 120, 240, 480)
"""Numbers of patients that are simulated."""

_BY_ASSUMPTION = {"accuracy": 0.85, "classes": 4, "frames": 5.0, "correlation": 0.25}


@dataclass(frozen=True)
class ValidationPlan:
    """Patients that a validation needs.

    Attributes:
        margin: Largest acceptable loss, percentage points.
        target: Target power.
        design: What the patients of the hospital are like.
        source_patients: Test patients at the source.
        confidence: Nominal coverage of each interval.
        powers: Simulated power by number of patients.
        needed: Patients at which the power is reached; None if no simulated number reaches it.
        curve: The SVG file.
    """

    margin: float
    target: float
    design: StudyDesign
    source_patients: int
    confidence: float
    powers: tuple[Power, ...]
    needed: int | None
    curve: Path

    @property
    def claim(self) -> str:
        """What is to be shown."""
        return f"no more than {self.margin:g} points lost"

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        if self.needed is None:
            best = max(power.power for power in self.powers)
            return (
                f"Not reached with {self.powers[-1].patients} patients (power {best:.2f}): the {self.source_patients} "
                "test patients of the source, or a true loss near the margin, limit it."
            )
        rarest = self.needed * min(self.design.prevalence)
        return (
            f"To show {self.claim} with a power of {self.target:g}: {self.needed} patients, of whom about "
            f"{rarest:.0f} have the rarest class."
        )


def plan_validation(
    out: str | Path,
    *,
    margin: float,
    power: float = 0.8,
    loss: float = 0.0,
    pilot: str | Path | None = None,
    site: str | None = None,
    accuracy: float | None = None,
    classes: int | None = None,
    prevalence: Sequence[float] = (),
    frames: float | None = None,
    correlation: float | None = None,
    source_patients: int = 100,
    claims: int = 1,
    patients: Sequence[int] = PATIENTS,
    studies: int = 1000,
    seed: int = 0,
) -> ValidationPlan:
    """Compute how many patients show that no more than a margin is lost at a hospital, and draw the curve.

    Studies are simulated, and judged with the interval that the report uses. Assumed values replace those of a pilot.

    Args:
        out: SVG file of the curve.
        margin: Largest acceptable loss of balanced accuracy, percentage points.
        power: Wanted share of the studies that show it.
        loss: True loss, percentage points.
        pilot: `metrics.json` of an earlier evaluation.
        site: Hospital of the pilot with such patients and such an accuracy; None takes the first source.
        accuracy: Accuracy of every class at the source; None takes that of the pilot, or 0.85.
        classes: Number of classes; None takes that of the pilot, or 4.
        prevalence: Share of the patients who have each class; empty takes that of the pilot, or 1.
        frames: Frames of a class in a patient who has it; None takes that of the pilot, or 5.
        correlation: Intra-cluster correlation; None takes that of the pilot, or 0.25.
        source_patients: Test patients at the source.
        claims: Losses and differences that the report will judge together.
        patients: Numbers of patients to simulate, at least 4 each.
        studies: Simulated studies for each number.
        seed: Root seed.

    Raises:
        ConfigError: a value that is impossible, or a true loss that is not below the margin.
        EvaluationError: the pilot has no such hospital, or no class with an interval.

    Examples:
        >>> from heart2heart.api import plan_validation
        >>> plan_validation("plan.svg", margin=10, patients=(30, 120), studies=200).needed is not None
        True
    """
    from heart2heart.evaluation.intervals import CONFIDENCE
    from heart2heart.evaluation.planning import each_confidence, patients_needed, power_at
    from heart2heart.reporting.plan_figure import power_curve
    from heart2heart.utils import check_writable, write_text

    _check(margin=margin, power=power, loss=loss, source_patients=source_patients, claims=claims, studies=studies)
    numbers = sorted(set(patients))
    if not numbers or numbers[0] < 4:
        raise ConfigError("a plan needs numbers of patients of 4 or more", where="patients")
    source = _design(pilot, site, accuracy, classes, prevalence, frames, correlation)
    if loss and min(source.accuracy) <= loss / 100:
        raise ConfigError(f"no class can lose {loss:g} points", where="loss", remedy="Give a smaller loss")
    check_writable(Path(out))
    confidence = each_confidence(claims) if claims > 1 else CONFIDENCE
    powers = tuple(
        power_at(
            number,
            source.lowered(loss / 100),
            source,
            source_patients=source_patients,
            margin=margin / 100,
            confidence=confidence,
            studies=studies,
            seed=seed,
        )
        for number in numbers
    )
    plan = ValidationPlan(
        margin=margin,
        target=power,
        design=source,
        source_patients=source_patients,
        confidence=confidence,
        powers=powers,
        needed=patients_needed(powers, power),
        curve=Path(out),
    )
    write_text(plan.curve, power_curve(powers, target=power, claim=plan.claim))
    return plan


def _check(*, margin: float, power: float, loss: float, source_patients: int, claims: int, studies: int) -> None:
    if not 0 < margin < 100:
        raise ConfigError(f"a margin of {margin:g} points is impossible", remedy="Give more than 0 and less than 100")
    if not 0 < power < 1:
        raise ConfigError(f"a power of {power:g} is impossible", remedy="Give a share between 0 and 1, such as 0.8")
    if not -100 < loss < margin:
        what = f"a true loss of {loss:g} points is not below the margin of {margin:g}"
        raise ConfigError(what, remedy="No number of patients can show it: give a smaller loss or a larger margin")
    for name, value, least in (
        ("source patients", source_patients, 4),
        ("claims", claims, 1),
        ("studies", studies, 50),
    ):
        if value < least:
            raise ConfigError(f"{value} {name} are too few", remedy=f"Give at least {least}")


def _design(
    pilot: str | Path | None,
    site: str | None,
    accuracy: float | None,
    classes: int | None,
    prevalence: Sequence[float],
    frames: float | None,
    correlation: float | None,
) -> StudyDesign:
    """Return the design of a pilot or of assumptions; a value that is given replaces it."""
    from heart2heart.evaluation.pilot import design_of
    from heart2heart.evaluation.planning import StudyDesign
    from heart2heart.schema.metrics_files import read_metrics

    if pilot is None:
        if site is not None:
            raise ConfigError("a hospital is named without a pilot", where=site, remedy="Give --pilot as well")
        number = classes or len(prevalence) or int(_BY_ASSUMPTION["classes"])
        base = StudyDesign(
            (_BY_ASSUMPTION["accuracy"],) * number,
            (1.0,) * number,
            _BY_ASSUMPTION["frames"],
            _BY_ASSUMPTION["correlation"],
        )
    else:
        metrics = read_metrics(Path(pilot))
        source = [each.site for each in metrics.sites if not each.held_out and each.frames]
        base = design_of(metrics, site or (source or [metrics.sites[0].site])[0])
        if classes is not None and classes != len(base.accuracy):
            what = f"the pilot has {len(base.accuracy)} classes, not {classes}"
            raise ConfigError(what, where="classes", remedy="Leave it out")
    return StudyDesign(
        base.accuracy if accuracy is None else (accuracy,) * len(base.accuracy),
        tuple(prevalence) or base.prevalence,
        base.frames if frames is None else frames,
        base.correlation if correlation is None else correlation,
    )


def register_margin(path: str | Path, *, margin: float, question: str, registered_by: str) -> RegisteredMargin:
    """Write the largest acceptable loss into a file with its time and hash, before test frames are predicted.

    Args:
        path: File to write; an existing one stays as it is.
        margin: Percentage points of balanced accuracy, above 0 and below 100.
        question: The question that the evaluation answers.
        registered_by: Who registers it.

    Raises:
        ConfigError: an impossible margin, or an empty text.
        ExistsError: the file exists.

    Examples:
        >>> from heart2heart.api import register_margin
        >>> question = "May the model be used at hospital B?"
        >>> register_margin("margin.json", margin=5, question=question, registered_by="AB").margin
        5.0
    """
    from heart2heart.schema.margin import register_margin

    return register_margin(Path(path), margin=margin, question=question, registered_by=registered_by)
