"""Tuning: every point of a grid over several seeds, the worse points dropped early, selected on source validation."""

from heart2heart.training.sweep.plan import SweepPlan, read_grid
from heart2heart.training.sweep.sweep import SweepResult, sweep

__all__ = ["SweepPlan", "SweepResult", "read_grid", "sweep"]
