"""The networks by name: their settings, and how a configuration becomes one."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from ml_collections import ConfigDict

from msflow_jax.nets.dit import DiT
from msflow_jax.nets.unet import UNet
from msflow_jax.settings import COUNT, Setting

# Settings that every network has.
_COMMON: dict[str, Any] = dict(
    width=64,
    head_channels=64,
    dtype="float32",  # or "bfloat16": compute; parameters stay float32
    remat=False,  # recompute blocks in the backward pass
)
_SETTINGS: dict[str, dict[str, Any]] = {
    "unet": dict(
        multipliers=(1, 2, 2, 2),  # of the width, per level
        blocks=2,  # residual blocks per level
        attention=(2,),  # down-sampling factors with attention
        groups=32,  # groups of the normalisation
        dropout=0.0,
    ),
    "dit": dict(patch=4, depth=6),
}
# Values and meaning of all of them.
TABLE: dict[str, Setting] = {
    "model.net.name": Setting("unet or dit", "network; it brings settings of its own"),
    "model.net.width": Setting(COUNT, "channels of the first level, or of a transformer's tokens"),
    "model.net.head_channels": Setting(
        COUNT, "channels of an attention head; they divide a larger width"
    ),
    "model.net.dtype": Setting("float32 or bfloat16", "what the network computes in"),
    "model.net.remat": Setting("", "recompute blocks in the backward pass, to save memory"),
    "model.net.multipliers": Setting(COUNT, "of the width, for each level"),
    "model.net.blocks": Setting(COUNT, "residual blocks of a level"),
    "model.net.attention": Setting(COUNT, "down-sampling factors at which pixels attend"),
    "model.net.groups": Setting(COUNT, "groups of the normalisation; they divide the width"),
    "model.net.dropout": Setting("[0, 1)", "share of the features dropped in training"),
    "model.net.patch": Setting(COUNT, "side of a transformer's patch"),
    "model.net.depth": Setting(COUNT, "blocks of a transformer"),
}


def network_settings(name: str, common: ConfigDict | None = None) -> ConfigDict:
    """Settings of the network of this name, each with its default.

    Args:
        name: name of the network.
        common: another network's settings, whose values are taken where both have them.

    Raises:
        ValueError: an unknown network (the known ones are listed).
    """
    if name not in _SETTINGS:
        known = ", ".join(map(repr, _SETTINGS))
        raise ValueError(f"unknown model.net.name {name!r}: choose one of {known}")
    settings = {"name": name, **_COMMON, **_SETTINGS[name]}
    for key in common or ():
        if key in settings and key != "name":
            settings[key] = common[key]  # type: ignore[index]
    return ConfigDict(settings)


def check_network(config: ConfigDict) -> None:
    """Raises a ValueError for a network or a number format that does not exist."""
    known, given = set(network_settings(config.name)), set(config)
    if known != given:
        raise ValueError(
            f"model.net has the settings {', '.join(sorted(given))}, not those of the network "
            f"{config.name!r}: set config.model.net = network_settings({config.name!r}) first"
        )
    if config.dtype not in ("float32", "bfloat16"):
        raise ValueError(f"model.net.dtype is 'float32' or 'bfloat16', not {config.dtype!r}")


def check_heads(config: Mapping[str, Any]) -> None:
    """Refuses a transformer whose width its heads would not divide, for a run to begin.

    A width below ``head_channels`` is one head. Runs that were begun with such a pair have wider heads
    than they say, as ``build_network`` builds them, and open as before: ``check_config`` does not ask.
    """
    if config.get("name") != "dit":
        return
    width, channels = config["width"], config["head_channels"]
    if width > channels and width % channels:
        fitting = [n for n in range(channels, 0, -1) if width % n == 0]
        raise ValueError(
            f"model.net.width={width} does not split into heads of model.net.head_channels={channels}: "
            f"set model.net.head_channels to a divisor of the width, such as {fitting[0]}"
        )


def build_network(config: ConfigDict, channels: int, span: bool = False) -> nn.Module:
    """The velocity network of a configuration's part ``net``, on ``channels`` joined channels.

    With ``span`` it is a flow map's.
    """
    check_network(config)
    given = {k: v for k, v in config.to_dict().items() if k != "name"}
    given["dtype"] = jnp.dtype(given["dtype"])
    return _BUILDERS[config.name](channels=channels, span=span, **given)


def _unet(multipliers: Any, attention: Any, **settings: Any) -> UNet:
    return UNet(multipliers=tuple(multipliers), attention=tuple(attention), **settings)


def _dit(width: int, head_channels: int, **settings: Any) -> DiT:
    return DiT(width=width, heads=max(1, width // head_channels), **settings)


_BUILDERS: dict[str, Callable[..., nn.Module]] = {"unet": _unet, "dit": _dit}
