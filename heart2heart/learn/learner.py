"""One training step, the same for every method: augment, mix, two losses, two gradients, one direction, one update."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from heart2heart.augment import augment
from heart2heart.learn.config import TrainConfig
from heart2heart.learn.ema import Ema
from heart2heart.learn.fix_a_step import draw_mix, mix_labeled, soft_guesses
from heart2heart.learn.forward import Forward, JointForward
from heart2heart.learn.gradients import assign_gradient, conflict, flat_gradient, get_rule
from heart2heart.learn.losses import labeled_criterion
from heart2heart.learn.methods import Loss, Step, build_method
from heart2heart.learn.optimiser import build_optimiser, learning_rate, unlabeled_weight


@dataclass(frozen=True)
class Views:
    """One batch, augmented.

    Attributes:
        labeled: `(b, channels, size, size)`, weak.
        targets: `(b, classes)`, one-hot.
        unlabeled: The views that the method asked for, each `(u, channels, size, size)`.
        guessed: Two weak views of unlabeled frames for mixing, each `(at most b, channels, size, size)`, or none.
    """

    labeled: Tensor
    targets: Tensor
    unlabeled: tuple[Tensor, ...]
    guessed: tuple[Tensor, ...]


class Learner:
    """A network with its average, optimiser, method and gradient rule.

    Args:
        network: The network, on its device.
        config: The run's configuration.
        weights: Class weights `(classes,)`, or None.
        generator: The stream of the mixing, on the network's device.
    """

    def __init__(
        self, network: nn.Module, config: TrainConfig, *, weights: Tensor | None, generator: torch.Generator
    ) -> None:
        self.config, self.generator = config, generator
        self.method = build_method(config.method.name, config.method.params)
        self.rule = get_rule(config.fix_a_step.gradient)
        self.criterion = labeled_criterion(weights, config.loss.scale, mixing=config.fix_a_step.mixing)
        self.network = network.train()
        self.model = Forward(network, config.precision).train()
        self.parameters = list(network.parameters())
        self.optimiser = build_optimiser(network, config.optimiser)
        self.ema = Ema(network, config.ema)

    @property
    def needs_pool(self) -> bool:
        """Whether unlabeled frames are needed at all."""
        return bool(self.method.views) or self.config.fix_a_step.mixing

    def augment(self, labeled: Tensor, targets: Tensor, unlabeled: Tensor, generator: torch.Generator) -> Views:
        """Make every view that a step needs.

        Args:
            labeled: uint8 `(b, size, size)`.
            targets: `(b, classes)`.
            unlabeled: uint8 `(u, size, size)`; empty where no pool is needed.
            generator: The stream of the augmentation, on the frames' device.
        """
        settings = self.config.augmentation

        def view(name: str, pixels: Tensor) -> Tensor:
            policy = settings.weak if name == "weak" else settings.strong
            return augment(policy, pixels, generator, driver=settings.driver)

        first = view("weak", labeled)
        views = tuple(view(name, unlabeled) for name in self.method.views)
        guessed: list[Tensor] = []
        if self.config.fix_a_step.mixing:
            # The method's own weak views serve as the guessed ones; what lacks is drawn for as many rows as are mixed.
            weak = [made for name, made in zip(self.method.views, views, strict=True) if name == "weak"]
            guessed = [made[: len(labeled)] for made in weak[:2]]
            guessed += [view("weak", unlabeled[: len(labeled)]) for _ in range(2 - len(guessed))]
        return Views(first, targets, views, tuple(guessed))

    def step(self, views: Views, number: int) -> dict[str, Tensor]:
        """Take one step.

        Args:
            views: One batch.
            number: Which step, from 0.

        Returns:
            Scalars on the device, to be read later.
        """
        labeled, targets = self._mix(views)
        joint = self.config.batch_norm == "joint" and bool(views.unlabeled)
        model = JointForward(self.model, (labeled, *views.unlabeled)) if joint else self.model
        step = Step(model, labeled, targets, views.unlabeled, self.criterion)

        # Two graphs, each walked once. Only the joint batch shares a graph, which the first walk then has to keep.
        labeled_loss = self.method.labeled_loss(step)
        labeled_gradient = flat_gradient(labeled_loss.value, self.parameters, retain_graph=joint)
        metrics = {"loss_labeled": labeled_loss.value.detach(), **labeled_loss.metrics}
        direction = labeled_gradient
        unlabeled_loss = self.method.unlabeled_loss(step)
        if unlabeled_loss is not None:
            unlabeled_gradient = flat_gradient(unlabeled_loss.value, self.parameters)
            weight = unlabeled_weight(self.config.unlabeled_weight, number)
            direction = self.rule(labeled_gradient, unlabeled_gradient, weight)
            metrics |= _unlabeled_metrics(unlabeled_loss, labeled_gradient, unlabeled_gradient)
        self._update(direction, number)
        return metrics

    def finite(self) -> bool:
        """Return whether all weights and running statistics are finite; the host waits for the answer."""
        state = [value for value in self.network.state_dict().values() if value.is_floating_point()]
        return bool(torch.stack([value.isfinite().all() for value in state]).all())

    def _mix(self, views: Views) -> tuple[Tensor, Tensor]:
        settings = self.config.fix_a_step
        if not settings.mixing:
            return views.labeled, views.targets
        first, second = views.guessed
        guesses = soft_guesses(self.model, first, second, settings.temperature)
        rows = len(views.labeled) + len(first) + len(second)
        mix = draw_mix(settings.alpha, rows, self.generator)
        return mix_labeled(views.labeled, views.targets, first, second, guesses, mix)

    def _update(self, direction: Tensor, number: int) -> None:
        assign_gradient(self.parameters, direction)
        lr = learning_rate(self.config.schedule, self.config.optimiser.lr, number, self.config.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        self.optimiser.step()
        self.ema.update()


def _unlabeled_metrics(loss: Loss, labeled: Tensor, unlabeled: Tensor) -> dict[str, Tensor]:
    return {
        "loss_unlabeled": loss.value.detach(),
        "conflict_rate": conflict(labeled, unlabeled).to(labeled.dtype),
        **loss.metrics,
    }
