"""Distribution distances against closed forms; memorisation against planted copies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.evaluation.distances import frechet_distance, gaussian_frechet, prdc
from msflow_jax.evaluation.memorisation import (
    NearestTraining,
    check_memorisation,
    nearest_training,
)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_frechet_of_gaussians_that_share_axes(seed, size):
    # With common eigenvectors the distance is |mu|^2 + sum (sqrt a - sqrt b)^2.
    rng = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(rng.normal(size=(size, size)))
    a, b = rng.random(size) * 3, rng.random(size) * 3
    mean = rng.normal(size=size)
    value = gaussian_frechet(mean, axes * a @ axes.T, 0 * mean, axes * b @ axes.T)
    assert value == pytest.approx((mean**2).sum() + ((a**0.5 - b**0.5) ** 2).sum(), abs=1e-6)


def test_frechet_general_covariances_match_the_matrix_square_root():
    linalg = pytest.importorskip("scipy.linalg")
    rng = np.random.default_rng(0)
    a, b = (np.cov(rng.normal(size=(40, 5)) @ rng.normal(size=(5, 5)), rowvar=False) for _ in "ab")
    expected = np.trace(a + b - 2 * np.real(linalg.sqrtm(a @ b)))
    assert gaussian_frechet(np.zeros(5), a, np.zeros(5), b) == pytest.approx(expected, rel=1e-6)


def test_frechet_of_samples():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(40_000, 2)), 2 * rng.normal(size=(40_000, 2)) + [3, 0]
    assert frechet_distance(a, b) == pytest.approx(9 + 2 * (2 - 1) ** 2, rel=0.02)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9)
    # Fewer samples than features: singular covariances must not give NaN or a negative value.
    assert frechet_distance(rng.normal(size=(3, 8)), rng.normal(size=(3, 8))) > 0
    with pytest.raises(ValueError, match="at least 2"):
        frechet_distance(a[:1], b)
    with pytest.raises(ValueError, match=r"\[N, F\]"):
        frechet_distance(a, b[:, :1])


@pytest.mark.parametrize("chunk", [7, 1024])
def test_prdc_of_identical_sets_is_one(chunk):
    points = np.random.default_rng(2).normal(size=(60, 4))
    found = prdc(points, points, chunk=chunk)
    assert found == {"precision": 1, "recall": 1, "density": 1, "coverage": 1, "k": 5}


def test_prdc_of_distant_sets_is_zero_and_of_a_collapsed_set_has_no_recall():
    rng = np.random.default_rng(3)
    real = rng.normal(size=(80, 3))
    far = prdc(real, real + 100)
    assert [far[m] for m in ("precision", "recall", "density", "coverage")] == [0, 0, 0, 0]
    collapsed = prdc(real, real[:1] + 1e-3 * rng.normal(size=(80, 3)))
    assert collapsed["precision"] == 1 and collapsed["recall"] < 0.1 > collapsed["coverage"]


def test_prdc_by_brute_force():
    rng = np.random.default_rng(4)
    real, fake, k = rng.normal(size=(25, 2)), rng.normal(size=(30, 2)) + 0.7, 3

    def radius(points):
        gaps = np.linalg.norm(points[:, None] - points[None], axis=-1)
        return np.sort(gaps, axis=1)[:, k]

    gaps = np.linalg.norm(real[:, None] - fake[None], axis=-1)
    inside = gaps <= radius(real)[:, None]
    found = prdc(real, fake, k, chunk=10)
    assert found["precision"] == pytest.approx(inside.any(axis=0).mean())
    assert found["recall"] == pytest.approx((gaps <= radius(fake)).any(axis=1).mean())
    assert found["density"] == pytest.approx(inside.sum() / (k * 30))
    assert found["coverage"] == pytest.approx(inside.any(axis=1).mean())
    with pytest.raises(ValueError, match="at least 4"):
        prdc(real[:3], fake, k)


def images(seed, n, side=6):
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def test_nearest_training_finds_planted_copies():
    train, held_out = images(0, 40), images(1, 30)
    generated = images(2, 10)
    generated[3] = train[17]
    generated[4] = np.clip(train[5].astype(int) + 2, 0, 255)
    generated[5] = generated[6]
    found = nearest_training(generated, held_out, train, chunk=16)
    brute = np.sqrt(((generated[:, None].astype(float) - train[None]) ** 2).mean(axis=(2, 3, 4)))
    np.testing.assert_array_equal(found.generated_index, brute.argmin(axis=1))
    np.testing.assert_allclose(found.generated_distance, brute.min(axis=1) / 255)
    assert found.closest(2).tolist() == [3, 4]
    summary = found.summary()
    assert summary["generated_copies"] == 1 and summary["held_out_copies"] == 0
    assert summary["generated_repeats"] == 1
    assert summary["share_below_threshold"] == pytest.approx(0.2)


@pytest.mark.parametrize("held_out", [5, 40])
def test_expected_share_below_the_threshold_is_that_of_new_real_images(held_out):
    """With few held-out images far more than 1 % of new ones lie below their first percentile."""
    rng = np.random.default_rng(0)
    shares, expected = [], 0.0
    for _ in range(2000):
        values = rng.random(held_out + 20)
        none = np.zeros(0, int)
        found = NearestTraining(values[held_out:], none, values[:held_out], none, 0).summary()
        shares.append(found["share_below_threshold"])
        expected = found["expected_below_threshold"]
    assert np.mean(shares) == pytest.approx(expected, rel=0.1)


def test_flips_find_mirrored_copies():
    train, held_out = images(0, 20), images(1, 20)
    mirrored = train[7:8, :, ::-1]
    assert nearest_training(mirrored, held_out, train).generated_distance[0] > 0.1
    found = nearest_training(mirrored, held_out, train, flips=["horizontal"])
    assert found.generated_distance[0] == 0 and found.generated_index[0] == 7


def test_volumes_mirrored_in_several_ways_at_once_are_found_where_training_mirrored_so():
    train, held_out = (
        images(i, 12).reshape(12, -1)[:, :48].reshape(12, 3, 4, 4, 1) for i in (0, 1)
    )
    mirrored = train[7:8, ::-1, :, ::-1]
    for flips, distance in ((("depth",), 0.05), (("depth", "vertical", "horizontal"), 0.0)):
        found = nearest_training(mirrored, held_out, train, flips=flips)
        assert (
            found.generated_distance[0] == 0 if not distance else found.generated_distance[0] > 0.05
        )
    assert found.generated_index[0] == 7


def test_a_training_set_that_holds_the_held_out_images_is_seen():
    train = images(0, 20)
    found = nearest_training(train[:5], train[:10], train).summary()
    assert found["held_out_copies"] == 10 and found["share_below_threshold"] == 1.0


def test_nearest_training_refuses_floats_and_other_shapes():
    with pytest.raises(ValueError, match="uint8"):
        nearest_training(images(0, 3) / 255, images(0, 3), images(0, 3))
    with pytest.raises(ValueError, match="share"):
        nearest_training(images(0, 3), images(0, 3), images(0, 3, side=8))


def test_pairs_are_named_by_their_places_in_what_was_given():
    train, fake = images(0, 9), images(1, 3)
    fake[1] = train[4]
    found = check_memorisation(fake, images(2, 5), train, np.array([7, 30, 12]), ())
    assert found["nearest"]["generated_index"][0] == 30
    assert found["nearest"]["training_index"][0] == 4 and found["nearest"]["distance"][0] == 0
