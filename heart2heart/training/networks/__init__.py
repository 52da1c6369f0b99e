"""Networks by name: our own, MONAI's classifiers, and plugins (entry points `heart2heart.networks`)."""

from heart2heart.training.networks.build import NETWORKS, build_network
from heart2heart.training.networks.options import ClassifierShape, NetworkOptions
from heart2heart.training.networks.wide_resnet import WideResNet

__all__ = ["NETWORKS", "ClassifierShape", "NetworkOptions", "WideResNet", "build_network"]
