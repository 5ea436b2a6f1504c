"""The train command: a whole walk, resuming, and every mistake answered in one line."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.commands.train import default_workdir
from msflow_jax.data.sources.listings.folders import list_folder
from msflow_jax.data.sources.packs.packing import Settings, pack
from msflow_jax.training.records import read_records
from tests.commands.conftest import evaluation

ROOT = Path(__file__).resolve().parents[2]


def test_a_run_leaves_everything(trained):
    found = {p.name for p in trained.iterdir()}
    assert found >= {
        "config.json", "manifest.json", "metrics.jsonl", "checkpoints", "evaluations",
        "report", "tensorboard", "splits.csv",
    }  # fmt: skip
    with (trained / "splits.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 44 and len(rows[0].pop("pixels")) == 32
    assert rows[0] == {
        "name": "train/dark/0.png", "subject": "", "split": "train", "label": "dark",
    }  # fmt: skip
    assert (trained / "report" / "index.html").stat().st_size > 10_000
    assert json.loads((trained / "evaluations" / "standing.json").read_text()) == {"name": "test"}
    measured = evaluation(trained)
    assert measured["split"] == "test"
    assert measured["classification"]["images"] == 12
    assert measured["generation"]["samples"] == 12
    assert measured["data"]["classes"] == ["dark", "very bright"]
    assert [row["images"] for row in measured["counts"]][2] == 12
    assert measured["run"]["parameters"]["trained"] > 0 and "python" in measured["run"]["command"]
    assert "command" in json.loads((trained / "manifest.json").read_text())
    with np.load(trained / "evaluations" / "test" / "evaluation.npz", allow_pickle=False) as arrays:
        assert arrays["samples"].shape == (12, 8, 8, 1)
        assert set(arrays["certain_labels"]) <= {0, 1}
        assert set(arrays["certain_names"][0].split("/")) & {"dark", "very bright"}


def test_metrics_of_every_step(trained):
    rows = read_records(trained)
    assert all("val_flow_loss" in row for row in rows if "val_auc" in row)
    assert [r["step"] for r in rows if "loss" in r] == [1, 2, 3, 4]
    validated = [r for r in rows if "val_auc" in r]
    assert [r["step"] for r in validated] == [2, 4]
    assert {"val_auc", "val_accuracy", "val_nll"} <= set(validated[0])


def test_a_finished_run_is_only_evaluated_again(trained, config_file, pictures, tmp_path, command):
    workdir = shutil.copytree(trained, tmp_path / "copy")
    out = command(
        "train", f"--config={config_file}", f"--workdir={workdir}",
        f"--config.data.root={pictures}", "--no-evaluate",
    )  # fmt: skip
    assert out.status == 0 and "24 training, 8 validation, 12 test images of 8 x 8 x 1" in out.out
    assert f"\nsaved: {workdir}; next: msflow evaluate --workdir={workdir}\n" in out.out
    assert (workdir / "metrics.jsonl").read_text() == (trained / "metrics.jsonl").read_text()


def test_images_packed_and_read_while_training(trained, config_file, pictures, tmp_path, command):
    """The figures of the device's loader, through files and through shards, read by a worker."""
    pytest.importorskip("grain")
    config = data.default_config("folder")
    config.root = str(pictures)
    pack(list_folder(config), tmp_path / "packed", Settings(shard_images=9))
    losses = {}
    for name, root, more in (
        ("folder", pictures, ["--no-evaluate"]), ("arrayrecord", tmp_path / "packed", []),
    ):  # fmt: skip
        workdir = tmp_path / name
        out = command(
            "train", f"--config={config_file}", f"--workdir={workdir}",
            f"--config.data.name={name}", f"--config.data.root={root}",
            "--config.data.loader=grain", "--config.data.workers=1", *more,
        )  # fmt: skip
        assert out.status == 0, out.err
        losses[name] = [r["loss"] for r in read_records(workdir) if "loss" in r]
    assert "next the evaluation on the test split: --no-evaluate leaves it out" in out.out
    measured = evaluation(workdir)
    assert measured["classification"]["images"] == 12
    assert measured["settings"]["training_images_compared"] == 24
    assert losses["folder"] == [r["loss"] for r in read_records(trained) if "loss" in r]
    assert losses["arrayrecord"] != losses["folder"]  # packing shuffles the training images


def test_a_segmentation_is_trained_and_evaluated(config_file, tmp_path, command):
    workdir = tmp_path / "maps"
    out = command(
        "train", f"--config={config_file}", f"--workdir={workdir}", "--config.model.task=segment",
        "--config.data.name=phantoms", "--config.data.side=16", "--config.data.phantoms.slices=1",
        "--config.data.phantoms.subjects=24", "--config.train.steps=2",
        "--config.train.select=val_dice",
    )  # fmt: skip
    assert out.status == 0, out.err
    found = evaluation(workdir)
    assert 0 <= found["segmentation"]["mean_dice"] <= 1
    out = command("evaluate", f"--workdir={workdir}", "--prior=uniform", "--name=uniform")
    assert out.status == 2 and "segmentation knows no class prior" in out.err


MISTAKES = {
    "unknown key": ("--config.train.stepz=3", "'train.stepz'; near it: train.steps"),
    "unknown part": ("--config.trian.steps=3", "'trian.steps'; near it: train.steps"),
    "word for a number": ("--config.train.steps=abc", "--config.train.steps=abc: invalid literal"),
    "fraction for a whole number": ("--config.train.batch=1.5", "--config.train.batch=1.5"),
    "value for a part": ("--config.train=3", "--config.train=3"),
    "unknown data": ("--config.data.name=folderr", "'folderr'; known: phantoms, folder"),
    "no such folder": ("--config.data.root=nowhere", "no folder at nowhere .*--config.data.root"),
    "unknown code": ("--config.model.code.scheme=rgb", "'rgb': choose one of palette"),
    "unknown network": ("--config.model.net.name=vit", "'vit': choose one of 'unet', 'dit'"),
    "unknown dtype": (
        "--config.model.net.dtype=float16",
        "'float16': choose one of float32, bfloat16",
    ),
    "no label maps": ("--config.model.task=segment", "has no label maps"),
    "groups": (
        "--config.model.net.name=unet --config.model.net.groups=3",
        "cannot be normalised in 3 groups",
    ),
    "attention": (
        "--config.model.net.name=unet --config.model.net.groups=4 --config.model.net.attention=(64,)",
        "attention at down-sampling factors .64.",
    ),
    "warm-up": ("--config.train.warmup=2.0", r"train.warmup must lie in \(0, 1\), got 2.0"),
    "another network": ("--config.model.net.width=16", "model.net.width=8, not 16: use another"),
    "another network's setting": (
        "--config.model.net.multipliers=(1,)",
        "unknown configuration key 'model.net.multipliers'",
    ),
    "another family's setting": (
        "--config.model.bound=1.0",
        "'model.bound' .a setting of the family 'coupling'.; near it",
    ),
    "unknown family": ("--config.model.family=diffuser", "'diffuser': choose one of 'symmetric'"),
    "another md5": (f"--config.data.md5={'0' * 32}", "config.data.md5 asks for"),
}


@pytest.mark.parametrize("argument, message", MISTAKES.values(), ids=MISTAKES)
def test_mistakes(argument, message, trained, config_file, pictures, tmp_path, command):
    """The workdir of the finished run is used where the mistake is about it."""
    workdir = trained if "use another" in message else tmp_path / "w"
    out = command(
        "train", f"--config={config_file}", f"--workdir={workdir}", "--no-evaluate",
        f"--config.data.root={pictures}", *argument.split(),
    )  # fmt: skip
    assert out.status == 2 and out.err.count("\n") == 1, out.err
    assert re.search(message, out.err), out.err


def test_mistakes_in_the_configuration_file(config_file, tmp_path, command):
    out = command("train", "--config=configs/nothing.py")
    assert out.status == 2 and "no configuration file configs/nothing.py" in out.err
    out = command("train", f"--config={ROOT / 'configs' / 'pixel_retina.py'}:gpu")
    assert out.status == 2 and "unknown variant 'gpu'" in out.err and out.err.count("\n") == 1
    broken = tmp_path / "broken.py"
    broken.write_text("import nothing_of_the_kind\n")
    out = command("train", f"--config={broken}")
    assert out.status == 2 and "nothing_of_the_kind" in out.err and out.err.count("\n") == 1


def test_unknown_flag(config_file, command):
    out = command("train", f"--config={config_file}", "--step=3")
    assert out.status == 2 and "unknown argument --step=3" in out.err


@pytest.mark.parametrize(
    "given",
    [("--config.data.root", "x"), ("config.data.root=x",), ("-config.data.root=x",),
     ("\u2014config.data.root=x",), ("-\u2013config.data.root=x",), ("--data.root=x",)],
)  # fmt: skip
@pytest.mark.parametrize("name", ["train", "distill", "finetune_vae"])
def test_a_setting_written_otherwise_is_answered_by_how_it_is(name, given, config_file, command):
    flags = {
        "train": (f"--config={config_file}",),
        "distill": ("--workdir=a", "--output=b"),
        "finetune_vae": ("--autoencoder=a", "--output=b", f"--config={config_file}"),
    }
    out = command(name, *flags[name], *given)
    hint = "settings are written with two hyphens and =, --config.data.root=x"
    assert out.status == 2 and f"unknown argument {given[-1]}: {hint}" in out.err


def test_debug_shows_the_traceback(command):
    with pytest.raises(FileNotFoundError, match="no configuration file"):
        command("train", "--config=configs/nothing.py", "--debug")


def test_default_workdir():
    assert default_workdir("configs/quickstart.py") == Path("runs/quickstart")
    assert default_workdir("configs/pixel_retina.py:cpu") == Path("runs/pixel_retina-cpu")
    assert default_workdir("own_images.py", "/data/my eyes/") == Path("runs/own_images-my-eyes")
    assert default_workdir("c/own_images.py:cpu", "l.csv") == Path("runs/own_images-cpu-l")


def test_help_is_quick():
    """No command loads JAX, matplotlib or scikit-learn to say what it does."""
    script = """
import sys
from importlib import import_module
from msflow_jax.commands.common import run
for name in ("train", "evaluate", "classify", "generate", "explain"):
    sys.argv = [name, "--help"]
    try:
        run(import_module(f"msflow_jax.commands.{name}").main)
    except SystemExit as stop:
        assert stop.code == 0
    else:
        raise AssertionError(name)
heavy = {"jax", "matplotlib", "sklearn", "nilearn", "flax", "orbax", "torch", "PIL"}
print("loaded:", sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("loaded: []")
    for flag in ("--config", "--workdir", "--images", "--label", "--split", "--debug"):
        assert flag in done.stdout
