"""One sentence on how well two readers agree, and the model with them: the human ceiling beside the model."""

from __future__ import annotations

from heart2heart.reporting.numbers import interval, plural, points
from heart2heart.schema.reader_agreement import AgreementRow, PairKind, ReaderAgreement
from heart2heart.schema.site_metrics import Estimate


def describe_readers(readers: ReaderAgreement | None) -> str:
    """Describe the agreement of readers and model at each hospital, for its pair with the most clips.

    Examples:
        >>> describe_readers(None)
        'not reported'
    """
    if readers is None:
        return "not reported"
    if not readers.rows:
        return "no double readings"
    texts = []
    for site in dict.fromkeys(row.site for row in readers.rows):
        rows = [row for row in readers.rows if row.site == site]
        pair = max((row for row in rows if row.kind is PairKind.READERS), key=lambda row: row.agreement.n)
        model = [row for row in rows if row.kind is PairKind.MODEL and row.second in (pair.first, pair.second)]
        texts.append(f"{site}: {_describe_pair(pair, _of_same_clips(model, pair))}")
    return "; ".join(texts)


def _of_same_clips(model: list[AgreementRow], pair: AgreementRow) -> list[AgreementRow]:
    """Return for each reader of a pair the model's row; a reader of several pairs has one row for each of them."""
    return [
        min((row for row in model if row.second == reader), key=lambda row: abs(row.agreement.n - pair.agreement.n))
        for reader in (pair.first, pair.second)
    ]


def _describe_pair(pair: AgreementRow, model: list[AgreementRow]) -> str:
    with_model = " and ".join(_write_share(row.agreement) for row in model)
    clips = plural(pair.agreement.n, "clip")
    return f"two readers agree on {_write_share(pair.agreement)} of {clips}, the model with them on {with_model}"


def _write_share(estimate: Estimate) -> str:
    if estimate.value is None:
        return "a share that is not estimable"
    return f"{points(estimate.value)} %" + (f" ({interval(estimate)})" if estimate.low is not None else "")
