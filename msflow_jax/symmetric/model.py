"""SymmetricFlow: one velocity field that draws images forwards and classifies them backwards.

MedSymmFlow (arXiv 2507.19098) and SymmFlow (arXiv 2506.10634), on the route
``{image: FORWARD, label: BACKWARD}``: the label conditions the image by being the other stream, and
the network has no class input at all. With a :class:`LatentCodec` the flow carries latents of images,
and with latent label pictures it is MedSymmFlow's "LatMSF".
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.inference.prediction import Prediction, class_numbers
from msflow_jax.latent.codec import KEY, Codec, PixelCodec
from msflow_jax.nets import init_params
from msflow_jax.streams import FlowMap, VelocityField, content_index
from msflow_jax.symmetric.codes import Code
from msflow_jax.symmetric.latent_codes import LatentCode
from msflow_jax.symmetric.likelihood import likelihood
from msflow_jax.symmetric.objective import flow_matching_loss
from msflow_jax.symmetric.outside import completed, of_draw
from msflow_jax.symmetric.paths import to_image, to_label
from msflow_jax.symmetric.readout import (
    check_readout,
    check_task,
    make_reader,
    map_probabilities,
    own_verbs,
    own_window,
)  # fmt: skip
from msflow_jax.symmetric.times import TimeDistribution
from msflow_jax.symmetric.velocity import check_shares, check_std, make_flow_map

Params = Any


@dataclass(frozen=True)
class SymmetricFlow:
    """A symmetric flow over images and label pictures; pure. Its verbs take the codec's parameters too.

    Attributes:
        net: flax module ``(x [B, *space, C], u [B], train=...) -> [B, *space, C]``, image first.
        code: maps classes to label pictures and back.
        classes: class names in label order.
        codec: what stands between images and flow.
        image_weight: weight w of the image's error, 1 - w for the label's; 0.7 published.
        sigma_min: see :func:`msflow_jax.streams.interpolate`.
        time: distribution of training times.
        code_dropout: fraction of training samples that are trained without a code, for guidance. Their
            label's error is not scored, so that the read-out stays the posterior.
        image_std: see :func:`make_field`; empty: none.
        readout: ``latent`` compares label pictures with codes, ``decode`` (published) with the palette.
        maps: whether labels are maps of a class per pixel (segmentation), not a class per image.
        learned_guidance: that the field of images has in it, of a guided teacher; 1: none. Such a field
            carries no density.

    Raises:
        ValueError: numbers that do not fit each other.
    """

    net: nn.Module
    code: Code | LatentCode
    classes: tuple[str, ...]
    codec: Codec
    image_weight: float = 0.7
    sigma_min: float = 0.0
    time: TimeDistribution = dataclasses.field(default_factory=TimeDistribution)
    code_dropout: float = 0.0
    image_std: tuple[float, ...] = ()
    readout: str = "latent"
    maps: bool = False
    learned_guidance: float = 1.0
    verbs = property(own_verbs)
    likelihood = likelihood
    window = property(own_window)
    opposite_draws = True  # see paths.label_noise

    def __post_init__(self):
        if len(self.classes) != self.code.classes:
            raise ValueError(f"{len(self.classes)} class names, but a code of {self.code.classes}")
        check_shares(self.image_weight, self.code_dropout)
        check_std(self.image_std, self.image_channels)
        check_readout(self.readout, self.code)

    @property
    def space(self) -> tuple[int, ...]:
        """Sides inside the network: rows and columns, of volumes slices before them."""
        return self.codec.inner[:-1]

    @property
    def image_channels(self) -> int:
        """Channels that the flow carries of an image."""
        return self.codec.inner[-1]

    @property
    def inside(self) -> "SymmetricFlow":
        """The same flow on what its codec makes of images, classified without decoding."""
        codec = PixelCodec(self.codec.inner, bounded=False)
        return dataclasses.replace(self, codec=codec, readout="latent")

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters: a nested dict of float32 arrays (host side, see ``nets/init.py``)."""
        channels = self.image_channels + self.code.channels
        shape = jax.ShapeDtypeStruct((1, *self.space, channels), jnp.float32)
        return init_params(self.net, key, shape, jax.ShapeDtypeStruct((1,), jnp.float32))

    def field(
        self, params: Params, *, train: bool = False, key: jax.Array | None = None
    ) -> VelocityField:
        """The velocity field ``field(u, {"image", "label"})``; ``u`` a scalar or ``[B]``."""
        average = self.flow_map(params, train=train, key=key)
        return lambda u, streams: average(u, u, streams)

    def flow_map(
        self, params: Params, *, train: bool = False, key: jax.Array | None = None
    ) -> FlowMap:
        """The flow map of a distilled model; of another one its field, whatever the jump."""
        channels, std = self.image_channels, self.image_std
        return make_flow_map(self.net, params, channels, std, train=train, key=key)

    def loss(
        self, params: Params, batch: Mapping[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Flow-matching loss of a batch.

        Args:
            params: parameters of the flow.
            batch: ``image`` ``[B, *space, C]`` in [-1, 1], or latents (:meth:`LatentCodec.training`);
                ``label`` class numbers ``[B]``, or maps ``[B, *space]``; maybe ``mask``, 0 for padding.
            key: PRNG key of this step.
            train: whether dropout acts.

        Returns:
            Scalar loss and metrics ``loss_image``, ``loss_label``.

        Raises:
            ValueError: images of another shape than the codec's.
        """
        return flow_matching_loss(self, params, batch, key, train)

    def classify(
        self,
        params: Params,
        images: jax.Array,
        key: jax.Array,
        *,
        steps: int = 1,
        draws: int = 1,
        solver: str = "euler",
        index: jax.Array | None = None,
        weights: Sequence[float] | None = None,
        outside: bool = True,
    ) -> Prediction:
        """The class of each image: integrate from u = 1 to 0 and read the label picture out.

        Args:
            params: parameters, the codec's among them.
            images: ``[B, *space, C]`` in [-1, 1].
            key: PRNG key of the label noise.
            steps: solver steps; 1 Euler step is the papers' setting.
            draws: noise draws, two and two with opposite noise; all are returned.
            solver: see :func:`msflow_jax.ode.integrate`.
            index: number that each image's noise is folded from ``[B]``; None: :func:`content_index`.
            weights: ratio of target to training prior of each class, see :meth:`Code.reweight`.
            outside: whether to measure how odd images are, by an evaluation and a half more.

        Raises:
            ValueError: images of another shape, ``draws`` < 1, or weights without the code ``simplex``.
        """
        if draws < 1:
            raise ValueError(f"draws must be at least 1, got {draws}")
        check_task(self.maps, False)
        read_out = make_reader(self, params)
        ratio = None if weights is None else jnp.asarray(weights)
        inner = self.codec.encode(params.get(KEY), images)
        index = content_index(images) if index is None else index

        def one(draw: jax.Array) -> Prediction:
            out = to_label(self, params, inner, index, key, steps=steps, solver=solver, draw=draw)
            return of_draw(self, out, *read_out(out.end["label"], ratio))

        found = jax.lax.map(one, jnp.arange(draws))
        return completed(self, params, inner, index, key, found, outside)

    def segment(
        self, params: Params, images: jax.Array, key: jax.Array, *, steps: int = 1, draws: int = 1,
        solver: str = "euler", index: jax.Array | None = None,
    ) -> jax.Array:  # fmt: skip
        """Class probabilities of every pixel, averaged over draws: ``[B, *space, K]`` (SymmFlow).

        For a model of label maps, otherwise a ValueError. Arguments as for :meth:`classify`.
        """
        check_task(self.maps, True)
        inner = self.codec.encode(params.get(KEY), images)
        index = content_index(images) if index is None else index

        def one(draw: jax.Array) -> jax.Array:
            out = to_label(self, params, inner, index, key, steps=steps, solver=solver, draw=draw)
            return out.end["label"]

        return map_probabilities(self.code, jax.lax.map(one, jnp.arange(draws)))

    def generate(
        self,
        params: Params,
        labels: jax.Array,
        key: jax.Array,
        *,
        steps: int = 25,
        solver: str = "euler",
        guidance: float = 1.0,
        index: jax.Array | None = None,
    ) -> jax.Array:
        """Draw an image for each label: integrate from u = 0 to 1.

        Args:
            params: parameters, the codec's among them.
            labels: class numbers ``[B]``, or label maps ``[B, *space]``; see :meth:`numbers` for names.
            key: PRNG key.
            steps: solver steps; 25 Euler steps are the papers' setting.
            solver: see :func:`msflow_jax.ode.integrate`.
            guidance: classifier-free guidance weight g: v_null + g (v - v_null). 1 is none.
            index: global index of each sample ``[B]``, on which alone its noise depends.

        Returns:
            Images ``[B, *space, C]``, clipped to [-1, 1].

        Raises:
            ValueError: guidance for a model trained without code dropout.
        """
        settings: Any = dict(steps=steps, solver=solver, guidance=guidance, index=index)
        out = to_image(self, params, labels, key, **settings)
        return self.codec.decode(params.get(KEY), out.end["image"])

    def numbers(self, labels: Sequence[int | str]) -> np.ndarray:
        """Class numbers ``[B]`` from numbers or names, see :func:`class_numbers`; not of label maps."""
        if self.maps:
            raise ValueError("this model draws images from label maps: it has no classes to name")
        return class_numbers(self.classes, labels)
