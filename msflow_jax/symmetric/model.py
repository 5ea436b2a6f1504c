"""SymmetricFlow: one velocity field that draws images forwards and reads labels backwards.

MedSymmFlow (arXiv 2507.19098) and SymmFlow (arXiv 2506.10634), on the route
``{image: FORWARD, label: BACKWARD}``: the label conditions the image by being the other stream, and
the network has no class input at all.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.inference.prediction import Prediction, class_numbers
from msflow_jax.nets import init_params
from msflow_jax.nets.ops import resize
from msflow_jax.ode import Solution, integrate
from msflow_jax.streams import (
    Clock,
    Streams,
    VelocityField,
    at_end,
    expand,
    flow_loss,
    interpolate,
    sample_noise,
)
from msflow_jax.symmetric.codes import Code
from msflow_jax.symmetric.guidance import guided
from msflow_jax.symmetric.latent_codes import LatentCode
from msflow_jax.symmetric.times import TimeDistribution

ROUTE = {"image": Clock.FORWARD, "label": Clock.BACKWARD}
Params = Any
# Label pictures [B, H, W, C] and class weights [K] or None to distances, probabilities, mode.
Reader = Callable[[jax.Array, jax.Array | None], tuple[jax.Array, jax.Array, jax.Array]]


@dataclass(frozen=True)
class SymmetricFlow:
    """A symmetric flow over images and label pictures. All methods are pure.

    Attributes:
      net: flax module ``(x [B, H, W, C], u [B], train=...) -> [B, H, W, C]`` on the joined channels
        (image first), for instance ``UNet(channels=c_x + c_y)``.
      code: how classes become label pictures.
      classes: class names in label order.
      image_channels: channels c_x of the images.
      side: rows and columns of the images.
      resize: rows and columns inside the network (bilinear; 32 is what the authors' code makes of
        28), or 0 to leave the images as they are.
      image_weight: weight w of the image's error, 1 - w for the label's; 0.7 published.
      sigma_min: see :func:`msflow_jax.streams.interpolate`.
      time: distribution of training times.
      code_dropout: share of training samples that are drawn without a code, for guidance. Their
        label's error is not scored, so that the read-out stays the posterior.
      image_std: root mean square of each channel of the images, for preconditioning (after EDM, arXiv
        2206.00364): the network sees the image's state at unit variance, and says only what the best
        velocity linear in that state leaves open, in units of its spread. Empty: none, as published.

    Raises:
      ValueError: numbers that do not fit each other.
    """

    net: nn.Module
    code: Code | LatentCode
    classes: tuple[str, ...]
    image_channels: int
    side: int
    resize: int = 0
    image_weight: float = 0.7
    sigma_min: float = 0.0
    time: TimeDistribution = dataclasses.field(default_factory=TimeDistribution)
    code_dropout: float = 0.0
    image_std: tuple[float, ...] = ()

    def __post_init__(self):
        if len(self.classes) != self.code.classes:
            raise ValueError(f"{len(self.classes)} class names, but a code of {self.code.classes}")
        if not (0 <= self.image_weight <= 1 and 0 <= self.code_dropout < 1):
            raise ValueError(
                f"image_weight must lie in [0, 1] and code_dropout in [0, 1), got {self.image_weight}"
                f" and {self.code_dropout}"
            )

        if self.image_std and (
            len(self.image_std) != self.image_channels or min(self.image_std) <= 0
        ):
            raise ValueError(
                f"image_std needs {self.image_channels} positive numbers, got {self.image_std}"
            )

    @property
    def grid(self) -> int:
        """Rows and columns inside the network."""
        return self.resize or self.side

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters: a nested dict of float32 arrays (host side, see ``nets/init.py``)."""
        channels = self.image_channels + self.code.channels
        shape = jax.ShapeDtypeStruct((1, self.grid, self.grid, channels), jnp.float32)
        return init_params(self.net, key, shape, jax.ShapeDtypeStruct((1,), jnp.float32))

    def field(
        self, params: Params, *, train: bool = False, key: jax.Array | None = None
    ) -> VelocityField:
        """The velocity field ``field(u, {"image", "label"})``; ``u`` a scalar or ``[B]``."""

        def velocity(u: jax.Array, streams: Streams) -> Streams:
            image = streams["image"]
            u = jnp.broadcast_to(jnp.asarray(u, jnp.float32), image.shape[:1])
            if self.image_std:
                t, std = expand(u, image), jnp.asarray(self.image_std)
                total = jnp.sqrt((1 - t) ** 2 + (t * std) ** 2)  # of the state
                linear = (t * std**2 - (1 - t)) / total**2 * image
                image = image / total
            joined = jnp.concatenate([image, streams["label"]], axis=-1)
            rngs = None if key is None else {"dropout": key}
            out: Any = self.net.apply({"params": params}, joined, u, train=train, rngs=rngs)
            out = out.astype(jnp.float32)
            c = self.image_channels
            drawn, read = out[..., :c], out[..., c:]
            return {
                "image": linear + std / total * drawn if self.image_std else drawn,
                "label": read,
            }

        return velocity

    def loss(
        self, params: Params, batch: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Flow-matching loss of a batch.

        Args:
          params: parameters.
          batch: ``image`` ``[B, S, S, c_x]`` in [-1, 1]; ``label`` class numbers, ``[B]`` (classes) or
            ``[B, S, S]`` (segmentation); optionally ``mask`` ``[B]``, 0 for padding.
          key: PRNG key of this step.
          train: whether dropout acts.

        Returns:
          Scalar loss and metrics ``loss_image``, ``loss_label``.

        Raises:
          ValueError: images of another shape than the model's.
        """
        image = self._inside(batch["image"])
        b, size = image.shape[0], self.grid
        k_time, k_code, k_image, k_label, k_drop, k_net = jax.random.split(key, 6)
        label = self.code.pictures(batch["label"], size, size, k_code)
        dropped = jax.random.uniform(k_drop, (b,)) < self.code_dropout
        label = jnp.where(dropped[:, None, None, None], 0.0, label)
        u, reading = self.time.sample(k_time, b)
        data = {"image": image, "label": label}
        noise = {
            "image": jax.random.normal(k_image, image.shape),
            "label": jax.random.normal(k_label, label.shape),
        }
        states, target = interpolate(ROUTE, data, noise, u, self.sigma_min)
        predicted = self.field(params, train=train, key=k_net)(u, states)
        label_weight = jnp.where(reading, self.time.reading_weight, 1 - self.image_weight)
        weights = {
            "image": jnp.where(reading, 0.0, self.image_weight),
            "label": jnp.where(dropped, 0.0, label_weight),
        }
        return flow_loss(ROUTE, predicted, target, weights, batch.get("mask"))

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
        reader: Reader | None = None,
    ) -> Prediction:
        """Read the class of each image: integrate from u = 1 to 0 and decode the label picture.

        Args:
          params: parameters.
          images: ``[B, S, S, c_x]`` in [-1, 1].
          key: PRNG key of the label noise.
          steps: solver steps; 1 Euler step is the papers' setting.
          draws: noise draws; all are returned.
          solver: see :func:`msflow_jax.ode.integrate`.
          index: global index of each image ``[B]``, on which alone its noise depends.
          weights: wished over trained frequency of each class, see :meth:`Code.reweight`.
          reader: reads the label pictures; None for the code's own :meth:`Code.read`.

        Raises:
          ValueError: images of another shape than the model's, ``draws`` < 1, or weights without the
            code ``simplex``.
        """
        reader = reader or self.code.read
        wished = None if weights is None else jnp.asarray(weights)

        def one(draw: jax.Array) -> Prediction:
            out = self._read(params, images, jax.random.fold_in(key, draw), steps, solver, index)
            return Prediction(*reader(out.end["label"], wished), out.nfe, out.ok)

        if draws < 1:
            raise ValueError(f"draws must be at least 1, got {draws}")
        readings = jax.lax.map(one, jnp.arange(draws))
        return Prediction(
            readings.distances, readings.probabilities, readings.mode,
            readings.nfe.mean(), readings.ok, classes=self.classes,
        )  # fmt: skip

    def segment(
        self,
        params: Params,
        images: jax.Array,
        key: jax.Array,
        *,
        steps: int = 1,
        draws: int = 1,
        solver: str = "euler",
        index: jax.Array | None = None,
    ) -> jax.Array:
        """Class probabilities of every pixel, averaged over draws: ``[B, S, S, K]`` (SymmFlow).

        For a model trained on label maps. Arguments as for :meth:`classify`.

        Raises:
          ValueError: a code of one class an image.
        """
        code = self.code
        if not isinstance(code, Code):
            raise ValueError(f"the code {code.scheme!r} has one class an image, not one a pixel")

        def one(draw: jax.Array) -> jax.Array:
            out = self._read(params, images, jax.random.fold_in(key, draw), steps, solver, index)
            return code.pixel_probabilities(out.end["label"])

        return jax.lax.map(one, jnp.arange(draws)).mean(axis=0)

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
          params: parameters.
          labels: class numbers ``[B]``, or label maps ``[B, S, S]``; see :meth:`numbers` for names.
          key: PRNG key.
          steps: solver steps; 25 Euler steps are the papers' setting.
          solver: see :func:`msflow_jax.ode.integrate`.
          guidance: classifier-free guidance weight g: v_null + g (v - v_null). 1 is none.
          index: global index of each sample ``[B]``, on which alone its noise depends.

        Returns:
          Images ``[B, S, S, c_x]``, clipped to [-1, 1].

        Raises:
          ValueError: guidance for a model trained without code dropout.
        """
        return self._outside(self.draw(params, labels, key, steps, solver, guidance, index))

    def draw(
        self,
        params: Params,
        labels: jax.Array,
        key: jax.Array,
        steps: int,
        solver: str,
        guidance: float,
        index: jax.Array | None,
    ) -> jax.Array:
        """:meth:`generate` without resizing and clipping: ``[B, grid, grid, c_x]``."""
        out = self._draw(params, labels, key, steps, solver, guidance, index, None)
        return out.end["image"]

    def generation_path(
        self, params: Params, labels: jax.Array, key: jax.Array, *, steps: int = 25, grid: int = 9
    ) -> tuple[jax.Array, Streams]:
        """Times ``[G]`` and states ``[G, B, H, W, C]`` on the way from noise to images."""
        out = self._draw(params, labels, key, steps, "euler", 1.0, None, grid)
        return out.grid, out.states  # type: ignore[return-value]

    def reading_path(
        self, params: Params, images: jax.Array, key: jax.Array, *, steps: int = 24, grid: int = 9
    ) -> tuple[jax.Array, Streams]:
        """Times ``[G]`` and states ``[G, B, H, W, C]`` on the way from images to their labels."""
        out = self._read(params, images, key, steps, "euler", None, grid)
        return out.grid, out.states  # type: ignore[return-value]

    def show(self, params: Params, streams: Streams) -> tuple[jax.Array, jax.Array]:
        """States of a path as people look at them: images and label pictures (RGB), in [-1, 1]."""
        return streams["image"], self.code.to_rgb(streams["label"])

    def numbers(self, labels: Sequence[int | str]) -> np.ndarray:
        """Class numbers ``[B]`` from numbers or names.

        Raises:
          ValueError: a name or number that is no class of this model (the known ones are listed).
        """
        return class_numbers(self.classes, labels)

    def _inside(self, images: jax.Array) -> jax.Array:
        expected = (self.side, self.side, self.image_channels)
        if images.shape[1:] != expected:
            raise ValueError(f"images must be [B, {expected}], got {images.shape}")
        return resize(images, self.grid)

    def _outside(self, images: jax.Array) -> jax.Array:
        return jnp.clip(resize(images, self.side), -1, 1)

    def _read(self, params, images, key, steps, solver, index, grid=None) -> Solution:
        image = self._inside(images)
        index = jnp.arange(image.shape[0]) if index is None else index
        noise = sample_noise(key, index, (self.grid, self.grid, self.code.channels))
        state = at_end(ROUTE, {"image": image}, {"label": noise}, 1)
        return integrate(self.field(params), state, 1.0, 0.0, solver=solver, steps=steps, grid=grid)

    def _draw(self, params, labels, key, steps, solver, guidance, index, grid) -> Solution:
        labels = jnp.asarray(labels)
        index = jnp.arange(labels.shape[0]) if index is None else index
        k_image, k_code, k_null = jax.random.split(key, 3)
        shape = (self.grid, self.grid, self.image_channels)
        label = jax.vmap(
            lambda one, i: self.code.pictures(
                one[None], self.grid, self.grid, jax.random.fold_in(k_code, i)
            )[0]
        )(labels, index)
        noise = sample_noise(k_image, index, shape)
        state = at_end(ROUTE, {"label": label}, {"image": noise}, 0)
        field = self.field(params)
        if guidance != 1.0:
            if not self.code_dropout:
                raise ValueError(
                    "guidance needs a model trained with code dropout: set model.code_dropout (0.1 is"
                    " usual) and train again, or use guidance 1"
                )
            state["null"] = sample_noise(k_null, index, label.shape[1:])
            field = guided(field, guidance)
        return integrate(field, state, 0.0, 1.0, solver=solver, steps=steps, grid=grid)
