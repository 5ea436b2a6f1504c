"""What is chosen for the user's own images."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from msflow_jax import data, workdir
from msflow_jax.commands.train import fit_to_data
from msflow_jax.config import check_config, load_config
from msflow_jax.data.sources.listings.own import Facts, is_own, look
from msflow_jax.symmetric.own import choose, choose_side

FACTS = Facts(
    source="folder",
    root="images",
    classes=("a", "b"),
    counts=(60, 40),
    training=70,
    looked_at=100,
    sides=(200, 300, 400),
    square=False,
    channels=1,
)
BIG = 1 << 40
CONFIG = Path(__file__).resolve().parents[2] / "configs/own_images.py"


@pytest.fixture
def images(tmp_path):
    """Three classes of pictures of several sizes, in colour by name only, one of them broken."""
    rng = np.random.default_rng(0)
    for name in ("ill", "very ill", "well"):
        (tmp_path / "my eyes" / name).mkdir(parents=True)
        for i in range(10):
            grey = rng.integers(0, 256, (40 + 2 * i, 50), np.uint8)
            Image.fromarray(np.stack([grey] * 3, -1)).save(tmp_path / f"my eyes/{name}/{i}.png")
    (tmp_path / "my eyes/ill/0.png").write_bytes(b"no picture")
    return tmp_path / "my eyes"


def config_of(root, *overrides, variant=":cpu"):
    arguments = [f"--config={CONFIG}{variant}", f"--config.data.root={root}"]
    config = load_config([*arguments, *overrides])
    fit_to_data(config, [o.split("=")[0].removeprefix("--config.") for o in overrides])
    check_config(config)
    return config


def test_facts_of_a_folder(images):
    config = data.default_config("own")
    config.root = str(images)
    facts = look(config)
    assert facts.source == "folder" and facts.classes == ("ill", "very ill", "well")
    assert facts.counts == (10, 10, 10) and facts.looked_at == 29 and facts.training == 21
    assert facts.sides == (40, 50, 50) and not facts.square and facts.channels == 1
    colour = np.zeros((60, 60, 3), np.uint8)
    colour[3, 3] = (1, 2, 3)
    Image.fromarray(colour).save(images / "well/9.png")
    assert look(config).channels == 3
    assert "30 images, 21 for training (colour, not all square, shorter side 40 to" in (
        look(config).describe()
    )


def test_facts_of_a_table(images):
    (images / "list.csv").write_text(
        "path,label\n" + "".join(f"well/{i}.png,{'ab'[i % 2]}\n" for i in range(10))
    )
    config = data.default_config("own:cpu")
    config.root = str(images / "list.csv")
    facts = look(config)
    assert facts.source == "manifest" and facts.counts == (5, 5) and facts.looked_at == 10
    assert data.load(_with(config, side=8)).info.name == "manifest"
    with pytest.raises(ValueError, match=r"--config.data.root=FOLDER .*or --config.data.root=FILE"):
        look(_with(config, root=""))
    with pytest.raises(FileNotFoundError, match="no folder at"):
        look(_with(config, root=str(images / "gone")))
    for path in (images / "well").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(ValueError, match="well/9.png"):
        look(config)


def _with(config, **changes):
    return data.ConfigDict({**config.to_dict(), **changes})


def test_what_fits(images, capsys):
    config = config_of(images)
    assert (config.data.name, config.data.side, config.data.channels) == ("folder", 32, 1)
    assert (config.train.batch, config.train.steps, config.model.net.width) == (16, 400, 32)
    assert not is_own(config.data.name) and config.model.code.scheme == "simplex"
    out = capsys.readouterr().out
    assert "3 classes: ill 10, very ill 10, well 10" in out
    assert "data.side=32, data.channels=1" in out and "train.batch=16, train.steps=" in out
    assert "50 pixels become 32: details smaller than 2 pixels are lost" in out
    splits = data.load(_with(config.data, root=str(_mended(images))))
    assert splits.train.images.shape == (21, 32, 32, 1)


def _mended(images):
    (images / "ill/0.png").write_bytes((images / "ill/1.png").read_bytes())
    Image.open(images / "ill/1.png").point(lambda v: v // 2).save(images / "ill/0.png")
    return images


def test_what_the_user_says_stays(images):
    config = config_of(
        images, "--config.data.side=16", "--config.train.epochs=3.0", "--config.model.net.name=dit",
        "--config.model.net.width=8", variant="",
    )  # fmt: skip
    assert config.data.side == 16 and config.model.net.width == 8
    assert config.train.epochs == 3 and config.train.steps == 0 and config.train.batch == 16
    with pytest.raises(ValueError, match="chooses nothing for model.family='coupling'"):
        config_of(images, "--config.model.family=coupling")


@pytest.mark.parametrize(
    "facts, small, expected",
    [
        ({}, True, (32, 32, 400)),
        ({}, False, (64, 64, 2000)),
        ({"training": 3, "sides": (9, 9, 9)}, True, (12, 8, 400)),
        ({"training": 640, "sides": (28, 28, 28)}, True, (28, 32, 2000)),
        ({"training": 64_000, "sides": (28, 28, 28)}, False, (32, 64, 50_000)),
        ({"training": 6400}, False, (64, 64, 30_000)),
    ],
)
def test_the_size_follows_the_images(facts, small, expected):
    found = choose(dataclasses.replace(FACTS, **facts), small=small, memory=BIG)
    assert (found["data.side"], found["train.batch"], found["train.steps"]) == expected
    assert found["model.net.width"] == (32 if small else 64)
    # The published network is not touched.
    assert ("model.net.multipliers" in found) == small


def test_what_does_not_fit_into_memory_is_read_while_training():
    size = 70 * 32 * 32
    assert choose(FACTS, small=True, memory=4 * size)["data.loader"] == "device"
    assert choose(FACTS, small=True, memory=4 * size - 1)["data.loader"] == "grain"


def test_sides_that_the_network_halves():
    assert [choose_side(s, 64, 8) for s in (1, 8, 28, 63, 64, 900)] == [8, 8, 32, 64, 64, 64]


def test_a_run_that_has_begun_keeps_its_length_unless_the_user_names_another(images, tmp_path):
    """What images and machine suggest today may be another number than when it began."""
    (images / "ill/0.png").unlink()
    config, run = config_of(images), tmp_path / "run"
    chosen = config.train.steps
    config.train.steps = chosen + 7
    workdir.create(run, config, data.load(config.data).info)
    for begun, given, steps in (
        (False, (), chosen), (True, (), chosen + 7), (True, ("train.steps",), 3),
        (True, ("train.epochs",), 3),
    ):  # fmt: skip
        if begun:
            (run / "checkpoints" / "2" / "ema").mkdir(parents=True, exist_ok=True)
        config = load_config([f"--config={CONFIG}:cpu", f"--config.data.root={images}"])
        config.train.steps = 3
        fit_to_data(config, given, workdir=run)
        assert config.train.steps == steps
