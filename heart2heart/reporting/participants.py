"""Participants of each hospital: flow from files to scored frames, label vocabularies, sex and age."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.reporting.numbers import NOT_REPORTED, count, join_words, plural
from heart2heart.schema.enums import ClipMode, PredictionRole, SplitRole
from heart2heart.schema.metrics import SiteSummary
from heart2heart.schema.predictions import Predictions, SiteInfo
from heart2heart.schema.status import StatusCode
from heart2heart.schema.views import VOCABULARIES

_READABLE_CODES: dict[str, str] = {
    ClipMode.B_MODE: "B-mode",
    ClipMode.M_MODE: "M-mode",
    "maker": "manufacturer",
    SplitRole.TRAIN: "used for training",
    SplitRole.VALIDATION: "used to select the weights (validation)",
    SplitRole.UNLABELED: "in the unlabeled training pool",
    SplitRole.ADAPTATION: "set aside to adapt models to this hospital",
    SplitRole.EXCLUDED: "excluded from the split",
}


@dataclass(frozen=True)
class FlowStep:
    """One step of the inclusion flow.

    Attributes:
        title: What is counted.
        number: Count.
        excluded: Number excluded after this step, by reason.
        note: Patients, studies and clips at this step, if known.
    """

    title: str
    number: int
    excluded: dict[str, int]
    note: str = ""


def inclusion_flow(info: SiteInfo, scored: SiteSummary, unit: str = "patient") -> list[FlowStep]:
    """Return the inclusion flow of one hospital, from files to scored frames.

    Args:
        info: The hospital in the provenance. Without file counts, the flow begins with the frames in the store.
        scored: Counts of scored frames, clips and clusters.
        unit: Kind of cluster, such as `patient`.
    """
    steps = []
    if info.files:
        lost = {
            readable(status): number for status, number in sorted(info.files.items()) if status != StatusCode.ACCEPTED
        }
        steps.append(FlowStep("Files received", sum(info.files.values()), lost))
        steps.append(FlowStep("Files accepted", info.files.get(StatusCode.ACCEPTED, 0), {}))
    stored = ", ".join(
        plural(number, word)
        for number, word in ((info.patients, "patient"), (info.studies, "study"), (info.clips, "clip"))
    )
    other = {readable(role): number for role, number in info.roles.items() if role != SplitRole.TEST and number}
    steps.append(FlowStep("Frames in the store", info.frames, other, stored))
    outside = {f"other view ({view})": number for view, number in scored.outside.items()}
    excluded = outside | ({"without a label": scored.unlabeled} if scored.unlabeled else {})
    kept = f"{plural(scored.clusters, unit)}, {plural(scored.clips, 'clip')}"
    if scored.mixed_clips:
        kept += f"; {plural(scored.mixed_clips, 'more clip')} with frames of several views"
    steps.append(FlowStep("Test frames", scored.frames + sum(excluded.values()), excluded))
    steps.append(FlowStep("Test frames scored", scored.frames, {}, kept))
    return steps


def readable(code: str) -> str:
    """Write a status, role or mode as words.

    Examples:
        >>> readable("excluded:not_ultrasound")
        'excluded: not ultrasound'
    """
    if code in _READABLE_CODES:
        return _READABLE_CODES[code]
    kind, _, reason = code.partition(":")
    return f"{kind}: {reason.replace('_', ' ')}" if reason else kind.replace("_", " ")


def dates(info: SiteInfo) -> str:
    """Write the range of the (shifted) study dates."""
    known = [date for date in (info.date_from, info.date_to) if date]
    return " to ".join(dict.fromkeys(known)) or NOT_REPORTED


def join_or_not_reported(values: tuple[str, ...]) -> str:
    """Join names; without a name, return `not reported`."""
    return join_words(values) or NOT_REPORTED


@dataclass(frozen=True)
class LabelVocabulary:
    """One vocabulary of the labels of a hospital.

    Attributes:
        title: Name of the vocabulary.
        terms: Terms of each view; `no view` lists the terms without a view.
    """

    title: str
    terms: dict[str, str]


def label_vocabularies(info: SiteInfo) -> list[LabelVocabulary]:
    """Return every vocabulary that the label events of one hospital name."""
    return [_label_vocabulary(name) for name in info.vocabularies] or [LabelVocabulary(NOT_REPORTED, {})]


def _label_vocabulary(recorded: str) -> LabelVocabulary:
    kind, _, name = recorded.partition(":")
    if not name:
        return LabelVocabulary(f"names of the views (taxonomy {recorded})", {})
    origin = {"csv": "label file", "source": "public data set"}.get(kind, kind)
    terms: dict[str, list[str]] = {}
    for word, view in VOCABULARIES.get(name, {}).items():
        terms.setdefault(view or "no view", []).append(f"“{word}”")
    return LabelVocabulary(
        f"{origin}, vocabulary “{name}”", {view: join_words(quoted) for view, quoted in terms.items()}
    )


@dataclass(frozen=True)
class Demographics:
    """Sex and age of the test patients of one hospital, as text."""

    sex: str
    age: str


def demographics(predictions: Predictions) -> dict[str, Demographics]:
    """Describe the patients with test frames by hospital; unrecorded values are `not reported`.

    Each patient counts once, with the first sex and the lowest age of the clips.
    """
    table = predictions.table
    if "sex" not in table.column_names:
        return {info.site: Demographics(NOT_REPORTED, NOT_REPORTED) for info in predictions.provenance.sites}
    first = predictions.provenance.runs[0].run
    chosen = pc.and_(pc.equal(table["run"], first), pc.equal(table["role"], PredictionRole.TEST))
    patients = (
        table.filter(chosen).group_by(["site", "patient"]).aggregate([("sex", "min"), ("age", "min")]).sort_by("site")
    )
    return {
        info.site: _describe(patients.filter(pc.equal(patients["site"], info.site)))
        for info in predictions.provenance.sites
    }


def _describe(patients: pa.Table) -> Demographics:
    sexes = [sex for sex in patients["sex_min"].to_pylist() if sex is not None]
    ages = np.array([age for age in patients["age_min"].to_pylist() if age is not None])
    unknown = len(patients) - len(sexes)
    by_sex = [f"{name} {count(sexes.count(name))}" for name in sorted(set(sexes))]
    if sexes and unknown:
        by_sex.append(f"{NOT_REPORTED} {count(unknown)}")
    age = NOT_REPORTED
    if len(ages):
        age = f"median {np.median(ages):.0f}, {ages.min()} to {ages.max()} years"
        if len(ages) < len(patients):
            age += f" ({count(len(patients) - len(ages))} {NOT_REPORTED})"
    return Demographics(", ".join(by_sex) or NOT_REPORTED, age)
