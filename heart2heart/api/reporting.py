"""The report of an evaluation or a validation, with the decision by criteria."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.audit import audited
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    from heart2heart.schema.decision import DecisionRecord
    from heart2heart.schema.metrics import Metrics


@dataclass(frozen=True)
class Report:
    """A report on disk.

    Attributes:
        path: The HTML page; the model card and the checklists are in the same folder.
        metrics: The scores that it shows.
        table: The scores as a text table.
        decision: Whether the model may be used, by hospital; None without criteria.
    """

    path: Path
    metrics: Metrics
    table: str
    decision: DecisionRecord | None = None

    @property
    def decisions(self) -> str:
        """The decision of each hospital in lines; empty without criteria."""
        from heart2heart.reporting.decision_section import decision_lines

        return decision_lines(self.decision) if self.decision else ""

    def __repr__(self) -> str:
        """Return the name of the page and its scores in one line."""
        return f"<Report({self.path.name!r}): {self.metrics!r}>"

    def _repr_html_(self) -> str:
        """Return a link to the page and the scores, for a notebook."""
        name = escape(str(self.path))
        return f'<p>Report: <a href="{name}">{name}</a></p>{self.metrics._repr_html_()}'


@audited(AuditAction.SHOW, beside="out", reads=["predictions"], writes=["out"])
def report(
    predictions: str | Path,
    out: str | Path = "report.html",
    *,
    folds: str | Path | None = None,
    margin: str | Path | None = None,
    accept: str | Path | None = None,
    study: str | Path | None = None,
    labels: str | Path | None = None,
    replicates: int = 10_000,
    seed: int = 0,
    bca: bool = False,
) -> Report:
    """Write the cross-hospital report; every number is recomputed from the predictions.

    Args:
        predictions: `predictions.parquet` of an evaluation or a validation, or its folder.
        out: HTML file; the model card and the checklists are written beside it.
        folds: `folds.json` of several splits, to show as well.
        margin: File of the largest acceptable loss; None takes that of the evaluation, if it had one. The report says
            if it was registered after the test frames were first predicted.
        accept: Criteria (`write_criteria_template`): the report begins with the decision whether the model may be used
            at each hospital, and `decision.json` and `decision.pdf` are written beside it.
        study: Description of the study (`write_study_template`), which completes the checklists.
        labels: Label store: compare its readers with each other and with the model; None takes `readers.json` beside
            the predictions, if there is one.
        replicates: Bootstrap replicates.
        seed: Seed of the bootstrap.
        bca: BCa intervals instead of percentile intervals.

    Raises:
        EvaluationError: predictions that cannot be scored, or criteria that contradict them.
        ConfigError: criteria that are impossible or contradict each other, or an unknown key.

    Examples:
        >>> import heart2heart as h2h
        >>> h2h.report("evaluation", "report.html", replicates=200)
        <Report('report.html'): <Metrics: labels only at A, B>>
    """
    from heart2heart.api.beside_predictions import read_beside
    from heart2heart.evaluation.certificates import read_certified
    from heart2heart.evaluation.evaluate import evaluate_predictions
    from heart2heart.evaluation.hospital_decisions import make_decision
    from heart2heart.reporting.score_table import summary_table
    from heart2heart.reporting.writer import write_report
    from heart2heart.schema.criteria import read_criteria
    from heart2heart.schema.margin import read_margin
    from heart2heart.schema.metrics_files import read_folds
    from heart2heart.schema.study import read_study

    criteria = read_criteria(Path(accept)) if accept else None
    described = read_study(Path(study)) if study else None
    content = read_certified(predictions)
    several = read_folds(Path(folds)) if folds else None
    registered = read_margin(Path(margin)) if margin else None
    metrics = evaluate_predictions(content, replicates=replicates, seed=seed, bca=bca, margin=registered)
    decision = make_decision(content, metrics, criteria) if criteria else None
    readers, saliency = read_beside(content, predictions, metrics.predictions_sha256, labels)
    page = write_report(
        content, metrics, Path(out), folds=several, decision=decision, study=described, readers=readers,
        saliency=saliency,
    )  # fmt: skip
    return Report(page, metrics, summary_table(metrics), decision)
