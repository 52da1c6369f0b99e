"""Writes the report as one self-contained HTML file, with a model card and reporting checklists beside it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.samples import digest
from heart2heart.evaluation.task_words import TaskWords
from heart2heart.reporting import numbers, participants
from heart2heart.reporting.decision_pdf import write_decision_pdf
from heart2heart.reporting.page import report_content
from heart2heart.reporting.reasons import fold_reasons
from heart2heart.reporting.task_template import adapt_content, adapt_template
from heart2heart.schema.decision import DecisionRecord
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.metrics_files import FoldMetrics
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.reader_agreement import ReaderAgreement
from heart2heart.schema.saliency import Saliency
from heart2heart.schema.study import Study
from heart2heart.utils import write_json, write_text

if TYPE_CHECKING:
    from markupsafe import Markup

TEMPLATES = Path(__file__).with_name("templates")


def write_report(
    predictions: Predictions,
    metrics: Metrics,
    out: Path,
    *,
    folds: FoldMetrics | None = None,
    decision: DecisionRecord | None = None,
    study: Study | None = None,
    readers: ReaderAgreement | None = None,
    saliency: Saliency | None = None,
) -> Path:
    """Write the report, its model card and the filled reporting checklists.

    The same predictions and metrics give the same bytes.

    Args:
        predictions: Predictions with their provenance.
        metrics: `evaluate_predictions(predictions)`.
        out: HTML file to write, e.g. `report.html`; `MODEL_CARD.md` and the checklists, such as `checklist_claim.md`,
            are written into the same folder, with `decision.json` and `decision.pdf` if there is a decision.
        folds: Metrics over several splits that include the split of these predictions.
        decision: `make_decision(predictions, metrics, criteria)`.
        study: Texts of the authors, which complete the checklists.
        readers: Agreement of readers and model.
        saliency: What the model looked at in the pictures of the predictions.

    Returns:
        `out`.

    Raises:
        EvaluationError: The metrics were computed from other predictions, or the folds do not contain their split.

    Examples:
        >>> from heart2heart.evaluation import evaluate_predictions
        >>> predictions = Predictions.read("evaluation/predictions.parquet")
        >>> metrics = evaluate_predictions(predictions, replicates=100)
        >>> write_report(predictions, metrics, Path("report.html")).name
        'report.html'
    """
    if digest(predictions) != metrics.predictions_sha256:
        remedy = "Run `heart2heart evaluate` again, then the report"
        raise EvaluationError("these metrics belong to other predictions", remedy=remedy)
    if folds and metrics.split_sha256 not in folds.splits.values():
        remedy = "Use the folds.json that was computed from these predictions and others"
        raise EvaluationError("these folds do not contain the split of the predictions", remedy=remedy)
    words = TaskWords.of(predictions.provenance)
    names = {*metrics.classes, *(site.site for site in metrics.sites), *(method.method for method in metrics.methods)}
    names |= {*(study.texts.values() if study else ())}
    if decision:
        names |= {decision.claim.criteria.question, decision.claim.criteria.written_by}
    if readers:
        names |= {row.second for row in readers.rows}
    content = report_content(
        predictions, metrics, folds, decision=decision, study=study, readers=readers, saliency=saliency
    )
    content = adapt_content(content, words, names)
    html = fold_reasons(render("report.html.j2", content | {"script_hash": script_hash()}, escape=True, words=words))
    card = render("model_card.md.j2", content | {"md": _markdown}, escape=False, words=words)
    written = {"MODEL_CARD.md": card}
    for checklist in content["checklists"]:
        table = render(
            "checklist.md.j2", content | {"md": _markdown, "checklist": checklist}, escape=False, words=words
        )
        written[checklist.file] = table
    write_text(out, html)
    if decision:
        write_decision(decision, out.parent, title=study.title if study else "")
    for name, text in written.items():
        write_text(out.with_name(name), text)
    return out


def render(name: str, content: dict[str, Any], *, escape: bool, words: TaskWords | None = None) -> str:
    """Render one template of the folder `templates`.

    Args:
        name: File name of the template.
        content: Content of the template, by name.
        escape: Escape texts for HTML.
        words: Words of the task; None: views.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    def load(file: str) -> str:
        source = TEMPLATES.joinpath(file).read_text(encoding="utf-8")
        return source if words is None or not file.endswith(".j2") else adapt_template(source, words)

    environment = Environment(
        loader=FunctionLoader(load),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for function in (
        numbers.count,
        numbers.points,
        numbers.percent,
        numbers.signed,
        numbers.interval,
        numbers.decimal,
        numbers.p_value,
        numbers.join_words,
        participants.readable,
        participants.dates,
        participants.join_or_not_reported,
        code,
    ):
        environment.filters[function.__name__] = function
    environment.globals["plural"] = numbers.plural
    return environment.get_template(name).render(content)


def script_hash() -> str:
    """Return the hash of the page's script, for its content security policy: nothing else may run."""
    source = TEMPLATES.joinpath("folds.js").read_bytes()
    return f"sha256-{base64.b64encode(hashlib.sha256(source).digest()).decode('ascii')}"


def code(text: str) -> Markup:
    """Escape a text for HTML, and set what is between backticks as code."""
    from markupsafe import Markup, escape

    parts = [
        f"<code>{escape(part)}</code>" if index % 2 else str(escape(part)) for index, part in enumerate(text.split("`"))
    ]
    return Markup("".join(parts))


def _markdown(value: object) -> str:
    """Put an external text on one line and escape it for Markdown and HTML."""
    text = " ".join(str(value).split())
    for sign in "\\`*_[]<>|#":
        text = text.replace(sign, "\\" + sign)
    return text


def write_decision(decision: DecisionRecord, folder: Path, *, title: str = "") -> None:
    """Write `decision.json` and the printed page, `decision.pdf`.

    Args:
        decision: The decision.
        folder: Their folder.
        title: Title of the study.
    """
    write_json(folder / "decision.json", decision.model_dump(mode="json"))
    write_decision_pdf(decision, folder / "decision.pdf", title=title)
