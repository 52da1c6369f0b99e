"""The agreement of readers stands beside the model's, or the report says that there is none."""

from __future__ import annotations

from pathlib import Path

from heart2heart.reporting.reader_sentences import describe_readers
from heart2heart.reporting.writer import write_report
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.reader_agreement import MODEL, AgreementRow, PairKind, ReaderAgreement
from heart2heart.schema.site_metrics import Estimate
from tests.reporting.page import Page


def row(site: str, first: str, second: str, share: float, n: int) -> AgreementRow:
    estimate = Estimate(value=share, low=share - 0.1, high=share + 0.05, n=n, clusters=20, few_clusters=True)
    kind = PairKind.MODEL if first == MODEL else PairKind.READERS
    return AgreementRow(site=site, kind=kind, first=first, second=second, agreement=estimate, kappa=estimate)


ROWS = (
    row("east", "one", "three", 0.8, 3), row("east", MODEL, "one", 0.1, 3), row("east", MODEL, "three", 0.2, 3),
    row("east", "one", "two", 0.9, 40), row("east", MODEL, "one", 0.85, 40), row("east", MODEL, "two", 0.75, 40),
)  # fmt: skip


def readers(rows: tuple[AgreementRow, ...]) -> ReaderAgreement:
    return ReaderAgreement(predictions_sha256="0", run="fix-0", rows=rows, reason=None if rows else "no test clip")


def test_describe_readers_takes_the_pair_with_the_most_clips() -> None:
    assert describe_readers(readers(ROWS)).replace("\xa0", " ") == (
        "east: two readers agree on 90.0 % (80.0 to 95.0) of 40 clips, the model with them on 85.0 % (75.0 to 90.0) "
        "and 75.0 % (65.0 to 80.0)"
    )
    assert describe_readers(readers(())) == "no double readings"
    assert describe_readers(None) == "not reported"


def test_write_report_shows_the_readers(predictions: Predictions, metrics: Metrics, tmp_path: Path) -> None:
    page = Page.read(write_report(predictions, metrics, tmp_path / "report.html", readers=readers(ROWS)))
    assert "model and two 40 20 75.0" in page.text
    assert page.text.count("two readers agree on 90.0 %") == 2  # second screen and section
    none = Page.read(write_report(predictions, metrics, tmp_path / "none.html", readers=readers(())))
    assert "No double readings: no test clip." in none.text
