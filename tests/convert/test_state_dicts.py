"""Reading weight files, whole and hostile."""

import os
import pickle
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from msflow_jax.convert import read_state_dict


class Payload:
    """Runs a command when unpickled by a loader that obeys."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return (os.system, (self.command,))


def test_safetensors_become_float32(tmp_path):
    path = tmp_path / "w.safetensors"
    half = np.array([1.5, -2.0], np.float16)
    save_file({"half": half, "brain": half.astype(jnp.bfloat16), "steps": np.array([3])}, path)
    state = read_state_dict(path)
    assert {name: array.dtype for name, array in state.items()} == {
        "half": np.float32,
        "brain": np.float32,
        "steps": np.int64,
    }
    np.testing.assert_array_equal(state["brain"], half.astype(np.float32))


def test_missing_file_and_unknown_suffix(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.pt"):
        read_state_dict(tmp_path / "none.pt")
    path = tmp_path / "weights.h5"
    path.write_bytes(b"x")
    with pytest.raises(ValueError, match=r"weights\.h5.*unknown weights format"):
        read_state_dict(path)


@pytest.mark.parametrize("kept", [0, 4, 30, 100])
def test_truncated_safetensors(tmp_path, kept):
    path = tmp_path / "cut.safetensors"
    save_file({"a": np.zeros(100, np.float32)}, path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"cut\.safetensors"):
        read_state_dict(path)


def test_torch_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    path = tmp_path / "w.pt"
    path.write_bytes(pickle.dumps({}))
    with pytest.raises(ImportError, match=r"pip install 'msflow_jax\[torch\]'"):
        read_state_dict(path)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt"])
@pytest.mark.parametrize("nested", [False, True])
def test_torch_files(tmp_path, suffix, nested):
    torch = pytest.importorskip("torch")
    state = {"a": torch.ones(2, 3, dtype=torch.bfloat16), "n": torch.tensor(4)}
    path = tmp_path / f"w{suffix}"
    torch.save({"state_dict": state, "epoch": 1} if nested else state, path)
    loaded = read_state_dict(path)
    assert loaded["a"].dtype == np.float32 and loaded["a"].shape == (2, 3)
    assert loaded["n"] == 4


@pytest.mark.parametrize("kept", [0, 10, 400, -30])
def test_truncated_torch_file(tmp_path, kept):
    torch = pytest.importorskip("torch")
    path = tmp_path / "cut.pt"
    torch.save({"a": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"cut\.pt"):
        read_state_dict(path)


@pytest.mark.parametrize("content", [[1, 2], {}, {"a": 1}, "text"])
def test_not_a_state_dict(tmp_path, content):
    torch = pytest.importorskip("torch")
    path = tmp_path / "other.pt"
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"other\.pt.*state dict"):
        read_state_dict(path)


@pytest.mark.parametrize("by_torch", [False, True])
def test_code_in_a_pickle_is_not_run(tmp_path, by_torch):
    torch = pytest.importorskip("torch")
    path, trace = tmp_path / "hostile.pt", tmp_path / "ran"
    payload = {"a": Payload(f"touch {trace}")}
    torch.save(payload, path) if by_torch else path.write_bytes(pickle.dumps(payload))
    with pytest.raises(ValueError, match=r"hostile\.pt"):
        read_state_dict(path)
    assert not trace.exists()
