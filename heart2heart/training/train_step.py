"""One training step, the same for every algorithm.

`Trainer.step` mixes the labeled batch (Fix-A-Step), computes two losses (the algorithm), combines their gradients (the
gradient rule), and updates the weights and their average.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

import torch
from torch import Tensor, nn

from heart2heart.errors import ConfigError
from heart2heart.training.algorithms import ALGORITHMS, build_algorithm
from heart2heart.training.algorithms.base import Memory, ModelAccess, StepContext
from heart2heart.training.augment.extra import ExtraPipeline
from heart2heart.training.augmented_batch import AugmentedBatch, augment_batch
from heart2heart.training.batch_norm import synchronise_batch_norm
from heart2heart.training.config import TrainConfig
from heart2heart.training.distributed import SINGLE, ProcessGroup
from heart2heart.training.gradient_rules import build_gradient_rule
from heart2heart.training.gradient_rules.base import UnlabeledLossTerm
from heart2heart.training.gradient_rules.probe import ProbeLoss
from heart2heart.training.losses import labeled_criterion
from heart2heart.training.mixing import draw_mix, mix_labeled, soft_pseudo_labels
from heart2heart.training.model_access import COMPILE_MIN_STEPS, Forward, build_model_access
from heart2heart.training.networks.build import prepare_encoder
from heart2heart.training.optimiser import (
    Ema,
    assign_gradient,
    build_optimiser,
    flat_gradient,
    learning_rate,
    set_learning_rate,
    unlabeled_weight,
)
from heart2heart.training.pseudo_labels import DistributionAlignment

__all__ = ["AugmentedBatch", "Trainer"]


class Trainer:
    """A network with its average, optimiser, algorithm and gradient rule.

    Raises:
        ConfigError: Fix-A-Step's mixing with an algorithm that mixes itself, or alignment without pseudo-labels.
        UnknownNameError: no such algorithm or gradient rule.

    Args:
        network: The network, on its device. It has `classes` outputs, then the algorithm's extra outputs.
        config: The configuration of the run.
        classes: Number of classes.
        pool_size: Number of frames in the unlabeled pool.
        weights: Class weights `(classes,)`, or None.
        label_shares: Share of each class among the labels `(classes,)`, for distribution alignment; None means equal.
        generator: Random stream of the mixing and of the algorithm, on the network's device.
        group: The processes that train together.

    Attributes:
        algorithm: Computes the two losses.
        rule: Combines the two gradients.
        ema: The moving average of the weights, which is validated, selected and shipped.
        extra: The researcher's own augmentation pipeline, or None.
        memory: Tensors that the algorithm keeps from step to step.
        rule_memory: Tensors that the gradient rule keeps from step to step.
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
        loss, mixing = config.loss, config.fix_a_step.mixing or self.algorithm.mixes_labeled
        self.criterion = labeled_criterion(
            weights, loss.scale, mixing=mixing, smoothing=loss.label_smoothing, group=group
        )
        compiled = config.compile == "on" or (config.compile == "auto" and config.steps >= COMPILE_MIN_STEPS)
        self._notes = ("not compiled: several processes train together",) if compiled and group.size > 1 else ()
        compiled = compiled and group.size == 1
        self.network = synchronise_batch_norm(network, group).train()
        self.model = Forward(self.network, config.precision, compiled=compiled).train()
        head = prepare_encoder(self.network, config.network)
        self.parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.device = self.parameters[0].device
        self.optimiser = build_optimiser(network, config.optimiser, head=head, encoder_lr=config.network.encoder_lr)
        self.ema = Ema(network, config.ema)
        self.ema_model = Forward(self.ema.network, config.precision, compiled=compiled).eval()
        self.extra = None if config.augmentation.extra is None else ExtraPipeline(config.augmentation.extra)
        self._stages = self.algorithm.stages(config.steps)
        self._initial = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
        self.alignment = self._build_alignment(label_shares)
        memory = self.algorithm.initial_memory(pool_size, classes, self._initial)
        memory |= self.alignment.initial_memory() if self.alignment else {}
        self.memory: Memory = {name: value.to(self.device) for name, value in memory.items()}
        memory = self.rule.initial_memory(sum(parameter.numel() for parameter in self.parameters))
        self.rule_memory: Memory = {name: value.to(self.device) for name, value in memory.items()}

    def step(self, batch: AugmentedBatch, step_index: int) -> dict[str, Tensor]:
        """Take one step.

        Args:
            batch: The augmented batch.
            step_index: Number of the step in the run, from 0.

        Returns:
            Scalars on the device, without gradient; their names are columns of `metrics.jsonl`.
        """
        # The schedules start anew at each stage; most algorithms have one stage.
        stage = self.stage_of(step_index)
        start, *later = (*self._stages[stage:], self.config.steps)
        if step_index == start:
            self.algorithm.on_stage_start(stage, self)
        stage_step, stage_steps = step_index - start, later[0] - start
        lr, weight = self.scheduled(stage_step, stage_steps)

        # Fix-A-Step's mixing replaces the labeled batch; an algorithm that mixes replaces both batches.
        context = self._step_context(batch, stage_step, stage_steps, lr, stage=stage, weight=weight)
        context = self.algorithm.prepare_batch(context)
        joint = self._is_joint(batch)
        if joint and self.algorithm.mixes_labeled:
            access = self._model_access(context.labeled, context.unlabeled, joint=True)
            context = replace(context, model_access=access)

        # The labeled loss. It has a graph of its own, unless both batches pass through the network as one (`joint`):
        # then the first backward pass keeps the shared graph.
        labeled_loss = self.algorithm.labeled_loss(context)
        labeled_gradient = self.group.mean(flat_gradient(labeled_loss.value, self.parameters, retain_graph=joint))
        metrics = {"loss_labeled": labeled_loss.value.detach(), **labeled_loss.metrics}
        gradient = labeled_gradient

        # The unlabeled loss, and the rule that combines both gradients.
        if self.config.batch_norm == "labeled":  # running statistics are those of labeled frames
            access = build_model_access(self.model, self.ema_model, self.classes, (), update_bn=False)
            context = replace(context, model_access=access)
        unlabeled_loss = self.algorithm.unlabeled_loss(context)
        if unlabeled_loss is not None:
            probe = self._probe_loss(batch, context)
            term = UnlabeledLossTerm(unlabeled_loss, self.algorithm, context, self.parameters, self.group.mean, probe)
            combined = self.rule.combine(labeled_gradient, term, weight, self.rule_memory)
            gradient = combined.gradient
            metrics |= {"loss_unlabeled": unlabeled_loss.value.detach(), "conflict_rate": combined.conflict}
            metrics |= {**unlabeled_loss.metrics, **combined.metrics}

        self._update(gradient, lr)
        for callback in context.callbacks:
            callback()
        return metrics

    def scheduled(self, step: int, steps: int) -> tuple[float, float]:
        """Return the learning rate and the weight of the unlabeled loss at `step`, from 0, in a stage of `steps`."""
        lr = learning_rate(self.config.schedule, self.config.optimiser.lr, step, steps)
        return lr, unlabeled_weight(self.config.unlabeled_weight, step)

    def _probe_loss(self, batch: AugmentedBatch, context: StepContext) -> ProbeLoss | None:
        if not batch.probe:
            return None
        frames, targets = batch.probe
        return ProbeLoss(frames, targets, self.criterion, context.model_access, context.lr, self.group.mean)

    def _update(self, gradient: Tensor, lr: float) -> None:
        assign_gradient(self.parameters, gradient)
        set_learning_rate(self.optimiser, lr)
        self.optimiser.step()
        self.ema.update()

    def augment(
        self,
        labeled: Tensor,
        targets: Tensor,
        unlabeled: Tensor,
        index: Tensor,
        generator: torch.Generator,
        probe: tuple[Tensor, ...] = (),
    ) -> AugmentedBatch:
        """Return every view that a step needs.

        Args:
            labeled: uint8 `(b, size, size)`.
            targets: `(b, classes)`.
            unlabeled: uint8 `(u, size, size)`; empty where no pool is needed.
            index: Positions of the unlabeled frames in the pool, int64 `(u,)`.
            generator: Random stream of the augmentation, on the frames' device.
            probe: Held-out labeled frames, uint8 `(b, size, size)`, and their targets; empty if there are none.
        """
        frames = (labeled, targets, unlabeled, index)
        return augment_batch(self.config, self.algorithm, *frames, generator, probe, group=self.group, extra=self.extra)

    @property
    def notes(self) -> list[str]:
        """Remarks on how the steps were computed, for `run.json`."""
        return sorted({*self._notes, *(each.note for each in (self.model, self.ema_model) if each.note)})

    @property
    def probe_share(self) -> float:
        """Share of the labeled frames that are held out of training for the gradient rule."""
        return self.rule.probe_share if self.algorithm.views else 0.0

    @property
    def needs_pool(self) -> bool:
        """Whether unlabeled frames are needed at all."""
        return bool(self.algorithm.views) or self.config.fix_a_step.mixing

    def stage_of(self, step_index: int) -> int:
        """Return the stage that a step belongs to, from 0."""
        return bisect_right(self._stages, step_index) - 1

    def averaged_weights(self) -> dict[str, Tensor]:
        """Return copies of the averaged weights and buffers by name (`TrainerHandle`)."""
        return {name: value.detach().clone() for name, value in self.ema.network.state_dict().items()}

    def reset_weights(self) -> None:
        """Restore the initial weights, and clear the optimiser's state and the average (`TrainerHandle`)."""
        self.network.load_state_dict(self._initial)
        self.ema.load_state_dict(self._initial)
        self.optimiser.state.clear()

    def weights_are_finite(self) -> bool:
        """Return whether all weights and running statistics are finite; the host waits for the device."""
        state = [value for value in self.network.state_dict().values() if value.is_floating_point()]
        return bool(torch.stack([value.isfinite().all() for value in state]).all())

    def _build_alignment(self, label_shares: Tensor | None) -> DistributionAlignment | None:
        if not self.config.alignment_batches:
            return None
        if not self.algorithm.uses_alignment:
            names = ", ".join(name for name, algorithm in ALGORITHMS.items() if algorithm.uses_alignment)
            what = f"{self.algorithm.title} has no pseudo-labels to align"
            raise ConfigError(what, where="alignment_batches", remedy=f"Leave it 0, or choose one of {names}")
        shares = torch.full((self.classes,), 1 / self.classes) if label_shares is None else label_shares
        return DistributionAlignment(shares.to(self.device), self.config.alignment_batches)

    def _is_joint(self, batch: AugmentedBatch) -> bool:
        """Return whether labeled and unlabeled frames pass through the network as one batch."""
        return self.config.batch_norm == "joint" and bool(batch.unlabeled)

    def _step_context(
        self, batch: AugmentedBatch, step: int, steps: int, lr: float, *, stage: int = 0, weight: float = 1.0
    ) -> StepContext:
        labeled, targets = self._mix(batch)
        # An algorithm that mixes never passes the unmixed frames through the network.
        joint = self._is_joint(batch) and not self.algorithm.mixes_labeled
        return StepContext(
            model_access=self._model_access(labeled, batch.unlabeled, joint=joint),
            labeled=labeled,
            targets=targets,
            unlabeled=batch.unlabeled,
            pool_index=batch.pool_index,
            criterion=self.criterion,
            step=step,
            steps=steps,
            lr=lr,
            memory=self.memory,
            generator=self.generator,
            stage=stage,
            weight=weight,
            group=self.group,
            alignment=self.alignment,
        )

    def _model_access(self, labeled: Tensor, unlabeled: tuple[Tensor, ...], *, joint: bool) -> ModelAccess:
        batches = (labeled, *unlabeled[: self.algorithm.joint_views]) if joint else ()
        return build_model_access(self.model, self.ema_model, self.classes, batches)

    def _mix(self, batch: AugmentedBatch) -> tuple[Tensor, Tensor]:
        """Return the labeled frames and targets, mixed with unlabeled frames and their pseudo-labels if configured."""
        settings = self.config.fix_a_step
        if not settings.mixing:
            return batch.labeled, batch.targets
        first, second = batch.mixing_views
        pseudo_labels = soft_pseudo_labels(self.model, first, second, settings.temperature, self.classes)
        rows = self.group.size * (len(batch.labeled) + len(first) + len(second))
        mix = draw_mix(settings.alpha, rows, self.generator)
        frames, targets = mix_labeled(batch.labeled, batch.targets, first, second, pseudo_labels, mix, self.group)
        if not settings.clean:
            return frames, targets
        return torch.cat([frames, batch.labeled]), torch.cat([targets, batch.targets])
