"""Clips of three views in a plane, and foreign ones far away, for the tests of the scope."""

from __future__ import annotations

import numpy as np

from heart2heart.api.scope_clips import join_clips
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.scope import ScopeSettings
from heart2heart.scope.fit import fit_scope
from heart2heart.scope.scope_model import OTHER_VIEW, ClipFeatures, ScopeModel

CLASSES = ("PLAX", "PSAX", "A4C")
CENTRES = np.array([[9.0, 0, 0, 0], [0, 9.0, 0, 0], [0, 0, 9.0, 0]])
MODES = (ClipMode.B_MODE, ClipMode.COLOUR)


def in_scope(patients: int, seed: int, *, clips: int = 3, shift: float = 0.0, noise: float = 1.0) -> ClipFeatures:
    """Return clips of every view; `shift` is that of another hospital."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 3, patients * clips)
    features = CENTRES[truth] + generator.normal(0, noise, (len(truth), 4))
    logits = features[:, :3] + generator.normal(0, 1, (len(truth), 3))
    return ClipFeatures(logits, features + shift, np.repeat(np.arange(patients), clips), truth)


def foreign(count: int, seed: int, *, shift: float = 0.0) -> ClipFeatures:
    """Return clips that are like no view."""
    generator = np.random.default_rng(seed)
    features = np.array([0, 0, 0, 9.0]) + generator.normal(0, 1, (count, 4))
    unknown = np.full(count, -1)
    return ClipFeatures(features[:, :3], features + shift, np.arange(count), unknown)


def other_views(count: int, seed: int, *, label: int = OTHER_VIEW) -> ClipFeatures:
    """Return clips of another view, which is almost like the first one."""
    generator = np.random.default_rng(seed)
    features = np.array([7.0, 0, 0, 2.5]) + generator.normal(0, 1, (count, 4))
    return ClipFeatures(features[:, :3], features, np.arange(count), np.full(count, label))


def fitted(others: ClipFeatures | None = None, **settings: object) -> ScopeModel:
    """Return a scope that was fitted on such clips, and on some that are labeled with another view."""
    reference = in_scope(60, 2) if others is None else join_clips(in_scope(60, 2), others)
    return fit_scope(
        in_scope(40, 1), reference, classes=CLASSES, modes=MODES, weights_sha256="0" * 64,
        settings=ScopeSettings.parse(settings, where="test"),
    )  # fmt: skip
