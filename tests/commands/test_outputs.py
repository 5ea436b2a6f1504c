"""What classify and generate write: nothing is lost that was there, and what was done is kept."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from msflow_jax.parallel import batched
from msflow_jax.storage.text import uncell

ROOT = Path(__file__).resolve().parents[2]


def read(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def classify(trained, images, output):
    return ("classify", f"--workdir={trained}", f"--images={images}", f"--output={output}")


@pytest.fixture
def no_work(monkeypatch):
    """Outputs are refused before a workdir is opened."""
    from msflow_jax import workdir

    monkeypatch.setattr(workdir, "open_workdir", lambda *_: pytest.fail("the work has begun"))


def test_a_picture_is_not_overwritten_by_its_table(no_work, trained, pictures, tmp_path, command):
    picture = tmp_path / "a.png"
    picture.write_bytes((pictures / "test/dark/0.png").read_bytes())
    before = picture.read_bytes()
    (tmp_path / "notes.csv").write_text("patient,diagnosis\n")
    cases = {
        picture: "a.png is read by this command",
        tmp_path / "notes.csv": "is not what this command writes: .*--overwrite",
        tmp_path: "is a folder: name a file",
        f"{tmp_path}/new/": "names a folder: name a file",
        "/dev/null": "is no plain file",
        picture / "p.csv": "cannot be made, since .*a.png is no folder",
        trained / "config.json": "config.json is read by this command",
    }
    for output, message in cases.items():
        out = command(*classify(trained, picture, output))
        assert out.status == 2 and re.search(message, out.err), out.err
    out = command(*classify(trained, picture, picture), "--overwrite")
    assert out.status == 2 and picture.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "notes.csv"]
    assert (tmp_path / "notes.csv").read_text() == "patient,diagnosis\n"


def test_a_folder_of_something_else_is_not_written_to(no_work, trained, tmp_path, command):
    (tmp_path / "thesis.tex").touch()
    for flag in ("--count=1", "--overwrite"):
        out = command("generate", f"--workdir={trained}", f"--output={tmp_path}", flag)
        assert out.status == 2 and "did not write (thesis.tex): name a new folder" in out.err
    out = command("generate", f"--workdir={trained}", f"--output={tmp_path / 'thesis.tex'}")
    assert out.status == 2 and "is a file: name a folder" in out.err
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def stop_at(monkeypatch, batch):
    """Ctrl-C during the batch of this number."""
    place, calls = batched.place, []

    def stopped(*given):
        calls.append(given)
        if len(calls) == batch:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
        return place(*given)

    monkeypatch.setattr(batched, "place", stopped)


def test_ctrl_c_keeps_what_was_classified(trained, pictures, tmp_path, command, monkeypatch):
    whole, part = tmp_path / "p.csv", tmp_path / "p.csv.partial"
    with monkeypatch.context() as patch:
        stop_at(patch, 2)
        out = command(*classify(trained, pictures, whole))
        assert out.status == 130 and "Traceback" not in out.err
        assert f"stopped by Ctrl-C: 16 of 44 images are in {part}\n" in out.err
        assert not whole.exists()
    kept = read(part)
    assert command(*classify(trained, pictures, whole)).status == 0
    for row, expected in zip(kept, read(whole)[:16], strict=True):
        assert row["name"] == expected["name"] and row["class"] == expected["class"]
        assert float(row["p_dark"]) == pytest.approx(float(expected["p_dark"]), abs=1e-5)
    assert [p.name for p in tmp_path.iterdir()] == ["p.csv"]  # what was kept is no longer needed


def test_generated_folders(trained, tmp_path, command, monkeypatch):
    """Replaced as a whole, kept in part after Ctrl-C, and every picture in one is an image."""
    arguments = ("generate", f"--workdir={trained}", "--steps=2", f"--output={tmp_path / 'g'}")
    assert command(*arguments, "--count=5").status == 0
    assert command(*arguments, "--count=2", "--label=dark").status == 0
    record = json.loads((tmp_path / "g/generated.json").read_text())
    names = {entry["file"] for entry in record["images"]}
    assert {p.name for p in (tmp_path / "g").iterdir()} == {*names, "generated.json", "grid.pdf"}
    out = command(*classify(trained, tmp_path / "g", tmp_path / "p.csv"))
    assert out.status == 0 and {row["name"] for row in read(tmp_path / "p.csv")} == names
    (tmp_path / "g/mine.png").touch()
    out = command(*arguments, "--count=1")
    assert out.status == 2 and "(mine.png)" in out.err and (tmp_path / "g/mine.png").exists()
    stop_at(monkeypatch, 2)
    out = command(*arguments, "--count=12", "--overwrite")
    assert out.status == 130 and f"16 of 24 images are in {tmp_path / 'g.partial'}" in out.err
    record = json.loads((tmp_path / "g.partial/generated.json").read_text())
    assert record["stopped"] == "by Ctrl-C after 16 of 24 images" and len(record["images"]) == 16
    assert (tmp_path / "g/mine.png").exists()


def test_the_seed_of_drawings_is_as_configured(trained, tmp_path, command, seeded):
    """That of ``sample.seed``, or of the flag; records say which."""
    given = "generate", f"--workdir={trained}", "--label=dark", "--count=2", "--steps=2"

    def drawn(name, *flags):
        assert command(*given, f"--output={tmp_path / name}", *flags).status == 0
        record = json.loads((tmp_path / name / "generated.json").read_text())
        pictures = [one["file"] for one in record.get("images", ())]
        return record["seed"], [(tmp_path / name / one).read_bytes() for one in pictures]

    assert drawn("usual") == drawn("five", "--seed=5")
    assert drawn("zero", "--seed=0")[0] == 0 and drawn("zero", "--seed=0") != drawn("usual")
    assert drawn("set", "--augment")[0] == 5


LOST = """
import pwd, sys
def unknown(_):
    raise KeyError
pwd.getpwuid = pwd.getpwnam = unknown
from msflow_jax.commands.classify import main
from msflow_jax.commands.common import run
run(main)
"""


def test_without_a_home_a_user_and_a_locale(trained, tmp_path):
    """As in a container under a number without an entry, on names that are no ASCII and formulas."""
    names = ("=1+1.png", "caf\u00e9.png")
    (tmp_path / "in").mkdir()
    for name in names:
        Image.fromarray(np.full((8, 8), 90, np.uint8)).save(tmp_path / "in" / name)
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "tmp"),
        "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
    }  # fmt: skip
    (tmp_path / "tmp").mkdir()
    flags = ("--workdir=tiny", f"--images={tmp_path / 'in'}", f"--output={tmp_path / 'p.csv'}")
    out = subprocess.run(
        [sys.executable, "-c", LOST, *flags, "--draws=1"],
        cwd=trained.parent, env=environment, capture_output=True, timeout=300,
    )  # fmt: skip
    assert out.returncode == 0, out.stderr.decode()
    assert out.stdout.decode().startswith("2 images, abstained on ")
    rows = read(tmp_path / "p.csv")
    assert rows[0]["name"] == "'=1+1.png" and {uncell(row["name"]) for row in rows} == set(names)
    assert not (trained.parent / "~").exists() and list((tmp_path / "tmp").iterdir())


def test_every_column_is_explained(trained, pictures, tmp_path, command):
    """In docs/reference/tables.md, which also holds those that only some models have."""
    text = (ROOT / "docs/reference/tables.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"`([\w.]+)`", text))
    assert command(*classify(trained, pictures / "test", tmp_path / "p.csv")).status == 0
    columns = {name for name in read(tmp_path / "p.csv")[0] if not name.startswith("p_")}
    lines = (trained / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    columns |= {key for line in lines for key in json.loads(line)}
    assert columns - explained == set()
