"""The encoder of a network, which is everything but its head: frozen, or trained at a rate of its own."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from heart2heart.training.networks.build import NETWORKS
from heart2heart.training.networks.network_config import NetworkConfig
from heart2heart.training.networks.options import in_modules


def network_head(config: NetworkConfig, network: nn.Module) -> tuple[str, ...]:
    """Return the names of the modules that are a network's head.

    Args:
        config: The configuration that the network was built by.
        network: The network.
    """
    return NETWORKS[config.name].parse(config.options, where="network.options").head(network)


def prepare_encoder(network: nn.Module, config: NetworkConfig) -> tuple[str, ...]:
    """Freeze a network's encoder if the configuration says so.

    Args:
        network: The network, in training mode.
        config: The configuration that it was built by.

    Returns:
        The names of the modules that are its head; none if head and encoder are trained alike.
    """
    if config.freeze == "none" and config.encoder_lr == 1:
        return ()
    head = network_head(config, network)
    if config.freeze == "encoder":
        freeze_encoder(network, head)
        set_encoder_to_evaluation(network, head)
    return head


def freeze_encoder(network: nn.Module, head: Sequence[str]) -> None:
    """Exclude all parameters but the head's from training.

    Args:
        network: The network.
        head: Names of the modules that are its head.
    """
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(in_modules(name, head))


def set_encoder_to_evaluation(network: nn.Module, head: Sequence[str]) -> None:
    """Put the encoder into evaluation mode, so that batch normalisation and dropout no longer depend on the batch.

    Args:
        network: The network, in training mode.
        head: Names of the modules that are its head.
    """
    for name, module in network.named_modules():
        holds_head = not name or any(in_modules(part, (name,)) for part in head)
        if not holds_head and not in_modules(name, head):
            module.eval()
