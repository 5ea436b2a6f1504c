"""``build(config.model, info)``: the model that a configuration describes."""

import jax.numpy as jnp
from ml_collections import ConfigDict

from msflow_jax.data import Info
from msflow_jax.nets import DiT, UNet
from msflow_jax.symmetric import Code, SymmetricFlow, TimeDistribution


def build(config: ConfigDict, info: Info) -> SymmetricFlow:
    """The model of a configuration for data of this kind.

    Args:
      config: the ``model`` part of a configuration.
      info: what the data are (classes, channels, side).

    Raises:
      ValueError: an unknown family, task, network or number format.
    """
    if config.family != "symmetric":
        raise ValueError(f"unknown model.family {config.family!r}: choose 'symmetric'")
    if config.task not in ("classify", "segment"):
        raise ValueError(f"model.task is 'classify' or 'segment', not {config.task!r}")
    classes = info.classes if config.task == "classify" else info.map_classes
    if not classes:
        raise ValueError(f"{info.name} has no label maps: model.task='segment' needs them")
    code = Code(config.code.scheme, len(classes), config.code.beta, config.code.pooling)
    return SymmetricFlow(
        net=build_network(config.net, info.channels + code.channels),
        code=code,
        classes=tuple(classes),
        image_channels=info.channels,
        side=info.side,
        resize=config.resize,
        image_weight=config.image_weight,
        sigma_min=config.sigma_min,
        time=TimeDistribution(**config.time),
        code_dropout=config.code_dropout,
    )


def build_network(config: ConfigDict, channels: int) -> UNet | DiT:
    """The velocity network on ``channels`` joined channels."""
    if config.dtype not in ("float32", "bfloat16"):
        raise ValueError(f"model.net.dtype is 'float32' or 'bfloat16', not {config.dtype!r}")
    common = dict(channels=channels, width=config.width, dtype=jnp.dtype(config.dtype))
    if config.name == "unet":
        return UNet(
            multipliers=tuple(config.multipliers),
            blocks=config.blocks,
            attention=tuple(config.attention),
            head_channels=config.head_channels,
            groups=config.groups,
            dropout=config.dropout,
            remat=config.remat,
            **common,
        )
    if config.name == "dit":
        heads = max(1, config.width // config.head_channels)
        return DiT(
            patch=config.patch, depth=config.depth, heads=heads, remat=config.remat, **common
        )
    raise ValueError(f"unknown model.net.name {config.name!r}: choose 'unet' or 'dit'")
