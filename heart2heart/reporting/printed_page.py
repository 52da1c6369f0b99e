"""Text that flows over printed pages of A4: wrapped by measured width, so nothing is cut; written as PDF."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heart2heart.reporting.numbers import NBSP
from heart2heart.utils import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 595.0, 842.0
"""A4, points."""
MARGIN = 42.0
"""Margin on all sides, points."""
SPACING = 1.32
"""Distance of two lines, as a multiple of the size of the font."""

INK, MUTED, LINE = "#1a2230", "#56606e", "#c9c9c2"
COLOURS = {"better": "#0b5aa2", "worse": "#9c3412", "open": "#5b4a06", "unknown": "#4b5563"}
"""Colours of verdicts, as in the report; each verdict has a mark as well."""

_FAMILY = "DejaVu Sans"  # comes with Matplotlib
_MISSING = "\N{WHITE SQUARE}"


@cache
def _font(weight: str, family: str) -> Any:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return get_font(findfont(FontProperties(family=family, weight=weight)))


@cache
def _advance(sign: str, weight: str, family: str) -> float:
    """Return the width of one sign as a multiple of the size of the font."""
    from matplotlib.ft2font import LoadFlags

    font = _font(weight, family)
    font.set_size(100, 72)
    return float(font.load_char(ord(sign), LoadFlags.NO_HINTING).linearHoriAdvance) / 65536 / 100


def measure(text: str, size: float, weight: str = "normal", family: str = _FAMILY) -> float:
    """Return the width of one line of text in points, without kerning.

    Args:
        text: The text.
        size: Size of the font, points.
        weight: `normal` or `bold`.
        family: Family of the font.

    Examples:
        >>> measure("wide", 20) == 2 * measure("wide", 10)
        True
    """
    return size * sum(_advance(sign, weight, family) for sign in text)


def printable(text: str, weight: str = "normal", family: str = _FAMILY) -> str:
    """Replace signs that the font does not have by a square, and ends of lines by spaces.

    Args:
        text: The text.
        weight: `normal` or `bold`.
        family: Family of the font.

    Examples:
        >>> printable("Universitätsklinik 大")
        'Universitätsklinik □'
    """
    known = _font(weight, family).get_charmap()
    spaced = (" " if sign.isspace() and sign != NBSP else sign for sign in text)
    return "".join(sign if ord(sign) in known else _MISSING for sign in spaced)


def wrap(text: str, width: float, size: float, weight: str = "normal", family: str = _FAMILY) -> list[str]:
    """Break a text into lines that are no wider than `width`; a word that is wider is broken as well.

    Args:
        text: The text.
        width: Width of a line, points.
        size: Size of the font, points.
        weight: `normal` or `bold`.
        family: Family of the font.

    Examples:
        >>> lines = wrap("one two three four", 60, 10)
        >>> " ".join(lines), all(measure(line, 10) <= 60 for line in lines)
        ('one two three four', True)
    """
    lines, line = [], ""
    for word in printable(text, weight, family).split(" "):
        longer = f"{line} {word}" if line else word
        if measure(longer, size, weight, family) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        line = word
        while measure(line, size, weight, family) > width and len(line) > 1:
            fitting = len(line) - 1
            while fitting > 1 and measure(line[:fitting], size, weight, family) > width:
                fitting -= 1
            lines.append(line[:fitting])
            line = line[fitting:]
    return [*lines, line]


@dataclass(frozen=True)
class Cell:
    """Text in one column of a row.

    Attributes:
        text: The text.
        left: Left end, points from the left edge.
        width: Width, points.
        size: Size of the font, points.
        weight: `normal` or `bold`.
        colour: Colour.
        family: Family of the font.
    """

    text: str
    left: float = MARGIN
    width: float = WIDTH - 2 * MARGIN
    size: float = 9.0
    weight: str = "normal"
    colour: str = INK
    family: str = _FAMILY

    @cached_property
    def lines(self) -> list[str]:
        """The text in lines."""
        return wrap(self.text, self.width, self.size, self.weight, self.family)

    @property
    def height(self) -> float:
        """Height of the lines, points."""
        return len(self.lines) * self.size * SPACING


@dataclass
class PrintedPages:
    """Pages that are filled from top to bottom.

    Attributes:
        header: Cells that begin every page after the first.
        figures: The pages.
        top: Where the next row begins, points from the top.
    """

    header: str
    figures: list[Figure] = field(default_factory=list)
    top: float = MARGIN

    def __post_init__(self) -> None:
        """Begin the first page."""
        self._begin()

    def _begin(self) -> None:
        from matplotlib.figure import Figure

        self.figures.append(Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=72))
        self.top = MARGIN
        if len(self.figures) > 1:
            self.add(Cell(self.header, size=8.0, colour=MUTED))
            self.space(8)

    def space(self, height: float) -> None:
        """Leave a gap of `height` points."""
        self.top += height

    def keep_together(self, height: float) -> None:
        """Begin a page if less than `height` points are left on this one."""
        if self.top + height > HEIGHT - MARGIN - 16 and self.top > MARGIN + 40:
            self._begin()

    def add(self, *columns: Cell | tuple[Cell, ...]) -> None:
        """Add one row; each column is a cell or several cells below each other. A row is not broken over pages.

        Args:
            columns: Columns of the row.
        """
        stacks = [column if isinstance(column, tuple) else (column,) for column in columns]
        height = max(sum(cell.height for cell in stack) for stack in stacks)
        self.keep_together(height)
        for stack in stacks:
            top = self.top
            for cell in stack:
                for line in cell.lines:
                    self.figures[-1].text(
                        cell.left / WIDTH,
                        1 - (top + cell.size) / HEIGHT,
                        line,
                        fontsize=cell.size,
                        fontweight=cell.weight,
                        family=cell.family,
                        color=cell.colour,
                        va="baseline",
                        parse_math=False,
                    )
                    top += cell.size * SPACING
        self.top += height

    def rule(self, colour: str = LINE) -> None:
        """Draw a line over the width of the page.

        Args:
            colour: Colour.
        """
        from matplotlib.lines import Line2D

        y = 1 - self.top / HEIGHT
        figure = self.figures[-1]
        figure.add_artist(
            Line2D(
                [MARGIN / WIDTH, 1 - MARGIN / WIDTH], [y, y], color=colour, linewidth=0.7, transform=figure.transFigure
            )
        )
        self.top += 5

    def write(self, path: Path, *, title: str, footer: str) -> None:
        """Write all pages as one PDF; equal pages give equal bytes.

        Args:
            path: File to write.
            title: Title in the metadata.
            footer: Text below each page, before its number.
        """
        from matplotlib import rc_context
        from matplotlib.backends.backend_pdf import PdfPages

        buffer = io.BytesIO()
        metadata = {"Title": title, "Creator": "heart2heart", "CreationDate": None}
        with rc_context({"pdf.fonttype": 42}), PdfPages(buffer, metadata=metadata) as pages:
            for index, figure in enumerate(self.figures, start=1):
                text = f"{footer}   Page {index} of {len(self.figures)}"
                y = (MARGIN - 18) / HEIGHT
                figure.text(MARGIN / WIDTH, y, printable(text), fontsize=7, color=MUTED, parse_math=False)
                pages.savefig(figure)
        with atomic_path(path) as temporary:
            temporary.write_bytes(buffer.getvalue())
