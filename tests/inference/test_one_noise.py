"""The slices of a volume have one noise in each draw; whatever else is drawn beside them."""

import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.inference.modality_verbs import shared_numbers
from msflow_jax.inference.runners import make_translator
from msflow_jax.streams import content_index, sample_noise

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 1), dtype=np.uint8)


class Noise:
    """A model that has learned nothing: what it draws is its noise."""

    def translate(self, params, sources, key, *, target, index=None):
        (images,) = sources.values()
        index = content_index(images) if index is None else index
        return jnp.clip(sample_noise(key, index, images.shape[1:]), -1, 1)


def test_numbers_are_those_of_a_group_and_of_what_it_shows():
    numbers = shared_numbers(IMAGES, ["b", "b", "a", "a", "a"])
    assert numbers.dtype == np.uint32 and len(set(numbers[:2])) == len(set(numbers[2:])) == 1
    assert numbers[0] != numbers[2]
    alone = shared_numbers(IMAGES[2:], ["x"] * 3)
    np.testing.assert_array_equal(alone, numbers[2:])
    assert len(set(shared_numbers(IMAGES))) == 5
    np.testing.assert_array_equal(shared_numbers(IMAGES, range(5)), shared_numbers(IMAGES))
    with pytest.raises(ValueError, match="5 images need as many groups, got 2"):
        shared_numbers(IMAGES, ["a", "b"])


def test_the_noise_of_a_draw_is_one_for_each_volume():
    run = make_translator(Noise(), seed=1, target="t1w", draws=2, batch=2)
    together = run({}, ({"ct": IMAGES}, shared_numbers(IMAGES, [0, 0, 0, 1, 1])))
    assert (together[:, :3] == together[:, :1]).all() and (together[:, 3] == together[:, 4]).all()
    assert (together[:, 0] != together[:, 3]).any() and (together[0] != together[1]).any()
    apart = run({}, ({"ct": IMAGES}, None))
    assert all((apart[:, 0] != apart[:, i]).any() for i in range(1, 5))
