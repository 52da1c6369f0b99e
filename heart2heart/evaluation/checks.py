"""Checks that predictions must pass before they are scored."""

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
    """Raise an error if predictions cannot give valid metrics.

    Raises:
        EvaluationError: The split has no leakage certificate, or a check of the certificate failed; there is no run;
            a site is both source and held out; a row names an unknown run, site, role or view; a logit is not finite;
            or no test frame has a true view that is scored.
    """
    _check_split(predictions)
    provenance, table = predictions.provenance, predictions.table
    if not provenance.runs:
        raise EvaluationError("these predictions contain no run", remedy="Evaluate at least one training run")
    known: dict[str, set[str | None]] = {
        "run": {run.run for run in provenance.runs},
        "site": {info.site for info in provenance.sites},
        "role": set(PredictionRole),
        "truth": set(VIEWS) | set(provenance.classes) | {None},
    }
    for column, allowed in known.items():
        unknown = sorted(set(pc.unique(table[column]).to_pylist()) - allowed, key=str)
        if unknown:
            what = "unknown view label" if column == "truth" else f"rows with an unknown {column}"
            allowed_words = ", ".join(sorted(word for word in allowed if word))
            raise EvaluationError(f"{what}: {', '.join(map(str, unknown))}", remedy=f"Known: {allowed_words}")
    if not np.isfinite(predictions.logits).all():
        raise EvaluationError("some logits are not finite", remedy="The training diverged; train again")
    classes = pa.array(provenance.classes, type=pa.string())
    scored = pc.and_(pc.equal(table["role"], PredictionRole.TEST), pc.is_in(table["truth"], value_set=classes))
    if not pc.any(scored).as_py():
        what = f"no test frame has a label of a scored view ({', '.join(provenance.classes)})"
        raise EvaluationError(what, remedy="Label test frames, or use a split with labeled test patients")


def _check_split(predictions: Predictions) -> None:
    split = predictions.provenance.split
    where = f"split {split.name}"
    if not split.certificate_sha256 or not split.checks:
        raise EvaluationError("this split has no leakage certificate", where=where, remedy=_REMEDY_SPLIT)
    failed = [check.name for check in split.checks if check.status is CheckStatus.FAIL]
    if failed:
        what = f"the leakage certificate has failed checks ({', '.join(failed)})"
        raise EvaluationError(what, where=where, remedy=_REMEDY_SPLIT)
    both = sorted(set(split.source_sites) & set(split.held_out_sites))
    if both:
        raise EvaluationError(
            f"sites are both source and held out: {', '.join(both)}", where=where, remedy=_REMEDY_SPLIT
        )
    for info in predictions.provenance.sites:
        if info.held_out != (info.site in split.held_out_sites):
            what = "the split and the predictions disagree on whether this site is held out"
            raise EvaluationError(what, where=f"site {info.site}", remedy="Evaluate the runs again with this split")
