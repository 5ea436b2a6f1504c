"""An exported model runs with jax alone, and says what the library says."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from msflow_jax.workdir import open_workdir

pytest.importorskip("flatbuffers")
# In a process where neither this library nor what it is made of can be imported.
ALONE = """
import sys
for name in ("msflow_jax", "flax", "safetensors", "diffrax", "optax", "scipy.stats"):
    sys.modules[name] = None
sys.path.insert(0, sys.argv[1])
import numpy as np
from load import load
facts, run = load(sys.argv[1])
given = np.load(sys.argv[2])
np.savez(sys.argv[3], **run(*(given[one["name"]] for one in facts["inputs"])))
"""


def alone(folder, tmp_path, **inputs):
    np.savez(tmp_path / "in.npz", **inputs)
    command = [sys.executable, "-c", ALONE, folder, tmp_path / "in.npz", tmp_path / "out.npz"]
    out = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    return dict(np.load(tmp_path / "out.npz"))


def test_it_classifies_as_the_library_does(trained, tmp_path, command):
    folder = tmp_path / "exported"
    out = command("export", f"--workdir={trained}", f"--output={folder}")
    assert out.status == 0, out.err
    facts = json.loads((folder / "export.json").read_text())
    assert facts["platforms"] == ["cpu", "cuda", "tpu"] and facts["batch"] == "any"
    assert (
        facts["calibrated_by"].startswith("test")
        and [a["keep"] for a in facts["abstain"]][-1] == 0.95
    )
    flow = open_workdir(trained)
    images = np.random.default_rng(0).integers(0, 256, (3, *flow.info.shape), np.uint8)
    wanted = flow.classify(images)
    found = alone(folder, tmp_path, images=images)
    np.testing.assert_allclose(found["probability"], wanted.probability, atol=1e-5)
    np.testing.assert_allclose(found["distance"], wanted.distance, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found["prediction"], wanted.prediction)
    np.testing.assert_allclose(
        found["uncertainty"], wanted.uncertainty["distance"], rtol=1e-4, atol=1e-5
    )
    for entry in facts["abstain"]:
        threshold = flow.calibration.threshold("distance", entry["keep"])
        assert entry["above"] == pytest.approx(threshold)
    raw = (folder / "parameters.safetensors").read_bytes()
    (folder / "parameters.safetensors").write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(AssertionError, match="is not the file that was exported"):
        alone(folder, tmp_path, images=images)


def test_it_draws_as_the_library_does(trained, tmp_path, command):
    folder = tmp_path / "exported"
    given = (
        f"--workdir={trained}",
        f"--output={folder}",
        "--verb=generate",
        "--steps=2",
        "--batch=2",
    )
    out = command("export", *given)
    assert out.status == 0, out.err
    flow = open_workdir(trained)
    found = alone(
        folder, tmp_path, labels=np.array([0, 0], np.int32), numbers=np.array([0, 1], np.int32)
    )
    wanted = flow.generate(flow.classes[0], 2, steps=2)
    assert np.abs(found["images"].astype(int) - wanted).max() <= 1


def test_what_cannot_be_exported(trained, tmp_path, command, monkeypatch):
    def call(*arguments):
        out = command("export", f"--workdir={trained}", f"--output={tmp_path / 'e'}", *arguments)
        assert out.status == 2 and not (tmp_path / "e").exists() and out.err.count("\n") == 1
        return out.err

    assert "exported are classify and generate" in call("--verb=explain")
    monkeypatch.setitem(sys.modules, "flatbuffers", None)
    assert "pip install 'msflow_jax[export]'" in call()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    out = command("export", f"--workdir={trained}", f"--output={tmp_path / 'full'}")
    assert out.status == 2 and (tmp_path / "full" / "mine.txt").exists()
    shutil.rmtree(tmp_path / "full")
