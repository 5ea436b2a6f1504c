"""PyTorch ResNets to ``nets.ResNet`` parameters, in three namings, below any prefix.

torchvision's (``conv1.weight``, ``layer1.0.conv1.weight``); that of its children in an ``nn.Sequential``
(``backbone.0.weight``, ``backbone.4.0.conv1.weight``), as in RadImageNet's own PyTorch files; and
torchvision's with biases in the convolutions, as in RadImageNet's Keras network brought to PyTorch
(github.com/Warvito/radimagenet-models), which also halves the sides one convolution earlier.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from msflow_jax.convert.matching import Path, find, match, parameter_shapes, size
from msflow_jax.nets.init import Params
from msflow_jax.nets.resnet import EPSILON, ResNet

State = Mapping[str, np.ndarray]

# torchvision's modules and their places among the network's children; 2, 3 and 8 have no tensors.
_CHILDREN = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
_LEAVES = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}
_KERAS_EPSILON = 1.001e-5

WHAT = "a ResNet"
STEMS = (("conv1.weight", "layer1.0.conv1.weight"), ("0.weight", "4.0.conv1.weight"))


def convert_resnet(state: State, *, key: str = "") -> tuple[dict[str, Any], Params, list[str]]:
    """Reads the architecture off a ResNet's tensors and converts them.

    Args:
        state: tensors by name (``read_state_dict``), below any prefix.
        key: where the network lies, if there are several (``matching.find``).

    Returns:
        Keyword arguments of ``ResNet``, its parameters (float32), and the names of the tensors that are
        no part of it, such as a classifier's; the batch norms' counters are left out of both.

    Raises:
        ValueError: naming the first offending tensors, if some are missing, left over within the
            stages, of another shape, not finite or variances below 0, or if there is no ResNet, or
            more than one.
    """
    found = find(state, STEMS, WHAT, key)
    modules = {name: i if found.naming else name for name, i in _CHILDREN.items()}
    inner, unused = {}, found.unused
    for name, array in found.state.items():
        module = next((m for m, here in modules.items() if name.startswith(f"{here}.")), None)
        if name.endswith(".num_batches_tracked"):
            continue
        if module is None:
            unused.append(found.original[name])
        else:
            inner[module + name.removeprefix(modules[module])] = array
    config = _architecture(inner)
    if config["stride_first"]:
        inner = _without_biases(inner)
    net = ResNet(**config)
    shapes = parameter_shapes(net, (1, 32, 32, 3))

    def original(name: str) -> str:
        module, _, rest = name.partition(".")
        return found.name(f"{modules[module]}.{rest}")

    params = match(
        inner, {_name(path): path for path in shapes}, shapes, f"ResNet-{net.depth}", original
    )
    if negative := [n for n, a in inner.items() if n.endswith("running_var") and a.min() < 0]:
        raise ValueError(f"not a ResNet: variances below 0: {original(negative[0])}")
    return config, params, sorted(n for n in unused if not n.endswith(".num_batches_tracked"))


def _architecture(state: State) -> dict[str, Any]:
    width = size(state, "conv1.weight", 0, WHAT)
    numbers = [
        {m[1] for name in state if (m := re.match(rf"layer{stage}\.(\d+)\.", name))}
        for stage in range(1, 5)
    ]
    if not all(numbers):
        empty = numbers.index(set()) + 1
        raise ValueError(f"not a ResNet: tensors missing: all of layer{empty}")
    return {
        "blocks": tuple(len(n) for n in numbers),
        "bottleneck": any(".conv3." in name for name in state),
        "width": width,
        "stride_first": "conv1.bias" in state,
    }


def _without_biases(state: State) -> dict[str, np.ndarray]:
    """The same network with the biases taken from the means of the normalisations behind them."""
    out = dict(state)
    for name, array in state.items():
        if not (bias := re.fullmatch(r"(.*?)(conv(\d)|downsample\.0)\.bias", name)):
            continue
        behind = bias[1] + (f"bn{bias[3]}" if bias[3] else "downsample.1")
        mean, variance = (state.get(f"{behind}.running_{what}") for what in ("mean", "var"))
        if mean is None or variance is None or mean.shape != array.shape:
            continue  # ``match`` says what is wrong
        del out[name]
        out[f"{behind}.running_mean"] = mean - array
        # Keras adds a little more to the variance.
        out[f"{behind}.running_var"] = variance + (_KERAS_EPSILON - EPSILON)
    return out


def _name(path: Path) -> str:
    """``layer1_0/downsample_1/mean`` -> ``layer1.0.downsample.1.running_mean``."""
    *modules, leaf = path
    return ".".join([*modules, ""]).replace("_", ".") + _LEAVES.get(leaf, leaf)
