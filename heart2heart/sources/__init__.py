"""Public data sets into the same FrameStore as a hospital's own clips."""

from heart2heart.sources.image_set import SourceSummary, add_image_set

__all__ = ["SourceSummary", "add_image_set"]
