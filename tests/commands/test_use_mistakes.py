"""Mistakes of who uses a finished run, and damage to it: each answered in one line."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.commands.conftest import read

MISTAKES = {
    "no workdir": ("classify", "--workdir={tmp}/nothing", "is no workdir: config.json is missing"),
    "unknown split": ("evaluate", "--split=all", "invalid choice: 'all'"),
    "empty folder": ("classify", "--images={tmp}", "no image in {tmp}"),
    "missing image": ("classify", "--images={tmp}/x.png", "no image, folder or .npz at"),
    "table of another kind": (
        "classify",
        "--output={tmp}/p.xlsx",
        "p.xlsx: what is written is a CSV",
    ),
    "other size": ("classify", "--images={tmp}/large", "is 12 x 12, .* 8 x 8 .*--resize"),
    "coverage": ("classify", "--keep=1.5", r"--keep must lie in \(0, 1\], got 1.5"),
    "measure": ("classify", "--measure=doubt", "unknown uncertainty 'doubt': .*distance"),
    "draws": ("classify", "--draws=-1", "--draws must be at least 1, got -1"),
    "no steps": ("classify", "--steps=0", "--steps must be at least 1, got 0"),
    "no weight": ("generate", "--guidance=0", "--guidance must be a positive number, got 0"),
    "no draws": ("evaluate", "--draws=0", "--draws must be at least 1, got 0"),
    "unknown class": ("generate", "--label=melanoma", "'melanoma': .* 0 = dark, 1 = very bright"),
    "count": ("generate", "--count=0", "--count must be at least 1, got 0"),
    "text": (
        "generate",
        "--text=A lesion.",
        "--text: .* draws images of classes: .*--label, of dark",
    ),
    "blank text": ("generate", "--text= ", "--text is empty: give a report in words"),
    "modalities": (
        "generate",
        "--modalities=ct",
        "--modalities: the model of .* images of classes",
    ),
    "solver": ("generate", "--solver=newton", "'newton': choose one of euler"),
    "guidance": ("generate", "--guidance=2", "trained with code dropout"),
    "other data": (
        "evaluate",
        "--root={tmp}/other",
        "other does not hold the data of this run: the contents .*--root",
    ),
    "other classes": (
        "evaluate",
        "--root={tmp}/renamed",
        "the classes light, very bright, but the model was trained on dark, very bright",
    ),
    "no column": (
        "evaluate",
        "--by=site",
        "--by=site: the test split has no such column; it has none",
    ),
    "no data": ("evaluate", "--root={tmp}/gone", "no folder at"),
}


@pytest.mark.parametrize("name, argument, message", MISTAKES.values(), ids=MISTAKES)
def test_mistakes(name, argument, message, trained, pictures, tmp_path, command):
    if "large" in argument:
        (tmp_path / "large").mkdir()
        Image.fromarray(np.zeros((12, 12), np.uint8)).save(tmp_path / "large" / "x.png")
    if "other" in argument:
        shutil.copytree(pictures, tmp_path / "other")
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "other/test/dark/0.png")
    if "renamed" in argument:
        shutil.copytree(pictures, tmp_path / "renamed")
        for split in ("train", "val", "test"):
            (tmp_path / "renamed" / split / "dark").rename(tmp_path / "renamed" / split / "light")
    usual = {
        "evaluate": [],
        "classify": [f"--images={pictures / 'test'}", f"--output={tmp_path / 'p.csv'}"],
        "generate": ["--count=1", f"--output={tmp_path / 'g'}"],
    }[name]
    out = command(name, f"--workdir={trained}", *usual, argument.format(tmp=tmp_path))
    assert out.status == 2, out.err
    assert re.search(message.format(tmp=tmp_path), out.err), out.err
    assert "Traceback" not in out.err
    if "invalid choice" not in message:  # argparse shows the usage as well
        assert out.err.startswith("error: ") and out.err.count("\n") == 1
    assert not (tmp_path / "p.csv").exists() and not (tmp_path / "g").exists()


def test_broken_images_are_listed_or_skipped(trained, pictures, tmp_path, command):
    shutil.copytree(pictures / "test" / "dark", tmp_path / "in")
    for name in ("2.png", "3.png"):
        (tmp_path / "in" / name).write_bytes(b"<html>not found</html>")
    Image.fromarray(np.full((8, 8), 4000, np.uint16)).save(tmp_path / "in" / "4.png")
    arguments = (
        "classify", f"--workdir={trained}", f"--images={tmp_path / 'in'}",
        f"--output={tmp_path / 'p.csv'}",
    )  # fmt: skip
    out = command(*arguments)
    assert out.status == 2 and not (tmp_path / "p.csv").exists()
    assert re.search(
        r"3 pictures cannot be used: .*2\.png is not .*3\.png.*4\.png .* 4000", out.err
    )
    assert "--skip-broken goes on without them" in out.err
    out = command(*arguments, "--skip-broken")
    assert out.status == 0 and "3 images, " in out.out and "3 could not be read" in out.out
    rows = {row["name"]: row for row in read(tmp_path / "p.csv")}
    assert [name for name, row in rows.items() if row["error"]] == ["2.png", "3.png", "4.png"]
    assert rows["2.png"]["class"] == rows["2.png"]["abstain"] == ""
    assert rows["5.png"]["class"] and not rows["5.png"]["error"]
    for path in (tmp_path / "in").iterdir():
        path.write_bytes(b"<html>not found</html>")
    out = command(*arguments, "--skip-broken")  # nothing is classified, and the table says why
    assert out.status == 2 and "6 pictures cannot be used" in out.err, out.err
    assert {row["error"][-13:] for row in read(tmp_path / "p.csv")} == {"copy it again"}


def empty(folder):
    shutil.rmtree(folder / "checkpoints")
    (folder / "checkpoints").mkdir()


def tear(folder):
    (folder / "config.json").write_text((folder / "config.json").read_text()[:200])


def tamper(folder):
    config = json.loads((folder / "config.json").read_text())
    config["model"]["net"]["wide"] = 3
    (folder / "config.json").write_text(json.dumps(config))


def widen(folder):
    config = json.loads((folder / "config.json").read_text())
    config["model"]["net"]["width"] = 16
    (folder / "config.json").write_text(json.dumps(config))


def break_parameters(folder):
    for file in (folder / "checkpoints").glob("*/ema/**/*"):
        if file.is_file():
            file.write_bytes(b"")


DAMAGE = {
    "checkpoints are gone": (lambda f: shutil.rmtree(f / "checkpoints"), "no checkpoint in"),
    "checkpoints are empty": (empty, "no checkpoint in .*train first"),
    "checkpoints are damaged": (break_parameters, r"checkpoints/\d cannot be read"),
    "configuration is torn": (tear, "config.json .*is damaged"),
    "configuration has another key": (tamper, "unknown key model.net.wide"),
    "configuration has another width": (
        widen,
        "config.json has model.net.width=16, the checkpoint",
    ),
}


@pytest.mark.parametrize("harm, message", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("name", ["classify", "generate"])
def test_damage_is_an_error_never_random_weights(
    name, harm, message, copied, pictures, tmp_path, command
):
    harm(copied)
    usual = {
        "classify": [f"--images={pictures / 'test'}", f"--output={tmp_path / 'p.csv'}"],
        "generate": ["--count=1", f"--output={tmp_path / 'g'}"],
    }[name]
    out = command(name, f"--workdir={copied}", *usual)
    assert out.status == 2 and out.err.count("\n") == 1, out.err
    assert re.search(message, out.err), out.err
