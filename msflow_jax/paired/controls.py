"""What drawings are compared with and judged by: regressions and segmenters.

None of them is a part of a model, and none reaches it: each is trained alone, after all else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from msflow_jax.data import Info
from msflow_jax.nets import init_params
from msflow_jax.nets.unet import UNet
from msflow_jax.paired.settings import BETWEEN, parse_route

Params = Any


@dataclass(frozen=True)
class Controls:
    """The controls of a model. All methods are pure.

    Their parameters stand in the model's tree under ``regression/SOURCE-TARGET`` and ``segmenter/NAME``.

    Attributes:
        regression: residual U-Net that translations are compared with; None for none, as below.
        regressed: routes (source, target) that it is trained on.
        segmenter: U-Net from an image of one modality to the classes of its map.
        segmented: modalities that it is trained on, each alone.
        tissues: names of those classes.
    """

    regression: UNet | None = None
    regressed: tuple[tuple[str, str], ...] = ()
    segmenter: UNet | None = None
    segmented: tuple[str, ...] = ()
    tissues: tuple[str, ...] = ()

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """The names under each part of the tree of parameters."""
        routes = tuple(BETWEEN.join(route) for route in self.regressed)
        return {"regression": routes, "segmenter": self.segmented}

    def regress(self, params: Params, route: tuple[str, str], x: jax.Array) -> jax.Array:
        """What the regression of a route makes of images ``[B, *shape]`` in [-1, 1]."""
        assert self.regression is not None
        variables = {"params": params["regression"][BETWEEN.join(route)]}
        found: Any = self.regression.apply(variables, x, jnp.zeros(len(x)))
        return x + found

    def segment(self, params: Params, name: str, x: jax.Array) -> jax.Array:
        """Logits ``[B, *space, K]`` of the classes of images ``[B, *shape]`` in [-1, 1]."""
        assert self.segmenter is not None
        # The network has as many channels in as out.
        more = [(0, 0)] * (x.ndim - 1) + [(0, self.segmenter.channels - x.shape[-1])]
        variables = {"params": params["segmenter"][name]}
        found: Any = self.segmenter.apply(variables, jnp.pad(x, more), jnp.zeros(len(x)))
        return found[..., : len(self.tissues)]

    def start(self, part: str, key: jax.Array, shape: tuple[int, ...]) -> Params:
        """Fresh parameters of a part, ``regression`` or ``segmenter``, for images ``[*shape]``."""
        net = self.regression if part == "regression" else self.segmenter
        assert net is not None
        wide = jax.ShapeDtypeStruct((1, *shape[:-1], net.channels), jnp.float32)
        return init_params(net, key, wide, jax.ShapeDtypeStruct((1,), jnp.float32))


def make_controls(
    config: ConfigDict,
    info: Info,
    shapes: Mapping[str, tuple[int, ...]],
    *,
    dtype: str = "float32",
    remat: bool = False,
) -> Controls:
    """The controls that a configuration names.

    Segmenters are left out where the data have no maps.

    Args:
        config: part ``model``, with :func:`~msflow_jax.paired.settings.control_settings`.
        info: what the data are.
        shapes: ``(*space, C)`` of the images of every image modality.
        dtype: what the networks compute in.
        remat: whether their blocks are computed once more in the backward pass.

    Raises:
        ValueError: a route that is none, or modalities of different numbers of channels.
    """
    regressed = tuple(parse_route(route, config) for route in config.regression.routes)
    segmented = tuple(config.segmenter.modalities) if info.map_classes else ()
    regression = segmenter = None
    if regressed:
        regression = _unet(_channels(shapes), config.regression.width, dtype, remat)
    if segmented:
        channels = max(len(info.map_classes), _channels({k: shapes[k] for k in segmented}))
        segmenter = _unet(channels, config.segmenter.width, dtype, remat)
    return Controls(regression, regressed, segmenter, segmented, tuple(info.map_classes))


def _channels(shapes: Mapping[str, tuple[int, ...]]) -> int:
    channels = {shape[-1] for shape in shapes.values()}
    if len(channels) > 1:
        raise ValueError(
            f"model.regression, model.segmenter: modalities of {sorted(channels)} channels: give them "
            "one number of channels"
        )
    return channels.pop()


def _unet(channels: int, width: int, dtype: str, remat: bool) -> UNet:
    return UNet(
        channels=channels, width=width, multipliers=(1, 2, 4, 4), blocks=1, attention=(),
        head_channels=width, groups=min(8, width), dtype=jnp.dtype(dtype), remat=remat,
    )  # fmt: skip
