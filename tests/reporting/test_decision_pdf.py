"""The printed decision: nothing is cut, long names wrap, ten hospitals go on to another page, equal bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.textpath import text_to_path

from heart2heart.evaluation.hospital_decisions import make_decision
from heart2heart.reporting.decision_pdf import write_decision_pdf
from heart2heart.reporting.printed_page import HEIGHT, MARGIN, WIDTH, Cell, PrintedPages, measure, printable, wrap
from heart2heart.schema.criteria import Criteria
from heart2heart.schema.decision import DecisionRecord
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Predictions


@pytest.fixture(scope="module")
def record(predictions: Predictions, metrics: Metrics) -> DecisionRecord:
    criteria = Criteria(question="May it be used?", written_by="A. Reader", balanced_accuracy=60, sensitivity=50)
    return make_decision(predictions, metrics, criteria)


def pages(path: Path) -> int:
    return path.read_bytes().count(b"/Type /Page\n") + path.read_bytes().count(b"/Type /Page ")


def drawn(record: DecisionRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[str, float]]]:
    """Return by page the texts that are drawn, with the bottom of each; check that each lies inside the page."""
    seen: list[list[tuple[str, float]]] = []
    write = PrintedPages.write

    def write_and_measure(self: PrintedPages, path: Path, *, title: str, footer: str) -> None:
        write(self, path, title=title, footer=footer)
        for figure in self.figures:
            for text in figure.texts:
                prop = text.get_fontproperties()
                width, _, _ = text_to_path.get_text_width_height_descent(text.get_text(), prop, ismath=False)
                left, bottom = text.get_position()[0] * WIDTH, text.get_position()[1] * HEIGHT
                assert left >= MARGIN - 1
                assert left + width <= WIDTH - MARGIN + 1, text.get_text()
                assert 10 < bottom < HEIGHT - MARGIN
            seen.append([(text.get_text(), text.get_position()[1]) for text in figure.texts])

    monkeypatch.setattr(PrintedPages, "write", write_and_measure)
    write_decision_pdf(record, tmp_path / "decision.pdf", title="A study of $5 & more")
    return seen


def test_write_decision_pdf_fits_three_hospitals_on_one_page(
    record: DecisionRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (page,) = drawn(record, tmp_path, monkeypatch)
    text = " ".join(text for text, _ in page)
    for part in ("SYNTHETIC DATA", "east", "south", "west", "Signature", "Page 1 of 1", "A study of $5 & more"):
        assert part in text
    assert record.claim.sha256 in text
    assert record.predictions_sha256 in text
    assert pages(tmp_path / "decision.pdf") == 1


def test_write_decision_pdf_goes_on_with_ten_hospitals_and_long_names(
    record: DecisionRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = record.hospitals[0]
    hospitals = tuple(
        first.model_copy(update={"site": f"Universitätsklinikum-mit-langem-Namen-{index}", "reason": first.reason * 3})
        for index in range(10)
    )
    shown = drawn(record.model_copy(update={"hospitals": hospitals}), tmp_path, monkeypatch)
    assert len(shown) > 1
    text = "".join(text for page in shown for text, _ in page)
    assert all(f"Namen-{index}" in text.replace(" ", "") for index in range(10))
    assert all(f"Page {index} of {len(shown)}" in page[-1][0] for index, page in enumerate(shown, start=1))
    assert "continued" in shown[1][0][0]
    for page in shown:
        assert min(bottom for text, bottom in page[:-1]) > page[-1][1]


def test_write_decision_pdf_is_deterministic(record: DecisionRecord, tmp_path: Path) -> None:
    one, two = (write_decision_pdf(record, tmp_path / name).read_bytes() for name in ("one.pdf", "two.pdf"))
    assert one == two
    assert b"CreationDate" not in one


@settings(max_examples=60)
@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=80), st.floats(30, 300))
def test_wrap_keeps_every_sign_and_the_width(text: str, width: float) -> None:
    lines = wrap(text, width, 9)
    assert "".join(lines).replace(" ", "") == printable(text).replace(" ", "")
    assert all(measure(line, 9) <= width for line in lines if len(line) > 1)


def test_printable_and_measure_know_the_font() -> None:
    assert printable("São Paulo ✓ 大") == "São Paulo ✓ □"
    assert printable("two\nlines\N{NO-BREAK SPACE}here") == "two lines\N{NO-BREAK SPACE}here"
    assert measure("WWW", 9, "bold") > measure("iii", 9)


def test_add_begins_a_page_when_a_row_does_not_fit() -> None:
    document = PrintedPages(header="continued")
    while len(document.figures) == 1:
        document.add(Cell("one line"))
    assert document.top < MARGIN + 60
    assert document.figures[1].texts[0].get_text() == "continued"
