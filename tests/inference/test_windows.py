"""Sliding windows: weights that sum to one, and what is said of images larger than a model."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msflow_jax.inference import windows
from msflow_jax.inference.prediction import Prediction
from msflow_jax.inference.runners import make_classifier
from msflow_jax.inference.segmenting import make_segmenter


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 0.95))
def test_windows_cover_an_axis_and_their_weights_sum_to_one(side, more, overlap):
    size = side + more
    first, weights = windows.starts(size, side, overlap), windows.weights(size, side, overlap)
    assert first[0] == 0 and first[-1] == size - side and (np.diff(first) > 0).all()
    assert np.diff(first).max() <= max(1, np.ceil(side * (1 - overlap)))
    total = np.zeros(size)
    for start, row in zip(first, weights, strict=True):
        total[start : start + side] += row
    np.testing.assert_allclose(total, 1, atol=1e-6)
    assert (weights > 0).all()


def test_a_single_window_counts_exactly_one():
    assert windows.starts(5, 5, 0.5).tolist() == [0]
    assert (windows.weights(5, 5, 0.5) == 1).all()


def segment(params, images, key, draws=1):
    """Of every pixel by itself, so that windows change nothing."""
    share = (images[..., 0] + 1) / 2 * params
    return jnp.stack([share, 1 - share], axis=-1)


def classify(params, images, key, draws=1, weights=None):
    """By the mean grey value."""
    mean = params * (images.mean(axis=tuple(range(1, images.ndim))) + 1) / 2
    p = jnp.stack([mean, 1 - mean], axis=-1)[None]
    mode = p.argmax(-1)
    return Prediction(1 - p, p, mode, jnp.asarray(1), jnp.asarray([True]), classes=("a", "b"))


def model_of(*window):
    return SimpleNamespace(classify=classify, segment=segment, window=window, classes=("a", "b"))


IMAGES = np.random.default_rng(0).integers(0, 256, (3, 6, 9, 4, 1), dtype=np.uint8)
IMAGES[1] = 255 - IMAGES[1] // 4


@pytest.mark.parametrize("window", [(4, 4, 4), (6, 5, 4), (3, 2, 1)])
def test_what_is_said_of_each_voxel_does_not_depend_on_the_windows(window):
    images = jnp.asarray(IMAGES) / 127.5 - 1
    found = windows.segment(model_of(*window), 0.9, images, jax.random.key(0), overlap=0.4)
    np.testing.assert_allclose(found, segment(0.9, images, None), atol=1e-5)


def test_a_class_is_the_mean_over_the_windows():
    """One above the other without overlap, they are all of the image."""
    run = make_classifier(model_of(3, 3, 4), seed=0, batch=2, overlap=0.0)
    whole = make_classifier(model_of(6, 9, 4), seed=0, batch=2)
    found, wanted = run(0.9, IMAGES), whole(0.9, IMAGES)
    np.testing.assert_allclose(found.probabilities, wanted.probabilities, atol=1e-5)
    np.testing.assert_allclose(found.distance, wanted.distance, atol=1e-5)
    assert found.nfe.tolist() == [[6] * 3] and wanted.nfe.tolist() == [[1] * 3]
    assert found.mode.shape == wanted.mode.shape and found.mode[0, 1] == wanted.mode[0, 1] == 0


@pytest.mark.parametrize("window", [(6, 9, 4), None])
def test_one_window_is_the_image_bit_for_bit(window):
    model = model_of(*window) if window else SimpleNamespace(classify=classify, segment=segment)
    images = jnp.asarray(IMAGES) / 127.5 - 1
    one = windows.classify(model, 0.9, images, None, overlap=0.5)
    jax.tree.map(np.testing.assert_array_equal, one, classify(0.9, images, None))
    maps = make_segmenter(model, seed=0, batch=3)(np.float32(0.9), IMAGES).maps
    np.testing.assert_array_equal(maps, segment(0.9, images, None).argmax(-1))


def test_a_likelihood_is_not_cut_into_windows():
    def likely(*given, **settings):
        found = classify(*given, **settings)
        return dataclasses.replace(found, log_prob=found.mode * 1.0)

    model = SimpleNamespace(classify=likely, window=(3, 3, 4), classes=("a", "b"))
    with pytest.raises(ValueError, match=r"no sum over windows.*train\.crop=0"):
        windows.classify(model, 0.9, jnp.zeros((1, 6, 9, 4, 1)), None, overlap=0.5)


def test_random_windows_are_pieces_of_their_images():
    found = windows.crops(model_of(4, 4, 4), IMAGES, seed=1)
    assert found.shape == (3, 4, 4, 4, 1)
    places = np.lib.stride_tricks.sliding_window_view(IMAGES[..., 0], (4, 4, 4), (1, 2, 3))
    for piece, of_one in zip(found[..., 0], places, strict=True):
        assert (of_one == piece).all(axis=(-1, -2, -3)).any()
    assert windows.crops(model_of(6, 9, 4), IMAGES, seed=1) is IMAGES


def test_an_image_its_map_and_its_class_are_cut_at_one_place():
    volume, label = IMAGES[0], np.asarray(3)
    image, of_voxels, kept = windows.crop_one(
        model_of(4, 4, 4), jax.random.key(2), volume, volume[..., 0], label
    )
    np.testing.assert_array_equal(image[..., 0], of_voxels)
    assert of_voxels.shape == (4, 4, 4) and kept is label
    assert windows.crop_one(model_of(6, 9, 4), None, volume, label)[0] is volume


def test_what_else_is_said_of_an_image_is_of_all_its_windows():
    """One window that came to no end spoils the image; measures are means."""
    images = jnp.asarray(IMAGES) / 127.5 - 1
    corner = images.at[0, :3, :3].set(1.0)

    def said(params, pieces, key):
        grey = pieces.mean(axis=(1, 2, 3, 4))
        more = {"ok": grey[None] < 0.99, "measures": {"grey": grey[None]}}
        return dataclasses.replace(classify(params, pieces, key), **more)

    model = SimpleNamespace(classify=said, window=(3, 3, 4), classes=("a", "b"))
    found = windows.classify(model, 0.9, corner, None, overlap=0.0)
    assert found.ok.tolist() == [[False, True, True]]
    wanted = corner.mean(axis=(1, 2, 3, 4))[None]
    np.testing.assert_allclose(found.measures["grey"], wanted, atol=1e-5)
