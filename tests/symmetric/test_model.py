"""The symmetric flow by its laws, on small networks, and what it refuses."""

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.nets.dit import DiT
from msflow_jax.nets.unet import UNet
from msflow_jax.symmetric import Code, PixelCodec, SymmetricFlow, TimeDistribution


class Tiny(nn.Module):
    """Two convolutions that see the time: enough to have a velocity, cheap to compile."""

    channels: int = 3

    @nn.compact
    def __call__(self, x, u, *, train=False):
        h = nn.tanh(nn.Conv(4, (3, 3), name="in")(x) + u[:, None, None, None])
        return nn.Conv(self.channels, (3, 3), name="out_zero")(h)


def small(resize=0, **settings):
    codec = PixelCodec((7, 7, 1), resize)
    return SymmetricFlow(Tiny(), Code("simplex", 3), ("a", "b", "c"), codec, **settings)


IMAGES = jax.random.uniform(jax.random.key(5), (5, 7, 7, 1), minval=-1)
LABELS = jnp.array([0, 1, 2, 1, 0])


def perturbed(flow):
    """Parameters that are not the zero-output start."""
    return jax.tree.map(lambda a: np.asarray(a) + np.float32(0.05), flow.init(jax.random.key(0)))


def test_loss_of_a_fresh_network_is_the_energy_of_the_velocity():
    flow = small(image_weight=0.7)
    loss, metrics = jax.jit(flow.loss)(
        flow.init(jax.random.key(0)), {"image": IMAGES, "label": LABELS}, jax.random.key(1)
    )
    expected = 0.7 * metrics["loss_image"] + 0.3 * metrics["loss_label"]
    assert loss == pytest.approx(float(expected), rel=1e-5)
    assert metrics["loss_label"] == pytest.approx(2.0, rel=0.25)  # variances of code and noise


def test_reading_samples_score_the_label_alone():
    flow = small(time=TimeDistribution(classification_fraction=1.0))
    loss, metrics = jax.jit(flow.loss)(
        flow.init(jax.random.key(0)), {"image": IMAGES, "label": LABELS}, jax.random.key(1)
    )
    assert np.isnan(metrics["loss_image"]) and loss == pytest.approx(float(metrics["loss_label"]))


@pytest.mark.parametrize("name", ["uniform", "logit_normal"])
def test_times_lie_between_the_ends(name):
    u, reading = TimeDistribution(name, classification_fraction=0.25).sample(jax.random.key(0), 64)
    assert reading.sum() == 16 and np.all(u[:16] == 1)
    assert np.all((u >= 0) & (u <= 1)) and np.std(u[16:]) > 0.1


def test_noise_of_predictions_depends_on_content_and_of_samples_on_the_index():
    flow = small()
    params, key = perturbed(flow), jax.random.key(3)
    classify = jax.jit(functools.partial(flow.classify, draws=2))
    generate = jax.jit(functools.partial(flow.generate, steps=2))
    whole = classify(params, IMAGES, key)
    part = classify(params, IMAGES[3:], key)
    np.testing.assert_allclose(whole.distances[:, 3:], part.distances, atol=1e-5)
    twice = classify(params, IMAGES[jnp.array([1, 4, 1])], key).distances
    np.testing.assert_array_equal(twice[:, 0], twice[:, 2])
    given = classify(params, IMAGES, key, index=jnp.arange(5))
    assert np.abs(given.distances - whole.distances).max() > 1e-4  # another noise, where asked for
    drawn = generate(params, LABELS, key)
    again = generate(params, LABELS[3:], key, index=jnp.array([3, 4]))
    np.testing.assert_allclose(drawn[3:], again, atol=1e-5)
    assert drawn.shape == IMAGES.shape and np.abs(drawn).max() <= 1


def test_guidance():
    flow = small(code_dropout=0.1)
    params, key = perturbed(flow), jax.random.key(3)
    generate = jax.jit(flow.generate, static_argnames=("steps", "guidance"))
    plain = generate(params, LABELS, key, steps=2)
    guided = generate(params, LABELS, key, steps=2, guidance=3.0)
    assert np.abs(plain - guided).max() > 1e-4
    with pytest.raises(ValueError, match="code_dropout"):
        small().generate(params, LABELS, key, guidance=2.0)


def test_resizing_inside_the_network():
    flow = small(resize=8)
    params = flow.init(jax.random.key(0))
    generate = jax.jit(flow.generate, static_argnames="steps")
    assert generate(params, LABELS, jax.random.key(0), steps=1).shape == (5, 7, 7, 1)
    assert jax.jit(flow.classify)(params, IMAGES, jax.random.key(0)).distances.shape == (1, 5, 3)


def test_segmentation_reads_a_map():
    flow = small(maps=True)
    params = flow.init(jax.random.key(0))
    maps = jax.random.randint(jax.random.key(1), (5, 7, 7), 0, 3)
    loss, _ = jax.jit(flow.loss)(params, {"image": IMAGES, "label": maps}, jax.random.key(2))
    assert np.isfinite(loss)
    p = jax.jit(functools.partial(flow.segment, draws=2))(params, IMAGES, jax.random.key(0))
    assert p.shape == (5, 7, 7, 3)
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-5)
    generate = jax.jit(functools.partial(flow.generate, steps=1))
    assert generate(params, maps, jax.random.key(0)).shape == IMAGES.shape
    with pytest.raises(ValueError, match="one class per pixel: it can only segment"):
        flow.classify(params, IMAGES, jax.random.key(0))
    with pytest.raises(ValueError, match="one class per image: it can only classify"):
        small().segment(params, IMAGES, jax.random.key(0))
    with pytest.raises(ValueError, match="draws images from label maps"):
        flow.numbers(["a"])


def test_names_and_numbers_of_classes():
    flow = small()
    np.testing.assert_array_equal(flow.numbers(["b", 2, "0"]), [1, 2, 0])
    with pytest.raises(ValueError, match="unknown class 'melanoma'.*0 = a"):
        flow.numbers(["melanoma"])


def test_images_of_another_shape_are_refused():
    flow = small()
    params = flow.init(jax.random.key(0))
    with pytest.raises(ValueError, match="images must be"):
        flow.classify(params, jnp.zeros((2, 8, 8, 1)), jax.random.key(0))
    for images, message in [
        (jnp.zeros((2, 7, 7, 3)), r"images must be floats \[B, 7, 7, 1\], got \(2, 7, 7, 3\)"),
        (jnp.zeros((2, 1, 7, 7)), "the channels come last here, transpose them"),
        (jnp.zeros((2, 7, 7, 1), jnp.uint8), "got uint8: of uint8 give x / 127.5 - 1"),
        (jnp.full((2, 7, 7, 1), 255.0), r"must lie in \[-1, 1\], got 255 to 255: of 0..255"),
        (jnp.full((2, 7, 7, 1), jnp.nan), r"must lie in \[-1, 1\], got nan"),
    ]:
        with pytest.raises(ValueError, match=message):
            flow.loss(params, {"image": images, "label": LABELS[:2]}, jax.random.key(0))
        with pytest.raises(ValueError, match=message):
            flow.classify(params, images, jax.random.key(0))


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], [0.0, 1.0]])
def test_labels_that_are_no_class_are_refused(labels):
    flow, labels, key = small(), jnp.array(labels), jax.random.key(0)
    params = flow.init(key)
    with pytest.raises(ValueError, match="labels must"):
        flow.generate(params, labels, key, steps=1)
    with pytest.raises(ValueError, match="labels must"):
        flow.loss(params, {"image": IMAGES[:2], "label": labels}, key)


@pytest.mark.parametrize("settings", [{"image_weight": 1.5}, {"code_dropout": 1.0}])
def test_bad_settings_are_refused(settings):
    with pytest.raises(ValueError):
        small(**settings)


@pytest.mark.parametrize("network", ["unet", "dit"])
def test_features_are_those_of_the_middle_and_of_the_image(network):
    """Equal images have equal features, whatever stands beside them; the prediction is as without."""
    settings = {
        "unet": dict(width=32, multipliers=(1, 1), blocks=1, head_channels=32),
        "dit": dict(width=32, depth=2),
    }
    nets = {"unet": UNet, "dit": DiT}
    net = nets[network](channels=3, **settings[network])
    flow = SymmetricFlow(net, Code("simplex", 3), ("a", "b", "c"), PixelCodec((8, 8, 1)))
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda x: np.asarray(x) + 0.1 * rng.standard_normal(x.shape, np.float32),
        flow.init(jax.random.key(0)),
    )
    images = jax.random.uniform(jax.random.key(1), (3, 8, 8, 1), minval=-1)
    classify = jax.jit(flow.classify, static_argnames="outside")
    found = classify(params, images[jnp.array([0, 1, 0])], jax.random.key(2))
    chex.assert_shape(found.features, (1, 3, 32))
    np.testing.assert_allclose(found.features[0, 0], found.features[0, 2], atol=1e-5)
    assert np.abs(found.features[0, 0] - found.features[0, 1]).max() > 1e-3
    bare = classify(params, images[jnp.array([0, 1, 0])], jax.random.key(2), outside=False)
    assert bare.features is None
    np.testing.assert_array_equal(bare.distances, found.distances)
