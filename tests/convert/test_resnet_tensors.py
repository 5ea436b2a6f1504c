"""Tensors of ResNets from PyTorch: every naming gives torch's features; others are refused."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.convert.resnet import convert_resnet
from msflow_jax.nets.resnet import ResNet
from tests.convert.torch_resnets import BLOCKS, children, prefixed, state, torch_features, without

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
