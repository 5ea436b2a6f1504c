"""Latent codes and the latent flow, on autoencoders small enough to know by heart."""

import dataclasses
import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.latent.autoencoder import Autoencoder
from msflow_jax.latent.codec import KEY, PixelCodec
from msflow_jax.nets import init_params
from msflow_jax.nets.vae import AutoencoderKL
from msflow_jax.symmetric import Code, LatentCode, LatentCodec, SymmetricFlow
from msflow_jax.symmetric.latent_codes import encode_pictures
from msflow_jax.symmetric.paths import to_label
from msflow_jax.symmetric.readout import to_pictures


class Halves(nn.Module):
    """An autoencoder without loss: two by two pixels become 12 channels."""

    channels: int = 3
    latent: int = 12
    factor = 2
    posterior = False

    def encode(self, x):
        b, h, w, c = x.shape
        x = x.reshape(b, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5)
        mean = x.reshape(b, h // 2, w // 2, 4 * c)
        return mean, jnp.full_like(mean, -30.0)

    def decode(self, z):
        b, h, w, c = z.shape
        z = z.reshape(b, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5)
        return z.reshape(b, 2 * h, 2 * w, c // 4)

    def __call__(self, x):
        return self.decode(self.encode(x)[0])


class ReadsBrightness(nn.Module):
    """Class 0 where the image is dark, 1 where it is bright, read in one step; draws brightness 0.25."""

    table: np.ndarray  # label pictures [K, h, w, C] without noise
    channels: int

    def __call__(self, x, u, *, train=False):
        del u, train
        image, label = x[..., : self.channels], x[..., self.channels :]
        number = (image.mean((1, 2, 3)) > 0).astype(int)
        clean = jnp.broadcast_to(jnp.asarray(self.table)[number], label.shape)
        return jnp.concatenate([0.25 - image, label - clean], axis=-1)


AUTO = Autoencoder(Halves(), scale=2.0)


def latent_flow(code, **settings):
    table = code.clean if isinstance(code, LatentCode) else code.table[:, None, None, :]
    net = ReadsBrightness(table, 12)
    codec = LatentCodec(AUTO, settings.pop("shape", (8, 8, 3)))
    return SymmetricFlow(net, code, tuple("ab"), codec, **settings)


def brightness(values, side=8, channels=3):
    return jnp.broadcast_to(
        jnp.asarray(values)[:, None, None, None], (len(values), side, side, channels)
    )


@pytest.mark.parametrize("scheme", ["encoded", "pooled"])
def test_codes_are_the_encoded_palette(scheme):
    code = encode_pictures(AUTO, {}, scheme, 3, 8, variants=5)
    grid = (4, 4) if scheme == "encoded" else (1, 1)
    chex.assert_shape(code.clean, (3, *grid, 12))
    chex.assert_shape(code.noisy, (3, 5, *grid, 12))
    palette = np.tile(Code("palette", 3).table, 4) * AUTO.scale
    np.testing.assert_allclose(code.clean[:, 0, 0], palette, atol=1e-6)
    spread = np.abs(code.noisy - code.clean[:, None])
    assert 0 < spread.max() <= AUTO.scale * 4 / 255 + 1e-6
    labels = jnp.array([2, 0, 1, 1])
    pictures = code.pictures(labels, 4, 4, key=jax.random.key(0))
    chex.assert_shape(pictures, (4, 4, 4, 12))
    distances, probabilities, mode = code.read(pictures)
    np.testing.assert_array_equal(distances.argmin(1), labels)
    np.testing.assert_array_equal(mode, labels)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    shown = code.to_rgb(code.clean_pictures(labels, 4, 4))
    chex.assert_shape(shown, (4, 4, 4, 3))


def test_codes_refuse_what_does_not_fit():
    code = encode_pictures(AUTO, {}, "encoded", 2, 8, variants=2)
    with pytest.raises(ValueError, match="one class per image on a grid of"):
        code.clean_pictures(jnp.array([0, 1]), 3, 4)
    with pytest.raises(ValueError, match="needs the code 'simplex'"):
        code.read(code.clean_pictures(jnp.array([0]), 4, 4), jnp.ones(2))
    with pytest.raises(ValueError, match="unknown latent code 'x'"):
        LatentCode("x", code.clean, code.noisy)
    with pytest.raises(ValueError, match=r"are needed, got \(2, 4, 4, 12\) and \(2, 4, 4, 12\)"):
        LatentCode("encoded", code.clean, code.clean)


@pytest.mark.parametrize("scheme, readout", [
    ("encoded", "latent"), ("encoded", "decode"), ("pooled", "latent"), ("pooled", "decode"),
    ("simplex", "latent"),
])  # fmt: skip
def test_images_are_read_and_drawn(scheme, readout):
    code = Code(scheme, 2) if scheme == "simplex" else encode_pictures(AUTO, {}, scheme, 2, 8)
    model = latent_flow(code, readout=readout)
    params = {KEY: {}}
    images = brightness([-0.5, 0.5, 0.2])
    classify = jax.jit(functools.partial(model.classify, draws=2))
    reading = classify(params, images, jax.random.key(0))
    chex.assert_shape([reading.distances, reading.probabilities], (2, 3, 2))
    np.testing.assert_array_equal(reading.distances.argmin(-1), [[0, 1, 1]] * 2)
    generate = jax.jit(functools.partial(model.generate, steps=200))
    drawn = generate(params, np.array([0, 1]), jax.random.key(0), index=jnp.arange(2))
    chex.assert_shape(drawn, (2, 8, 8, 3))

    @jax.jit
    def on_the_way(params, images, key):
        inner = model.codec.encode({}, images)
        path = to_label(model, params, inner, jnp.arange(1), key, steps=2, grid=3)
        return path.grid, to_pictures(model, params, {k: v[:, 0] for k, v in path.states.items()})

    grid, shown = on_the_way(params, images[:1], jax.random.key(0))
    assert shown[0].shape[0] == len(grid) == 3 and shown[1].shape[-1] == 3
    np.testing.assert_allclose(shown[0][0], images[0], atol=1e-6)


def test_images_of_another_side_and_grey():
    """Grey images of 6 are encoded at 8 and come back as they went."""
    codec = LatentCodec(AUTO, (6, 6, 1), resize=8)
    images = brightness([-0.5, 0.7], 6, 1)
    latents, deviation = codec.moments({}, images)
    chex.assert_shape([latents, deviation], (2, 4, 4, 12))
    assert (deviation < 1e-6).all()
    np.testing.assert_allclose(codec.decode({}, latents), images, atol=1e-6)
    with pytest.raises(ValueError, match=r"images must be floats \[B, 6, 6, 1\]"):
        codec.moments({}, brightness([0.0], 8, 1))


def test_the_loss_is_the_flows_on_posterior_samples():
    net = AutoencoderKL(latent=2, widths=(8, 8), blocks=1, groups=4)
    weights = init_params(net, jax.random.key(0), jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32))
    codec = LatentCodec(Autoencoder(net), (8, 8, 3))
    model = dataclasses.replace(
        latent_flow(Code("simplex", 2)), codec=codec, net=ReadsBrightness(np.ones((2, 1, 1, 1)), 2)
    )
    mean, deviation = jax.jit(codec.moments)(weights, brightness([-0.5, 0.5]))
    assert (deviation > 0).all()

    @jax.jit
    def losses(mean, still, spread):
        batch, key = {"image": mean, "label": jnp.array([0, 1])}, jax.random.key(3)
        expected, _ = model.inside.loss({}, batch, jax.random.split(key)[0])
        every = (batch, {**batch, "deviation": still}, {**batch, "deviation": spread})
        return expected, *(model.loss({}, one, key)[0] for one in every)

    expected, without, still, spread = losses(mean, np.zeros_like(mean), np.ones_like(mean))
    np.testing.assert_array_equal(without, expected)
    np.testing.assert_array_equal(still, expected)
    assert spread != expected


def test_settings_that_do_not_fit():
    with pytest.raises(ValueError, match="unknown read-out 'x'"):
        latent_flow(Code("simplex", 2), readout="x")
    with pytest.raises(ValueError, match="'decode' needs label pictures that the autoencoder made"):
        latent_flow(Code("simplex", 2), readout="decode")
    with pytest.raises(ValueError, match="for images of 3 channels"):
        latent_flow(Code("simplex", 2), shape=(8, 8, 2))
    model = latent_flow(encode_pictures(AUTO, {}, "pooled", 2, 8))
    assert list(model.numbers(["b", 0])) == [1, 0] and model.classes == ("a", "b")
    with pytest.raises(ValueError, match="one class per image, not one per pixel"):
        dataclasses.replace(model.inside, maps=True).segment(
            {}, jnp.zeros((1, 4, 4, 12)), jax.random.key(0)
        )


def test_latents_that_pass_through_are_not_cut():
    """What a flow of latents draws, to compare two drawings: their values have no bounds."""
    z = jnp.asarray([[[[-3.0]], [[2.0]]]])
    for bounded, wanted in ((False, z), (True, jnp.clip(z, -1, 1))):
        codec = PixelCodec((2, 1, 1), bounded=bounded)
        np.testing.assert_array_equal(codec.decode(None, z), wanted)
