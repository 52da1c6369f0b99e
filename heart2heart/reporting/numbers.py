"""Formatting of numbers: percent with one decimal, a minus sign, and non-breaking spaces."""

from __future__ import annotations

from collections.abc import Sequence

from heart2heart.schema.site_metrics import Estimate

NBSP = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
NOT_ESTIMABLE = "not estimable"
NOT_REPORTED = "not reported"


def count(value: int) -> str:
    """Write 12345 as `12 345`, with a non-breaking space."""
    return f"{value:,}".replace(",", NBSP)


def points(value: float) -> str:
    """Write a share, or a difference of shares, in percentage points.

    Examples:
        >>> points(0.1234), signed(0.1234)
        ('12.3', '+12.3')
    """
    text = f"{100 * value:.1f}"
    if float(text) == 0:
        return "0.0"
    return text.replace("-", MINUS)


def signed(value: float) -> str:
    """Write a difference with its sign: `+12.3`, or `0.0`."""
    text = points(value)
    return text if text == "0.0" or text.startswith(MINUS) else f"+{text}"


def percent(value: float | None) -> str:
    """Write a share as `71.2 %`; None as `not estimable`."""
    return NOT_ESTIMABLE if value is None else f"{points(value)}{NBSP}%"


def decimal(value: float | None, digits: int = 3) -> str:
    """Write a number that is not a share, such as a log-likelihood."""
    return NOT_ESTIMABLE if value is None else f"{value:.{digits}f}".replace("-", MINUS)


def interval(estimate: Estimate, *, sign: bool = False) -> str:
    """Write `64.0 to 78.1`, or `interval not estimable`."""
    if estimate.low is None or estimate.high is None:
        return "interval not estimable"
    write = signed if sign else points
    return f"{write(estimate.low)} to {write(estimate.high)}".replace(" ", NBSP)


def p_value(value: float | None) -> str:
    """Write a p-value with three decimals, never as zero."""
    if value is None:
        return NOT_ESTIMABLE
    return f"<{NBSP}0.001" if value < 0.001 else f"{value:.3f}"


def join_words(words: Sequence[str], *, last: str = "and") -> str:
    """Join words as in a sentence.

    Examples:
        >>> join_words(["a", "b", "c"])
        'a, b and c'
    """
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def plural(number: int, word: str) -> str:
    """Write `1 patient`, `9 patients`, `3 studies`."""
    if number == 1:
        return f"1{NBSP}{word}"
    many = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    return f"{count(number)}{NBSP}{many}"
