"""From predictions and metrics to one HTML file that a clinician can read, and a model card."""

from heart2heart.report.comparison import write_comparison
from heart2heart.report.summary import summary_table
from heart2heart.report.writer import write_report

__all__ = ["summary_table", "write_comparison", "write_report"]
