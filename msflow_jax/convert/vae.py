"""PyTorch autoencoders to ``nets.vae`` parameters: Stable Diffusion's in three namings, and TAESD's.

The namings of an ``AutoencoderKL`` are those of diffusers today (``to_q``), of diffusers before 0.18
(``query``), and of CompVis (``encoder.down.0.block.0``), with or without the prefix
``first_stage_model.``. A tiny autoencoder has the names of madebyollin/taesd (``encoder.1.conv.0``)
or of diffusers (``encoder.layers.1.conv.0``).
"""

import re
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.convert.matching import Path, leaves, match
from msflow_jax.nets.init import Params
from msflow_jax.nets.tiny import TinyAutoencoder
from msflow_jax.nets.vae import AutoencoderKL

State = Mapping[str, np.ndarray]


def convert_vae(
    state: State, *, groups: int = 32
) -> tuple[type[nn.Module], dict[str, Any], Params]:
    """Reads the architecture off an autoencoder's tensors and converts them.

    Args:
        state: tensors by name (``read_state_dict``); of a whole Stable Diffusion checkpoint the ones
            below ``first_stage_model.`` are taken.
        groups: groups of the normalisation, which the shapes do not show; 32 in all published ones.

    Returns:
        ``AutoencoderKL`` or ``TinyAutoencoder``, its keyword arguments, and its parameters (float32).

    Raises:
        ValueError: naming the first offending tensors, if some are missing, left over, of another
            shape or not finite, or if this is no autoencoder.
    """
    state = _first_stage(state)
    if "encoder.conv_in.weight" in state:
        state = _todays_names(state)
        config = {**_kl_architecture(state), "groups": groups}
        return AutoencoderKL, config, _convert(state, AutoencoderKL(**config), _kl_name)
    state = {_without_layers(name): array for name, array in state.items()}
    if "encoder.0.weight" in state and "decoder.1.weight" in state:
        config = _tiny_architecture(state)
        return TinyAutoencoder, config, _convert(state, TinyAutoencoder(**config), _tiny_name)
    raise ValueError(
        "not an autoencoder: neither encoder.conv_in.weight (Stable Diffusion) nor encoder.0.weight "
        f"and decoder.1.weight (TAESD) is among {len(state)} tensors, such as "
        f"{', '.join(sorted(state)[:3])}"
    )


def _convert(state: State, net: Any, naming: Any) -> Params:
    side = net.factor
    images = jax.ShapeDtypeStruct((1, side, side, net.channels), jnp.float32)
    tree = jax.eval_shape(net.init, jax.random.key(0), images)["params"]
    shapes = {path: leaf.shape for path, leaf in leaves(tree)}
    return match(state, {naming(path): path for path in shapes}, shapes, type(net).__name__)


def _first_stage(state: State) -> dict[str, np.ndarray]:
    prefix = "first_stage_model."
    inner = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)} or state
    # What CompVis' training leaves in a file of the autoencoder alone: its loss, its average's counters.
    return {k: v for k, v in inner.items() if not k.startswith(("loss.", "model_ema."))}


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


def _todays_names(state: State) -> dict[str, np.ndarray]:
    """Any of the three namings to that of diffusers today."""
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

    return {today(name): array for name, array in state.items()}


def _kl_architecture(state: State) -> dict[str, Any]:
    def count(pattern: str) -> int:
        return len({m[0] for name in state if (m := re.match(pattern, name))})

    levels = count(r"encoder\.down_blocks\.\d+\.")
    first = "encoder.down_blocks.{}.resnets.0.conv1.weight"
    needed = [first.format(i) for i in range(levels)]
    needed += ["encoder.conv_out.weight", "decoder.conv_out.weight"]
    if missing := [name for name in needed if name not in state]:
        raise ValueError(f"not an AutoencoderKL: {', '.join(missing)} is missing")
    if not levels:
        raise ValueError("not an AutoencoderKL: encoder.down_blocks.0 is missing")
    return {
        "channels": state["decoder.conv_out.weight"].shape[0],
        "latent": state["encoder.conv_out.weight"].shape[0] // 2,
        "widths": tuple(state[first.format(i)].shape[0] for i in range(levels)),
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
    last = max(int(m[1]) for name in state if (m := re.match(r"encoder\.(\d+)\.", name)))
    end = max(int(m[1]) for name in state if (m := re.match(r"decoder\.(\d+)\.", name)))
    for name in (f"encoder.{last}.weight", f"decoder.{end}.weight"):
        if name not in state:
            raise ValueError(f"not a TinyAutoencoder: {name} is missing")
    return {
        "channels": state[f"decoder.{end}.weight"].shape[0],
        "latent": state[f"encoder.{last}.weight"].shape[0],
        "width": state["encoder.0.weight"].shape[0],
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
