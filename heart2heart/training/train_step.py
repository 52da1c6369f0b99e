"""One training step, the same for every method: augment, mix, two losses, two gradients, one direction, one update."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from heart2heart.errors import ConfigError
from heart2heart.training.algorithms import ALGORITHMS, build_algorithm
from heart2heart.training.algorithms.base import Memory, ModelAccess, StepContext
from heart2heart.training.augment.drivers import augment
from heart2heart.training.augment.extra import ExtraPipeline
from heart2heart.training.batch_norm import synchronise_batch_norm
from heart2heart.training.config import TrainConfig
from heart2heart.training.distributed import SINGLE, ProcessGroup
from heart2heart.training.gradient_rules import build_gradient_rule
from heart2heart.training.gradient_rules.base import UnlabeledLossTerm
from heart2heart.training.losses import labeled_criterion
from heart2heart.training.mixing import draw_mix, mix_labeled, soft_pseudo_labels
from heart2heart.training.model_access import COMPILE_MIN_STEPS, Forward, build_model_access
from heart2heart.training.optimiser import (
    Ema,
    assign_gradient,
    build_optimiser,
    flat_gradient,
    learning_rate,
    unlabeled_weight,
)
from heart2heart.training.pseudo_labels import DistributionAlignment


@dataclass(frozen=True)
class AugmentedBatch:
    """One batch, augmented.

    Attributes:
        labeled: `(b, channels, size, size)`, weak.
        targets: `(b, classes)`, one-hot.
        unlabeled: The views that the method asked for, each `(u, channels, size, size)`.
        pool_index: Places of the unlabeled frames in the pool, int64 `(u,)`.
        mixing_views: Two weak views of unlabeled frames for mixing, each `(at most b, channels, size, size)`, or none.
    """

    labeled: Tensor
    targets: Tensor
    unlabeled: tuple[Tensor, ...]
    pool_index: Tensor
    mixing_views: tuple[Tensor, ...]


class Trainer:
    """A network with its average, optimiser, method and gradient rule.

    Raises:
        ConfigError: mixing before a method that mixes itself; UnknownNameError: no such method or rule.

    Args:
        network: The network, on its device; behind the classes it has the outputs that the method asks for.
        config: The run's configuration.
        classes: Number of classes.
        pool_size: Frames in the unlabeled pool.
        weights: Class weights `(classes,)`, or None.
        label_shares: Share of each class among the labels `(classes,)`, for distribution alignment; None takes equal shares.
        generator: The stream of the mixing and of the method, on the network's device.
        group: The processes that train together.

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
        pool_size: int = 0,
        weights: Tensor | None,
        label_shares: Tensor | None = None,
        generator: torch.Generator,
        group: ProcessGroup = SINGLE,
    ) -> None:
        self.config, self.classes, self.generator, self.group = config, classes, generator, group
        self.algorithm = build_algorithm(config.method.name, config.method.params)
        if config.fix_a_step.mixing and self.algorithm.mixes_labeled:
            remedy = "Leave mixing false; the gradient rule works with it"
            raise ConfigError(f"{self.algorithm.title} mixes already", where="fix_a_step.mixing", remedy=remedy)
        self.rule = build_gradient_rule(config.fix_a_step.gradient)
        self.criterion = labeled_criterion(
            weights,
            config.loss.scale,
            mixing=config.fix_a_step.mixing or self.algorithm.mixes_labeled,
            smoothing=config.loss.label_smoothing,
            group=group,
        )
        self.network = synchronise_batch_norm(network, group).train()
        compiled = config.compile == "on" or (config.compile == "auto" and config.steps >= COMPILE_MIN_STEPS)
        self._notes = () if group.size == 1 or not compiled else ("not compiled: several processes train together",)
        compiled = compiled and group.size == 1
        self.model = Forward(self.network, config.precision, compiled=compiled).train()
        self.parameters = list(network.parameters())
        self.optimiser = build_optimiser(network, config.optimiser)
        self.ema = Ema(network, config.ema)
        extra = config.augmentation.extra
        self.extra = None if extra is None else ExtraPipeline(extra)
        self.ema_model = Forward(self.ema.network, config.precision, compiled=compiled).eval()
        self._stages = self.algorithm.stages(config.steps)
        self._initial = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
        device = self.parameters[0].device
        self.alignment = None
        if config.alignment_batches:
            if not self.algorithm.uses_alignment:
                remedy = f"Leave it 0, or choose one of {', '.join(name for name in ALGORITHMS if ALGORITHMS[name].uses_alignment)}"
                raise ConfigError(
                    f"{self.algorithm.title} guesses no classes", where="alignment_batches", remedy=remedy
                )
            shares = torch.full((classes,), 1 / classes) if label_shares is None else label_shares
            self.alignment = DistributionAlignment(shares.to(device), config.alignment_batches)
        remembered = self.algorithm.initial_memory(pool_size, classes, self._initial)
        remembered |= self.alignment.initial_memory() if self.alignment else {}
        self.memory: Memory = {name: value.to(device) for name, value in remembered.items()}
        remembered = self.rule.initial_memory(sum(parameter.numel() for parameter in self.parameters))
        self.rule_memory: Memory = {name: value.to(device) for name, value in remembered.items()}

    @property
    def notes(self) -> list[str]:
        """What a reader of the run should know of how its steps were computed."""
        return sorted({*self._notes, *(each.note for each in (self.model, self.ema_model) if each.note)})

    @property
    def needs_pool(self) -> bool:
        """Whether unlabeled frames are needed at all."""
        return bool(self.algorithm.views) or self.config.fix_a_step.mixing

    def stage_of(self, number: int) -> int:
        """Return the stage that a step belongs to, from 0."""
        return bisect_right(self._stages, number) - 1

    def augment(
        self, labeled: Tensor, targets: Tensor, unlabeled: Tensor, index: Tensor, generator: torch.Generator
    ) -> AugmentedBatch:
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
            total = len(pixels) * self.group.size
            rows = self.group.rows(total)
            return augment(policy, pixels, generator, driver=settings.driver, total=total, rows=rows, extra=self.extra)

        first = view("weak", labeled)
        views = tuple(view(name, unlabeled) for name in self.algorithm.views)
        guessed: list[Tensor] = []
        if self.config.fix_a_step.mixing:
            # The method's own weak views serve as the guessed ones; what lacks is drawn for as many rows as are mixed.
            weak = [made for name, made in zip(self.algorithm.views, views, strict=True) if name == "weak"]
            guessed = [made[: len(labeled)] for made in weak[:2]]
            guessed += [view("weak", unlabeled[: len(labeled)]) for _ in range(2 - len(guessed))]
        return AugmentedBatch(first, targets, views, index, tuple(guessed))

    def step(self, views: AugmentedBatch, number: int) -> dict[str, Tensor]:
        """Take one step.

        Args:
            views: One batch.
            number: Which step, from 0.

        Returns:
            Scalars on the device, to be read later.
        """
        stage = self.stage_of(number)
        start, *rest = (*self._stages[stage:], self.config.steps)
        if number == start:
            self.algorithm.on_stage_start(stage, self)
        number, steps = number - start, rest[0] - start
        lr = learning_rate(self.config.schedule, self.config.optimiser.lr, number, steps)
        weight = unlabeled_weight(self.config.unlabeled_weight, number)
        step = self._step_context(views, number, steps, lr)
        step = self.algorithm.prepare_batch(replace(step, stage=stage, weight=weight))
        if self._is_joint(views) and self.algorithm.mixes_labeled:
            step = replace(step, model_access=self._model_access(step.labeled, step.unlabeled, joint=True))

        # Two graphs, each walked once. Only the joint batch shares a graph, which the first walk then has to keep.
        joint = self._is_joint(views)
        labeled_loss = self.algorithm.labeled_loss(step)
        labeled = self.group.mean(flat_gradient(labeled_loss.value, self.parameters, retain_graph=joint))
        metrics = {"loss_labeled": labeled_loss.value.detach(), **labeled_loss.metrics}
        direction = labeled
        if self.config.batch_norm == "labeled":
            step = replace(
                step, model_access=build_model_access(self.model, self.ema_model, self.classes, (), update_bn=False)
            )
        unlabeled_loss = self.algorithm.unlabeled_loss(step)
        if unlabeled_loss is not None:
            term = UnlabeledLossTerm(unlabeled_loss, self.algorithm, step, self.parameters, self.group.mean)
            decision = self.rule.combine(labeled, term, weight, self.rule_memory)
            direction = decision.gradient
            metrics |= {"loss_unlabeled": unlabeled_loss.value.detach(), "conflict_rate": decision.conflict}
            metrics |= {**unlabeled_loss.metrics, **decision.metrics}
        self._update(direction, lr)
        for work in step.callbacks:
            work()
        return metrics

    def averaged_weights(self) -> dict[str, Tensor]:
        """See `methods.base.Surroundings`."""
        return {name: value.detach().clone() for name, value in self.ema.network.state_dict().items()}

    def reset_weights(self) -> None:
        """See `methods.base.Surroundings`: put the weights back to where the run began."""
        self.network.load_state_dict(self._initial)
        self.ema.load_state_dict(self._initial)
        self.optimiser.state.clear()

    def weights_are_finite(self) -> bool:
        """Return whether all weights and running statistics are finite; the host waits for the answer."""
        state = [value for value in self.network.state_dict().values() if value.is_floating_point()]
        return bool(torch.stack([value.isfinite().all() for value in state]).all())

    def _is_joint(self, views: AugmentedBatch) -> bool:
        return self.config.batch_norm == "joint" and bool(views.unlabeled)

    def _step_context(self, views: AugmentedBatch, number: int, steps: int, lr: float) -> StepContext:
        labeled, targets = self._mix(views)
        # A method that mixes has no use for the unmixed frames in one batch.
        joint = self._is_joint(views) and not self.algorithm.mixes_labeled
        return StepContext(
            model_access=self._model_access(labeled, views.unlabeled, joint=joint),
            labeled=labeled,
            targets=targets,
            unlabeled=views.unlabeled,
            pool_index=views.pool_index,
            criterion=self.criterion,
            step=number,
            steps=steps,
            lr=lr,
            memory=self.memory,
            generator=self.generator,
            group=self.group,
            alignment=self.alignment,
        )

    def _model_access(self, labeled: Tensor, unlabeled: tuple[Tensor, ...], *, joint: bool) -> ModelAccess:
        batches = (labeled, *unlabeled[: self.algorithm.joint_views]) if joint else ()
        return build_model_access(self.model, self.ema_model, self.classes, batches)

    def _mix(self, views: AugmentedBatch) -> tuple[Tensor, Tensor]:
        settings = self.config.fix_a_step
        if not settings.mixing:
            return views.labeled, views.targets
        first, second = views.mixing_views
        guesses = soft_pseudo_labels(self.model, first, second, settings.temperature, self.classes)
        rows = self.group.size * (len(views.labeled) + len(first) + len(second))
        mix = draw_mix(settings.alpha, rows, self.generator)
        return mix_labeled(views.labeled, views.targets, first, second, guesses, mix, self.group)

    def _update(self, direction: Tensor, lr: float) -> None:
        assign_gradient(self.parameters, direction)
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        self.optimiser.step()
        self.ema.update()
