"""What evaluation refuses to score, each with its remedy."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import EvaluationError
from heart2heart.schema.enums import CheckStatus, PredictionRole
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.views import VIEWS

_REMEDY_SPLIT = "Make and certify a split with `heart2heart split`, then train and evaluate with it"


def check_predictions(predictions: Predictions) -> None:
    """Refuse predictions that cannot give an honest number.

    Raises:
        EvaluationError: no run or no certificate, a failed check, a site both source and held out, rows of an unknown
            run, site or role, an unknown view, logits that are not finite, or no test frame with a scored truth.
    """
    _check_split(predictions)
    about, table = predictions.provenance, predictions.table
    if not about.runs:
        raise EvaluationError("these predictions name no run")
    known: dict[str, set[str | None]] = {
        "run": {run.run for run in about.runs},
        "site": {info.site for info in about.sites},
        "role": set(PredictionRole),
        "truth": set(VIEWS) | set(about.classes) | {None},
    }
    for column, allowed in known.items():
        unknown = sorted(set(pc.unique(table[column]).to_pylist()) - allowed, key=str)
        if unknown:
            what = "unknown view label" if column == "truth" else f"rows of an undescribed {column}"
            allowed_words = ", ".join(sorted(word for word in allowed if word))
            raise EvaluationError(f"{what}: {', '.join(map(str, unknown))}", remedy=f"Known: {allowed_words}")
    if not np.isfinite(predictions.logits).all():
        raise EvaluationError("some logits are not finite", remedy="The training diverged; train again")
    classes = pa.array(about.classes, type=pa.string())
    scored = pc.and_(pc.equal(table["role"], PredictionRole.TEST), pc.is_in(table["truth"], value_set=classes))
    if not pc.any(scored).as_py():
        what = f"no test frame carries one of the scored views ({', '.join(about.classes)})"
        raise EvaluationError(what, remedy="Label some test frames, or take a split whose test patients are labeled")


def _check_split(predictions: Predictions) -> None:
    split = predictions.provenance.split
    where = f"split {split.name}"
    if not split.certificate_sha256 or not split.checks:
        raise EvaluationError("this split has no leakage certificate", where=where, remedy=_REMEDY_SPLIT)
    failed = [check.name for check in split.checks if check.status is CheckStatus.FAIL]
    if failed:
        what = f"the leakage certificate has checks that did not pass ({', '.join(failed)})"
        raise EvaluationError(what, where=where, remedy=_REMEDY_SPLIT)
    both = sorted(set(split.source_sites) & set(split.held_out_sites))
    if both:
        raise EvaluationError(f"sites are both source and held out: {', '.join(both)}", where=where)
    for info in predictions.provenance.sites:
        if info.held_out != (info.site in split.held_out_sites):
            raise EvaluationError("the split and the site disagree on what was held out", where=f"site {info.site}")
