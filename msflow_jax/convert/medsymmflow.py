"""The official MedSymmFlow weights (caetas/MedSymmFlow) to ``nets.UNet`` parameters, and back."""

import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.convert.matching import Path, leaves, match
from msflow_jax.nets.init import Params
from msflow_jax.nets.unet import UNet


def convert_unet(
    state: Mapping[str, np.ndarray], *, head_channels: int = 64
) -> tuple[dict[str, Any], Params]:
    """Reads the architecture off a UNet state dict and converts its tensors.

    Args:
        state: tensors by official name (``read_state_dict``); a common prefix ``module.`` or ``model.``
            is dropped.
        head_channels: channels per attention head. The shapes do not show it, and a wrong one gives
            wrong outputs silently; every published model has 64.

    Returns:
        Keyword arguments of ``UNet``, and its parameters (float32).

    Raises:
        ValueError: naming the first offending tensors, if some are missing, left over, of another
            shape or not finite, or if ``head_channels`` does not divide the attention's channels.
    """
    state = _without_prefix(state)
    config = {**_architecture(state), "head_channels": head_channels}
    expected = _parameter_shapes(config)
    names = {_official_name(path, config): path for path in expected}
    return config, match(state, names, expected, "MedSymmFlow UNet")


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


def _without_prefix(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    prefix = r"(module\.|model\.)+"
    if all(re.match(prefix, name) for name in state):
        return {re.sub("^" + prefix, "", name): array for name, array in state.items()}
    return dict(state)


def _architecture(state: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Channels, width, multipliers, blocks and attention factors, from names and shapes."""
    stem = state.get("input_blocks.0.0.weight")
    if stem is None or stem.ndim != 4:
        raise ValueError(
            "not a MedSymmFlow UNet: input_blocks.0.0.weight, a 4-D kernel, is missing"
        )
    width, channels = stem.shape[:2]
    levels: list[list[int]] = [[]]
    attention: set[int] = set()
    index = 1
    while True:
        if f"input_blocks.{index}.0.op.weight" in state:
            levels.append([])
        elif f"input_blocks.{index}.0.in_layers.2.weight" in state:
            levels[-1].append(state[f"input_blocks.{index}.0.in_layers.2.weight"].shape[0])
            if f"input_blocks.{index}.1.qkv.weight" in state:
                attention.add(2 ** (len(levels) - 1))
        else:
            break
        index += 1
    if any(not level or level[0] % width for level in levels) or len(set(map(len, levels))) > 1:
        raise ValueError(
            f"input_blocks of {levels} channels per level are not multiples of the width {width}, "
            "or not equally many in every level"
        )
    return {
        "channels": channels,
        "width": width,
        "multipliers": tuple(level[0] // width for level in levels),
        "blocks": len(levels[0]),
        "attention": tuple(sorted(attention)),
    }


def _parameter_shapes(config: Mapping[str, Any]) -> dict[Path, tuple[int, ...]]:
    side = 2 ** (len(config["multipliers"]) - 1)
    x = jax.ShapeDtypeStruct((1, side, side, config["channels"]), jnp.float32)
    u = jax.ShapeDtypeStruct((1,), jnp.float32)
    tree = jax.eval_shape(UNet(**config).init, jax.random.key(0), x, u)["params"]
    return {path: leaf.shape for path, leaf in leaves(tree)}


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
