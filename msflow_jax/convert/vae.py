"""PyTorch autoencoders to ``nets.vae`` parameters: Stable Diffusion's in three namings, and TAESD's.

The namings of an ``AutoencoderKL`` are those of diffusers today (``to_q``), of diffusers before 0.18
(``query``), and of CompVis (``encoder.down.0.block.0``), with or without the prefix
``first_stage_model.``. A tiny autoencoder has the names of madebyollin/taesd (``encoder.1.conv.0``)
or of diffusers (``encoder.layers.1.conv.0``). Any prefix may stand before them.
"""

import re
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import numpy as np

from msflow_jax.convert.averages import dotted, without_rest
from msflow_jax.convert.matching import Found, Path, find, match, parameter_shapes, size
from msflow_jax.nets.init import Params
from msflow_jax.nets.tiny import TinyAutoencoder
from msflow_jax.nets.vae import AutoencoderKL

State = Mapping[str, np.ndarray]

WHAT = "an autoencoder"
STEMS = (
    ("encoder.conv_in.weight",),
    ("encoder.0.weight", "decoder.1.weight"),
    ("encoder.layers.0.weight", "decoder.layers.0.weight"),
)
# One half of a tiny autoencoder alone.
ENCODER, DECODER = (("0.weight", "1.conv.0.weight"),), (("1.weight", "3.conv.0.weight"),)

_DEEPEST = 10  # levels, a factor of 512 between the sides


def convert_vae(
    state: State, *, groups: int = 32, key: str = ""
) -> tuple[type[nn.Module], dict[str, Any], Params]:
    """Reads the architecture off an autoencoder's tensors and converts them.

    Args:
        state: tensors by name (``read_state_dict``), below any prefix; of a whole Stable Diffusion
            checkpoint the ones below ``first_stage_model.`` are taken.
        groups: groups of the normalisation, which the shapes do not show; 32 in all published ones.
        key: where the autoencoder lies, if there are several (``find_vae``).

    Returns:
        ``AutoencoderKL`` or ``TinyAutoencoder``, its keyword arguments, and its parameters (float32).

    Raises:
        ValueError: naming the first offending tensors, if some are missing, left over, of another
            shape or not finite, or if this is no autoencoder.
    """
    found = find_vae(state, key)
    state = without_rest(found.state, found.prefix)
    if found.naming == 0:
        today = _todays_names(state)
        config = {**_kl_architecture({new: state[k] for k, new in today.items()}), "groups": groups}
        if wrong := [n for n in config["widths"] if groups < 1 or n % groups]:
            raise ValueError(
                f"{wrong[0]} channels cannot be normalised in {groups} groups: set --groups to a "
                f"divisor of {', '.join(map(str, config['widths']))} (norm_num_groups of the model)"
            )
        return AutoencoderKL, config, _convert(found, today, AutoencoderKL(**config), _kl_name)
    today = {name: _without_layers(name) for name in state}
    config = _tiny_architecture({new: state[k] for k, new in today.items()})
    return TinyAutoencoder, config, _convert(found, today, TinyAutoencoder(**config), _tiny_name)


def find_vae(state: State, key: str = "") -> Found:
    """The one autoencoder among tensors, see ``matching.find``.

    The average that CompVis' training keeps (``averages.dotted``) is another one, at ``model_ema``.
    """
    names = dotted(state)
    found = find({new: state[old] for new, old in names.items()}, STEMS, WHAT, key)
    original = {inner: names[new] for inner, new in found.original.items()}
    used = set(original.values())
    return found._replace(original=original, unused=[name for name in state if name not in used])


def _convert(found: Found, today: Mapping[str, str], net: Any, naming: Any) -> Params:
    """Parameters of a network, by the names of today, which errors give as the file has them."""
    file = {new: found.name(k) for k, new in today.items()}
    if len(file) < len(today):
        raise ValueError("not an autoencoder: tensors in two namings at once: save one of them")
    shapes = parameter_shapes(net, (1, net.factor, net.factor, net.channels))
    return match(
        {new: found.state[k] for k, new in today.items()},
        {naming(path): path for path in shapes},
        shapes,
        type(net).__name__,
        lambda name: file.get(name, found.prefix + name),
    )


_COMPVIS = (
    (r"\.mid\.block_([12])\.", lambda m: f".mid_block.resnets.{int(m[1]) - 1}."),
    (r"\.mid\.attn_1\.norm\.", ".mid_block.attentions.0.group_norm."),
    (r"\.mid\.attn_1\.([qkv])\.", r".mid_block.attentions.0.to_\1."),
    (r"\.mid\.attn_1\.proj_out\.", ".mid_block.attentions.0.to_out.0."),
    (r"\.norm_out\.", ".conv_norm_out."),
    (r"\.nin_shortcut\.", ".conv_shortcut."),
    (r"\.down\.(\d+)\.block\.", r".down_blocks.\1.resnets."),
    (r"\.down\.(\d+)\.downsample\.", r".down_blocks.\1.downsamplers.0."),
)
_OLD = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def _todays_names(state: State) -> dict[str, str]:
    """The names of any of the three namings, and what diffusers calls them today."""
    levels = len({m[1] for name in state if (m := re.match(r"decoder\.up\.(\d+)\.", name))})

    def today(name: str) -> str:
        for pattern, new in _COMPVIS:
            name = re.sub(pattern, new, name)
        if up := re.match(r"decoder\.up\.(\d+)\.(block|upsample)\.(.*)", name):
            kind = {"block": "resnets.", "upsample": "upsamplers.0."}[up[2]]
            return f"decoder.up_blocks.{levels - 1 - int(up[1])}.{kind}{up[3]}"
        old = "|".join(_OLD)
        return re.sub(
            rf"\.attentions\.0\.({old})\.", lambda m: f".attentions.0.{_OLD[m[1]]}.", name
        )

    return {name: today(name) for name in state}


def _kl_architecture(state: State) -> dict[str, Any]:
    def count(pattern: str) -> int:
        return len({m[0] for name in state if (m := re.match(pattern, name))})

    levels = count(r"encoder\.down_blocks\.\d+\.")
    first = "encoder.down_blocks.{}.resnets.0.conv1.weight"
    if not 0 < levels <= _DEEPEST:
        raise ValueError(
            f"not an AutoencoderKL: {levels} levels encoder.down_blocks.* (1 to {_DEEPEST})"
        )
    return {
        "channels": size(state, "decoder.conv_out.weight", 0, WHAT),
        "latent": max(1, size(state, "encoder.conv_out.weight", 0, WHAT) // 2),
        "widths": tuple(size(state, first.format(i), 0, WHAT) for i in range(levels)),
        "blocks": count(r"encoder\.down_blocks\.0\.resnets\.\d+\."),
        "quant": "quant_conv.weight" in state,
    }


_KL_LAYERS = {
    "stem": "conv_in",
    "head_norm": "conv_norm_out",
    "head": "conv_out",
    "middle_block_0": "mid_block.resnets.0",
    "middle_block_1": "mid_block.resnets.1",
    "middle_attention": "mid_block.attentions.0",
    "norm": "group_norm",
    "query": "to_q",
    "key": "to_k",
    "value": "to_v",
    "out": "to_out.0",
    "skip": "conv_shortcut",
}


def _kl_name(path: Path) -> str:
    *modules, leaf = path
    parts = []
    for module in modules:
        if numbered := re.match(r"(down|up)_(\d+)_(block_(\d+)|sample)", module):
            side, level, _, block = numbered.groups()
            inner = f"resnets.{block}" if block else f"{side}samplers.0.conv"
            parts.append(f"{side}_blocks.{level}.{inner}")
        else:
            parts.append(_KL_LAYERS.get(module, module))
    return ".".join([*parts, "bias" if leaf == "bias" else "weight"])


def _without_layers(name: str) -> str:
    """diffusers leaves the decoder's first layer, a clamp, out of the count."""
    if found := re.match(r"decoder\.layers\.(\d+)\.(.*)", name):
        return f"decoder.{int(found[1]) + 1}.{found[2]}"
    return re.sub(r"^encoder\.layers\.", "encoder.", name)


def _tiny_architecture(state: State) -> dict[str, Any]:
    def last(side: str) -> str:
        numbers = [int(m[1]) for k in state if (m := re.match(rf"{side}\.(\d{{1,9}})\.", k))]
        return f"{side}.{max(numbers, default=0)}.weight"

    return {
        "channels": size(state, last("decoder"), 0, WHAT),
        "latent": size(state, last("encoder"), 0, WHAT),
        "width": size(state, "encoder.0.weight", 0, WHAT),
        "pool": any(".pool." in name for name in state),
    }


_TINY_LAYERS = {
    "conv_0": "conv.0",
    "conv_1": "conv.2",
    "conv_2": "conv.4",
    "pool_in": "pool.0",
    "pool_norm": "pool.1",
    "pool_out": "pool.3",
    "skip": "skip",
}


def _tiny_name(path: Path) -> str:
    side, module, *layer, leaf = path
    encoder = side == "encoder"
    fixed = {"stem": 0, "block": 1, "head": 14} if encoder else {"stem": 1, "block": 18, "head": 19}
    if module in fixed:
        number = fixed[module]
    else:
        _, level, kind, *rest = module.split("_")
        start = 2 + 4 * int(level) if encoder else 3 + 5 * int(level)
        if kind == "sample":
            number = start if encoder else start + 4
        else:
            number = start + int(rest[0]) + (1 if encoder else 0)
    parts = [side, str(number), *(_TINY_LAYERS[name] for name in layer)]
    return ".".join([*parts, "bias" if leaf == "bias" else "weight"])
