"""The official MedSymmFlow weights (caetas/MedSymmFlow) to ``nets.UNet`` parameters, and back."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from msflow_jax.convert.matching import Path, find, leaves, match, parameter_shapes, size
from msflow_jax.nets.init import Params
from msflow_jax.nets.unet import UNet

WHAT = "a MedSymmFlow UNet"
STEMS = (("input_blocks.0.0.weight",),)

_DEEPEST = 10  # levels, a factor of 512 between the sides


def convert_unet(
    state: Mapping[str, np.ndarray], *, head_channels: int = 64, key: str = ""
) -> tuple[dict[str, Any], Params]:
    """Reads the architecture off a UNet state dict and converts its tensors.

    Args:
        state: tensors by official name (``read_state_dict``), below any prefix; what lies elsewhere is
            not used.
        head_channels: channels per attention head. The shapes do not show it, and a wrong one gives
            wrong outputs silently; every published model has 64.
        key: where the network lies, if there are several (``matching.find``).

    Returns:
        Keyword arguments of ``UNet``, and its parameters (float32).

    Raises:
        ValueError: naming the first offending tensors, if some are missing, left over, of another
            shape or not finite, or if ``head_channels`` does not divide the attention's channels.
    """
    found = find(state, STEMS, WHAT, key)
    config = {**_architecture(found.state), "head_channels": head_channels}
    _check(config)
    side = 2 ** (len(config["multipliers"]) - 1)
    expected = parameter_shapes(UNet(**config), (1, side, side, config["channels"]), (1,))
    names = {_official_name(path, config): path for path in expected}
    return config, match(found.state, names, expected, "MedSymmFlow UNet", found.name)


def unet_state_dict(params: Params, config: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Undoes ``convert_unet``: float32 tensors by official name, for the PyTorch implementation.

    Args:
        params: parameters of ``UNet(**config)``.
        config: keyword arguments of ``UNet``.
    """
    return {
        _official_name(path, config): _to_torch(path, np.asarray(leaf, np.float32))
        for path, leaf in leaves(params)
    }


def _check(config: Mapping[str, Any]) -> None:
    """Refuses what the network would refuse, in the words of the command."""
    width, multipliers, heads = config["width"], config["multipliers"], config["head_channels"]
    if width % UNet.groups or len(multipliers) > _DEEPEST:
        raise ValueError(
            f"not a MedSymmFlow UNet: a width of {width} (a multiple of {UNet.groups} is normalised) "
            f"in {len(multipliers)} levels (at most {_DEEPEST})"
        )
    for factor in {*config["attention"], 2 ** (len(multipliers) - 1)}:
        channels = width * multipliers[factor.bit_length() - 1]
        if heads < 1 or channels % heads:
            raise ValueError(
                f"attention of {channels} channels cannot be cut into heads of {heads}: set "
                "--head-channels to the channels of one head (64 in every published model)"
            )


def _architecture(state: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Channels, width, multipliers, blocks and attention factors, from names and shapes."""
    width, channels = (size(state, "input_blocks.0.0.weight", axis, WHAT) for axis in (0, 1))
    levels: list[list[int]] = [[]]
    attention: set[int] = set()
    index = 1
    while True:
        if f"input_blocks.{index}.0.op.weight" in state:
            levels.append([])
        elif f"input_blocks.{index}.0.in_layers.2.weight" in state:
            levels[-1].append(size(state, f"input_blocks.{index}.0.in_layers.2.weight", 0, WHAT))
            if f"input_blocks.{index}.1.qkv.weight" in state:
                attention.add(2 ** (len(levels) - 1))
        else:
            break
        index += 1
    if any(not level or level[0] % width for level in levels) or len(set(map(len, levels))) > 1:
        raise ValueError(
            f"not a MedSymmFlow UNet: input_blocks of {levels} channels per level are not multiples of "
            f"the width {width}, or not equally many in every level"
        )
    return {
        "channels": channels,
        "width": width,
        "multipliers": tuple(level[0] // width for level in levels),
        "blocks": len(levels[0]),
        "attention": tuple(sorted(attention)),
    }


_LAYERS = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2_zero": "out_layers.3",
    "skip": "skip_connection",
    "norm": "norm",
    "qkv": "qkv",
    "out_zero": "proj_out",
}
_FIXED = {
    "time_dense1": "time_embed.0",
    "time_dense2": "time_embed.2",
    "stem": "input_blocks.0.0",
    "middle_block_0": "middle_block.0",
    "middle_attention": "middle_block.1",
    "middle_block_1": "middle_block.2",
    "head_norm": "out.0",
    "head_zero": "out.2",
}


def _official_name(path: Path, config: Mapping[str, Any]) -> str:
    module, *layer, leaf = path
    parts = [_FIXED.get(module) or _numbered_name(module, config)]
    parts += [_LAYERS[name] for name in layer]
    return ".".join([*parts, "bias" if leaf == "bias" else "weight"])


def _numbered_name(module: str, config: Mapping[str, Any]) -> str:
    """``down_1_attention_0`` -> ``input_blocks.4.1``: blocks are counted through the levels."""
    side, level_text, kind, *rest = module.split("_")
    level, blocks = int(level_text), config["blocks"]
    number = int(rest[0]) if rest else blocks
    if side == "down":
        base = f"input_blocks.{1 + level * (blocks + 1) + number}"
        return base + (".0.op" if kind == "sample" else ".1" if kind == "attention" else ".0")
    base = f"output_blocks.{(len(config['multipliers']) - 1 - level) * (blocks + 1) + number}"
    if kind == "sample":
        return base + (".2.conv" if 2**level in config["attention"] else ".1.conv")
    return base + (".1" if kind == "attention" else ".0")


def _to_torch(path: Path, array: np.ndarray) -> np.ndarray:
    if array.ndim == 4:
        return array.transpose(3, 2, 0, 1)
    if array.ndim == 2:
        # A 2-D convolution, a 1-D convolution and a linear layer in the official network.
        extra = {"skip": (1, 1), "qkv": (1,), "out_zero": (1,)}.get(path[-2], ())
        return array.T.reshape(*array.T.shape, *extra)
    return array


def check_channels(flow: Any, channels: int) -> None:
    """Raises a ValueError unless the network has the channels of an image and its label picture."""
    image, label = flow.image_channels, flow.code.channels
    if channels != image + label:
        raise ValueError(
            f"the network has {channels} channels, but an image of {image} and a "
            f"{flow.code.scheme} label picture of {label} make {image + label}: check "
            "--image-channels (or --data), --code and --autoencoder"
        )


def check_velocity(model: Any, params: Any) -> None:
    """Evaluate the network of a flow once on noise.

    Raises:
        FloatingPointError: the velocity is not finite.
    """
    x = jax.random.normal(
        jax.random.key(0), (1, *model.space, model.image_channels + model.code.channels)
    )
    streams = {"image": x[..., : model.image_channels], "label": x[..., model.image_channels :]}
    velocity = jax.jit(model.field(params))(1.0, streams)
    if not all(np.isfinite(v).all() for v in velocity.values()):
        raise FloatingPointError(
            "the converted network's velocity is not finite: fetch the file again"
        )
