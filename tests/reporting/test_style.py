"""Text keeps a contrast of at least 4.5 to 1 in light and in dark (WCAG 2.2, 1.4.3)."""

from __future__ import annotations

import re

import pytest

from heart2heart.reporting.svg import MARKER_SIGNS, MARKERS
from heart2heart.reporting.svg import SERIES as DRAWN
from heart2heart.reporting.writer import TEMPLATES

PAIRS = (
    *(("ink", back) for back in ("paper", "card")),
    *(("muted", back) for back in ("paper", "card")),
    *(("accent", back) for back in ("paper", "card")),
    *((kind, f"{kind}-back") for kind in ("bad", "open", "good", "none", "banner")),
)
SERIES = tuple((f"series-{index}", "card") for index in range(1, len(DRAWN) + 1))


def palette(block: int) -> dict[str, str]:
    blocks = re.findall(r":root \{(.*?)\}", (TEMPLATES / "style.css").read_text(encoding="utf-8"), flags=re.DOTALL)
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[block]))


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("block", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "back"), [*PAIRS, *SERIES])
def test_style_contrast(block: int, front: str, back: str) -> None:
    colours = palette(block)
    assert contrast(colours[front], colours[back]) >= 4.5


def test_style_distinguishes_eight_methods() -> None:
    assert all(len(set(each)) == len(each) == 8 for each in (DRAWN, MARKERS, MARKER_SIGNS))
    css = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    for index in range(1, len(DRAWN) + 1):
        assert f".s{index} {{ color: var(--series-{index}); }}" in css
    for block in (0, 1):
        colours = [palette(block)[f"series-{index}"] for index in range(1, len(DRAWN) + 1)]
        assert len(set(colours)) == len(colours)


def mixed(one: str, other: str, share: float) -> str:
    parts = [round(share * int(one[at : at + 2], 16) + (1 - share) * int(other[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{part:02x}" for part in parts)


@pytest.mark.parametrize("block", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("number", range(1, len(DRAWN) + 1))
def test_style_contrast_on_the_darkest_shading(block: int, number: int) -> None:
    css = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    most = re.findall(r"--shade: (\d+)%", css)[block]
    colours = palette(block)
    back = mixed(colours[f"series-{number}"], colours["card"], int(most) / 100)
    assert contrast(colours["ink"], back) >= 4.5
