"""What a search for text found in a clip, and whether blanking it is enough."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
MOST_BLANKED = 0.25
"""Share of the scan that may be blanked; more is more often texture than text."""


@dataclass(frozen=True)
class TextFinding:
    """Text inside the scan of one clip.

    Attributes:
        mask: bool `(height, width)`, the areas of text and what is around them; None without text.
        share: Share of the visible part that `mask` covers.
        is_unsure: Whether something outside of `mask` may be text.
    """

    mask: Mask | None = field(repr=False)
    share: float
    is_unsure: bool

    @property
    def is_found(self) -> bool:
        """Whether the clip may hold text."""
        return self.mask is not None or self.is_unsure

    @property
    def is_small(self) -> bool:
        """Whether the areas of text are at most a quarter of the visible part."""
        return self.share <= MOST_BLANKED

    @property
    def is_bounded(self) -> bool:
        """Whether blanking the areas removes all text, as far as the search can tell."""
        return self.is_small and not self.is_unsure


def unite_areas(areas: Iterable[Mask | None], inside: Mask, *, is_unsure: bool) -> TextFinding:
    """Return the finding of several searches of one clip.

    Args:
        areas: bool `(height, width)`, areas of text; None of a search that found no text.
        inside: bool `(height, width)`, the visible part.
        is_unsure: Whether something outside of the areas may be text.

    Examples:
        >>> import numpy as np
        >>> area = np.array([[True, False, False, False, False]])
        >>> finding = unite_areas([None, area], np.ones((1, 5), bool), is_unsure=False)
        >>> finding.share, finding.is_bounded
        (0.2, True)
    """
    masks = [area for area in areas if area is not None]
    if not masks:
        return TextFinding(None, 0.0, is_unsure)
    union: Mask = np.logical_or.reduce(masks)
    visible = int(np.count_nonzero(inside))
    return TextFinding(union, float(np.count_nonzero(union & inside) / max(1, visible)), is_unsure)
