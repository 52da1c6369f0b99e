"""Matplotlib figures as inline SVG with the colours, font and width of the page."""

from __future__ import annotations

import io
import re
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Placeholders for the colours of the page: a CSS variable replaces each of them.
INK, MUTED, LINE = "#010101", "#010102", "#010103"
SERIES = tuple(f"#0102{index:02x}" for index in range(1, 9))
MARKERS = ("s", "o", "D", "^", "v", "P", "X", "*")
MARKER_SIGNS = ("■", "●", "◆", "▲", "▼", "✚", "✖", "★")
_VARIABLES = {INK: "--ink", MUTED: "--muted", LINE: "--line"} | {
    colour: f"--series-{index}" for index, colour in enumerate(SERIES, start=1)
}
_FONT = re.compile(r"font: (?:(\d+|bold) )?([\d.]+)px [^;\"]*")
_FAMILY = re.compile(r"font-family: [^;\"]*(?:; )?")  # newer Matplotlib writes the font property by property
_IDS = re.compile(r'(\bid="|url\(#|href="#)')


def style() -> AbstractContextManager[None]:
    """Return the Matplotlib settings of every figure; with them, equal numbers give equal bytes."""
    import matplotlib as mpl

    return mpl.rc_context(
        {
            "svg.hashsalt": "heart2heart",
            "svg.fonttype": "none",
            "font.size": 12,
            "text.color": INK,
            "axes.edgecolor": LINE,
            "axes.labelcolor": MUTED,
            "axes.facecolor": "none",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.unicode_minus": True,
            "xtick.color": MUTED,
            "ytick.color": MUTED,
            "figure.facecolor": "none",
            "figure.dpi": 72,
        }
    )


def new_figure(width: float, height: float) -> Figure:
    """Make a figure of the given size in CSS pixels; draw it inside `style()`."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / 72, height / 72), dpi=72)


def to_svg(figure: Figure, name: str, description: str) -> str:
    """Write a figure as an inline SVG element.

    Args:
        figure: The figure.
        name: Unique in the page; prefixes every id.
        description: Text for screen readers.
    """
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "heart2heart", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<style type=\"text/css\">.*?</style>", "", text, flags=re.DOTALL)
    text = _FONT.sub(lambda match: f"font-size: {match[2]}px; font-weight: {match[1] or 400}", text)
    text = _FAMILY.sub("", text)
    text = _IDS.sub(lambda match: f"{match[1]}{name}-", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    width, height = figure.get_size_inches() * 72
    opening = (
        f'<svg viewBox="0 0 {width:g} {height:g}" style="max-width:{width:g}px" role="img" '
        f'aria-label="{_escape(description)}">'
    )
    return opening + text[text.index(">") + 1 :].strip()


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
