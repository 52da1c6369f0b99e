"""A reason that many cells share is given once; no reason is lost."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.reporting.reasons import MOST_REPEATS, fold_reasons
from heart2heart.reporting.writer import write_report
from tests.evaluation.factory import HOSPITALS, make_predictions

FORMS = (
    '<span class="ne">not estimable<span class="ci">{}</span></span>',
    '<span class="ne">not estimable: {}</span>',
    '<span class="ci">no interval: {}</span>',
)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), max_size=90))
def test_fold_reasons_keeps_every_reason_and_repeats_none(cells: list[tuple[int, int]]) -> None:
    table = "".join(f"<td>{FORMS[form].format(f'reason number {reason}!')}</td>" for form, reason in cells)
    page = f"<p>before</p><table><tr>{table}</tr></table><p>after</p>"
    folded = fold_reasons(page)
    counts = Counter(reason for _, reason in cells)
    for reason, count in counts.items():
        assert folded.count(f"reason number {reason}!") == (count if count <= MOST_REPEATS else 1)
    assert folded.count("<td>") == len(cells)
    assert folded.count("<sup>") == sum(count + 1 for count in counts.values() if count > MOST_REPEATS)
    if all(count <= MOST_REPEATS for count in counts.values()):
        assert folded == page


def test_fold_reasons_treats_each_table_on_its_own() -> None:
    cell = f"<td>{FORMS[2].format('only one patient')}</td>"
    page = fold_reasons(f"<table>{3 * cell}</table><table>{2 * cell}</table>")
    assert page.count("only one patient") == 3
    assert "<sup>a</sup> only one patient." in page


def test_write_report_of_few_patients_repeats_no_sentence(tmp_path: Path) -> None:
    few = [dataclasses.replace(HOSPITALS[0], patients=12), dataclasses.replace(HOSPITALS[1], patients=1)]
    predictions = make_predictions(hospitals=few)
    metrics = evaluate_predictions(predictions, replicates=100)
    text = write_report(predictions, metrics, tmp_path / "report.html").read_text(encoding="utf-8")
    for table in re.findall(r"<table.*?</table>", text, flags=re.DOTALL):
        sentences = Counter(re.findall(r"(?:no interval|not estimable): ([^<]+)<", table))
        assert max(sentences.values(), default=0) <= MOST_REPEATS
    assert "only one patient" in text
