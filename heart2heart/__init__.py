"""heart2heart: from echo DICOM to a view classifier that can be trusted at another hospital."""

from importlib.metadata import version

__version__ = version("heart2heart")

__all__ = ["__version__"]
