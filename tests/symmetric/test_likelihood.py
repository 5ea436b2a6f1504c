"""Likelihoods by the flow's own equation, of a network that is exact: two classes of Gaussian images."""

import dataclasses
from types import SimpleNamespace

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from scipy.stats import norm

from msflow_jax.config import default_config
from msflow_jax.data import Info, Split
from msflow_jax.latent.codec import PixelCodec
from msflow_jax.symmetric.codes import Code
from msflow_jax.symmetric.family import FAMILY
from msflow_jax.symmetric.likelihood import check_likelihood, likelihood
from msflow_jax.symmetric.model import SymmetricFlow
from msflow_jax.symmetric.objective import taught
from msflow_jax.symmetric.sections import Likelihood, _prior
from msflow_jax.symmetric.settings import check_likelihood_settings

# So many label pixels that they tell the class until the end, where images hardly differ.
MEANS, SPREAD, SIDE = (-0.015, 0.015), 0.25, 28
CODE = Code("simplex", 2)


class Exact(nn.Module):
    """The exact velocity of images whose pixels are N(mean of the class, SPREAD^2), classes even."""

    @nn.compact
    def __call__(self, x: jax.Array, u: jax.Array, *, train: bool = False) -> jax.Array:
        """See :class:`~msflow_jax.nets.unet.UNet`."""
        image, label = jnp.split(x, 2, axis=-1)
        t = u.reshape(-1, 1, 1, 1)
        variance = (1 - t) ** 2 + (t * SPREAD) ** 2
        slope = (t * SPREAD**2 - (1 - t)) / variance
        nats, every = [], []
        for mean, code in zip(MEANS, CODE.table, strict=True):
            off = ((label - (1 - t) * code[0]) / jnp.maximum(t, 1e-3)) ** 2
            off += (image - t * mean) ** 2 / variance
            nats.append(-0.5 * off.sum(axis=(1, 2, 3), keepdims=True))
            every.append(mean + slope * (image - t * mean))
        share = jax.nn.softmax(jnp.stack(nats), axis=0)
        image = (share * jnp.stack(every)).sum(axis=0)
        return jnp.concatenate([image, jnp.zeros_like(label)], axis=-1)


FLOW = SymmetricFlow(Exact(), CODE, ("dark", "bright"), PixelCodec((SIDE, SIDE, 1)))


def images(count: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """8-bit images of both classes in turn, in [-1, 1], and their labels."""
    labels = np.arange(count) % 2
    drawn = np.random.default_rng(0).normal(size=(count, SIDE, SIDE, 1)) * SPREAD
    values = drawn + np.array(MEANS)[labels][:, None, None, None]
    levels = np.clip(np.rint((values + 1) * 127.5), 0, 255)
    return (levels / 127.5 - 1).astype(np.float32), labels


def exact(x: np.ndarray) -> np.ndarray:
    """Log-probabilities of the 8-bit images given each class ``[B, K]``, in nats."""
    half = 1 / 255
    every = [
        np.log(norm.cdf(x + half, mean, SPREAD) - norm.cdf(x - half, mean, SPREAD))
        for mean in MEANS
    ]
    return np.stack([one.reshape(len(x), -1).sum(axis=1) for one in every], axis=1)


def test_likelihoods_of_gaussian_classes():
    x, labels = images()
    # Of a Jacobian that is nearly diagonal one probe is nearly exact.
    found = jax.jit(lambda x: likelihood(FLOW, {}, x, jax.random.key(0), steps=32, solver="rk4"))(x)
    chex.assert_shape(found.distances, (1, len(x), 2))
    known = exact(x)
    marginal = np.logaddexp(*known.T) - np.log(2)
    np.testing.assert_allclose(found.log_likelihood, marginal, atol=0.6)
    gap = found.distance[:, 0] - found.distance[:, 1]
    # Near the end the label picture leaves the class open: classes come nearer to each other, a little.
    np.testing.assert_allclose(gap, known[:, 1] - known[:, 0], rtol=0.15, atol=0.1)
    np.testing.assert_array_equal(found.prediction, labels)


def test_classes_that_the_training_showed_more_often_are_more_probable():
    x, _ = images(2)
    given = jax.jit(lambda x, key: likelihood(FLOW, {}, x, key, steps=2, prior=(0.9, 0.1)))
    even = jax.jit(lambda x, key: likelihood(FLOW, {}, x, key, steps=2))
    key = jax.random.key(1)
    odds = [jnp.diff(f(x, key).distances[0], axis=1) for f in (given, even)]
    np.testing.assert_allclose(odds[0] - odds[1], np.log(9), atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probes": -1}, "probes"),
        ({"draws": 0}, "draws"),
        ({"prior": (1.0,)}, "each of 2 classes"),
        ({"prior": (9.0, 1.0)}, "each of 2 classes"),
        ({"solver": "tsit5"}, "equal steps"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(ValueError, match=message):
        likelihood(FLOW, {}, images(1)[0], jax.random.key(0), **changes)


def test_latents_and_resized_images_have_none():
    resized = dataclasses.replace(FLOW, codec=PixelCodec((14, 14, 1), SIDE))
    with pytest.raises(ValueError, match="not of resized images.*model.resize=0"):
        likelihood(resized, {}, images(1)[0], jax.random.key(0))
    config = default_config()
    config.sample.likelihood.images = 4
    fitting = {"model.resize": 0, "model.task": "classify", "train.crop": 0}
    for key, value in (("model.resize", 32), ("model.task", "segment"), ("train.crop", 16)):
        with config.unlocked():
            config.update_from_flattened_dict({**fitting, key: value})
        with pytest.raises(ValueError, match=f"needs {key}="):
            check_likelihood_settings(config)


def test_a_flow_that_was_distilled_with_guidance_has_none():
    """It is refused in Python as on the command line, and its teacher is not."""
    config = default_config()
    distilled = {
        "model.code_dropout": 0.1, "model.distillation.teacher": "W", "model.distillation.guidance": 3.0
    }  # fmt: skip
    with config.unlocked():
        config.update_from_flattened_dict(distilled | {"model.resize": 0})
    info = Info("test", ("dark", "bright"), 1, SIDE, "binary-class", "", "", "", (), counts=(6, 2))
    guided = FAMILY.build(config, info, SimpleNamespace(code=None, autoencoder=None, std=()))
    for flow in (guided, guided.inside):
        with pytest.raises(ValueError, match="distilled with guidance .* carries no density"):
            flow.likelihood({}, images(1)[0], jax.random.key(0))
    check_likelihood(taught(guided))
    check_likelihood(FLOW)
    config.sample.likelihood.images = 4
    with pytest.raises(ValueError, match="distilled with guidance .* carries no density"):
        check_likelihood_settings(config)


def test_the_section():
    x, labels = images(8)
    stored = np.rint((x + 1) * 127.5).astype(np.uint8)
    names = tuple(map(str, labels))
    split = Split.of_images(stored, labels.astype(np.int32), names)
    settings = {"images": 4, "solver": "midpoint", "steps": 2, "probes": 1}
    sample = ConfigDict(
        {"seed": 0, "batch": 3, "likelihood": settings, "classify": {"prior": "uniform"}}
    )
    info = Info("test", ("dark", "bright"), 1, SIDE, "binary-class", "", "", "", (), counts=(6, 2))
    train = SimpleNamespace(balanced=False)
    config = SimpleNamespace(sample=sample, train=train)
    flow = SimpleNamespace(model=FLOW, params={}, info=info, config=config)
    run = SimpleNamespace(
        flow=flow, sample=sample, split="test", splits=SimpleNamespace(train=split),
        outside={"flat": np.full_like(stored, 9)}, labelled=lambda name: split,
        prediction=SimpleNamespace(prediction=labels),
    )  # fmt: skip
    block, arrays = Likelihood(4)(run)
    # What was trained on as many images of each class learned that these are alike.
    for balanced, natural in ((False, [0.75, 0.25]), (True, [0.5, 0.5])):
        train.balanced = balanced
        for prior, wanted in (("natural", natural), ("uniform", [0.5, 0.5])):
            assert _prior(flow, prior) == pytest.approx(wanted)
    assert block["outside"] == ["other scanner", "noise", "texture", "flat"]
    bayes = {"images": 4, "accuracy": 1.0, "readout": 1.0, "prior": [0.5, 0.5]}
    assert block["bayes"] == bayes
    assert len(arrays) == 6 and arrays["bits_0"].shape == (4,)
    assert block["detection"][1]["auroc_likelihood"] == 1  # noise
