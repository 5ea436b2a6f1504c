"""What drawings are compared with and judged by: regressions, segmenters and decoders of reports.

None of them is a part of MedM2G, and none reaches it: each is trained alone, after the curriculum.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from msflow_jax.diffusers.decoder import ReportDecoder, matched_width
from msflow_jax.diffusers.settings import parse_route
from msflow_jax.diffusers.text import token_shape, write_reports
from msflow_jax.nets import init_params
from msflow_jax.nets.unet import UNet

if TYPE_CHECKING:
    from msflow_jax.data import Info
    from msflow_jax.diffusers.model import Diffusers

Params = Any
PARTS = ("regression", "segmenter", "decoder")  # of the tree of parameters


@dataclass(frozen=True)
class Controls:
    """The controls of a model. All methods are pure.

    Attributes:
        regression: residual U-Net that translations are compared with; None for none, as below.
        regressed: routes (source, target) that it is trained on.
        segmenter: U-Net from an image of one modality to the classes of its map.
        segmented: modalities that it is trained on, each alone.
        tissues: names of those classes.
        decoder: autoregressive decoder of reports, with a CNN of its own.
        decoded: modalities that it is trained on, each alone.
    """

    regression: UNet | None = None
    regressed: tuple[tuple[str, str], ...] = ()
    segmenter: UNet | None = None
    segmented: tuple[str, ...] = ()
    tissues: tuple[str, ...] = ()
    decoder: ReportDecoder | None = None
    decoded: tuple[str, ...] = ()

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """The names under each part of the tree of parameters."""
        routes = tuple("-".join(route) for route in self.regressed)
        return dict(zip(PARTS, (routes, self.segmented, self.decoded), strict=True))

    def regress(self, params: Params, route: tuple[str, str], x: jax.Array) -> jax.Array:
        """What the regression of a route makes of images ``[B, *shape]`` in [-1, 1]."""
        assert self.regression is not None
        variables = {"params": params["regression"]["-".join(route)]}
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

    def write(
        self, params: Params, name: str, x: jax.Array, length: int
    ) -> tuple[jax.Array, jax.Array]:
        """Reports of images, word by word the most probable one, see :func:`write_reports`."""
        assert self.decoder is not None
        own = params["decoder"][name]
        memory: Any = self.decoder.apply({"params": own}, x, method="look")
        return write_reports(self.decoder, own, memory, length)

    def start(self, part: str, key: jax.Array, shape: tuple[int, ...], length: int) -> Params:
        """Fresh parameters of a part for images ``[*shape]`` and reports of this many tokens."""
        images = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
        if part == "decoder":
            assert self.decoder is not None
            return init_params(self.decoder, key, images, token_shape(length))
        net = self.regression if part == "regression" else self.segmenter
        assert net is not None
        wide = jax.ShapeDtypeStruct((*images.shape[:-1], net.channels), jnp.float32)
        return init_params(net, key, wide, jax.ShapeDtypeStruct((1,), jnp.float32))


def with_controls(model: "Diffusers", config: ConfigDict, info: "Info") -> "Diffusers":
    """The model with the controls that the part ``model`` of a configuration names.

    Segmenters are left out where the data have no maps.
    """
    images = {
        name: one.codec.shape for name, one in model.modalities.items() if one.codec is not None
    }
    regressed = tuple(parse_route(route, config) for route in config.regression.routes)
    segmented = tuple(config.segmenter.modalities) if info.map_classes else ()
    decoded, dtype = tuple(config.decoder.sources), jnp.dtype(config.net.dtype)
    controls = Controls(regressed=regressed, segmented=segmented, tissues=tuple(info.map_classes))
    if regressed:
        net = _unet(config, _channels(images), config.regression.width)
        controls = dataclasses.replace(controls, regression=net)
    if segmented:
        channels = max(len(info.map_classes), _channels({k: images[k] for k in segmented}))
        net = _unet(config, channels, config.segmenter.width)
        controls = dataclasses.replace(controls, segmenter=net)
    if decoded:
        assert model.text is not None
        size, heads, depth = model.text.size, model.text.heads, model.text.depth + config.net.depth
        decoder = ReportDecoder(size, heads, depth, heads, config.align.width, dtype)
        decoder = decoder.clone(width=matched_width(model, decoded[0], decoder))
        controls = dataclasses.replace(controls, decoder=decoder, decoded=decoded)
    return dataclasses.replace(model, controls=controls)


def _channels(shapes: Mapping[str, tuple[int, ...]]) -> int:
    channels = {shape[-1] for shape in shapes.values()}
    if len(channels) > 1:
        raise ValueError(
            f"model.regression, model.segmenter: modalities of {sorted(channels)} channels: give them "
            "one number of channels"
        )
    return channels.pop()


def _unet(config: ConfigDict, channels: int, width: int) -> UNet:
    return UNet(
        channels=channels, width=width, multipliers=(1, 2, 4, 4), blocks=1, attention=(),
        head_channels=width, groups=min(8, width), dtype=jnp.dtype(config.net.dtype),
        remat=config.net.remat,
    )  # fmt: skip
