"""Distances of features to those of training images."""

import dataclasses

import numpy as np
import pytest

from msflow_jax.evaluation.familiar import (
    MAHALANOBIS,
    NEIGHBOUR,
    Familiar,
    file_of,
    of_each_class,
    shrunk_covariance,
)

RNG = np.random.default_rng(0)
SPREAD = np.array([1.0, 0.1, 3.0])
CENTRES = np.array([[0.0, 5.0, 1.0], [4.0, 5.0, 1.0]])


def features(count=400):
    labels = np.arange(count) % 2
    return CENTRES[labels] + RNG.normal(size=(count, 3)) * SPREAD, labels


def test_mahalanobis_is_the_distance_in_spreads_to_the_nearest_class():
    known = Familiar.of(*features(20_000))
    found = known.measures(
        CENTRES[1] + np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    )
    np.testing.assert_allclose(found[MAHALANOBIS], [0, 3, 10], atol=0.4)


def test_a_direction_that_no_training_image_has_is_far():
    known = Familiar.of(*features())
    own = known.measures(features()[0])[NEIGHBOUR]
    other = known.measures(np.array([[0.0, -5.0, 0.0]]))[NEIGHBOUR]
    assert other[0] > 10 * own.max() and (own >= 0).all()


@pytest.mark.parametrize("count", [1, 3])
def test_few_images_and_constant_features(count):
    known = Familiar.of(np.ones((count, 4)), np.arange(count))
    found = known.measures(np.array([[1.0, 1, 1, 1], [2, 1, 1, 1]]))
    assert np.isfinite(found[MAHALANOBIS]).all() and found[MAHALANOBIS][0] < found[MAHALANOBIS][1]
    np.testing.assert_allclose(found[NEIGHBOUR][0], 0, atol=1e-6)


def test_a_covariance_of_few_rows_is_drawn_to_the_identity():
    few, many = (RNG.normal(size=(n, 5)) * np.arange(1, 6) for n in (8, 50_000))
    np.testing.assert_allclose(np.diag(shrunk_covariance(many)), np.arange(1, 6) ** 2, rtol=0.05)
    found = np.linalg.eigvalsh(shrunk_covariance(few))
    assert found.max() / found.min() < np.linalg.cond(few.T @ few)
    covariance = pytest.importorskip("sklearn.covariance")
    expected = covariance.ledoit_wolf(few, assume_centered=True)[0]
    np.testing.assert_allclose(shrunk_covariance(few), expected, atol=1e-4)


def test_every_class_is_compared_with():
    labels = np.array([0] * 500 + [1] * 12 + [2] * 3)
    found = of_each_class(labels, 100, 0)
    assert len(found) == 100 and (np.diff(found) > 0).all()
    counts = np.bincount(labels[found])
    assert counts[1] >= 10 and counts[2] == 3
    np.testing.assert_array_equal(of_each_class(labels[:5], 100, 0), np.arange(5))


def test_kept_and_read(tmp_path):
    known = Familiar.of(*features(50))
    path = tmp_path / file_of(known.digest)
    np.savez(path, **known.arrays())
    assert Familiar.read(tmp_path, known.digest).digest == known.digest
    whole = path.read_bytes()
    what = r"is (not an \.npz archive|cut short or damaged).*; evaluate the workdir again"
    moved = dataclasses.replace(known, means=known.means + 1)
    np.savez(path, **moved.arrays())
    with pytest.raises(
        ValueError, match="other features of training images were measured; evaluate the"
    ):
        Familiar.read(tmp_path, known.digest)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 255
    for damaged in (b"", whole[:-40], whole[:100], bytes(flipped), b"text"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=f"{path.name} {what}"):
            Familiar.read(tmp_path, known.digest)
    path.unlink()
    with pytest.raises(
        ValueError, match=rf"no \.npz file at .*{path.name}; evaluate the workdir again"
    ):
        Familiar.read(tmp_path, known.digest)


@pytest.mark.parametrize(("alike", "distance"), [(9, 1.0), (10, 0.0)])
def test_a_neighbour_is_the_tenth(alike, distance):
    """Fewer images of one kind may be oddities themselves."""
    bank = np.repeat(np.eye(3)[:2], [alike, 20], axis=0)
    known = Familiar.of(bank, np.arange(len(bank)) % 2)
    found = known.measures(4 * np.eye(3)[:1])[NEIGHBOUR]
    np.testing.assert_allclose(found, [distance], atol=1e-6)
