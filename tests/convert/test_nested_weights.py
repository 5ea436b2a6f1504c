"""Weights below prefixes, in shards and folders; what cannot be read is named."""

import gzip
import itertools
import json
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from msflow_jax.convert import convert_unet, read_state_dict
from msflow_jax.convert.matching import find
from msflow_jax.convert.medsymmflow import STEMS as UNET
from msflow_jax.convert.resnet import STEMS as RESNET
from msflow_jax.convert.shards import weight_files
from msflow_jax.convert.vae import STEMS as VAE

DATA = Path(__file__).resolve().parents[1] / "fixtures"
FIXTURES = {
    "unet": (UNET, load_file(DATA / "medsymmflow_unet_tiny_weights.safetensors")),
    "vae": (VAE, load_file(DATA / "autoencoder_kl_tiny_weights.safetensors")),
    "resnet": (RESNET, {"conv1.weight": np.ones(1), "layer1.0.conv1.weight": np.zeros(1)}),
}
PREFIXES = ("_orig_mod.", "module.", "model.", "vae.", "net.", "ema_model.", "first_stage_model.")
NESTINGS = ["", *PREFIXES, *map("".join, itertools.permutations(PREFIXES, 2)), "".join(PREFIXES)]


def equal(got, expected):
    assert got.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(got[name], array)


@pytest.mark.parametrize("kind", FIXTURES)
def test_every_nesting_of_prefixes_is_the_same_network(kind):
    stems, plain = FIXTURES[kind]
    for nesting in NESTINGS:
        state = {"n_averaged": np.array(3), **{nesting + name: a for name, a in plain.items()}}
        found = find(state, stems, "it")
        if not nesting.replace("_orig_mod.", ""):  # there it is left over, and ``match`` says so
            assert set(found.state) - set(plain) == {"n_averaged"}
            continue
        equal(found.state, plain)
        assert found.unused == ["n_averaged"], nesting
        assert found.original[next(iter(plain))] == nesting + next(iter(plain))


def test_compiled_layers_within_names():
    stems, plain = FIXTURES["vae"]
    state = {k.replace("encoder.", "encoder._orig_mod."): a for k, a in plain.items()}
    equal(find(state, stems, "it").state, plain)


def test_two_networks_are_chosen_from_unless_they_are_one():
    stems, plain = FIXTURES["vae"]
    both = {f"net.{k}": a for k, a in plain.items()} | {f"ema.net.{k}": a for k, a in plain.items()}
    equal(find(both, stems, "it").state, plain)  # one network, registered twice
    both["ema.net.quant_conv.bias"] = both["ema.net.quant_conv.bias"] + 1
    with pytest.raises(ValueError, match="2 different networks, at net, ema.net: choose .* --key"):
        find(both, stems, "it")
    ema = find(both, stems, "it", "ema").state
    np.testing.assert_array_equal(ema["quant_conv.bias"], plain["quant_conv.bias"] + 1)
    top = {**plain, **{f"ema.{k}": a + 1 for k, a in plain.items()}}
    equal(find(top, stems, "it", ".").state, plain)
    with pytest.raises(ValueError, match=r"not it at --key other \(there are some at \., ema\)"):
        find(top, stems, "it", "other")
    with pytest.raises(ValueError, match=r"_orig_mod\.a are one by name"):
        find({"a": np.ones(1), "_orig_mod.a": np.ones(1)}, stems, "it")


def test_errors_give_the_names_of_the_file_and_the_flags_of_the_command():
    state = {f"module.{k}": a for k, a in FIXTURES["unet"][1].items()}
    with pytest.raises(ValueError, match="heads of 48: set --head-channels"):
        convert_unet(state, head_channels=48)
    name = "module.middle_block.0.in_layers.2.weight"
    lacking = {k: a for k, a in state.items() if k != name}
    with pytest.raises(ValueError, match=f"tensors missing: {name}"):
        convert_unet(lacking, head_channels=32)
    with pytest.raises(ValueError, match=rf"of integers \(quantised.*: {name}"):
        convert_unet({**state, name: state[name].astype(np.int8)}, head_channels=32)


def test_types_of_safetensors(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save  # fmt: skip
    from safetensors.torch import save_model

    eight = {"a": torch.tensor([1.5, -2.0]).to(torch.float8_e4m3fn)}
    eight["b"] = eight["a"].to(torch.float32).to(torch.float8_e5m2)
    eight["c"] = eight["b"].to(torch.bfloat16)
    save(eight, tmp_path / "W.SAFETENSORS")
    for array in read_state_dict(tmp_path / "W.SAFETENSORS").values():
        np.testing.assert_array_equal(array, np.float32([1.5, -2.0]))
    save({"a": torch.ones(2) * 1j}, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=r"w\.safetensors: the tensor a is of type C64"):
        read_state_dict(tmp_path / "w.safetensors")
    tied = torch.nn.Linear(2, 2, bias=False)
    net = torch.nn.Sequential(tied, tied)
    save_model(net, str(tmp_path / "w.safetensors"))
    equal(read_state_dict(tmp_path / "w.safetensors"), {
        k: v.detach().numpy() for k, v in net.state_dict().items()
    })  # fmt: skip
    header = (
        b'{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"F32","shape":[0],'
    )
    header += b'"data_offsets":[0,0]}}'
    (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ValueError, match=r"w\.safetensors: (two tensors|not a whole)"):
        read_state_dict(tmp_path / "w.safetensors")


def zipped(name, content, method=zipfile.ZIP_STORED):
    def write(path):
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr(name, content)

    return write


def numpy_archive(path):
    with path.open("wb") as file:
        np.savez(file, a=np.ones(2))


OTHERS = {
    "an HTML page": lambda p: p.write_bytes(b"<!DOCTYPE html><title>404</title>"),
    "a Git LFS pointer": lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid"),
    "an empty file": lambda p: p.write_bytes(b""),
    "a gzip file": lambda p: p.write_bytes(gzip.compress(b"x" * 99)),
    "not of torch; unpack it": zipped("w.safetensors", b"x"),
    "a NumPy archive": numpy_archive,
    "a TorchScript program": zipped("net/constants.pkl", b"x"),
    "compressed again": zipped("net/data.pkl", b"x", zipfile.ZIP_DEFLATED),
}


@pytest.mark.parametrize("words", OTHERS)
@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.npz", "w"])
def test_content_decides(words, name, tmp_path):
    OTHERS[words](tmp_path / name)
    with pytest.raises(ValueError, match=rf"{name}: .*{words}"):
        read_state_dict(tmp_path / name)


def test_a_suffix_may_be_wrong(tmp_path):
    torch = pytest.importorskip("torch")
    save_file({"a": np.ones(2, np.float32)}, tmp_path / "w.pth")
    torch.save({"a": torch.ones(2)}, tmp_path / "w.safetensors")
    for name in ("w.pth", "w.safetensors"):
        equal(read_state_dict(tmp_path / name), {"a": np.ones(2)})


def shards(folder, map_=None, torch_too=False):
    """Two shards with their index, as huggingface writes them."""
    half = np.ones(2, ml_dtypes.bfloat16)
    for i, names in ((1, "ab"), (2, "c")):
        save_file({n: half for n in names}, folder / f"model-0000{i}-of-00002.safetensors")
    one, two = (f"model-0000{i}-of-00002.safetensors" for i in (1, 2))
    index = {"metadata": {"total_size": 12}, "weight_map": map_ or {"a": one, "b": one, "c": two}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder / "model.safetensors.index.json"


def test_shards_and_folders(tmp_path):
    index = shards(tmp_path)
    equal(read_state_dict(index), {n: np.ones(2, np.float32) for n in "abc"})
    equal(read_state_dict(tmp_path), {n: np.ones(2, np.float32) for n in "abc"})
    assert len(weight_files(tmp_path)) == 2
    with pytest.raises(ValueError, match=r"one of 2 shards: give the index\.json"):
        read_state_dict(tmp_path / "model-00001-of-00002.safetensors")
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="1 of 2 shards are missing: model-00002"):
        read_state_dict(index)


@pytest.mark.parametrize(
    "map_, message",
    [
        ({"a": "../w.safetensors"}, "no file beside the index"),
        ({"a": "/etc/passwd"}, "no file beside the index"),
        ({"a": 3}, "no file beside the index"),
        ({"a": "model.safetensors.index.json"}, "an index itself"),
        ({"a": "model-00002-of-00002.safetensors"}, "lacks a, c|holds c|lacks a"),
        ([1], "weight_map is no object"),
    ],
)
def test_indices_that_lead_astray(map_, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_state_dict(shards(tmp_path, map_))


def test_folders_of_none_or_many(tmp_path):
    with pytest.raises(ValueError, match="a folder without weights"):
        read_state_dict(tmp_path)
    (tmp_path / "vae").mkdir()
    save_file({"a": np.ones(2)}, tmp_path / "vae" / "x.SAFETENSORS")
    with pytest.raises(ValueError, match="there are some in vae below it"):
        read_state_dict(tmp_path)
    assert set(read_state_dict(tmp_path / "vae")) == {"a"}
    save_file({"b": np.ones(2)}, tmp_path / "vae" / "y.safetensors")
    with pytest.raises(ValueError, match=r"2 weights files: name one of x\.SAFETENSORS, y"):
        read_state_dict(tmp_path / "vae")
    save_file({"c": np.ones(2)}, tmp_path / "vae" / "diffusion_pytorch_model.safetensors")
    assert set(read_state_dict(tmp_path / "vae")) == {"c"}  # the usual name goes first
