"""Measures of translations by their laws and by reference packages."""

from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.evaluation import translation as measures
from msflow_jax.evaluation.paired import ms_ssim, psnr, ssim, ssim_map

RNG = np.random.default_rng(0)


def images(count=4, side=32, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(size=(count, side // 4, side // 4, 1))
    return np.repeat(np.repeat(coarse, 4, 1), 4, 2).astype(np.float32)


def test_equal_images_are_perfect_and_noise_costs_what_it_should():
    x = images()
    inside = np.ones(x.shape[:-1], bool)
    same = measures.scores(x, x, inside)
    assert (same["psnr"] == 100).all() and (same["mae"] == 0).all()
    for name in ("ssim", "ms_ssim", "ssim_inside"):
        np.testing.assert_allclose(same[name], 1, atol=1e-5)
    off = measures.scores(x, x + 0.1, inside)
    np.testing.assert_allclose(off["psnr"], 20, atol=1e-4)
    np.testing.assert_allclose(off["mae"], 0.1, rtol=1e-5)


def test_the_foreground_alone():
    x = images()
    inside = np.zeros(x.shape[:-1], bool)
    inside[:, :8] = True
    wrong = x.copy()
    wrong[:, 16:] += 0.5  # outside, further away than the window reaches
    found = measures.scores(x, wrong, inside)
    assert (found["mae_inside"] == 0).all() and (found["mae"] > 0.1).all()
    np.testing.assert_allclose(found["ssim_inside"], 1, atol=1e-5)
    none = measures.scores(x, wrong, np.zeros_like(inside))
    assert np.isnan(none["mae_inside"]).all()
    assert measures.summary(none, None)["mae_inside"]["value"] is None


def test_an_image_without_foreground_counts_in_no_mean():
    """Air that is drawn as air had 100 dB: a fifth of such slices lifted a tone curve above a model."""
    x = images(6)
    inside = np.ones(x.shape[:-1], bool)
    inside[:2] = x[:2] = 0
    drawn = x.copy()
    drawn[2:] += 0.1
    found = measures.scores(x, drawn, inside)
    of_others = measures.scores(x[2:], drawn[2:], inside[2:])
    for name, values in found.items():
        assert np.isnan(values[:2]).all(), name
        np.testing.assert_array_equal(values[2:], of_others[name])
        mean = measures.summary({name: values}, None)[name]["value"]
        assert mean == measures.summary({name: of_others[name]}, None)[name]["value"]
    assert measures.blank(inside) == 2 and measures.blank(inside[2:]) == 0


@pytest.mark.parametrize("side", [16, 48])
def test_ssim_is_the_mean_of_its_map(side):
    a, b = (jnp.asarray(2 * images(3, side, seed) - 1) for seed in (0, 1))
    whole = ssim_map(a, b)
    assert whole.shape == a.shape
    np.testing.assert_allclose(whole.mean(axis=(1, 2, 3)), ssim(a, b), rtol=1e-4)


@pytest.mark.parametrize("side", [16, 48])
def test_a_translation_and_a_reconstruction_have_one_psnr_and_one_ssim(side):
    a, b = (images(3, side, seed) for seed in (0, 1))
    pair = [jnp.asarray(2 * x - 1) for x in (a, b)]
    found = measures.scores(a, b, np.ones(a.shape[:-1], bool))
    np.testing.assert_allclose(found["ssim"], ssim(*pair), rtol=1e-4)
    np.testing.assert_allclose(found["psnr"], psnr(*pair), rtol=1e-5)
    assert measures.scores(a, a, np.ones(a.shape[:-1], bool))["psnr"][0] == psnr(a, a)[0]


def test_multiscale_ssim():
    a, b = (jnp.asarray(2 * images(3, 64, seed) - 1) for seed in (0, 1))
    np.testing.assert_allclose(ms_ssim(a, a), 1, atol=1e-5)
    found = ms_ssim(a, 0.9 * a + 0.1 * b)
    assert (found < 1).all() and (found > ms_ssim(a, b)).all()
    small = jnp.asarray(2 * images(3, 12) - 1)
    inner = ssim_map(small, small * 0.5)[:, 5:-5, 5:-5].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(ms_ssim(small, small * 0.5), inner, rtol=1e-5)


def test_a_calibrated_spread_covers_what_it_says():
    truth = RNG.normal(0.5, 0.1, (200, 8, 8, 1))
    draws = RNG.normal(0.5, 0.1, (8, 200, 8, 8, 1))
    found = measures.spread(truth, draws, np.ones(truth.shape[:-1], bool))
    for level in measures.LEVELS:
        assert found["coverage_normal"][f"{level:g}"] == pytest.approx(level, abs=0.01)
    assert found["coverage"]["0.5"] == pytest.approx(0.5, abs=0.02)
    assert found["coverage"]["0.8"] is None  # eight draws reach no further than 7 / 9
    assert found["crps"] == pytest.approx(0.1 / np.sqrt(np.pi), rel=0.03)
    assert found["auroc"] == pytest.approx(0.5, abs=0.03)
    narrow = measures.spread(truth, 0.5 + 0.3 * (draws - 0.5), np.ones(truth.shape[:-1], bool))
    assert narrow["coverage_normal"]["0.9"] < 0.6 and narrow["crps"] > found["crps"]


@pytest.mark.parametrize("level", measures.LEVELS)
@pytest.mark.parametrize("count", range(2, 61))
def test_any_number_of_draws_has_a_coverage_or_too_few_for_one(count, level):
    share = Fraction(str(level))
    draws = np.tile(np.arange(1.0, count + 1), (200, 1)).T.reshape(count, 200, 1, 1, 1)
    truth = np.linspace(0, count + 1, 200).reshape(200, 1, 1, 1)
    found = measures.spread(truth, draws, np.ones((200, 1, 1), bool))["coverage"][f"{level:g}"]
    if Fraction(count - 1, count + 1) < share:
        assert found is None
    else:  # values that are even over the ranks: the level is their share, but for one at each end
        assert found == pytest.approx(level, abs=0.011)


def test_a_spread_that_knows_where_it_is_wrong():
    deviation = np.where(RNG.uniform(size=(100, 8, 8, 1)) < 0.3, 0.2, 0.02)
    truth = 0.5 + deviation * RNG.normal(size=deviation.shape)
    draws = 0.5 + deviation * RNG.normal(size=(8, *deviation.shape))
    found = measures.spread(truth, draws, np.ones(truth.shape[:-1], bool))
    assert found["auroc"] > 0.85


@settings(max_examples=20)
@given(st.integers(2, 9), st.integers(0, 99))
def test_the_crps_is_the_pairwise_formula(count, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(count, 5)), rng.normal(size=5)
    pairs = np.abs(x[:, None] - x[None]).sum(axis=(0, 1)) / (2 * count * (count - 1))
    np.testing.assert_allclose(measures.crps(y, x), np.abs(x - y).mean(0) - pairs, rtol=1e-9)


def test_simple_controls():
    source = RNG.integers(0, 200, (3, 8, 8, 1)).astype(np.uint8)
    target = (255 - source).astype(np.uint8)
    curve = measures.tone_curve(source, target)
    assert curve.shape == (256,)
    np.testing.assert_allclose(curve[source] * 255, target, atol=1e-9)
    np.testing.assert_allclose(measures.mean_image(target), target.mean(axis=0))


def test_against_a_reference_package():
    metrics = pytest.importorskip("skimage.metrics")
    a, b = images(1, 32, 0)[0, ..., 0], images(1, 32, 1)[0, ..., 0]
    found = measures.scores(a[None, ..., None], b[None, ..., None], np.ones((1, 32, 32), bool))
    expected = metrics.peak_signal_noise_ratio(a, b, data_range=1)
    assert found["psnr"][0] == pytest.approx(expected, rel=1e-5)
    expected = metrics.structural_similarity(
        a, b, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    whole = ssim_map(2 * a[None, ..., None] - 1, 2 * b[None, ..., None] - 1)[0]
    assert float(whole[5:-5, 5:-5].mean()) == pytest.approx(expected, abs=1e-3)  # of no border


@pytest.mark.parametrize("measure", [ssim, ssim_map, ms_ssim])
def test_images_below_the_window(measure):
    with pytest.raises(ValueError, match="8 x 20 pixels are below the 11"):
        measure(*np.zeros((2, 1, 8, 20, 1)))
