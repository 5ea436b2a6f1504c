"""Fine-tuning an autoencoder from the shell: a walk, and every mistake answered in one line."""

import json
import re

import jax
import numpy as np
import pytest
from PIL import Image

from msflow_jax.latent.autoencoder import FILE, Autoencoder, load, save
from msflow_jax.nets.init import init_params
from msflow_jax.nets.vae import AutoencoderKL
from msflow_jax.training.records import read_records

DATA = ("--config.data.name=phantoms", "--config.data.phantoms.subjects=12")
RUN = (*DATA, "--config.data.phantoms.slices=1", "--side=16", "--steps=2", "--learning-rate=1e-3")


def small_network(channels=3):
    return AutoencoderKL(channels, latent=2, widths=(4, 4), blocks=1, groups=2)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The folder of a small autoencoder with random weights."""
    folder = tmp_path_factory.mktemp("autoencoders") / "kl"
    net = small_network()
    params = init_params(net, jax.random.key(0), np.zeros((1, 16, 16, 3), np.float32))
    save(folder, Autoencoder(net, 2.0), params, {"licence": "MIT"})
    return folder


@pytest.fixture
def finetune(base, config_file, command, tmp_path):
    def call(*arguments, **changes):
        given = {"autoencoder": base, "config": config_file, "output": tmp_path / "new", **changes}
        return command("finetune_vae", *(f"--{k}={v}" for k, v in given.items()), *arguments)

    return call


def test_a_walk(base, finetune, tmp_path):
    (tmp_path / "new-run").mkdir()
    (tmp_path / "new-run" / "settings.json").write_text(
        '{"kl": 3.0}'
    )  # nothing was trained with it
    out = finetune(*RUN, "--freeze-encoder")
    assert out.status == 0, out.err
    before, after = re.findall(r"PSNR (\S+) dB, SSIM (\S+), .* latents (\S+?),?\s", out.out)
    assert before[2] == after[2]
    (old, params), (new, tuned) = load(base), load(tmp_path / "new")
    assert new == old
    jax.tree.map(np.testing.assert_array_equal, params["encoder"], tuned["encoder"])
    origin = json.loads((tmp_path / "new" / FILE).read_text())["origin"]
    assert origin["base"] == {"licence": "MIT"}
    assert origin["settings"]["data"] == "phantoms" and len(origin["settings"]["md5"]) == 32
    assert f"{origin['before']['psnr']:.2f}" == before[0]
    assert f"{origin['after']['ssim']:.4f}" == after[1]
    run = tmp_path / "new-run"
    assert [r["step"] for r in read_records(run) if "val_psnr" in r] == [1, 2]
    with Image.open(run / "reconstructions.png") as picture:
        assert picture.height == 3 * 16 and picture.width % 16 == 0

    again = finetune(*RUN, "--freeze-encoder")
    assert again.status == 2 and "is not empty: name a new folder" in again.err

    (tmp_path / "new").rename(tmp_path / "old")
    out = finetune(*RUN, "--freeze-encoder", "--batch=4")
    assert out.status == 2 and "holds a run with batch=8, not 4: use another --output" in out.err
    rows = (run / "metrics.jsonl").read_text()
    assert finetune(*RUN, "--freeze-encoder").status == 0  # finished: only written again
    assert (run / "metrics.jsonl").read_text() == rows
    jax.tree.map(np.testing.assert_array_equal, tuned, load(tmp_path / "new")[1])

    (tmp_path / "new").rename(tmp_path / "third")
    (run / "settings.json").write_text("{")
    out = finetune(*RUN, "--freeze-encoder")
    assert out.status == 2 and "settings.json is damaged" in out.err


MISTAKES = {
    "no autoencoder": ("--autoencoder=nowhere", "no autoencoder in nowhere .*msflow convert-vae"),
    "no configuration": ("--config=nowhere.py", "no configuration file nowhere.py"),
    "side": ("--side=31", "side 31 .* multiple of 2, .* --side=32"),
    "steps": ("--steps=0", "steps must be at least 1, got 0"),
    "batch": ("--batch=0", "batch must be at least 1, got 0"),
    "weight": ("--perceptual=-1", "--perceptual must be at least 0, got -1.0"),
    "rate": ("--learning-rate=nan", "--learning-rate must be a positive number, got nan"),
    "data key": ("--config.data.rooot=x", "'data.rooot'; near it: data.root"),
    "volumes": (
        "--config.data.dims=3",
        "has volumes of 32 x 32 x 32, and autoencoders are of images",
    ),
    "other part": ("--config.train.steps=3", "--config.train.steps=3; .* only config.data is used"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name, finetune, tmp_path):
    argument, message = MISTAKES[name]
    out = finetune(*DATA, argument)
    assert out.status == 2 and "Traceback" not in out.err
    assert re.search(message, out.err), out.err
    assert not (tmp_path / "new").exists()


def test_colour_images_for_a_grey_autoencoder(finetune, tmp_path):
    net = small_network(channels=1)
    params = init_params(net, jax.random.key(0), np.zeros((1, 16, 16, 1), np.float32))
    save(tmp_path / "grey", Autoencoder(net), params, {})
    out = finetune(*RUN, "--config.data.channels=3", autoencoder=tmp_path / "grey")
    assert out.status == 2 and "takes 1: add --config.data.channels=1" in out.err
