"""Autoencoders from PyTorch: every naming gives the reference's outputs; what is none is refused."""

import functools
import json
import re
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from msflow_jax.convert.state_dicts import read_state_dict
from msflow_jax.convert.vae import convert_vae
from msflow_jax.nets.init import init_params
from msflow_jax.nets.tiny import TinyAutoencoder
from msflow_jax.nets.vae import AutoencoderKL

DATA = Path(__file__).resolve().parents[1] / "fixtures"
GROUPS = json.loads((DATA / "autoencoder_kl_tiny_config.json").read_text())["norm_num_groups"]


@pytest.fixture(scope="module")
def weights():
    return read_state_dict(DATA / "autoencoder_kl_tiny_weights.safetensors")


def images(array):
    return jnp.asarray(array.transpose(0, 2, 3, 1))


def assert_close(got, expected):
    """1e-4 of the reference's spread."""
    expected = expected.transpose(0, 2, 3, 1)
    np.testing.assert_allclose(got, expected, atol=1e-4 * np.std(expected), rtol=1e-4)


@functools.cache
def through(net):
    """Mean, log-variance and the mean decoded, as one program for all namings."""

    @jax.jit
    def run(params, x):
        mean, log_variance = net.apply({"params": params}, x, method="encode")
        return mean, log_variance, net.apply({"params": params}, mean, method="decode")

    return run


def old_names(state):
    """diffusers before its attention was unified."""
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    for new, name in old.items():
        state = {k.replace(f".{new}.", f".{name}."): v for k, v in state.items()}
    return state


def compvis_names(state):
    """The original Stable Diffusion, within a whole checkpoint."""

    def original(name):
        name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
        name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
        for i in range(3):
            name = name.replace(f"up_blocks.{i}.resnets", f"up.{2 - i}.block")
            name = name.replace(f"up_blocks.{i}.upsamplers.0", f"up.{2 - i}.upsample")
        for i in (0, 1):
            name = name.replace(f"mid_block.resnets.{i}", f"mid.block_{i + 1}")
        name = name.replace("mid_block.attentions.0.group_norm", "mid.attn_1.norm")
        name = re.sub(r"mid_block\.attentions\.0\.to_([qkv])", r"mid.attn_1.\1", name)
        name = name.replace("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out")
        name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        return f"first_stage_model.{name}"

    out = {original(k): v for k, v in state.items()}
    for k, v in out.items():
        if ".attn_1." in k and v.ndim == 2:
            out[k] = v[:, :, None, None]
    return {**out, "model.diffusion_model.out.2.bias": np.zeros(4, np.float32)}


def compvis_names_alone(state):
    """A file of the autoencoder alone, with what its training left in it."""
    prefix = "first_stage_model."
    inner = {
        k.removeprefix(prefix): v for k, v in compvis_names(state).items() if k.startswith(prefix)
    }
    rest = {"loss.logvar": np.zeros(()), "model_ema.decay": np.zeros(())}
    return {**inner, **rest}


@pytest.mark.parametrize("naming", [dict, old_names, compvis_names, compvis_names_alone])
def test_stable_diffusions_autoencoder(naming, weights):
    kind, config, params = convert_vae(naming(weights), groups=GROUPS)
    assert kind is AutoencoderKL and config == {
        "channels": 3, "latent": 4, "widths": (16, 32, 32), "blocks": 1, "quant": True,
        "groups": GROUPS,
    }  # fmt: skip
    assert sum(a.size for a in jax.tree.leaves(params)) == 242_327
    expected, net = load_file(DATA / "autoencoder_kl_tiny_io.safetensors"), AutoencoderKL(**config)
    mean, log_variance, decoded = through(net)(params, images(expected["image"]))
    assert_close(mean, expected["mean"])
    assert_close(log_variance, expected["logvar"])
    assert_close(decoded, expected["reconstruction"])


def with_average(state, changed):
    """A file of the autoencoder alone with its average, as CompVis' LitEma calls it: without dots."""
    inner = compvis_names_alone(state)
    average = {
        f"model_ema.{k.replace('.', '')}": v + 1
        for k, v in inner.items()
        if k.startswith(("loss.", *changed))
    }
    return {**inner, **average, "model_ema.num_updates": np.zeros((), np.int32)}


def test_the_average_beside_the_weights_is_another_network(weights):
    raw = convert_vae(weights, groups=GROUPS)[2]
    both = with_average(weights, ("encoder.", "decoder.", "quant_conv.", "post_quant_conv."))
    with pytest.raises(ValueError, match=r"2 different networks, at \., model_ema: choose .*--key"):
        convert_vae(both, groups=GROUPS)
    chex.assert_trees_all_equal(convert_vae(both, groups=GROUPS, key=".")[2], raw)
    average = convert_vae(both, groups=GROUPS, key="model_ema")[2]
    chex.assert_trees_all_close(average, jax.tree.map(lambda x: x + 1, raw))
    # What was not trained has no average.
    half = convert_vae(with_average(weights, ("decoder.",)), groups=GROUPS, key="model_ema")[2]
    chex.assert_trees_all_equal(half["encoder"], raw["encoder"])
    chex.assert_trees_all_equal(half["decoder"], average["decoder"])
    below = {f"vae.{name}": array for name, array in both.items()}
    chex.assert_trees_all_equal(convert_vae(below, groups=GROUPS, key="vae")[2], raw)
    chex.assert_trees_all_equal(convert_vae(below, groups=GROUPS, key="vae.model_ema")[2], average)
    lacking = {k: v for k, v in both.items() if k != "model_ema.encoderconv_inweight"}
    with pytest.raises(ValueError, match=r"left over: model_ema\.encoderconv_outwrong"):
        lacking["model_ema.encoderconv_outwrong"] = np.zeros(1)
        convert_vae(lacking, groups=GROUPS, key="model_ema")


def diffusers_tiny_names(state):
    """The clamp, the decoder's first layer, is not counted there."""

    def name(old):
        side, number, rest = old.split(".", 2)
        return f"{side}.layers.{int(number) - (side == 'decoder')}.{rest}"

    return {name(k): v for k, v in state.items()}


@pytest.mark.parametrize("naming", [dict, diffusers_tiny_names])
def test_the_tiny_autoencoder_of_flux_2(naming, shared_data):
    with np.load(shared_data / "taef2_fp16.npz", allow_pickle=False) as arrays:
        state = {name: arrays[name].astype(np.float32) for name in arrays.files}
    kind, config, params = convert_vae(naming(state))
    assert kind is TinyAutoencoder
    assert config == {"channels": 3, "latent": 32, "width": 64, "pool": True}
    expected, net = load_file(DATA / "taef2_io.safetensors"), TinyAutoencoder(**config)
    inside = images(2 * expected["image"] - 1)
    latent, log_variance, decoded = through(net)(params, inside)
    assert_close(latent, expected["latent"])
    assert np.exp(log_variance).max() < 1e-12
    assert_close((decoded + 1) / 2, expected["reconstruction"])


def test_the_shape_of_stable_diffusion():
    x = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    net = AutoencoderKL()
    tree = jax.eval_shape(net.init, jax.random.key(0), x)["params"]
    assert sum(a.size for a in jax.tree.leaves(tree)) == 83_653_863
    assert jax.eval_shape(net.apply, {"params": tree}, x).shape == (1, 64, 64, 3)
    assert net.factor == 8


@pytest.mark.parametrize("pool, latent", [(False, 4), (True, 16)])
def test_tiny_autoencoders_of_other_sizes_survive_the_round_trip(pool, latent):
    net = TinyAutoencoder(latent=latent, width=8, pool=pool)
    x = jnp.ones((2, 16, 16, 3))
    params = init_params(net, jax.random.key(0), x)
    assert jax.jit(net.apply)({"params": params}, x).shape == x.shape
    with pytest.raises(ValueError, match="divisible by 8"):
        net.apply({"params": params}, jnp.ones((2, 12, 16, 3)))
    with pytest.raises(ValueError, match=r"images \[B, H, W, 3\]"):
        net.apply({"params": params}, jnp.ones((2, 16, 16, 1)))


def test_what_is_no_autoencoder(weights):
    broken = {
        "not an autoencoder: .*input_blocks": {"input_blocks.0.0.weight": np.ones((4, 4, 3, 3))},
        "tensors missing: decoder.mid_block": {
            k: v for k, v in weights.items() if k != "decoder.mid_block.attentions.0.to_k.bias"
        },
        "tensors left over: extra": {**weights, "extra": np.ones(1)},
        "that does not fit .*decoder.conv_in.bias": {**weights, "decoder.conv_in.bias": np.ones(3)},
        "tensors not finite: quant_conv.bias": {**weights, "quant_conv.bias": np.full(8, np.nan)},
        "encoder.conv_out.weight is missing": {
            k: v for k, v in weights.items() if k != "encoder.conv_out.weight"
        },
    }
    for message, state in broken.items():
        with pytest.raises(ValueError, match=message):
            convert_vae(state, groups=GROUPS)
    with pytest.raises(ValueError, match="cannot be normalised in 32 groups"):
        convert_vae(weights)
