"""Official weights become a workdir that the commands accept."""

import csv
import importlib
import json
import re
import shutil
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from msflow_jax.commands.classify import classify
from msflow_jax.commands.common import run
from msflow_jax.commands.generate import generate
from msflow_jax.convert import read_state_dict
from msflow_jax.latent import autoencoder
from msflow_jax.nets import init_params
from msflow_jax.nets.tiny import TinyAutoencoder
from msflow_jax.ode import integrate
from msflow_jax.workdir import open_workdir

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "fixtures"
WEIGHTS = DATA / "medsymmflow_unet_tiny_weights.safetensors"
FLAGS = ("--classes=a,b", "--image-channels=3", "--side=16", "--head-channels=32")


@pytest.fixture(scope="module")
def tool():
    module = importlib.import_module("msflow_jax.commands.convert_medsymmflow")
    return module


@pytest.fixture(scope="module")
def workdir(tool, tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted") / "new" / "w"
    tool.main([str(WEIGHTS), str(folder), *FLAGS])
    return folder


def test_the_workdir_says_what_it_is(workdir):
    trained = open_workdir(workdir)
    assert trained.step == 0 and trained.model.classes == ("a", "b")
    net, expected = trained.config.model.net, json.loads(
        (DATA / "medsymmflow_unet_tiny_config.json").read_text()
    )  # fmt: skip
    assert (net.width, net.blocks, net.head_channels) == (32, 1, expected["head_ch"])
    assert net.multipliers == (1, 2) and net.attention == (2,)
    assert trained.config.model.resize == 0
    source = json.loads((workdir / "manifest.json").read_text())["converted_from"]
    assert source["file"] == WEIGHTS.name and len(source["sha256"]) == 64
    assert {p.name for p in workdir.parent.iterdir()} == {"w"}  # nothing temporary is left


@pytest.mark.parametrize(
    "given, line",
    [
        (
            (None, None, None),
            "not in the file: assumed head channels 64, beta 4.0, code palette; the official code's own "
            "defaults: 32 (--head-channels), 15 (--beta), grey (--code)",
        ),
        (("encoded", None, 32), "assumed beta 4.0; the official code's own defaults: 15 (--beta)"),
        (("grey", 15.0, 32), ""),
    ],
)
def test_what_no_file_says_is_named(tool, given, line):
    found = tool.assumptions(*given)
    assert line in found and bool(found) == bool(line)


def test_the_command_names_what_it_assumed(tool, tmp_path, capsys):
    tool.main([str(WEIGHTS), str(tmp_path / "w"), *FLAGS])
    assert "not in the file: assumed beta 4.0, code palette; the" in capsys.readouterr().out
    given = ("--beta=4", "--code=palette")
    tool.main([str(WEIGHTS), str(tmp_path / "given"), *FLAGS, *given])
    assert "not in the file" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        tool.main(["--help"])
    assert "use_new_attention_order=True are not supported" in " ".join(
        capsys.readouterr().out.split()
    )


def test_reading_equals_the_official_code(workdir):
    trained = open_workdir(workdir)
    arrays = read_state_dict(DATA / "medsymmflow_unet_tiny_io.safetensors")
    x, expected = (arrays[k].transpose(0, 2, 3, 1) for k in ("x", "classify_1"))
    state = {"image": x[..., :3], "label": x[..., 3:]}
    field = trained.model.field(trained.params)
    end = jax.jit(lambda z: integrate(field, z, 1.0, 0.0, steps=1).end)(state)
    got = np.concatenate([end["image"], end["label"]], axis=-1)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_classify_and_generate_accept_it(workdir, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", images=images)
    classify(workdir, str(tmp_path / "x.npz"), tmp_path / "p.csv", draws=1)
    with (tmp_path / "p.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["name"] for row in table] == [f"images/{i:05d}" for i in range(3)]
    assert all(row["class"] in ("a", "b") and row["abstain"] == "" for row in table)
    generate(workdir, ["b"], 2, tmp_path / "g", steps=2)
    pictures = sorted((tmp_path / "g").glob("1_b_*.png"))
    assert [np.asarray(Image.open(p)).shape for p in pictures] == [(16, 16, 3)] * 2


def test_with_an_autoencoder_it_is_a_latent_model(tool, tmp_path):
    net = TinyAutoencoder(latent=3, width=4)
    weights = init_params(net, jax.random.key(0), jax.ShapeDtypeStruct((1, 128, 128, 3), "float32"))
    autoencoder.save(tmp_path / "ae", autoencoder.Autoencoder(net), weights, {"licence": "MIT"})
    flags = ("--classes=a,b", "--image-channels=1", "--side=100", "--resize=128")
    more = ("--head-channels=32", f"--autoencoder={tmp_path / 'ae'}")
    out = tmp_path / "w"
    tool.main([str(WEIGHTS), str(out), *flags, *more])
    shutil.rmtree(tmp_path / "ae")  # the workdir has its own
    trained = open_workdir(out)
    assert trained.model.readout == "decode" and trained.model.code.clean.shape == (2, 16, 16, 3)
    images = np.random.default_rng(0).integers(0, 256, (3, 100, 100, 1), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", images=images)
    rows = classify(out, str(tmp_path / "x.npz"), tmp_path / "p.csv", draws=1)
    assert len(rows) == 3
    generate(out, ["b"], 1, tmp_path / "g", steps=2)
    assert np.asarray(Image.open(next((tmp_path / "g").glob("1_b_*.png")))).shape == (100, 100)
    with pytest.raises(FileNotFoundError, match="no autoencoder in .*ae .*msflow convert-vae"):
        tool.main([str(WEIGHTS), str(tmp_path / "w2"), *flags, *more])
    assert not (tmp_path / "w2").exists()


def test_facts_of_a_published_set(tool):
    info = tool.medmnist_info("bloodmnist", 28)
    assert (len(info.classes), info.channels, info.side) == (8, 3, 28)
    assert info.flips == ("horizontal", "vertical")
    network = {
        "channels": 6, "width": 64, "multipliers": (1, 2, 2, 2), "blocks": 2, "attention": (2,),
        "head_channels": 64,
    }  # fmt: skip
    config = tool.configure(info, network, "palette", 4.0, 32, "")
    assert config.model.net.multipliers == (1, 2, 2, 2) and config.data.name == "bloodmnist"
    with pytest.raises(ValueError, match="multi|unknown --data 'chestmnist'"):
        tool.medmnist_info("chestmnist", 28)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--data=breastmnist", "--head-channels=32"), "6 channels, but an image of 1 .* make 4"),
        ((*FLAGS, "--code=grey"), "6 channels, .* grey label picture of 1 make 4"),
        (("--data=mnist",), "unknown --data 'mnist': choose one of .*bloodmnist"),
        (("--data=bloodmnist", "--side=28"), "--data knows them"),
        (("--classes=a,a", *FLAGS[1:]), "two or more different names, got 'a,a'"),
        (FLAGS[:1], "--image-channels .1 or 3. and --side go with"),
        ((*FLAGS[:3], "--head-channels=48"), "heads of 48"),
        ((*FLAGS, "--beta=-1"), "beta must be a positive number"),
    ],
)
def test_bad_arguments_leave_nothing(tool, tmp_path, monkeypatch, capsys, arguments, message):
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["convert", str(WEIGHTS), str(out), *arguments])
    with pytest.raises(SystemExit) as stop:
        run(tool.main)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1
    assert re.search(message, error), error
    assert not out.exists()


def test_a_folder_in_use_is_refused(tool, workdir):
    before = (workdir / "manifest.json").read_bytes()
    with pytest.raises(ValueError, match="exists and is not empty"):
        tool.main([str(WEIGHTS), str(workdir), *FLAGS])
    assert (workdir / "manifest.json").read_bytes() == before


def test_an_error_while_writing_leaves_nothing(tool, tmp_path, monkeypatch):
    from msflow_jax.storage.checkpoints import Checkpoints

    def full(self, params):
        raise OSError("no space left")

    monkeypatch.setattr(Checkpoints, "save_params", full)
    with pytest.raises(OSError, match="no space left"):
        tool.main([str(WEIGHTS), str(tmp_path / "out"), *FLAGS])
    assert list(tmp_path.iterdir()) == []


def test_damaged_weights(tool, tmp_path):
    broken = tmp_path / WEIGHTS.name
    shutil.copy(WEIGHTS, broken)
    broken.write_bytes(broken.read_bytes()[:1000])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        tool.main([str(broken), str(tmp_path / "out"), *FLAGS])
    with pytest.raises(FileNotFoundError):
        tool.main([str(tmp_path / "none.pt"), str(tmp_path / "out"), *FLAGS])


def test_configuration_and_facts_say_the_same_of_the_data():
    from msflow_jax.commands.convert_medsymmflow import configure, medmnist_info, own_info

    for info in (own_info(("a", "b"), 1, 32), medmnist_info("pneumoniamnist", 28)):
        data = configure(info, {}, "palette", 1.0, 0, "").data
        assert (data.name, data.side, data.fit) == (info.name, info.side, info.fit)
