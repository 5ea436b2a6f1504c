"""`tools/convert_vae.py`: every kind of file becomes a folder to load; wrong ones leave nothing."""

import importlib
import json
import pickle
import sys
import types
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from msflow_jax.commands.common import run
from msflow_jax.latent.autoencoder import load

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "fixtures"
WEIGHTS = DATA / "autoencoder_kl_tiny_weights.safetensors"


@pytest.fixture
def convert(shell):
    """The command, as from the shell: exit status and both streams."""
    tool = importlib.import_module("msflow_jax.commands.convert_vae")
    return partial(shell, partial(run, tool.main), "convert_vae")


def state():
    return {k: v.astype(np.float32) for k, v in load_file(WEIGHTS).items()}


def as_torch(path, wrap=dict):
    torch = pytest.importorskip("torch")
    torch.save(wrap({k: torch.from_numpy(v) for k, v in state().items()}), path)


def lightning(tensors):
    prefixed = {f"first_stage_model.{k}": v for k, v in tensors.items()}
    return {"state_dict": prefixed, "epoch": 3}


FILES = {
    "w.safetensors": lambda path: save_file(state(), path),
    "w.pt": as_torch,
    "w.pth": as_torch,
    "w.bin": as_torch,
    "w.ckpt": lambda path: as_torch(path, lightning),
}


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file(name, tmp_path, convert):
    FILES[name](tmp_path / name)
    folder = tmp_path / "new" / "vae"
    status, out, err = convert(tmp_path / name, folder, "--groups=8", "--licence=MIT")
    assert status == 0, err
    assert "242,327 parameters" in out and "PSNR" in out and "poor" in out  # random weights
    autoencoder, params = load(folder)
    assert (autoencoder.scale, autoencoder.shift) == (0.18215, 0.0)
    expected = load_file(DATA / "autoencoder_kl_tiny_io.safetensors")
    image = jnp.asarray(expected["image"].transpose(0, 2, 3, 1))
    latents = autoencoder.encode(params, image)
    mean = expected["mean"].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(latents, 0.18215 * mean, atol=1e-4)
    decoded = autoencoder.decode(params, latents)
    again = expected["reconstruction"].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(decoded, again, atol=1e-3 * np.std(again))
    origin = json.loads((folder / "autoencoder.json").read_text())["origin"]
    assert origin["licence"] == "MIT" and len(origin["files"][name]) == 64
    assert {p.name for p in folder.parent.iterdir()} == {"vae"}  # nothing temporary is left


def test_a_configuration_beside_the_file_is_read(tmp_path, convert):
    save_file(state(), tmp_path / "w.safetensors")
    config = {"norm_num_groups": 8, "scaling_factor": 0.5, "shift_factor": 0.25}
    (tmp_path / "config.json").write_text(json.dumps(config))
    status, _, err = convert(tmp_path / "w.safetensors", tmp_path / "vae")
    assert status == 0, err
    autoencoder, params = load(tmp_path / "vae")
    assert (autoencoder.scale, autoencoder.shift) == (0.5, 0.25)
    images = jax.random.uniform(jax.random.key(0), (1, 8, 8, 3), minval=-1)
    mean, deviation = autoencoder.moments(params, images)
    keys = jax.random.split(jax.random.key(0), 400)
    draws = jax.jit(jax.vmap(lambda key: autoencoder.encode(params, images, key)))(keys)
    np.testing.assert_allclose(draws.mean(0), mean, atol=0.3 * float(deviation.max()))
    np.testing.assert_allclose(draws.std(0), deviation, rtol=0.2)
    (tmp_path / "config.json").write_text("[")
    status, _, err = convert(tmp_path / "w.safetensors", tmp_path / "other")
    assert status == 2 and "config.json is damaged (no JSON: " in err


def test_real_weights_in_two_files(shared_data, tmp_path, convert):
    pytest.importorskip("torch")
    status, out, err = convert(
        shared_data / "taef2_encoder.pth", tmp_path / "vae",
        "--decoder", shared_data / "taef2_decoder.pth",
    )  # fmt: skip
    assert status == 0, err
    assert "TinyAutoencoder" in out and "poor" not in out
    origin = json.loads((tmp_path / "vae" / "autoencoder.json").read_text())["origin"]
    assert origin["psnr_db"] > 25 and len(origin["files"]) == 2


def cut_short(path):
    path.write_bytes(WEIGHTS.read_bytes()[:5000])


def without(path):
    save_file({k: v for k, v in state().items() if k != "quant_conv.bias"}, path)


class Code:
    def __reduce__(self):
        return (print, ("code in a pickle has run",))


WRONG = {
    "a UNet": (DATA / "medsymmflow_unet_tiny_weights.safetensors", "not an autoencoder"),
    "truncated": (cut_short, "not a whole safetensors file"),
    "missing keys": (without, "tensors missing: quant_conv.bias"),
    "nothing": (Path("nowhere.safetensors"), "no such weights file"),
    "another format": (Path(__file__), "unknown weights format"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files_are_named_and_leave_nothing(case, tmp_path, convert):
    source, message = WRONG[case]
    if callable(source):
        source(tmp_path / "w.safetensors")
        source = tmp_path / "w.safetensors"
    folder = tmp_path / "new" / "vae"
    status, out, err = convert(source, folder, "--groups=8")
    told, line = err.splitlines()
    assert status == 2 and "will be made" in told and message in line and not out
    assert not folder.parent.exists()


def test_code_in_a_pickle_is_not_run(tmp_path, convert):
    pytest.importorskip("torch")
    (tmp_path / "w.pt").write_bytes(pickle.dumps({"w": Code()}))
    status, out, err = convert(tmp_path / "w.pt", tmp_path / "vae")
    assert status == 2 and "w.pt" in err and "has run" not in out + err
    assert not (tmp_path / "vae").exists()


def test_a_name_on_the_hub(tmp_path, convert, monkeypatch):
    """The hub's package, played by a folder."""
    save_file(state(), tmp_path / "diffusion_pytorch_model.safetensors")
    (tmp_path / "config.json").write_text('{"norm_num_groups": 8, "scaling_factor": 0.25}')

    def hf_hub_download(name, file):
        if name != "someone/a-vae":
            raise RuntimeError("404: no such repository\nmore")
        return str(tmp_path / file)

    hub = types.SimpleNamespace(hf_hub_download=hf_hub_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    status, _, err = convert("someone/a-vae", tmp_path / "vae")
    assert status == 0, err
    assert load(tmp_path / "vae")[0].scale == 0.25
    status, _, err = convert("someone/nothing", tmp_path / "other")
    assert status == 2 and "could not be fetched from the hub (404: no such repository)" in err
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    status, _, err = convert("someone/a-vae", tmp_path / "other")
    assert status == 2 and "pip install 'msflow_jax[hub]'" in err


def test_a_folder_of_diffusers_and_its_configuration(tmp_path, convert):
    folder = tmp_path / "sd"
    folder.mkdir()
    save_file(state(), folder / "diffusion_pytorch_model.safetensors")
    config = json.loads((DATA / "autoencoder_kl_tiny_config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config))
    status, out, err = convert(folder, tmp_path / "vae")
    assert status == 0 and "groups 8" in out, err
    origin = json.loads((tmp_path / "vae" / "autoencoder.json").read_text())["origin"]
    assert set(origin["files"]) == {"diffusion_pytorch_model.safetensors"}


@pytest.mark.parametrize(
    "said, message",
    [
        ({"norm_num_groups": 0}, "norm_num_groups is 0, no int in [1, 4096]"),
        ({"norm_num_groups": "8"}, "norm_num_groups is '8'"),
        ({"norm_num_groups": True}, "norm_num_groups is True"),
        ({"scaling_factor": [1]}, "scaling_factor is [1]"),
        ({"scaling_factor": float("nan")}, "scaling_factor is nan"),
        ({"scaling_factor": 0}, "scaling_factor is 0"),
        ({"shift_factor": float("inf")}, "shift_factor is inf"),
        (
            {"latent_channels": 16, "norm_num_groups": 8},
            "latent_channels is 16, the tensors need 4",
        ),
        ({"act_fn": "relu", "norm_num_groups": 8}, "act_fn is 'relu', the tensors need ('silu',"),
        ({"latents_mean": [0.1] * 4}, "latents_mean is [0.1, 0.1, 0.1, 0.1], and latents have one"),
        ({"latents_std": [2.0] * 4, "latents_mean": None}, "latents_std is [2.0, 2.0, 2.0, 2.0]"),
        ({"norm_num_groups": 7}, "cannot be normalised in 7 groups: set --groups to a divisor"),
    ],
)
def test_what_a_configuration_says_is_checked(said, message, tmp_path, convert):
    save_file(state(), tmp_path / "w.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(said))
    status, out, err = convert(tmp_path / "w.safetensors", tmp_path / "vae")
    assert status == 2 and message in err and err.count("\n") == 1 and not out
    assert "config.json" in err or "w.safetensors" in err
    assert not (tmp_path / "vae").exists()


@pytest.mark.parametrize(
    "flag", ["--groups=0", "--groups=-8", "--scale=0", "--scale=nan", "--shift=inf"]
)
def test_flags_have_ranges(flag, tmp_path, convert):
    status, _, err = convert(WEIGHTS, tmp_path / "vae", flag)
    assert status == 2 and flag.split("=")[0] in err


def test_two_networks_in_a_file(tmp_path, convert):
    both = {f"net.{k}": v for k, v in state().items()}
    both |= {f"ema.{k}": v + 0.01 for k, v in state().items()}
    save_file(both, tmp_path / "w.safetensors")
    status, _, err = convert(tmp_path / "w.safetensors", tmp_path / "vae", "--groups=8")
    assert status == 2 and "w.safetensors: 2 different networks" in err and "--key" in err
    status, out, err = convert(
        tmp_path / "w.safetensors", tmp_path / "vae", "--groups=8", "--key=net"
    )
    assert status == 0 and "not used: ema.decoder" in out, err
    assert "taken: net.decoder" in out


def test_folders_that_are_no_autoencoders(tmp_path, convert):
    with pytest.raises(FileNotFoundError, match="msflow convert-vae"):
        load(tmp_path)
    (tmp_path / "autoencoder.json").write_text("{}")
    with pytest.raises(ValueError, match=r"autoencoder\.json is damaged"):
        load(tmp_path)
    status, _, err = convert(WEIGHTS, tmp_path, "--groups=8")
    assert status == 2 and "is not empty" in err
