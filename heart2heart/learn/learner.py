"""One training step, the same for every method: augment, mix, two losses, two gradients, one direction, one update."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from heart2heart.augment import ExtraPipeline, augment
from heart2heart.errors import ConfigError
from heart2heart.learn.alignment import Alignment
from heart2heart.learn.asking import ask
from heart2heart.learn.config import TrainConfig
from heart2heart.learn.ema import Ema
from heart2heart.learn.fix_a_step import draw_mix, mix_labeled, soft_guesses
from heart2heart.learn.forward import WORTH, Forward
from heart2heart.learn.gradients import assign_gradient, flat_gradient
from heart2heart.learn.losses import labeled_criterion
from heart2heart.learn.methods import METHODS, Step, build_method
from heart2heart.learn.methods.base import Memory, Networks
from heart2heart.learn.optimiser import build_optimiser, learning_rate, unlabeled_weight
from heart2heart.learn.rules import build_rule
from heart2heart.learn.sync_norm import synchronise
from heart2heart.learn.unlabeled import UnlabeledTerm
from heart2heart.learn.world import ALONE, World


@dataclass(frozen=True)
class Views:
    """One batch, augmented.

    Attributes:
        labeled: `(b, channels, size, size)`, weak.
        targets: `(b, classes)`, one-hot.
        unlabeled: The views that the method asked for, each `(u, channels, size, size)`.
        index: Places of the unlabeled frames in the pool, int64 `(u,)`.
        guessed: Two weak views of unlabeled frames for mixing, each `(at most b, channels, size, size)`, or none.
    """

    labeled: Tensor
    targets: Tensor
    unlabeled: tuple[Tensor, ...]
    index: Tensor
    guessed: tuple[Tensor, ...]


class Learner:
    """A network with its average, optimiser, method and gradient rule.

    Raises:
        ConfigError: mixing before a method that mixes itself; UnknownNameError: no such method or rule.

    Args:
        network: The network, on its device; behind the classes it has the outputs that the method asks for.
        config: The run's configuration.
        classes: Number of classes.
        pool: Frames in the unlabeled pool.
        weights: Class weights `(classes,)`, or None.
        labels: Share of each class among the labels `(classes,)`, for distribution alignment; None takes equal shares.
        generator: The stream of the mixing and of the method, on the network's device.
        world: The processes that train together.

    Attributes:
        extra: The researcher's own augmentation pipeline, or None.
        memory: What the method remembers.
        rule_memory: What the gradient rule remembers.
    """

    def __init__(
        self,
        network: nn.Module,
        config: TrainConfig,
        *,
        classes: int,
        pool: int = 0,
        weights: Tensor | None,
        labels: Tensor | None = None,
        generator: torch.Generator,
        world: World = ALONE,
    ) -> None:
        self.config, self.classes, self.generator, self.world = config, classes, generator, world
        self.method = build_method(config.method.name, config.method.params)
        if config.fix_a_step.mixing and self.method.mixes:
            remedy = "Leave mixing false; the gradient rule works with it"
            raise ConfigError(f"{self.method.title} mixes already", where="fix_a_step.mixing", remedy=remedy)
        self.rule = build_rule(config.fix_a_step.gradient)
        self.criterion = labeled_criterion(
            weights,
            config.loss.scale,
            mixing=config.fix_a_step.mixing or self.method.mixes,
            smoothing=config.loss.label_smoothing,
            world=world,
        )
        self.network = synchronise(network, world).train()
        compiled = config.compile == "on" or (config.compile == "auto" and config.steps >= WORTH)
        self._notes = () if world.size == 1 or not compiled else ("not compiled: several processes train together",)
        compiled = compiled and world.size == 1
        self.model = Forward(self.network, config.precision, compiled=compiled).train()
        self.parameters = list(network.parameters())
        self.optimiser = build_optimiser(network, config.optimiser)
        self.ema = Ema(network, config.ema)
        extra = config.augmentation.extra
        self.extra = None if extra is None else ExtraPipeline(extra)
        self.average = Forward(self.ema.network, config.precision, compiled=compiled).eval()
        self._stages = self.method.stages(config.steps)
        self._initial = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
        device = self.parameters[0].device
        self.alignment = None
        if config.alignment_batches:
            if not self.method.aligns:
                remedy = f"Leave it 0, or choose one of {', '.join(name for name in METHODS if METHODS[name].aligns)}"
                raise ConfigError(f"{self.method.title} guesses no classes", where="alignment_batches", remedy=remedy)
            shares = torch.full((classes,), 1 / classes) if labels is None else labels
            self.alignment = Alignment(shares.to(device), config.alignment_batches)
        remembered = self.method.memory(pool, classes, self._initial)
        remembered |= self.alignment.memory() if self.alignment else {}
        self.memory: Memory = {name: value.to(device) for name, value in remembered.items()}
        remembered = self.rule.memory(sum(parameter.numel() for parameter in self.parameters))
        self.rule_memory: Memory = {name: value.to(device) for name, value in remembered.items()}

    @property
    def notes(self) -> list[str]:
        """What a reader of the run should know of how its steps were computed."""
        return sorted({*self._notes, *(each.note for each in (self.model, self.average) if each.note)})

    @property
    def needs_pool(self) -> bool:
        """Whether unlabeled frames are needed at all."""
        return bool(self.method.views) or self.config.fix_a_step.mixing

    def stage(self, number: int) -> int:
        """Return the stage that a step belongs to, from 0."""
        return bisect_right(self._stages, number) - 1

    def augment(
        self, labeled: Tensor, targets: Tensor, unlabeled: Tensor, index: Tensor, generator: torch.Generator
    ) -> Views:
        """Make every view that a step needs.

        Args:
            labeled: uint8 `(b, size, size)`.
            targets: `(b, classes)`.
            unlabeled: uint8 `(u, size, size)`; empty where no pool is needed.
            index: Places of the unlabeled frames in the pool, int64 `(u,)`.
            generator: The stream of the augmentation, on the frames' device.
        """
        settings = self.config.augmentation

        def view(name: str, pixels: Tensor) -> Tensor:
            policy = settings.weak if name == "weak" else settings.strong
            total = len(pixels) * self.world.size
            rows = self.world.rows(total)
            return augment(policy, pixels, generator, driver=settings.driver, total=total, rows=rows, extra=self.extra)

        first = view("weak", labeled)
        views = tuple(view(name, unlabeled) for name in self.method.views)
        guessed: list[Tensor] = []
        if self.config.fix_a_step.mixing:
            # The method's own weak views serve as the guessed ones; what lacks is drawn for as many rows as are mixed.
            weak = [made for name, made in zip(self.method.views, views, strict=True) if name == "weak"]
            guessed = [made[: len(labeled)] for made in weak[:2]]
            guessed += [view("weak", unlabeled[: len(labeled)]) for _ in range(2 - len(guessed))]
        return Views(first, targets, views, index, tuple(guessed))

    def step(self, views: Views, number: int) -> dict[str, Tensor]:
        """Take one step.

        Args:
            views: One batch.
            number: Which step, from 0.

        Returns:
            Scalars on the device, to be read later.
        """
        stage = self.stage(number)
        start, *rest = (*self._stages[stage:], self.config.steps)
        if number == start:
            self.method.begin(stage, self)
        number, steps = number - start, rest[0] - start
        lr = learning_rate(self.config.schedule, self.config.optimiser.lr, number, steps)
        weight = unlabeled_weight(self.config.unlabeled_weight, number)
        step = self._step(views, number, steps, lr)
        step = self.method.prepare(replace(step, stage=stage, weight=weight))
        if self._joint(views) and self.method.mixes:
            step = replace(step, networks=self._networks(step.labeled, step.unlabeled, joint=True))

        # Two graphs, each walked once. Only the joint batch shares a graph, which the first walk then has to keep.
        joint = self._joint(views)
        labeled_loss = self.method.labeled_loss(step)
        labeled = self.world.mean(flat_gradient(labeled_loss.value, self.parameters, retain_graph=joint))
        metrics = {"loss_labeled": labeled_loss.value.detach(), **labeled_loss.metrics}
        direction = labeled
        if self.config.batch_norm == "labeled":
            step = replace(step, networks=ask(self.model, self.average, self.classes, (), recording=False))
        unlabeled_loss = self.method.unlabeled_loss(step)
        if unlabeled_loss is not None:
            term = UnlabeledTerm(unlabeled_loss, self.method, step, self.parameters, self.world.mean)
            decision = self.rule.decide(labeled, term, weight, self.rule_memory)
            direction = decision.direction
            metrics |= {"loss_unlabeled": unlabeled_loss.value.detach(), "conflict_rate": decision.conflict}
            metrics |= {**unlabeled_loss.metrics, **decision.metrics}
        self._update(direction, lr)
        for work in step.queue:
            work()
        return metrics

    def averaged(self) -> dict[str, Tensor]:
        """See `methods.base.Surroundings`."""
        return {name: value.detach().clone() for name, value in self.ema.network.state_dict().items()}

    def restart(self) -> None:
        """See `methods.base.Surroundings`: put the weights back to where the run began."""
        self.network.load_state_dict(self._initial)
        self.ema.load_state_dict(self._initial)
        self.optimiser.state.clear()

    def finite(self) -> bool:
        """Return whether all weights and running statistics are finite; the host waits for the answer."""
        state = [value for value in self.network.state_dict().values() if value.is_floating_point()]
        return bool(torch.stack([value.isfinite().all() for value in state]).all())

    def _joint(self, views: Views) -> bool:
        return self.config.batch_norm == "joint" and bool(views.unlabeled)

    def _step(self, views: Views, number: int, steps: int, lr: float) -> Step:
        labeled, targets = self._mix(views)
        # A method that mixes has no use for the unmixed frames in one batch.
        joint = self._joint(views) and not self.method.mixes
        return Step(
            networks=self._networks(labeled, views.unlabeled, joint=joint),
            labeled=labeled,
            targets=targets,
            unlabeled=views.unlabeled,
            index=views.index,
            criterion=self.criterion,
            number=number,
            steps=steps,
            lr=lr,
            memory=self.memory,
            generator=self.generator,
            world=self.world,
            alignment=self.alignment,
        )

    def _networks(self, labeled: Tensor, unlabeled: tuple[Tensor, ...], *, joint: bool) -> Networks:
        batches = (labeled, *unlabeled[: self.method.joint]) if joint else ()
        return ask(self.model, self.average, self.classes, batches)

    def _mix(self, views: Views) -> tuple[Tensor, Tensor]:
        settings = self.config.fix_a_step
        if not settings.mixing:
            return views.labeled, views.targets
        first, second = views.guessed
        guesses = soft_guesses(self.model, first, second, settings.temperature, self.classes)
        rows = self.world.size * (len(views.labeled) + len(first) + len(second))
        mix = draw_mix(settings.alpha, rows, self.generator)
        return mix_labeled(views.labeled, views.targets, first, second, guesses, mix, self.world)

    def _update(self, direction: Tensor, lr: float) -> None:
        assign_gradient(self.parameters, direction)
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        self.optimiser.step()
        self.ema.update()
