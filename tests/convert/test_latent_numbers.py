"""`msflow convert-vae`: scale and shift that no file says are named."""

import importlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from msflow_jax.commands.common import run
from msflow_jax.convert.config_json import latent_range

WEIGHTS = (
    Path(__file__).resolve().parents[1] / "fixtures" / "autoencoder_kl_tiny_weights.safetensors"
)


@pytest.fixture
def convert(shell):
    tool = importlib.import_module("msflow_jax.commands.convert_vae")
    return partial(shell, partial(run, tool.main), "convert_vae")


def of_channels(latent):
    """The tensors of an autoencoder whose latents have that many channels."""
    rows = {"encoder.conv_out": 2 * latent, "quant_conv": 2 * latent, "post_quant_conv": latent}
    columns = {"decoder.conv_in": latent, "quant_conv": 2 * latent, "post_quant_conv": latent}
    out = {k: v.astype(np.float32) for k, v in load_file(WEIGHTS).items()}
    for name, array in out.items():
        layer, kind = name.rsplit(".", 1)
        array = np.resize(array, (rows.get(layer, len(array)), *array.shape[1:]))
        if layer in columns and kind == "weight":
            array = np.resize(array, (len(array), columns[layer], *array.shape[2:]))
        out[name] = array
    return out


@pytest.mark.parametrize(
    "latent, flags, words",
    [
        (4, (), "no config.json says it: --scale 0.18215 and --shift 0.0, Stable Diffusion 1.x's;"),
        (
            16,
            (),
            "--shift 0.0, Stable Diffusion 1.x's of 4 channels, these are of 16: give",
        ),
        (16, ("--scale=0.3611",), "no config.json says it: --shift 0.0, "),
        (16, ("--scale=0.3611", "--shift=0.1159"), ""),
    ],
)
def test_assumed_numbers_are_named(latent, flags, words, tmp_path, convert):
    save_file(of_channels(latent), tmp_path / "w.safetensors")
    status, out, err = convert(tmp_path / "w.safetensors", tmp_path / "vae", "--groups=8", *flags)
    assert status == 0, err
    assert words in out and ("assumed, as" in out) == bool(words)


def test_numbers_of_a_configuration_and_of_tiny_autoencoders_are_not_assumed():
    said = {"scaling_factor": 0.3611}
    assert latent_range("AutoencoderKL", 16, said, None, None) == ((0.3611, 0.0), "")
    assert latent_range("TinyAutoencoder", 32, {}, None, None) == ((1.0, 0.0), "")
    _, line = latent_range("AutoencoderKL", 16, {"act_fn": "silu"}, None, None)
    assert "--scale 0.18215, Stable" in line
