"""Sex and age of the patients at each hospital, from the rows of the predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.reporting.numbers import NOT_REPORTED, count
from heart2heart.schema.enums import PredictionRole
from heart2heart.schema.predictions import Predictions


@dataclass(frozen=True)
class Demographics:
    """What is known of the test patients of one hospital, in words."""

    sex: str
    age: str


def demographics(predictions: Predictions) -> dict[str, Demographics]:
    """Describe the patients with test frames, by hospital; what a file did not say is `not reported`.

    A patient counts once: by the first sex and the lowest age that the clips tell.
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
