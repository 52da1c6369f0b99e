"""Verdicts and sentences on subgroups: a claim needs the interval that holds for all subgroups at once."""

from __future__ import annotations

from heart2heart.reporting.numbers import interval, join_words, plural
from heart2heart.reporting.participants import readable
from heart2heart.reporting.verdicts import ALONE_AMONG_SUBGROUPS, Verdict, excludes_zero
from heart2heart.schema.enums import VerdictKind
from heart2heart.schema.metrics import RunMetrics
from heart2heart.schema.site_metrics import Stratum

SUBGROUP_WORSE = Verdict(VerdictKind.WORSE, "▼", "Less accurate")


def judge_subgroup(stratum: Stratum) -> Verdict | None:
    """Return the verdict on a subgroup; None where its interval includes zero or there is none."""
    own, joint = stratum.difference, stratum.simultaneous
    if own is None or joint is None:
        return None
    if excludes_zero(joint):
        if (joint.value or 0.0) < 0:
            return SUBGROUP_WORSE
        return Verdict(VerdictKind.BETTER, "▲", "More accurate")
    if excludes_zero(own):
        return Verdict(VerdictKind.OPEN, "●", f"No difference shown: {ALONE_AMONG_SUBGROUPS}")
    return None


def describe_subgroups(run: RunMetrics) -> str:
    """Name the subgroups that are shown to be less accurate than the rest of their hospital, or say that none is."""
    if not run.subgroups or not run.subgroups.tests:
        return "No subgroup can be compared with the other frames of its hospital."
    worse = []
    for site in run.sites:
        for stratum in site.strata:
            verdict = judge_subgroup(stratum)
            if verdict and verdict.kind is VerdictKind.WORSE and stratum.simultaneous:
                level = f"{readable(stratum.factor)} {readable(stratum.level)} at {site.site}"
                worse.append(f"{level} ({interval(stratum.simultaneous, sign=True)} points)")
    tests = plural(run.subgroups.tests, "difference")
    if not worse:
        return f"Of {tests} of subgroups, none is shown: that is no proof that the subgroups are equal."
    return f"Of {tests} of subgroups, these are shown to be less accurate: {join_words(worse)}."
