"""An exported model runs with jax alone, and says what the library says."""

import json
import shutil
import subprocess
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from ml_collections import ConfigDict

from msflow_jax import progress
from msflow_jax.data import Info
from msflow_jax.evaluation.scaling import Scaling
from msflow_jax.inference import exporting
from msflow_jax.inference.prediction import Prediction
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
    assert facts["images"]["intensity"] == flow.info.intensity().to_dict()
    assert facts["images"]["in_words"] and facts["images"]["fit"] == flow.info.fit
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
    # The program itself would draw the last class.
    last, numbers = len(flow.classes) - 1, np.array([0, 1], np.int32)
    with pytest.raises(AssertionError, match=rf"labels must lie in 0\.\.{last}, got 0 to 99: "):
        alone(folder, tmp_path, labels=np.array([0, 99], np.int32), numbers=numbers)


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


@pytest.mark.parametrize("in_nats", [True, False])
@pytest.mark.parametrize("bias", [(), (0.4, -0.1, -0.3)])
def test_what_is_exported_pools_draws_as_predictions_do(monkeypatch, in_nats, bias):
    """Of likelihoods and of distances, with and without a bias of each class."""
    logs = np.random.default_rng(0).normal(0, 2, (8, 64, 3)).astype(np.float32)
    logs -= np.log(np.exp(logs).sum(-1, keepdims=True))
    given = Prediction(
        -logs if in_nats else np.exp(-logs), np.exp(logs), logs.argmax(-1), 1.0,
        np.ones((8, 64), bool), None, ("a", "b", "c"), 4, in_nats,
    )  # fmt: skip
    monkeypatch.setattr(exporting, "classifying", lambda *a, **k: lambda *given_: given)
    monkeypatch.setattr(exporting, "choose_settings", lambda *a: {})
    monkeypatch.setattr(exporting, "prior_weights", lambda *a: None)
    known = SimpleNamespace(settings={}, temperature=1.7, bias=bias)
    sample = ConfigDict(dict(classify={}, seed=0, overlap=0.0))
    flow = SimpleNamespace(
        config=SimpleNamespace(sample=sample), calibration=known, model=None, info=Info(
            "x", ("a", "b", "c"), 1, 8, "multi-class", "", "", "", ()
        ),
    )  # fmt: skip
    function = exporting._classify(flow, {})[0]
    found = function({}, np.zeros((64, 8, 8, 1), np.uint8))
    wanted = given.scaled(Scaling(1.7, np.array(bias)))
    np.testing.assert_allclose(found["probability"], wanted.probability, atol=1e-5)
    np.testing.assert_array_equal(found["prediction"], wanted.prediction)
    np.testing.assert_allclose(found["uncertainty"], wanted.uncertainty["distance"], rtol=1e-4)


def test_it_says_what_takes_long(tmp_path, monkeypatch, command):
    """Nothing was seen while it loaded, and while it traced for three platforms."""
    said = []

    @contextmanager
    def doing(what):
        said.append(what)
        yield
        said.append("")

    def export(*_, **__):
        assert said[-1] == "tracing generate for cpu, cuda, tpu"
        return {"platforms": exporting.PLATFORMS}

    monkeypatch.setattr(progress, "doing", doing)
    monkeypatch.setattr(exporting, "export", export)
    monkeypatch.setattr("msflow_jax.workdir.open_workdir", lambda _: None)
    output = tmp_path / "new"
    out = command("export", f"--workdir={tmp_path}/w", "--verb=generate", f"--output={output}")
    assert out.status == 0 and said[0] == "starting"
