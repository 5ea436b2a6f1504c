"""Distances of grain: noise, fog and blur lie far from real images, other real images near."""

import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from msflow_jax.evaluation.grain import evaluate_grain, grain_distances, measure_grain

SIDE, COUNT = 24, 60


def real(seed, n=COUNT):
    """Smooth shapes with fine grain, of another brightness each."""
    rng = np.random.default_rng(seed)
    shapes = gaussian_filter(rng.normal(size=(n, SIDE, SIDE, 3)), (0, 3, 3, 0)) * 200
    level = rng.uniform(90, 160, (n, 1, 1, 3))
    return np.clip(level + shapes + rng.normal(0, 4, shapes.shape), 0, 255).astype(np.uint8)


def impostors():
    """What features of a network took for real images, and what else has no grain or too much."""
    rng = np.random.default_rng(9)
    fog = gaussian_filter(rng.normal(size=(COUNT, SIDE, SIDE, 3)), (0, 6, 6, 0)) * 300
    fog = np.clip(np.array([150, 90, 90]) + fog, 0, 255)
    return {
        "noise": rng.integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8),
        "reddish fog": fog.astype(np.uint8),
        "one colour": np.full((COUNT, SIDE, SIDE, 3), 120, np.uint8),
        "blurred": gaussian_filter(real(3), (0, 1.5, 1.5, 0)),
        "coloured grain": np.clip(
            real(4) + rng.normal(0, 12, (COUNT, SIDE, SIDE, 3)), 0, 255
        ).astype(np.uint8),
    }


@pytest.fixture(scope="module")
def found():
    return evaluate_grain({"real": real(1), **impostors()}, real(0), "real", seed=0)


@pytest.mark.parametrize("measure", ["spectrum", "differences"])
def test_impostors_lie_far_above_the_floor_and_real_images_near_it(found, measure):
    floor, chance = found["sets"]["real"][measure], found["chance"][measure]
    assert 0 < floor < 2 * chance
    for name in impostors():
        assert found["sets"][name][measure] > 6 * max(floor, chance), name
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_equal_sets_have_no_distance_and_one_level_of_noise_has_its_power():
    assert grain_distances(real(0), real(0)) == {"spectrum": 0, "differences": 0}
    noise = np.random.default_rng(0).integers(0, 256, (40, 16, 20, 1), dtype=np.uint8)
    power = measure_grain(noise).power
    assert power.shape == (40, 8)
    np.testing.assert_allclose(power.mean(axis=0), np.var(noise / 255), rtol=0.15)


def test_twice_the_contrast_is_six_decibels_and_steps_are_grey_levels():
    small = np.random.default_rng(0).integers(100, 120, (30, 16, 16, 1), dtype=np.uint8)
    assert grain_distances(small, 2 * (small - 60))["spectrum"] == pytest.approx(6.02, abs=0.05)
    flat = np.full((2, 8, 8, 1), 100, np.uint8)
    ramp = flat + 3 * np.arange(8, dtype=np.uint8)[:, None]  # downwards: 3 levels a row
    assert grain_distances(flat, ramp)["differences"] == pytest.approx(3 / 2)


def test_of_volumes_the_third_axis_counts_as_the_others_do():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (20, 8, 10, 12, 1), dtype=np.uint8)
    measured = measure_grain(noise)
    assert measured.power.shape == (20, 4) and len(measured.steps) == 3
    np.testing.assert_allclose(measured.power.mean(axis=0), np.var(noise / 255), rtol=0.15)
    flat = np.full((2, 8, 8, 8, 1), 100, np.uint8)
    for axis in range(3):  # 3 levels a step along one axis of three
        ramp = flat + np.moveaxis(3 * np.arange(8, dtype=np.uint8)[:, None, None, None], 0, axis)
        assert grain_distances(flat, ramp)["differences"] == pytest.approx(1)


def test_one_image_has_no_distance_and_a_reason():
    found = evaluate_grain({"real": real(1)[:1]}, real(0)[:1], "real", seed=0)
    assert found["sets"] == {"real": {"spectrum": None, "differences": None}}
    assert "at least 2" in found["undefined"]["spectrum"]


def test_a_single_row_is_refused():
    with pytest.raises(ValueError, match="at least 2 pixels"):
        measure_grain(np.zeros((2, 1, 8, 1), np.uint8))
