"""ResNets from PyTorch: every naming gives torch's features; what is none is refused."""

import importlib
import json
import pickle
import re
from functools import partial
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from msflow_jax.commands.common import run
from msflow_jax.convert.resnet import convert_resnet
from msflow_jax.evaluation import evaluate_generation
from msflow_jax.evaluation.supplied import SuppliedNetwork, load_features
from msflow_jax.nets.resnet import ResNet
from msflow_jax.storage.checkpoints import Checkpoints

ROOT = Path(__file__).resolve().parents[2]
UNET = ROOT / "tests" / "fixtures" / "medsymmflow_unet_tiny_weights.safetensors"
BLOCKS = (2, 1, 1, 1)


def state(bottleneck=True, biases=False, width=4, blocks=BLOCKS, seed=0):
    """Random tensors by torchvision's names: the convolutions' and, far from fresh, the norms'."""
    rng, out = np.random.default_rng(seed), {}

    def convolution(name, features, channels, size):
        scale = np.sqrt(2 / (channels * size**2))
        out[f"{name}.weight"] = rng.normal(0, scale, (features, channels, size, size))
        if biases:
            out[f"{name}.bias"] = rng.normal(0, 0.2, features)

    def norm(name, features):
        out[f"{name}.weight"] = rng.uniform(0.5, 1.5, features)
        out[f"{name}.bias"] = rng.normal(0, 0.2, features)
        out[f"{name}.running_mean"] = rng.normal(0, 0.2, features)
        out[f"{name}.running_var"] = rng.uniform(0.01, 1.5, features)

    convolution("conv1", width, 3, 7)
    norm("bn1", width)
    channels = width
    for stage, count in enumerate(blocks, 1):
        inner = width * 2 ** (stage - 1)
        sizes = [(inner, 1), (inner, 3), (4 * inner, 1)] if bottleneck else [(inner, 3)] * 2
        for i in range(count):
            block, begin = f"layer{stage}.{i}", channels
            for j, (features, size) in enumerate(sizes, 1):
                convolution(f"{block}.conv{j}", features, channels, size)
                norm(f"{block}.bn{j}", features)
                channels = features
            if begin != channels or (stage > 1 and not i):
                convolution(f"{block}.downsample.0", channels, begin, 1)
                norm(f"{block}.downsample.1", channels)
    out["fc.weight"] = rng.normal(0, 1, (10, channels))
    out["fc.bias"] = rng.normal(0, 1, 10)
    out = {name: array.astype(np.float32) for name, array in out.items()}
    counters = {k.replace("mean", ""): k for k in out if k.endswith(".running_mean")}
    counted = {k.replace("running_", "num_batches_tracked"): np.array(7) for k in counters}
    return {**out, **counted}


def torch_features(tensors, images, bottleneck, keras=False, blocks=BLOCKS):
    """torchvision's architecture in torch, or that of the Keras network; images `[B, H, W, 3]`."""
    torch = pytest.importorskip("torch")
    nn, epsilon = torch.nn, 1.001e-5 if keras else 1e-5

    def conv(channels, features, size, stride=1):
        return nn.Conv2d(channels, features, size, stride, (size - 1) // 2, bias=keras)

    class Block(nn.Module):
        def __init__(self, channels, width, stride):
            super().__init__()
            out = 4 * width if bottleneck else width
            first, second = (stride, 1) if keras or not bottleneck else (1, stride)
            self.conv1 = conv(channels, width, 1 if bottleneck else 3, first)
            self.bn1 = nn.BatchNorm2d(width, epsilon)
            self.conv2 = conv(width, width, 3, second)
            self.bn2 = nn.BatchNorm2d(width, epsilon)
            if bottleneck:
                self.conv3 = conv(width, out, 1)
                self.bn3 = nn.BatchNorm2d(out, epsilon)
            self.downsample = nn.Identity()
            if stride > 1 or channels != out:
                self.downsample = nn.Sequential(
                    conv(channels, out, 1, stride), nn.BatchNorm2d(out, epsilon)
                )

        def forward(self, x):
            h = torch.relu(self.bn1(self.conv1(x)))
            h = self.bn2(self.conv2(h))
            if bottleneck:
                h = self.bn3(self.conv3(torch.relu(h)))
            return torch.relu(h + self.downsample(x))

    class Net(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.conv1, self.bn1 = conv(3, width, 7, 2), nn.BatchNorm2d(width, epsilon)
            self.maxpool = nn.MaxPool2d(3, 2, 1)
            channels = width
            for stage, count in enumerate(blocks, 1):
                row = []
                for i in range(count):
                    row.append(Block(channels, width, 2 if stage > 1 and not i else 1))
                    channels = 4 * width if bottleneck else width
                setattr(self, f"layer{stage}", nn.Sequential(*row))
                width *= 2
            self.fc = nn.Linear(channels, 10)

        def forward(self, x):
            x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
            x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
            return x.mean((2, 3))

    net = Net(tensors["conv1.weight"].shape[0])
    net.load_state_dict({k: torch.from_numpy(np.asarray(v)) for k, v in tensors.items()})
    with torch.no_grad():
        return net.eval()(torch.from_numpy(images.transpose(0, 3, 1, 2))).numpy()


def prefixed(prefix):
    return lambda tensors: {prefix + name: array for name, array in tensors.items()}


def children(prefix):
    """The naming of an `nn.Sequential` of the children, without the classifier."""
    places = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}

    def rename(tensors):
        parts = {name: name.partition(".") for name in tensors if not name.startswith("fc.")}
        return {f"{prefix}{places[p[0]]}.{p[2]}": tensors[name] for name, p in parts.items()}

    return rename


NAMINGS = {
    "torchvision": dict,
    "module": prefixed("module."),
    "backbone": prefixed("backbone."),
    "wrapped twice": prefixed("module.encoder."),
    "RadImageNet": children("backbone."),
    "bare children": children(""),
}


@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize("naming", NAMINGS)
def test_features_are_those_of_torch(naming, bottleneck):
    tensors = state(bottleneck)
    config, params, unused = convert_resnet(NAMINGS[naming](tensors))
    assert config == {
        "blocks": BLOCKS, "bottleneck": bottleneck, "width": 4, "stride_first": False,
    }  # fmt: skip
    assert len(unused) == (0 if "hildren" in naming or naming == "RadImageNet" else 2)
    assert all(re.search(r"fc\.(weight|bias)$", name) for name in unused)
    check_against_torch(tensors, config, params)


def test_the_keras_network_in_torch():
    """Biases in the convolutions, another epsilon, and the stride in the first convolution."""
    tensors = state(biases=True)
    config, params, _ = convert_resnet(tensors)
    assert config["stride_first"]
    check_against_torch(tensors, config, params)


def check_against_torch(tensors, config, params):
    images = np.random.default_rng(1).normal(0, 1, (2, 61, 61, 3)).astype(np.float32)
    keras = config["stride_first"]
    expected = torch_features(tensors, images, config["bottleneck"], keras)
    got = ResNet(**config).apply({"params": params}, jnp.asarray(images))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5 * expected.max())


def without(*names):
    return {k: v for k, v in state().items() if k not in names}


def lacking_a_stage():
    return {k: v for k, v in state().items() if not k.startswith("layer3.")}


WRONG_TENSORS = {
    "no ResNet": ({"a": np.zeros(3)}, "not a ResNet: neither .* 1 tensors, such as a"),
    "a tensor missing": (
        without("layer1.1.bn2.running_var"),
        "ResNet-17: tensors missing: layer1.1",
    ),
    "a stage missing": (lacking_a_stage(), "tensors missing: all of layer3"),
    "no stem": (without("conv1.weight"), "not a ResNet"),
    "another stem": (state() | {"conv1.weight": np.zeros(4)}, "conv1.weight is no 4-D kernel"),
    "another network": (
        state() | {"layer1.0.se.fc1.weight": np.zeros(4)},
        "tensors left over: layer1.0.se.fc1.weight",
    ),
    "one bias": (state() | {"layer1.0.conv1.bias": np.zeros(4)}, "left over: layer1.0.conv1.bias"),
    "not finite": (
        state() | {"bn1.running_mean": np.full(4, np.nan)},
        "tensors not finite: bn1.running_mean",
    ),
    "grouped": (
        state() | {"layer2.0.conv2.weight": np.zeros((8, 2, 3, 3))},
        "of a shape that does not fit the others: layer2.0.conv2.weight",
    ),
    "a variance below 0": (
        children("backbone.")(state() | {"bn1.running_var": np.full(4, -1.0)}),
        r"variances below 0: backbone\.1\.running_var",
    ),
    "two of them": (
        prefixed("q.")(state()) | prefixed("k.")(state(seed=1)),
        "2 different networks, at q, k: choose one with --key",
    ),
}


@pytest.mark.parametrize("case", WRONG_TENSORS)
def test_other_tensors_are_refused_by_name(case):
    tensors, message = WRONG_TENSORS[case]
    with pytest.raises(ValueError, match=message):
        convert_resnet(tensors)


def test_errors_speak_the_names_of_the_file():
    tensors = children("backbone.")(without("layer2.0.bn1.weight"))
    with pytest.raises(ValueError, match=r"missing: backbone\.5\.0\.bn1\.weight"):
        convert_resnet(tensors)


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
