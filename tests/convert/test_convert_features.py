"""The command that converts ResNets from PyTorch: folders, what is promised, and wrong files."""

import importlib
import json
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from msflow_jax.commands.common import run
from msflow_jax.convert.resnet import convert_resnet
from msflow_jax.evaluation import evaluate_generation
from msflow_jax.evaluation.supplied import SuppliedNetwork, load_features
from msflow_jax.nets.resnet import ResNet
from msflow_jax.storage.checkpoints import Checkpoints
from tests.convert.torch_resnets import BLOCKS, children, state, torch_features, without

ROOT = Path(__file__).resolve().parents[2]
UNET = ROOT / "tests" / "fixtures" / "medsymmflow_unet_tiny_weights.safetensors"


@pytest.fixture
def convert(shell):
    """The command, as from the shell: exit status and both streams."""
    tool = importlib.import_module("msflow_jax.commands.convert_features")
    return partial(shell, partial(run, tool.main), "convert_features")


RANGE = ("--range", "-1", "1")


def test_a_folder_and_its_features(tmp_path, convert):
    save_file(children("backbone.")(state()), tmp_path / "r.safetensors")
    folder = tmp_path / "new" / "f"
    status, out, err = convert(
        tmp_path / "r.safetensors", folder, "--name=Rad", "--licence=theirs", *RANGE
    )
    assert status == 0, err
    assert "ResNet-17" in out and "are finite" in out and "called after 'Rad'" in out
    assert {p.name for p in folder.parent.iterdir()} == {"f"}  # nothing temporary is left
    facts = json.loads((folder / "features.json").read_text())
    assert facts["preprocessing"] == {"side": 224, "mean": [0.5] * 3, "std": [0.5] * 3}
    assert facts["network"]["blocks"] == list(BLOCKS) and facts["name"] == "Rad"
    assert facts["origin"]["licence"] == "theirs"
    assert len(facts["origin"]["files"]["r.safetensors"]) == 64

    name, function = load_features(folder)
    grey = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), dtype=np.uint8)
    found = function(grey)
    assert name == "Rad" and found.shape == (3, 128) and found.dtype == np.float32
    np.testing.assert_allclose(function(grey.repeat(3, -1)), found, rtol=1e-5)
    np.testing.assert_allclose(function(np.tile(grey, (12, 1, 1, 1)))[-3:], found, rtol=1e-4)
    with pytest.raises(ValueError, match=r"\[N, H, W, 1 or 3\]"):
        function(grey.repeat(2, -1))


def test_images_reach_the_network_as_promised(tmp_path, convert):
    """Enlarged bilinearly to 224 by torch, normalised by hand."""
    torch = pytest.importorskip("torch")
    tensors = state(bottleneck=False)
    save_file(tensors, tmp_path / "r.safetensors")
    mean, std = np.array([0.485, 0.456, 0.406], "f"), np.array([0.229, 0.224, 0.225], "f")
    flags = ("--mean", *mean, "--std", *std)
    status, out, err = convert(tmp_path / "r.safetensors", tmp_path / "f", *flags)
    assert status == 0, err
    assert "not used: fc.bias, fc.weight" in out
    name, function = load_features(tmp_path / "f")
    assert name == "ResNet-12 r"
    images = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 3), dtype=np.uint8)
    large = torch.nn.functional.interpolate(
        torch.from_numpy(images.transpose(0, 3, 1, 2) / np.float32(255)),
        size=(224, 224), mode="bilinear", antialias=True,
    )  # fmt: skip
    seen = (large.numpy().transpose(0, 2, 3, 1) - mean) / std
    expected = torch_features(tensors, seen, bottleneck=False)
    np.testing.assert_allclose(function(images), expected, rtol=1e-4, atol=1e-5 * expected.max())


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin"])
def test_torch_files(suffix, tmp_path, convert):
    torch = pytest.importorskip("torch")
    tensors = {k: torch.from_numpy(np.asarray(v)) for k, v in state().items()}
    torch.save(tensors, tmp_path / f"r{suffix}")
    status, _, err = convert(tmp_path / f"r{suffix}", tmp_path / "f", *RANGE)
    assert status == 0, err


def test_the_evaluation_takes_them():
    config, params, _ = convert_resnet(state())
    supplied = SuppliedNetwork("Rad", ResNet(**config), (0.5,) * 3, (0.5,) * 3, side=32)
    rng = np.random.default_rng(0)
    train, held_out, fake = (
        (rng.integers(0, 256, (8, 8, 8, 1), dtype=np.uint8), np.arange(8) % 2) for _ in range(3)
    )
    features = supplied.name, supplied.features(params)
    found = evaluate_generation(
        *fake, train, held_out, ["a", "b"], seed=0, feature_steps=1, features=features
    )
    assert found["features_supplied"] == "Rad"
    assert found["comparison_supplied"]["generated"]["frechet"] > 0


class Code:
    def __reduce__(self):
        return (print, ("code in a pickle has run",))


def cut_short(folder):
    save_file(state(), folder / "w.safetensors")
    (folder / "w.safetensors").write_bytes((folder / "w.safetensors").read_bytes()[:5000])
    return folder / "w.safetensors"


def hostile(folder):
    pytest.importorskip("torch")
    (folder / "w.pt").write_bytes(pickle.dumps({"w": Code()}))
    return folder / "w.pt"


def saved(change):
    def make(folder):
        tensors = {k: np.asarray(v, np.float32) for k, v in change(state()).items()}
        save_file(tensors, folder / "w.safetensors")
        return folder / "w.safetensors"

    return make


WRONG_FILES = {
    "a UNet": (lambda folder: UNET, "not a ResNet: neither"),
    "truncated": (cut_short, "not a whole safetensors file"),
    "code in a pickle": (hostile, "nothing in it was run"),
    "missing keys": (saved(lambda s: without("layer4.0.bn1.bias")), "missing: layer4.0.bn1.bias"),
    "nothing": (lambda folder: folder / "none.pt", "no such weights file"),
    "another format": (lambda folder: Path(__file__), "unknown weights format"),
    "all zero": (saved(lambda s: {k: 0 * v for k, v in s.items()}), "pictures are the same"),
}


@pytest.mark.parametrize("case", WRONG_FILES)
def test_wrong_files_are_named_and_leave_nothing(case, tmp_path, convert):
    make, message = WRONG_FILES[case]
    folder = tmp_path / "new" / "f"
    status, out, err = convert(make(tmp_path), folder, *RANGE)
    told, line = err.splitlines()
    assert status == 2 and "will be made" in told and message in line and not out
    assert "has run" not in err and not folder.parent.exists()


@pytest.mark.parametrize("failing", ["save_params", "wait"])
def test_a_full_disk_leaves_nothing(failing, tmp_path, convert, monkeypatch):
    def full(self, *arguments):
        if failing == "save_params":
            raise OSError("no space left")
        return False  # what failed behind was reported as a warning

    monkeypatch.setattr(Checkpoints, failing, full)
    save_file(state(), tmp_path / "r.safetensors")
    status, out, err = convert(tmp_path / "r.safetensors", tmp_path / "f", *RANGE)
    assert status == 2 and ("no space" in err or "could not be written" in err) and not out
    assert {p.name for p in tmp_path.iterdir()} == {"r.safetensors"}


@pytest.mark.parametrize(
    "flags, message",
    [
        ((), "say how images are normalised"),
        (("--mean", "0", "0", "0"), "say how images are normalised"),
        ((*RANGE, "--std", "1", "1", "1"), "say how images are normalised"),
        (("--range", "1", "1"), "lower value first"),
        (("--mean", "0", "0", "0", "--std", "1", "0", "1"), "std above 0"),
        ((*RANGE, "--name", " "), "needs a name"),
        (
            ("--mean", "124", "116", "104", "--std", "58", "57", "57"),
            "Divide all six numbers by 255",
        ),
        (
            ("--mean", "124", "116", "104", "--std", "1", "1", "1"),
            "are they of images in [0, 255]?",
        ),
        (
            ("--mean", ".5", ".5", ".5", "--std", ".2", ".2", "11"),
            "are they of images in [0, 255]?",
        ),
        (("--range", "0", "0.05"), "narrower than 0.1"),
    ],
)
def test_flags_that_say_nothing(flags, message, tmp_path, convert):
    save_file(state(), tmp_path / "r.safetensors")
    status, _, err = convert(tmp_path / "r.safetensors", tmp_path / "f", *flags)
    assert status == 2 and message in err
    assert not (tmp_path / "f").exists()


def test_ranges_are_means_and_deviations(convert, tmp_path):
    save_file(state(), tmp_path / "r.safetensors")
    convert(tmp_path / "r.safetensors", tmp_path / "f", "--range", "0", "255")
    facts = json.loads((tmp_path / "f" / "features.json").read_text())
    assert facts["preprocessing"]["mean"] == [0, 0, 0]
    np.testing.assert_allclose(facts["preprocessing"]["std"], 1 / 255)


def test_folders_that_hold_no_network(tmp_path, convert):
    with pytest.raises(FileNotFoundError, match="msflow convert-features"):
        load_features(tmp_path)
    for content in ("{}", "[]", "{", '{"name": "a", "network": {"blocks": 3}}'):
        (tmp_path / "features.json").write_text(content)
        with pytest.raises(ValueError, match=r"features\.json is damaged"):
            load_features(tmp_path)
    save_file(state(), tmp_path / "r.safetensors")
    status, _, err = convert(tmp_path / "r.safetensors", tmp_path, *RANGE)
    assert status == 2 and "is not empty" in err
    with pytest.raises(ValueError, match="needs a name"):
        SuppliedNetwork("", ResNet(), (0.0,) * 3, (1.0,) * 3)
