from __future__ import annotations

import numpy as np

from heart2heart.synthetic.scatterers import ComplexField, PointSpread


def _noise(seed: int, shape: tuple[int, ...]) -> ComplexField:
    parts = np.random.default_rng(seed).standard_normal((2, *shape)).astype(np.float32) / np.sqrt(np.float32(2))
    field: ComplexField = (parts[0] + 1j * parts[1]).astype(np.complex64)
    return field


def test_apply_to_homogeneous_scatterers_gives_rayleigh_speckle_of_unchanged_power() -> None:
    spread = PointSpread(0.9, np.full(200, 1.4, dtype=np.float32))
    envelope = np.abs(spread.apply(_noise(0, (12, 96, 200))))[:, 8:-8, 8:-8]
    # Rayleigh: mean over standard deviation is sqrt(pi / (4 - pi)) = 1.913; median / rms is sqrt(ln 2).
    assert abs(float(envelope.mean() / envelope.std()) - 1.913) < 0.05
    assert abs(float(np.median(envelope) / np.sqrt((envelope**2).mean())) - np.sqrt(np.log(2))) < 0.02
    assert abs(float((envelope**2).mean()) - 1.0) < 0.05


def test_apply_spreads_a_point_as_the_product_of_two_gaussians() -> None:
    lateral = np.linspace(0.8, 2.0, 40, dtype=np.float32)
    point = np.zeros((1, 31, 40), dtype=np.complex64)
    point[0, 15, 20] = 1.0
    spread = PointSpread(1.1, lateral).apply(point)[0].real
    beam, sample = np.arange(31)[:, None] - 15, np.arange(40) - 20
    expected = np.exp(-0.5 * (beam / lateral[20]) ** 2) * np.exp(-0.5 * (sample / 1.1) ** 2)
    np.testing.assert_allclose(spread[14:17, 19:22] / spread[15, 20], expected[14:17, 19:22], rtol=1e-4)


def test_apply_spreads_more_with_more_width() -> None:
    lateral = np.repeat(np.array([0.8, 2.5], dtype=np.float32), 30)
    point = np.zeros((1, 41, 60), dtype=np.complex64)
    point[0, 20, [15, 45]] = 1.0
    spread = np.abs(PointSpread(0.8, lateral).apply(point)[0])
    near, far = spread[:, 15] / spread[20, 15], spread[:, 45] / spread[20, 45]
    assert (far > 0.5).sum() > (near > 0.5).sum()
