"""Export: a run's network as `.pt2` and ONNX, each compared with the run before it is published."""

from heart2heart.export.export import FORMATS, export_run

__all__ = ["FORMATS", "export_run"]
