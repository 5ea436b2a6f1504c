"""``build(config.model, info)``: the model that a configuration describes."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from msflow_jax.coupling import CouplingFlow
from msflow_jax.coupling.conditioners import CONDITIONERS
from msflow_jax.data import Info
from msflow_jax.nets import DiT, UNet
from msflow_jax.parts import Mask, Parts, latent_side
from msflow_jax.symmetric import Code, LatentCode, LatentFlow, SymmetricFlow, TimeDistribution
from msflow_jax.symmetric.latent_codes import SCHEMES as LATENT_CODES

Model = SymmetricFlow | LatentFlow | CouplingFlow


def build(config: ConfigDict, info: Info, parts: Parts | Mask | None = None) -> Model:
    """The model of a configuration for data of this kind.

    Args:
      config: the ``model`` part of a configuration.
      info: what the data are (classes, channels, side).
      parts: what the model needs beside, see :func:`msflow_jax.parts.prepare`.

    Raises:
      ValueError: an unknown family, task, network, code or number format; images that the autoencoder
        cannot encode, or a layout that does not fit them.
    """
    if config.family == "coupling":
        return _coupling(config, info, parts.picture if isinstance(parts, Mask) else None)
    if config.family != "symmetric":
        raise ValueError(
            f"unknown model.family {config.family!r}: choose 'symmetric' or 'coupling'"
        )
    if config.task not in ("classify", "segment"):
        raise ValueError(f"model.task is 'classify' or 'segment', not {config.task!r}")
    classes = info.classes if config.task == "classify" else info.map_classes
    if not classes:
        raise ValueError(f"{info.name} has no label maps: model.task='segment' needs them")
    if not isinstance(parts, Parts):
        return _flow(
            config, classes, _code(config, classes), info.channels, info.side, config.resize
        )
    if config.task == "segment":
        raise ValueError(
            "model.task='segment' needs a model of pixels: clear model.latent.autoencoder"
        )
    autoencoder = parts.autoencoder
    code = parts.code or _code(config, classes)
    side = latent_side(autoencoder.net.factor, config.resize or info.side)
    flow = _flow(config, classes, code, autoencoder.net.latent, side, 0, parts.std)
    return LatentFlow(
        flow, autoencoder, info.channels, info.side, config.resize, config.latent.readout
    )


def _coupling(config: ConfigDict, info: Info, foreground: np.ndarray | None) -> CouplingFlow:
    """A coupling flow; the class prior is that of the training images, where it is known."""
    if config.task != "classify" or config.latent.autoencoder or config.resize:
        raise ValueError(
            "a coupling flow classifies and draws images as they are: model.task='classify', no "
            "model.latent.autoencoder, no model.resize (data.side resizes)"
        )
    given = config.coupling.to_dict()
    name, widths = given.pop("conditioner"), tuple(given.pop("widths"))
    if name not in CONDITIONERS:
        raise ValueError(
            f"unknown model.coupling.conditioner {name!r}: choose one of {', '.join(CONDITIONERS)}"
        )
    own = {key: given.pop(key) for key in ("blocks", "places", "dropout", "dense")}
    given |= {"foreground": foreground, "discriminative_weight": given.pop("contrast")}
    given["layout"] = given["layout"].replace("picture:", "foreground:")
    del given["picture"]
    taken = {
        "convolutional": dict(width=widths[0], spatial_bias=own["places"]),
        "residual": dict(width=widths[0], blocks=own["blocks"]),
        "generation": dict(widths=widths),
        "classification": dict(widths=widths, dropout=own["dropout"], dense=own["dense"]),
    }
    total = sum(info.counts)
    return CouplingFlow(
        CONDITIONERS[name](len(info.classes), **taken[name]),
        tuple(info.classes),
        (info.side, info.side, info.channels),
        **given,
        class_prior=tuple(n / total for n in info.counts) if total else (),
    )


def _code(config: ConfigDict, classes: Sequence[str]) -> Code:
    if config.code.scheme in LATENT_CODES:
        raise ValueError(
            f"the code {config.code.scheme!r} needs an autoencoder: set model.latent.autoencoder"
        )
    return Code(config.code.scheme, len(classes), config.code.beta, config.code.pooling)


def _flow(
    config: ConfigDict,
    classes: Sequence[str],
    code: Code | LatentCode,
    channels: int,
    side: int,
    resize: int,
    std: tuple[float, ...] = (),
) -> SymmetricFlow:
    return SymmetricFlow(
        net=build_network(config.net, channels + code.channels),
        code=code,
        classes=tuple(classes),
        image_channels=channels,
        side=side,
        resize=resize,
        image_weight=config.image_weight,
        sigma_min=config.sigma_min,
        time=TimeDistribution(**config.time),
        code_dropout=config.code_dropout,
        image_std=std,
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
