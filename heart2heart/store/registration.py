"""Correlation of two pictures after the one is laid over the other: shift, scale, aspect, turn and mirror.

The affine map is found by Gauss and Newton's method on local contrast (Lucas and Kanade, IJCAI 1981; the inverse
compositional form of Baker and Matthews, IJCV 2004), for many pairs at once, first on halved pictures.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from heart2heart.store.copy_features import SIDE, CopyFeatures

Floats = npt.NDArray[np.float32]

_STEPS = {2: 7, 1: 4}  # steps at half and at full size
_MIN_OVERLAP = 0.4  # share of the echoes of both pictures that must lie over one another
_MIN_PIXELS = 0.04  # share of a picture below which nothing is compared
_MAX_SCALE = 1.6
_WORTHWHILE = 0.5  # correlation of the halved pictures below which the pair is no copy
_TOGETHER = 512  # pairs registered at a time


def registered_correlation(left: CopyFeatures, right: CopyFeatures, mirrored: npt.NDArray[np.bool_]) -> Floats:
    """Return the correlation of the local contrast of pairs of frames after registration.

    Two starts are tried: the pictures as they are, and the centres and widths of their echoes made equal.

    Args:
        left: Features of m frames.
        right: Features of the m frames that they are compared with.
        mirrored: bool `(m,)`, whether the right frame is mirrored first.

    Returns:
        float32 `(m,)`, -1 to 1; 0 where too little overlaps.
    """
    return register(left, right, mirrored)[1]


def register(left: CopyFeatures, right: CopyFeatures, mirrored: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return the maps that lay the right frames over the left ones, and the correlations.

    Args:
        left: See `registered_correlation`, as for all that follow.
        right: Features of the other frames.
        mirrored: Whether the right frame is mirrored first.

    Returns:
        float32 `(m, 2, 3)`, from pixels of the left frame to those of the right one, y and x in units of half a side
        from the middle; and float32 `(m,)`, the correlations.
    """
    scores = np.zeros(len(left), np.float32)
    maps = _identity(len(left))
    for start in range(0, len(left), _TOGETHER):
        part = np.arange(start, min(start + _TOGETHER, len(left)))
        maps[part], scores[part] = _register(left.take(part), right.take(part), mirrored[part])
    return maps, scores


def overlay(right: npt.NDArray[np.uint8], to_right: Floats, *, mirrored: bool) -> npt.NDArray[np.uint8]:
    """Return the right frame as it lies over the left one, uint8 `(N, N)`; zeros outside.

    Args:
        right: uint8 `(N, N)`.
        to_right: float32 `(2, 3)`, a map of `register`.
        mirrored: Whether it is mirrored first.
    """
    picture = (right[:, ::-1] if mirrored else right).astype(np.float32)
    (sampled,) = _sample(to_right[None], (picture[None],))
    return np.asarray(np.clip(np.rint(sampled.reshape(right.shape)), 0, 255), np.uint8)


def _register(left: CopyFeatures, right: CopyFeatures, mirrored: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    flip = mirrored[:, None, None]
    contrast = np.where(flip, right.contrast[:, :, ::-1], right.contrast)
    content = np.where(flip, right.content[:, :, ::-1], right.content)
    box = right.box.copy()
    box[mirrored, 1] = SIDE - 1 - box[mirrored, 1]
    maps, scores = [], []
    half_left, half_right = _half(left.contrast), _half(contrast)
    half_masks = _half(left.content), _half(content)
    for start in (_identity(len(left)), _from_boxes(left.box, box)):
        found_map = _descend(start, half_left, half_right, *half_masks, _STEPS[2])
        maps.append(found_map)
        scores.append(_correlate(found_map, half_left, half_right, *half_masks))
    better = (scores[1] > scores[0])[:, None, None]
    best, result = np.where(better, maps[1], maps[0]), np.maximum(*scores)
    go = np.flatnonzero(result > _WORTHWHILE)
    pictures = left.contrast[go], contrast[go], left.content[go], content[go]
    best[go] = _descend(best[go], *pictures, _STEPS[1])
    result[go] = _correlate(best[go], *pictures)
    return best, result


def _half(pictures: Floats) -> Floats:
    n, side, _ = pictures.shape
    result: Floats = pictures.reshape(n, side // 2, 2, side // 2, 2).mean((2, 4), dtype=np.float32)
    return result


def _identity(n: int) -> Floats:
    return np.tile(np.eye(2, 3, dtype=np.float32), (n, 1, 1))


def _from_boxes(left: Floats, right: Floats) -> Floats:
    """Return the maps from left to right, in units of half a side from the middle, that make the boxes equal."""
    maps = np.zeros((len(left), 2, 3), np.float32)
    half = SIDE / 2
    for axis in (0, 1):
        scale = np.clip(right[:, 2 + axis] / left[:, 2 + axis], 1 / _MAX_SCALE, _MAX_SCALE)
        maps[:, axis, axis] = scale
        middle = half - 0.5
        maps[:, axis, 2] = ((right[:, axis] - middle) - scale * (left[:, axis] - middle)) / half
    return maps


def _coordinates(side: int) -> Floats:
    line = ((np.arange(side) + 0.5) / (side / 2) - 1).astype(np.float32)
    y, x = np.meshgrid(line, line, indexing="ij")
    return np.stack([y.ravel(), x.ravel(), np.ones(side**2, np.float32)])


def _sample(maps: Floats, pictures: tuple[Floats, ...]) -> list[Floats]:
    """Sample the right pictures linearly at the mapped pixels of the left: float32 `(n, side**2)`; 0 outside."""
    n, side, _ = pictures[0].shape
    at = (maps @ _coordinates(side) + 1) * (side / 2) + 0.5  # of a picture with a border of one pixel
    at = np.clip(at, 0, side + 0.999)
    low = at.astype(np.int32)
    part = at - low.astype(np.float32)
    wide = side + 2
    base = (np.arange(n, dtype=np.int32) * (wide * wide))[:, None] + low[:, 0] * wide + low[:, 1]
    y, x = part[:, 0], part[:, 1]
    sampled = []
    for picture in pictures:
        flat = np.pad(picture, ((0, 0), (1, 1), (1, 1))).ravel()
        flat = np.append(flat, np.zeros(wide + 2, np.float32))
        top = flat[base] * (1 - x) + flat[base + 1] * x
        bottom = flat[base + wide] * (1 - x) + flat[base + wide + 1] * x
        sampled.append((top * (1 - y) + bottom * y).astype(np.float32))
    return sampled


def _descend(
    maps: Floats, left: Floats, right: Floats, left_content: Floats, right_content: Floats, steps: int
) -> Floats:
    n, side, _ = left.shape
    slope_y, slope_x = (slope.reshape(n, side**2) / (2 / side) for slope in np.gradient(left, axis=(1, 2)))
    y, x, one = _coordinates(side)
    jacobian = np.stack([slope_y * y, slope_y * x, slope_y * one, slope_x * y, slope_x * x, slope_x * one], axis=1)
    jacobian = jacobian.astype(np.float32)
    flat, mask = left.reshape(n, side**2), left_content.reshape(n, side**2)
    ridge = np.eye(6, dtype=np.float32)
    weighted = jacobian * (mask * _sample(maps, (right_content,))[0])[:, None]
    normal = weighted @ jacobian.transpose(0, 2, 1)
    normal += ridge * (1e-3 * np.trace(normal, axis1=1, axis2=2)[:, None, None] / 6 + 1e-3)
    for _ in range(steps):
        (other,) = _sample(maps, (right,))
        gradient = weighted @ (other - flat)[:, :, None]
        change = np.clip(np.linalg.solve(normal, gradient)[:, :, 0], -0.15, 0.15).reshape(n, 2, 3)
        maps = _compose_inverse(maps, change)
    return maps


def _compose_inverse(maps: Floats, change: Floats) -> Floats:
    step = np.tile(np.eye(3, dtype=np.float32), (len(maps), 1, 1))
    step[:, :2] += change
    whole = np.tile(np.eye(3, dtype=np.float32), (len(maps), 1, 1))
    whole[:, :2] = maps
    result: Floats = (whole @ np.linalg.inv(step))[:, :2]
    result[:, :, :2] = np.clip(result[:, :, :2], -_MAX_SCALE, _MAX_SCALE)
    result[:, :, 2] = np.clip(result[:, :, 2], -1, 1)
    return result


def _correlate(maps: Floats, left: Floats, right: Floats, left_content: Floats, right_content: Floats) -> Floats:
    """Return the higher of two weighted correlations: of all pixels, and without the corners, where overlays are."""
    n, side, _ = left.shape
    other, other_mask = _sample(maps, (right, right_content))
    flat, mask = left.reshape(n, side**2), left_content.reshape(n, side**2)
    weight = mask * other_mask
    y, x, _ = np.abs(_coordinates(side))
    inner = ((y < 0.6) | (x < 0.3)).astype(np.float32)
    determinant = np.abs(maps[:, 0, 0] * maps[:, 1, 1] - maps[:, 0, 1] * maps[:, 1, 0])
    shared = np.minimum(mask.sum(1), right_content.reshape(n, side**2).sum(1) / np.maximum(determinant, 0.1))
    total = weight.sum(1)
    enough = (total > _MIN_OVERLAP * shared) & (total > _MIN_PIXELS * flat.shape[1]) & (determinant > 0.3)
    return np.where(enough, np.maximum(_weighted(flat, other, weight), _weighted(flat, other, weight * inner)), 0)


def _weighted(flat: Floats, other: Floats, weight: Floats) -> Floats:
    total = weight.sum(1)
    safe = np.maximum(total, 1e-6)[:, None]
    a = flat - (weight * flat).sum(1, keepdims=True) / safe
    b = other - (weight * other).sum(1, keepdims=True) / safe
    norm = np.sqrt((weight * a * a).sum(1) * (weight * b * b).sum(1))
    return np.where(norm > 1e-3, (weight * a * b).sum(1) / np.maximum(norm, 1e-3), 0).astype(np.float32)
