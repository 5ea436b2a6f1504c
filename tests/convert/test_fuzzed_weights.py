"""State dicts of random trees, and their files with bytes changed: arrays, or one line of error."""

import io
import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st
from safetensors.numpy import load_file, save

from msflow_jax.convert import convert_unet, convert_vae, read_state_dict
from msflow_jax.convert.resnet import convert_resnet
from msflow_jax.storage.content import printable
from tests.fuzzing import fuzz

DATA = Path(__file__).resolve().parents[1] / "fixtures"
REAL = {
    **load_file(DATA / "medsymmflow_unet_tiny_weights.safetensors"),
    **load_file(DATA / "autoencoder_kl_tiny_weights.safetensors"),
}
NAMES = [
    *list(REAL)[::9], "encoder.conv_in.weight", "input_blocks.0.0.weight", "encoder.0.weight",
    "decoder.1.weight", "conv1.weight", "layer1.0.conv1.weight", "0.weight", "4.0.conv1.weight",
    "encoder.down_blocks.7.resnets.0.conv1.weight", "input_blocks.1.0.op.weight",
]  # fmt: skip
PREFIXES = ["", "", "module.", "_orig_mod.", "ema_model.", "model.vae.", "."]
names = st.one_of(
    st.tuples(st.sampled_from(PREFIXES), st.sampled_from(NAMES)).map("".join),
    st.text(max_size=8),
)
shapes = st.lists(st.integers(0, 4), max_size=5).map(tuple)
KINDS = ["float32", "float64", "float16", "int64", "uint8", "bool", "int8"]
arrays = st.tuples(shapes, st.sampled_from(KINDS)).map(lambda t: np.ones(*t))
edits = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4
)  # place, byte
cuts = st.one_of(st.just(1.0), st.floats(0, 1))


def changed(content, edits, cut):
    out = bytearray(content[: int(len(content) * cut)])
    for place, byte in edits:
        if out:
            out[int(len(out) * place)] = byte
    return bytes(out)


def read(path):
    """The state, or None where the file is refused by name in one line."""
    try:
        state = read_state_dict(path)
    except ValueError as error:
        assert str(path) in str(error) and "weights_only" not in str(error)
        assert "\n" not in str(error) and printable(str(error)) == str(error)
        return None
    except ImportError as error:  # of PyTorch's own kinds, where it is not installed
        assert str(path) in str(error) and "pip install" in str(error)
        return None
    assert state and all(isinstance(a, np.ndarray) for a in state.values())
    return state


def converted(state):
    """No converter makes a network of these, and each says so."""
    for converter in (convert_unet, convert_vae, convert_resnet):
        with pytest.raises(ValueError, match=r"not an? |networks|one by name|cannot be"):
            converter(state)


def test_safetensors(tmp_path):
    path = tmp_path / "w.safetensors"

    def check(tree, edits, cut):
        path.write_bytes(changed(save(tree), edits, cut))
        if state := read(path):
            converted(state)

    assert fuzz(check, st.dictionaries(names, arrays, max_size=8), edits, cuts, share=0.25) > 10


def test_torch_files(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "w.pth"
    warnings.simplefilter("ignore")  # of torch about sparse tensors

    def kinds(array):
        tensor = torch.from_numpy(array)
        out = [tensor, tensor.to("meta"), tensor.to(torch.bfloat16), tensor.to(torch.complex64)]
        out += [tensor.to(torch.float8_e5m2), tensor.expand(3, *tensor.shape)]
        return st.sampled_from(out + ([tensor.to_sparse()] if tensor.ndim else []))

    keys = st.one_of(names, st.integers(-1, 3), st.booleans(), st.none())
    others = st.one_of(st.integers(), st.text(max_size=3), st.none(), st.just(np.ones(1)))
    leaf = st.one_of(arrays.flatmap(kinds), arrays.flatmap(kinds), others)
    trees = st.recursive(leaf, lambda inner: st.dictionaries(keys, inner, max_size=6), max_leaves=9)

    def check(tree, old, edits, cut):
        buffer = io.BytesIO()
        torch.save(tree, buffer, _use_new_zipfile_serialization=not old)
        path.write_bytes(changed(buffer.getvalue(), edits, cut))
        if state := read(path):
            converted(state)

    assert fuzz(check, trees, st.booleans(), edits, cuts, share=0.25) > 5


def test_indices_of_shards(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(save({"a": np.ones(2)}))
    path = tmp_path / "model.safetensors.index.json"
    text = st.one_of(st.just("a"), st.just("a.safetensors"), st.text(max_size=4))
    values = st.recursive(
        st.one_of(text, st.integers(), st.floats(), st.none()),
        lambda inner: st.one_of(
            st.lists(inner, max_size=2), st.dictionaries(text, inner, max_size=3)
        ),
        max_leaves=4,
    )

    def check(tree, edits, cut):
        content = json.dumps({"metadata": {}, "weight_map": tree}).encode()
        path.write_bytes(changed(content, edits, cut))
        try:
            assert set(read_state_dict(path)) == {"a"}
        except (ValueError, FileNotFoundError) as error:
            assert re.match(re.escape(str(tmp_path)), str(error)), error

    assert fuzz(check, values, edits, cuts, share=0.25) > 10
