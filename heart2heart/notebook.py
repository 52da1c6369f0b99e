"""What objects show in a notebook: data frames, tables and pictures as HTML.

All text is escaped. Pictures are embedded, so that a page needs no other file.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from heart2heart.errors import ConfigError
from heart2heart.utils import encode_png

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

MAX_ANIMATED_FRAMES = 48
"""Frames of one animation; a longer clip shows frames at even distances."""


def data_frame(table: pa.Table | Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Return a table as a pandas DataFrame.

    Args:
        table: An Arrow table, or one mapping a row with the same keys.

    Raises:
        ConfigError: pandas is not installed.
    """
    try:
        import pandas  # Arrow imports it too, but its error names no remedy
    except ModuleNotFoundError as error:
        remedy = "Run: pip install 'heart2heart[pandas]'"
        raise ConfigError("to_frame() needs pandas, which is not installed", remedy=remedy) from error
    return pandas.DataFrame(list(table)) if isinstance(table, Sequence) else table.to_pandas()


def html_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return an HTML table.

    Args:
        header: Column titles.
        rows: Cells, each row as long as the header; floats are shown with three digits, None as an empty cell.
    """
    head = "".join(f"<th>{escape(title)}</th>" for title in header)
    body = "".join(f"<tr>{''.join(f'<td>{escape(_cell(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(cell: object) -> str:
    if cell is None:
        return ""
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def html_card(title: str, *parts: str) -> str:
    """Return a titled block.

    Args:
        title: Plain text.
        parts: HTML of the functions of this module.
    """
    return f"<div><strong>{escape(title)}</strong>{''.join(parts)}</div>"


def html_note(text: str) -> str:
    """Return one plain sentence as HTML."""
    return f"<div><em>{escape(text)}</em></div>"


def html_strip(pictures: npt.NDArray[np.uint8], description: str) -> str:
    """Return pictures side by side as one embedded PNG.

    Args:
        pictures: uint8 `(n, height, width)`, `n` at least 1.
        description: Text for readers who do not see the picture.
    """
    return _image(encode_png(np.concatenate(list(pictures), axis=1)), description)


def html_animation(pictures: npt.NDArray[np.uint8], frame_time_ms: float, description: str) -> str:
    """Return pictures that play in a loop, as one embedded animated PNG.

    Args:
        pictures: uint8 `(n, height, width)`, `n` at least 1.
        frame_time_ms: Time between two pictures, milliseconds.
        description: Text for readers who do not see the picture.
    """
    from PIL import Image

    count = min(len(pictures), MAX_ANIMATED_FRAMES)
    chosen = pictures[np.linspace(0, len(pictures) - 1, count).round().astype(np.int64)]
    first, *others = (Image.fromarray(picture) for picture in chosen)
    duration = max(20, round(frame_time_ms * len(pictures) / count))
    buffer = io.BytesIO()
    first.save(buffer, "PNG", save_all=bool(others), append_images=others, duration=duration, loop=0)
    return _image(buffer.getvalue(), description)


def _image(png: bytes, description: str) -> str:
    source = b64encode(png).decode("ascii")
    return f'<div><img alt="{escape(description)}" src="data:image/png;base64,{source}"></div>'
