"""One clip: read and repair, understand, decode, and leave its identity behind."""

from heart2heart.dicom.clip import PreparedClip, load_clip

__all__ = ["PreparedClip", "load_clip"]
