"""The structure of an HTML page, for comparison with a kept value."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path


class _Structure(HTMLParser):
    """Headings with their text, ids, and tables with their headers and number of rows, in the order of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._text: list[str] | None = None
        self._rows = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        name = dict(attrs).get("id")
        if name and not tag.startswith(("clip", "linear", "path", "use", "g")):
            self.lines.append(f"{tag} id={name}")
        if re.fullmatch(r"h[1-6]|th|caption|summary", tag):
            self._text = []
        self._rows = 0 if tag == "table" else self._rows + (tag == "tr")

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if self._text is not None and re.fullmatch(r"h[1-6]|th|caption|summary", tag):
            text = re.sub(r"\d[\d.,:]*", "#", " ".join("".join(self._text).split()))
            self.lines.append(f"{tag} {text}")
            self._text = None
        if tag == "table":
            self.lines.append(f"table rows={self._rows}")


def page_structure(path: Path) -> list[str]:
    """Return the structure of an HTML page, numbers left out."""
    parser = _Structure()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser.lines
