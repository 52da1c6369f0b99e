"""The decision on paper: one page for the file, with hashes, criteria and lines to sign; more pages if it is long."""

from __future__ import annotations

from pathlib import Path

from heart2heart.reporting.decision_section import DecisionRow, DecisionSection, criteria_lines, decision_section
from heart2heart.reporting.printed_page import COLOURS, INK, LINE, MARGIN, MUTED, WIDTH, Cell, PrintedPages
from heart2heart.schema.decision import DecisionRecord

_MONO = "DejaVu Sans Mono"
_INNER = WIDTH - 2 * MARGIN
_COLUMNS = {"hospital": 82.0, "decision": 286.0, "patients": 54.0, "more": 75.0}
_GAP = 2.0


def write_decision_pdf(record: DecisionRecord, path: Path, *, title: str = "") -> Path:
    """Write the decision as PDF of A4; it goes on to further pages if it does not fit on one.

    The same decision gives the same bytes. No date of printing is written: the signer writes the date.

    Args:
        record: The decision.
        path: File to write.
        title: Title of the study; empty: none.

    Returns:
        `path`.

    Examples:
        >>> from heart2heart.evaluation import evaluate_predictions
        >>> from heart2heart.schema.predictions import Predictions
        >>> predictions = Predictions.read("evaluation/predictions.parquet")
        >>> metrics = evaluate_predictions(predictions, replicates=100)
        >>> from heart2heart.evaluation.hospital_decisions import make_decision
        >>> from heart2heart.schema.criteria import Criteria
        >>> criteria = Criteria(question="May it be used?", written_by="AB", balanced_accuracy=80)
        >>> record = make_decision(predictions, metrics, criteria)
        >>> write_decision_pdf(record, Path("decision.pdf")).read_bytes()[:5]
        b'%PDF-'
    """
    section = decision_section(record)
    pages = PrintedPages(header=f"Decision on “{record.method}”, continued")
    _head(pages, record, section, title)
    _hospitals(pages, section, record.unit)
    _criteria(pages, record, section)
    _notes(pages, section)
    _signature(pages)
    footer = f"heart2heart {record.code_version}   Criteria {record.claim.sha256[:12]}"
    footer += f"   Predictions {record.predictions_sha256[:12]}"
    pages.write(path, title=f"Decision on {record.method}", footer=footer)
    return path


def _head(pages: PrintedPages, record: DecisionRecord, section: DecisionSection, title: str) -> None:
    if record.synthetic:
        text = "SYNTHETIC DATA: simulated hospitals. This page decides nothing about real patients."
        pages.add(Cell(text, weight="bold", colour=COLOURS["worse"]))
        pages.space(4)
    pages.add(Cell("Decision on the use of a model", size=18, weight="bold"))
    pages.space(2)
    pages.add(Cell(section.question, size=11))
    pages.add(Cell(section.lead, size=11, weight="bold"))
    pages.space(6)
    facts = [("Study", title)] if title else []
    facts += [("Model", record.method), ("Task", record.task)]
    for name, value in facts:
        _fact(pages, name, value)
    if record.model_sha256:
        _fact(pages, "Hash of the model", record.model_sha256, mono=True)
    else:
        for index, (name, digest) in enumerate(record.configs_sha256.items()):
            _fact(pages, "Configurations" if index == 0 else "", f"{digest} {name}", mono=True)
    _fact(pages, "Hash of the predictions", record.predictions_sha256, mono=True)
    _fact(pages, "Predictions made", record.predicted)
    pages.space(8)


def _fact(pages: PrintedPages, name: str, value: str, *, mono: bool = False) -> None:
    left = MARGIN + 118
    cell = Cell(value, left=left, width=_INNER - 118, size=8.5)
    if mono:
        cell = Cell(value, left=left, width=_INNER - 118, size=7.2, family=_MONO)
    pages.add(Cell(name, width=114, size=8.5, colour=MUTED), cell)


def _hospitals(pages: PrintedPages, section: DecisionSection, unit: str) -> None:
    pages.keep_together(90)
    _title(pages, "Decision by hospital")
    _row(pages, ["Hospital", "Decision and reason", f"Labeled {unit}s", f"More {unit}s to decide"], MUTED)
    pages.space(1)
    pages.rule()
    for row in section.rows:
        pages.keep_together(_height(row) + 12)
        decision = (
            Cell(f"{row.verdict.mark} {row.verdict.text}", weight="bold", colour=COLOURS[row.verdict.kind.value]),
            Cell(row.reason, size=8),
        )
        _row(pages, [row.site, decision, str(row.patients), row.more], INK)
        pages.space(2)
        pages.rule()
    pages.space(6)


def _height(row: DecisionRow) -> float:
    width = _COLUMNS["decision"] - 8
    return Cell(row.verdict.text, width=width, weight="bold").height + Cell(row.reason, width=width, size=8).height


def _row(pages: PrintedPages, texts: list[str | tuple[Cell, ...]], colour: str) -> None:
    columns: list[Cell | tuple[Cell, ...]] = []
    left = MARGIN
    for text, width in zip(texts, _COLUMNS.values(), strict=True):
        inner = width - 8
        if isinstance(text, tuple):
            columns.append(
                tuple(
                    Cell(cell.text, left=left, width=inner, size=cell.size, weight=cell.weight, colour=cell.colour)
                    for cell in text
                )
            )
        else:
            columns.append(Cell(text, left=left, width=inner, size=8.5, colour=colour))
        left += width + _GAP
    pages.add(*columns)


def _criteria(pages: PrintedPages, record: DecisionRecord, section: DecisionSection) -> None:
    pages.keep_together(60)
    _title(pages, "Criteria")
    for line in criteria_lines(record):
        _bullet(pages, line)
    pages.space(2)
    pages.add(Cell(f"Written by {section.written_by}. {record.claim.note()}", size=8.5))
    _fact(pages, "Hash of the criteria", section.sha256, mono=True)
    if record.claim.margin_sha256:
        _fact(pages, "Hash of the margin", record.claim.margin_sha256, mono=True)
    pages.space(8)


def _notes(pages: PrintedPages, section: DecisionSection) -> None:
    pages.keep_together(60)
    _title(pages, "Limits")
    for note in (section.interval, *section.notes[1:]):
        _bullet(pages, note)


def _bullet(pages: PrintedPages, text: str) -> None:
    pages.add(Cell("•", size=8.5), Cell(text, left=MARGIN + 10, width=_INNER - 10, size=8.5))


def _signature(pages: PrintedPages) -> None:
    pages.keep_together(44)
    pages.space(26)
    pages.rule(MUTED)
    third = _INNER / 3
    pages.add(
        *(
            Cell(name, left=MARGIN + index * third, width=third, size=8, colour=MUTED)
            for index, name in enumerate(("Decided by", "Date", "Signature"))
        )
    )


def _title(pages: PrintedPages, text: str) -> None:
    pages.add(Cell(text, size=11, weight="bold"))
    pages.space(2)
    pages.rule(LINE)
