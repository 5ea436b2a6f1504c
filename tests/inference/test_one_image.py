"""An image is predicted in one way: alone, in a folder, twice, in another order, in any batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.inference.runners import make_classifier
from msflow_jax.inference.segmenting import make_segmenter
from msflow_jax.latent.codec import PixelCodec
from msflow_jax.symmetric import Code, SymmetricFlow
from tests.symmetric.test_model import Tiny, perturbed

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 7, 7, 1), np.uint8)


def make_flow(maps):
    code = Code("simplex", 3)
    return SymmetricFlow(Tiny(), code, ("a", "b", "c"), PixelCodec((7, 7, 1), 8), maps=maps)


@pytest.mark.parametrize("maps", [False, True])
def test_one_image_has_one_prediction(maps):
    flow = make_flow(maps)
    params = perturbed(flow)

    def run(images, batch):
        maker = make_segmenter if maps else make_classifier
        found = maker(flow, seed=5, batch=batch, draws=3)(params, images)
        return found.maps if maps else np.moveaxis(found.distances, 1, 0)

    whole = run(IMAGES, 7)
    order = np.array([6, 2, 2, 0, 5])
    floats = (IMAGES / 127.5 - 1).astype(np.float32)
    for images, at, batch in [
        (IMAGES[3:4], [3], 7), (IMAGES[order], order, 2), (IMAGES[::-1], np.arange(7)[::-1], 3),
        (floats, np.arange(7), 7), (np.concatenate([255 - IMAGES[:3], IMAGES]), None, 4),
    ]:  # fmt: skip
        here = run(images, batch)
        if at is None:
            here, at = here[3:], np.arange(7)
        if maps:
            assert np.mean(here != whole[at]) < 0.01  # where two classes are equally probable
        else:
            np.testing.assert_allclose(here, whole[at], atol=1e-5)


def test_other_images_have_other_noise():
    """One noise for all would make the errors of a whole evaluation one error."""
    flow = make_flow(False)
    params = perturbed(flow)
    classify = make_classifier(flow, seed=0, batch=2, draws=2)
    almost = np.repeat(IMAGES[:1], 2, axis=0)
    almost[1, 3, 3] ^= 1
    one, other = np.moveaxis(classify(params, almost).distances, 1, 0)
    draws = classify(params, almost[:1]).distances[:, 0]
    assert np.abs(one - other).max() > 0.1 * np.abs(draws[0] - draws[1]).max()
    again = make_classifier(flow, seed=1, batch=2, draws=2)(params, almost[:1]).distances[:, 0]
    assert jnp.abs(again - draws).max() > 1e-4
    assert jax.tree.all(
        jax.tree.map(np.array_equal, draws, classify(params, almost).distances[:, 0])
    )
