"""Writes HTML reports from predictions and metrics, with a model card and reporting checklists."""

from heart2heart.reporting.comparison import write_comparison
from heart2heart.reporting.score_table import summary_table
from heart2heart.reporting.writer import write_report

__all__ = [
    "summary_table",
    "write_comparison",
    "write_report",
]
