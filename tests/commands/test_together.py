"""Two processes share the work of a command; the first one writes what one alone would."""

import csv
import filecmp
import os
import shutil
import subprocess
import sys

import numpy as np

from tests.commands.conftest import evaluation
from tests.training.launch import two_places


def together(name, *arguments):
    """The command in two processes of one device each, and what the first one printed."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=1"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", f"experiments.{name}", *map(str, arguments)]
    pair = [
        subprocess.Popen(
            [*command, f"--distributed={one}"], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for one in two_places()
    ]  # fmt: skip
    told = [process.communicate(timeout=200) for process in pair]
    for process, (_, errors) in zip(pair, told, strict=True):
        assert process.returncode == 0, errors[-3000:]
    assert not [line for line in told[1][0].splitlines() if "Gloo" not in line]
    return told[0][0]


def table(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_classify(trained, pictures, tmp_path, command):
    alone, shared = tmp_path / "alone.csv", tmp_path / "shared.csv"
    given = f"--workdir={trained}", f"--images={pictures / 'test'}", "--coverage=0.5"
    assert command("classify", *given, f"--output={alone}").status == 0
    assert "12 images" in together("classify", *given, f"--output={shared}")
    for one, other in zip(table(alone), table(shared), strict=True):
        assert (one["name"], one["class"], one["set"]) == (
            other["name"],
            other["class"],
            other["set"],
        )
        np.testing.assert_allclose(float(one["p_dark"]), float(other["p_dark"]), atol=1e-5)


def test_generate(trained, tmp_path, command):
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    given = f"--workdir={trained}", "--label=dark", "--count=3"
    assert command("generate", *given, f"--output={alone}").status == 0
    assert "3 images" in together("generate", *given, f"--output={shared}")
    names = sorted(path.name for path in shared.glob("*.png"))
    assert len(names) == 3
    assert filecmp.cmpfiles(alone, shared, names, shallow=False)[0] == names


def test_evaluate(trained, pictures, tmp_path):
    """On images from elsewhere: what measures drawings would take a minute."""
    workdir = shutil.copytree(trained, tmp_path / "copy")
    given = f"--workdir={workdir}", f"--images={pictures / 'test'}", "--name=shared"
    assert "report:" in together("evaluate", *given)
    one, other = (evaluation(workdir, name)["classification"] for name in ("test", "shared"))
    assert one["accuracy"] == other["accuracy"]
    np.testing.assert_allclose(one["nll"], other["nll"], rtol=1e-4)
