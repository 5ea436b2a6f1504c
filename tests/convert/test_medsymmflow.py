"""The official UNet's outputs from its weights, and refusals of weights that do not fit."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.convert import convert_unet, read_state_dict, unet_state_dict
from msflow_jax.nets import UNet

DATA = Path(__file__).resolve().parents[1] / "fixtures"
HEAD_CHANNELS = 32


@pytest.fixture(scope="module")
def state():
    return read_state_dict(DATA / "medsymmflow_unet_tiny_weights.safetensors")


@pytest.fixture(scope="module")
def reference():
    arrays = read_state_dict(DATA / "medsymmflow_unet_tiny_io.safetensors")
    return {k: a.transpose(0, 2, 3, 1) if a.ndim == 4 else a for k, a in arrays.items()}


@pytest.fixture(scope="module")
def field(state):
    config, params = convert_unet(state, head_channels=HEAD_CHANNELS)
    return jax.jit(lambda x, u: UNet(**config).apply({"params": params}, x, u))


def assert_close(got, wanted):
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


def euler(field, x, u, step, count):
    for _ in range(count):
        x = x + step * field(x, jnp.full(x.shape[:1], u, jnp.float32))
        u += step
    return x


def test_architecture_is_read_from_the_weights(state):
    stored = json.loads((DATA / "medsymmflow_unet_tiny_config.json").read_text())
    config, params = convert_unet(state, head_channels=HEAD_CHANNELS)
    assert config == {
        "channels": stored["ch"],
        "width": stored["width"],
        "multipliers": tuple(stored["mult"]),
        "blocks": stored["res"],
        "attention": tuple(stored["att"]),
        "head_channels": stored["head_ch"],
    }
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 704_230


def test_velocity(field, reference):
    assert_close(field(reference["x"], reference["t"]), reference["velocity"])


def test_generation_takes_25_euler_steps(field, reference):
    assert_close(euler(field, reference["x"], 0.0, 0.04, 25), reference["generate_25"])


@pytest.mark.parametrize("steps", [1, 4])
def test_classification(field, reference, steps):
    got = euler(field, reference["x"], 1.0, -1 / steps, steps)
    assert_close(got, reference[f"classify_{steps}"])


def test_wrong_head_width_changes_the_output(state, reference):
    config, params = convert_unet(state)  # the published default, 64
    net = UNet(**config)
    velocity = jax.jit(net.apply)({"params": params}, reference["x"], reference["t"])
    assert np.abs(velocity - reference["velocity"]).max() > 1e-2


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.model."])
def test_prefixes_are_dropped(state, prefix):
    config, _ = convert_unet({prefix + k: v for k, v in state.items()}, head_channels=32)
    assert config["width"] == 32


def test_round_trip(state):
    config, params = convert_unet(state, head_channels=HEAD_CHANNELS)
    back = unet_state_dict(params, config)
    assert back.keys() == state.keys()
    for name, array in state.items():
        np.testing.assert_array_equal(back[name], array)


@pytest.mark.parametrize("multipliers, attention", [((1, 2, 3), (1, 4)), ((1, 1), ())])
def test_round_trip_of_other_architectures(multipliers, attention):
    from msflow_jax.nets import init_params

    config = {
        "channels": 2,
        "width": 32,
        "multipliers": multipliers,
        "blocks": 2,
        "attention": attention,
        "head_channels": 16,
    }
    x = jax.ShapeDtypeStruct((1, 8, 8, 2), jnp.float32)
    params = init_params(
        UNet(**config), jax.random.key(0), x, jax.ShapeDtypeStruct((1,), jnp.float32)
    )
    got_config, got = convert_unet(unet_state_dict(params, config), head_channels=16)
    assert got_config == config
    jax.tree.map(np.testing.assert_array_equal, got, params)


def test_missing_extra_misshapen_and_nan_are_refused(state):
    name = "middle_block.0.in_layers.2.weight"
    with pytest.raises(ValueError, match=rf"missing: {name}"):
        convert_unet({k: v for k, v in state.items() if k != name}, head_channels=32)
    with pytest.raises(ValueError, match=r"left over: label_emb\.weight"):
        convert_unet({**state, "label_emb.weight": np.zeros((2, 2))}, head_channels=32)
    with pytest.raises(ValueError, match=rf"does not fit the others: {name}"):
        convert_unet({**state, name: state[name][:, :8]}, head_channels=32)
    with pytest.raises(ValueError, match=rf"not finite: {name}"):
        convert_unet({**state, name: state[name] * np.nan}, head_channels=32)
    with pytest.raises(ValueError, match=r"input_blocks\.0\.0\.weight is not among 0 tensors"):
        convert_unet({}, head_channels=32)
    with pytest.raises(ValueError, match="heads of 48"):
        convert_unet(state, head_channels=48)


def test_many_faults_are_shortened(state):
    few = {k: v for k, v in state.items() if not k.startswith("output_blocks")}
    with pytest.raises(ValueError, match=r"and \d+ more"):
        convert_unet(few, head_channels=32)
