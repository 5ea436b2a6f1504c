"""`tools/pack.py` as from the shell: a folder is packed, verified and refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.sources.listings.test_files import fill

pytest.importorskip("array_record")


def test_the_tool(tmp_path):
    fill(tmp_path / "images")
    tool = [sys.executable, str(Path(__file__).parents[4] / "tools" / "pack.py")]

    def call(*arguments):
        return subprocess.run(
            [*tool, *map(str, arguments)], capture_output=True, text=True, timeout=120,
            cwd=Path(__file__).parents[4],
        )  # fmt: skip

    done = call(
        tmp_path / "images", tmp_path / "packed", "--side", 4, "--name", "mine", "--workers", 2
    )
    assert done.returncode == 0, done.stderr
    assert "--config.data.name=arrayrecord" in done.stdout
    assert json.loads((tmp_path / "packed" / "manifest.json").read_text())["name"] == "mine"
    assert "6 files" in call(tmp_path / "packed", "--verify").stdout
    (tmp_path / "packed" / "test.csv").write_text("x")
    failed = call("--verify", tmp_path / "packed")
    assert failed.returncode == 2 and "test.csv is damaged" in failed.stderr
    (tmp_path / "images" / "ill" / "0.png").write_bytes(b"no image")
    failed = call(tmp_path / "images", tmp_path / "other")
    assert failed.returncode == 2 and "0.png is not an image" in failed.stderr
    assert call(tmp_path / "nowhere", tmp_path / "other").returncode == 2
