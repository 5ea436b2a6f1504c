"""Small lesions through autoencoders: what is kept, by a disc's diameter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from msflow_jax.latent.autoencoder import Autoencoder
from msflow_jax.latent.lesions import DIAMETERS, in_words, lesions_kept, make_probe
from msflow_jax.nets.tiny import TinyAutoencoder


@pytest.fixture
def images():
    """Tissue of two levels under noise, in three channels, with a black border."""
    rng = np.random.default_rng(0)
    found = rng.normal(0, 6, (24, 40, 40, 1)) + np.where(np.arange(40) < 20, 80, 190)[:, None]
    found[:, :3], found[:, -3:] = 0, 0
    return np.repeat(found, 3, axis=-1).clip(0, 255).astype(np.uint8)


def test_all_is_kept_where_nothing_changes(images):
    found = lesions_kept(lambda params, these: these, {}, images)
    assert tuple(found) == DIAMETERS
    for one in found.values():
        assert one["contrast"] == pytest.approx(1, abs=1e-9)
        assert one["auroc"] == one["auroc_before"] > 0.9


def test_nothing_is_kept_of_what_is_replaced(images):
    for one in lesions_kept(lambda params, these: np.full_like(these, 99), {}, images).values():
        assert one["contrast"] == 0 and one["auroc"] == 0.5


def test_a_blur_loses_the_small_and_keeps_the_large(images):
    """The mean of three by three leaves a ninth of one pixel, and more of what is wider."""

    def blurred(params, these):
        return np.round(uniform_filter(these.astype(float), (0, 3, 3, 0)))

    found = lesions_kept(blurred, {}, images)
    kept = [one["contrast"] for one in found.values()]
    assert kept[0] == pytest.approx(1 / 9, abs=0.02)
    assert kept == sorted(kept) and kept[-1] > 0.6
    assert found[1]["auroc"] < found[1]["auroc_before"]


def test_places_are_those_of_the_seed_and_no_background(images):
    def seen(seed):
        taken = []
        lesions_kept(lambda p, these: taken.append(these) or these, {}, images, (1,), seed)
        return np.argwhere(taken[1] != taken[0])

    assert np.array_equal(seen(0), seen(0)) and not np.array_equal(seen(0), seen(1))
    assert seen(0)[:, 1].min() >= 3 and seen(0)[:, 1].max() < 37


@pytest.mark.parametrize("black", [True, False])
def test_images_without_a_place_are_named(images, black):
    these = np.zeros_like(images) if black else images[:, :12, :12]
    with pytest.raises(ValueError, match="nowhere to plant"):
        lesions_kept(lambda params, these: these, {}, these)


def test_a_probe_says_that_nothing_fits():
    net = TinyAutoencoder(width=8)
    params = net.init(jax.random.key(0), jnp.zeros((1, 16, 16, 3)))["params"]
    black = np.zeros((2, 16, 16, 1), np.uint8)
    with pytest.warns(UserWarning, match="not measured: none of 2 images"):
        assert make_probe(Autoencoder(net), 16, black, 2)(params) == {}


def test_one_line_of_words():
    found = {1: {"contrast": 0.204}, 3: {"contrast": 0.9}}
    assert in_words(found) == "lesions of 1, 3 pixels keep 20, 90 % of their contrast"
