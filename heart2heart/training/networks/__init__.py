"""Networks: WideResNet, and the classifiers of MONAI by name."""

from heart2heart.training.networks.build import NETWORKS, build_network
from heart2heart.training.networks.wide_resnet import WideResNet

__all__ = ["NETWORKS", "WideResNet", "build_network"]
