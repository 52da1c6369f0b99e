"""The statistics of criteria from the released counts of hospitals, as far as counts give them."""

from __future__ import annotations

from collections.abc import Sequence

from heart2heart.evaluation.counted_sites import CountedHospital
from heart2heart.evaluation.criteria_statistics import CriteriaTerms, Question, Term
from heart2heart.evaluation.run_groups import RunGroup
from heart2heart.evaluation.sites import EvaluationContext
from heart2heart.schema.counts import HospitalCounts
from heart2heart.schema.decision import CriterionKind

NEEDS_ROWS = "needs rows, and the hospital released counts"


class CountedCriteria(CriteriaTerms):
    """Statistics of criteria from counts: accuracies, sensitivities and losses.

    Args:
        counts: The counts, whose runs have one order.
    """

    def __init__(self, counts: Sequence[HospitalCounts]) -> None:
        runs = tuple(range(len(counts[0].runs)))
        self._sites = {each.site: CountedHospital(each, runs, runs) for each in counts}
        self.context = EvaluationContext(counts[0].classes, (), counts[0].unit, seed=0, replicates=0)

    def site(self, method: RunGroup, name: str) -> CountedHospital | None:
        """Return a hospital where only the runs of one model count; None where every class is hidden or absent."""
        site = self._sites[name].claims_of_runs(method.runs)
        return site if site.present or site.counts.frames.rows is None else None

    def sources(self, method: RunGroup) -> list[CountedHospital]:
        """Return the hospitals that trained the model and have a class that is not hidden."""
        sites = (self._sites[name].claims_of_runs(method.runs) for name in self._sites)
        return [site for site in sites if not site.held_out and site.present]

    def term(self, question: Question, method: RunGroup, name: str) -> Term:
        """Return the contrast of one question; None where it would leave out a class that is hidden."""
        site = self._sites[name].claims_of_runs(method.runs)
        if question.kind in (CriterionKind.BALANCED_ACCURACY, CriterionKind.LOSS):
            every = [site, *self.sources(method)] if question.kind is CriterionKind.LOSS else [site]
            hidden = [each.frames.why_hidden([label]) for each in every for label in self._hidden(each)]
            if hidden:
                return Term(None, hidden[0], n=site.rows, clusters=site.clusters)
        return super().term(question, method, name)

    def _hidden(self, site: CountedHospital) -> list[int]:
        return [label for label, counts in enumerate(site.counts.frames.classes) if counts.hidden]

    def overconfidence(self, method: RunGroup, name: str) -> Term:
        """Return that calibration cannot be judged."""
        site = self._sites[name]
        return Term(None, f"calibration {NEEDS_ROWS}", n=site.rows, clusters=site.clusters)

    def ranking_of_unknown(self, method: RunGroup, name: str) -> str:
        """Return that unknown classes cannot be judged."""
        return f"the separation from unknown classes {NEEDS_ROWS}"

    def size(self, name: str) -> tuple[int, int]:
        """Return the shown frames of a hospital, and their clusters."""
        return self._sites[name].rows, self._sites[name].clusters
