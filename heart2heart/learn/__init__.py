"""Learning: methods, Fix-A-Step around them, and the loop that trains a run."""

from heart2heart.learn.config import TrainConfig
from heart2heart.learn.loop import train
from heart2heart.learn.run import Run

__all__ = ["Run", "TrainConfig", "train"]
