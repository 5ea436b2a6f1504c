"""`tools/export_onnx.py`: ONNX Runtime says what the library says, or nothing is written."""

import json
import sys
from functools import partial

import export_onnx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plain_program import plain

from msflow_jax.commands.common import run
from msflow_jax.streams import content_index, sample_noise
from tests.kept import unpack


@pytest.fixture
def tool(shell):
    """``tool("--output=x")``: exit status, and both streams."""
    return partial(shell, partial(run, export_onnx.main), "export_onnx")


def test_noise_written_out_is_the_same():
    """Bit for bit but for the last of a logarithm: additions and shifts in place of `jax.random`."""
    key = jax.random.key(3)

    def noise(images):
        index = content_index(images)
        own = jax.random.split(jax.random.fold_in(key, 7))[1]
        return index, sample_noise(own, index, (5, 3))

    images = np.random.default_rng(0).uniform(-1, 1, (4, 7, 3, 1)).astype(np.float32)
    (any_number,) = jax.export.symbolic_shape("batch")
    given = jax.ShapeDtypeStruct((any_number, *images.shape[1:]), jnp.float32)
    assert "random" not in str(jax.make_jaxpr(plain(noise, given))(given))
    index, found = jax.jit(plain(noise, jax.ShapeDtypeStruct(images.shape, jnp.float32)))(images)
    np.testing.assert_array_equal(index, content_index(images))
    np.testing.assert_allclose(found, noise(images)[1], rtol=1e-5, atol=1e-6)


def test_loops_are_unrolled_and_what_is_known_is_a_constant():
    def function(x):
        y = jax.lax.map(lambda i: x * i, jnp.arange(3.0))
        z, _ = jax.lax.scan(lambda s, i: (s + x * jnp.exp(i), None), y[2], jnp.arange(2.0))
        return jax.lax.while_loop(lambda s: s[0] < 4, lambda s: (s[0] + 1, s[1] + x), (0, z))[1]

    given = jax.ShapeDtypeStruct((2,), jnp.float32)
    program = plain(function, given)
    text = str(jax.make_jaxpr(program)(given))
    assert "while" not in text and "scan" not in text and "exp" not in text
    x = np.array([1.0, -2.0], np.float32)
    np.testing.assert_allclose(program(x)[0], function(x), rtol=1e-5)


def test_a_loop_of_a_length_of_the_image_is_refused():
    def function(x):
        return jax.lax.while_loop(lambda s: s.sum() < 4, lambda s: s + 1, x)

    with pytest.raises(NotImplementedError, match="a loop of a length that depends on the image"):
        plain(function, jax.ShapeDtypeStruct((2,), jnp.float32))
    with pytest.raises(NotImplementedError, match="a cast of bits"):
        plain(lambda x: x.view(jnp.float32), jax.ShapeDtypeStruct((2,), jnp.uint32))


def test_bad_input_leaves_nothing(tool, tmp_path, monkeypatch):
    given = (f"--workdir={tmp_path / 'none'}", f"--output={tmp_path / 'm.onnx'}")
    status, _, err = tool(*given, "--count=0")
    assert status == 2 and "--count must be at least 1, got 0" in err and err.count("\n") == 1
    monkeypatch.setitem(sys.modules, "onnx", None)
    status, _, err = tool(*given)
    assert status == 2 and "pip install --no-deps jax2onnx" in err and err.count("\n") == 1
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("difference", [2e-4, float("nan")])
def test_what_differs_from_the_library_is_not_written(tool, tmp_path, monkeypatch, difference):
    monkeypatch.setattr(export_onnx, "_require", lambda: None)
    monkeypatch.setattr(export_onnx, "converted", lambda *_: (b"", {}))
    monkeypatch.setattr(export_onnx, "_run", lambda *_: {})
    monkeypatch.setattr(export_onnx, "compare", lambda *_: {"probability": difference})
    status, _, err = tool(
        f"--workdir={unpack('pixel', tmp_path)}", f"--output={tmp_path / 'm.onnx'}"
    )
    assert status == 2 and "above --tolerance=0.0001: nothing is written" in err
    assert err.count("\n") == 1 and [file.name for file in tmp_path.iterdir()] == ["pixel"]


def test_runtime_says_what_the_library_says(tool, tmp_path):
    pytest.importorskip("jax2onnx", reason="jax2onnx: see tools/export_onnx.py")
    onnx = pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    output = tmp_path / "model.onnx"
    given = (f"--workdir={unpack('pixel', tmp_path)}", f"--output={output}", "--draws=2")
    status, out, err = tool(*given)
    assert status == 0, err
    assert "probabilities differ from the library's by at most" in out
    facts = {p.key: json.loads(p.value) for p in onnx.load(output).metadata_props}
    assert facts["batch"] == "any" and facts["settings"]["draws"] == 2
    assert facts["differences"]["probability"] < 1e-5
    session = ort.InferenceSession(output)
    (images,) = session.get_inputs()
    assert [images.type, images.shape[0]] == ["tensor(uint8)", "batch"]
    seven = np.zeros((7, *images.shape[1:]), np.uint8)
    (found,) = session.run(["probability"], {"images": seven})
    assert found.shape == (7, len(facts["classes"]))
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    output.write_bytes(b"mine")
    status, _, err = tool(*given)
    assert status == 2 and output.read_bytes() == b"mine"
