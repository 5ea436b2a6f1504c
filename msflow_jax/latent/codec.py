"""LatentFlow: a symmetric flow in the latent space of an autoencoder (MedSymmFlow's "LatMSF").

Training sees latents only (``latent/cache.py``); the autoencoder is needed to encode an image before it
is read, and to decode one after it is drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.inference.prediction import Prediction
from msflow_jax.latent.autoencoder import Autoencoder
from msflow_jax.nets.ops import resize
from msflow_jax.streams import Streams
from msflow_jax.symmetric.codes import Code
from msflow_jax.symmetric.latent_codes import LatentCode
from msflow_jax.symmetric.model import Reader, SymmetricFlow

Params = Any
READOUTS = ("latent", "decode")


@dataclass(frozen=True)
class LatentFlow:
    """A symmetric flow over latents, with the images' doors. All methods are pure.

    ``init`` and ``loss`` know the flow's parameters alone; the verbs take those of :meth:`join`.

    Attributes:
      flow: over latents; its ``side`` is the latents', its ``image_channels`` are theirs.
      autoencoder: network and scale.
      image_channels: channels of the images, 1 or the autoencoder's.
      side: rows and columns of the images.
      resize: rows and columns at which they are encoded (bilinear; the authors' code makes 256 of
        224), or 0 to leave them as they are.
      readout: ``latent`` compares the label latents with the codes; ``decode`` (published) decodes them
        and compares the pictures with the palette.

    Raises:
      ValueError: numbers that do not fit each other.
    """

    flow: SymmetricFlow
    autoencoder: Autoencoder
    image_channels: int
    side: int
    resize: int = 0
    readout: str = "latent"

    def __post_init__(self):
        if self.readout not in READOUTS:
            raise ValueError(
                f"unknown read-out {self.readout!r}: choose one of {', '.join(READOUTS)}"
            )
        if self.readout == "decode" and not isinstance(self.code, LatentCode):
            raise ValueError(
                f"the read-out 'decode' needs label pictures that the autoencoder made, not the code "
                f"{self.code.scheme!r}: choose the code 'encoded' or 'pooled', or the read-out 'latent'"
            )
        if self.image_channels not in (1, self.autoencoder.net.channels):
            raise ValueError(
                f"the autoencoder is for images of {self.autoencoder.net.channels} channels (or 1), "
                f"not {self.image_channels}"
            )

    @property
    def code(self) -> Code | LatentCode:
        """The flow's code."""
        return self.flow.code

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""
        return self.flow.classes

    @property
    def encoded_side(self) -> int:
        """Rows and columns at which images are encoded."""
        return self.resize or self.side

    def numbers(self, labels: Sequence[int | str]) -> np.ndarray:
        """See :meth:`SymmetricFlow.numbers`."""
        return self.flow.numbers(labels)

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters of the flow."""
        return self.flow.init(key)

    @staticmethod
    def join(flow: Params, autoencoder: Params) -> Params:
        """What the verbs take."""
        return {"flow": flow, "autoencoder": autoencoder}

    def loss(
        self, params: Params, batch: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Flow-matching loss of a batch of latents; see :meth:`SymmetricFlow.loss`.

        Args:
          params: the flow's parameters.
          batch: ``image``, the posterior's mean ``[B, h, w, c]``; optionally ``deviation`` of that
            shape, with which a sample is drawn afresh at every step (published); ``label`` ``[B]``.
          key: PRNG key of this step.
          train: whether dropout acts.
        """
        k_flow, k_posterior = jax.random.split(key)
        latents = batch["image"]
        if "deviation" in batch:
            spread = batch["deviation"].astype(jnp.float32)
            latents = latents + spread * jax.random.normal(k_posterior, latents.shape)
        rest = {name: a for name, a in batch.items() if name != "deviation"}
        return self.flow.loss(params, {**rest, "image": latents}, k_flow, train=train)

    def moments(self, params: Params, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and deviation of the images' latents, each ``[B, h, w, c]``.

        Args:
          params: the autoencoder's.
          images: ``[B, S, S, c_x]`` in [-1, 1].

        Raises:
          ValueError: images of another shape than the model's.
        """
        expected = (self.side, self.side, self.image_channels)
        if images.shape[1:] != expected:
            raise ValueError(f"images must be [B, {expected}], got {images.shape}")
        return self.autoencoder.moments(params, resize(images, self.encoded_side))

    def decode(self, params: Params, latents: jax.Array) -> jax.Array:
        """Images ``[B, S, S, c_x]`` of latents, clipped to [-1, 1]; ``params`` the autoencoder's."""
        images = self.autoencoder.decode(params, latents, self.image_channels)
        return jnp.clip(resize(images, self.side), -1, 1)

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
    ) -> Prediction:
        """Read the class of each image from the mean of its latents; see :meth:`SymmetricFlow.classify`.

        The authors' code encodes a random sample instead, which makes predictions vary between calls.
        """
        latents, _ = self.moments(params["autoencoder"], images)
        reader = self._decoded(params) if self.readout == "decode" else None
        return self.flow.classify(
            params["flow"], latents, key,
            steps=steps, draws=draws, solver=solver, index=index, weights=weights, reader=reader,
        )  # fmt: skip

    def _decoded(self, params: Params) -> Reader:
        palette = Code("palette", len(self.classes), self.code.beta)

        def reader(latents: jax.Array, weights: jax.Array | None):
            return palette.read(self.autoencoder.decode(params["autoencoder"], latents), weights)

        return reader

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
        """Draw an image for each label, ``[B, S, S, c_x]``; see :meth:`SymmetricFlow.generate`."""
        latents = self.flow.draw(params["flow"], labels, key, steps, solver, guidance, index)
        return self.decode(params["autoencoder"], latents)

    def generation_path(
        self, params: Params, labels: jax.Array, key: jax.Array, *, steps: int = 25, grid: int = 9
    ) -> tuple[jax.Array, Streams]:
        """See :meth:`SymmetricFlow.generation_path`; the states are latents."""
        return self.flow.generation_path(params["flow"], labels, key, steps=steps, grid=grid)

    def reading_path(
        self, params: Params, images: jax.Array, key: jax.Array, *, steps: int = 24, grid: int = 9
    ) -> tuple[jax.Array, Streams]:
        """See :meth:`SymmetricFlow.reading_path`; the states are latents."""
        latents, _ = self.moments(params["autoencoder"], images)
        return self.flow.reading_path(params["flow"], latents, key, steps=steps, grid=grid)

    def show(self, params: Params, streams: Streams) -> tuple[jax.Array, jax.Array]:
        """States of a path as people look at them; see :meth:`SymmetricFlow.show`."""
        images = self.decode(params["autoencoder"], streams["image"])
        if not isinstance(self.code, LatentCode):
            return images, self.code.to_rgb(streams["label"])
        pictures = self.autoencoder.decode(params["autoencoder"], streams["label"])
        return images, jnp.clip(pictures, -1, 1)
