"""The class-conditional density of a coupling flow: settings, images to latents and back, density."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from msflow_jax.coupling import bijections as bi
from msflow_jax.coupling.checks import check_settings, checked_labels
from msflow_jax.coupling.dequantiser import Dequantiser
from msflow_jax.coupling.layout import Stage, parse
from msflow_jax.coupling.multiscale import Multiscale
from msflow_jax.coupling.steps import Given, Steps
from msflow_jax.data.checks import check_shape
from msflow_jax.latent.codec import PixelCodec
from msflow_jax.streams import content_index

Params = Any


@dataclass(frozen=True)
class ConditionalDensity:
    """Densities of images ``[B, *space, C]`` in two or three dimensions, one for each class; all pure.

    Attributes:
        conditioner: module ``(x, labels [B], train) -> (raw log-scale, shift)``, one for each step.
        classes: class names in label order.
        shape: shape ``(*space, C)`` of the images.
        layout: see :func:`parse`.
        bound: largest absolute log-scale of a coupling's pass.
        passes: passes of a coupling, 1 or 2 (published).
        foreground: mask ``[*space]`` of the steps ``foreground``; what is not 0 is seen first.
        remat: whether each step (the dequantiser's too) is recomputed in the backward pass; on CPU
            steps always are.
        reversible: whether what came into a step is found in the backward pass by inverting it, so that
            memory does not grow with the number of steps; see :mod:`msflow_jax.coupling.reversible`.
        discriminative_weight: weight of the cross-entropy over the class likelihoods in the loss; 0 is
            pure likelihood.
        class_prior: frequency of each class in the training set, empty for uniform.
        mixing: 1 x 1 convolutions as ``plu``, which is never singular, or as a free ``dense`` matrix.
        split_prior: latents are ``normal`` (published), or normal with a ``learned`` mean and scale: by
            what is kept where they are split off, by place at the end; see :class:`SplitPrior` and
            :class:`TopPrior`.
        dequantisation: ``uniform`` or ``variational``, see :class:`Dequantiser`.
        logit_margin: margin of the :class:`bijections.Logit` that the images go through first; 0 for
            none, 0.05 is RealNVP's.

    Raises:
        ValueError: a layout that does not fit, or settings out of range.
    """

    conditioner: nn.Module
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    layout: str = "checkerboard:2 squeeze channel:2 split checkerboard:2"
    bound: float = 0.5
    passes: int = 2
    foreground: np.ndarray | None = None
    remat: bool = False
    discriminative_weight: float = 0.0
    class_prior: tuple[float, ...] = ()
    mixing: str = "plu"
    split_prior: str = "normal"
    dequantisation: str = "uniform"
    logit_margin: float = 0.0
    reversible: bool = False

    def __post_init__(self):
        check_settings(self)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The parsed layout."""
        return parse(self.layout, self.shape)

    @property
    def dimensions(self) -> int:
        """Entries of an image."""
        return int(np.prod(self.shape))

    @property
    def side(self) -> int:
        """Rows of the images."""
        return self.shape[0]

    @property
    def image_channels(self) -> int:
        """Channels of the images."""
        return self.shape[-1]

    @property
    def dequantiser(self) -> Dequantiser:
        """The dequantiser of variational dequantisation."""
        return Dequantiser(self.shape, self.bound, self.remat)

    @property
    def bijection(self) -> Multiscale:
        """The walk between images and latents."""
        steps = Steps(
            self.conditioner, self.bound, self.passes, self.mixing, self.foreground, self.remat,
            self.reversible,
        )  # fmt: skip
        learned = self.split_prior == "learned"
        return Multiscale(self.stages, steps, len(self.classes), learned, self.logit_margin)

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters: a flow that only permutes; see :meth:`fit_actnorm`."""
        params = self.bijection.init(key)
        if self.dequantisation == "variational":
            key = jax.random.fold_in(key, self.stages[-1].first)
            params["dequantiser"] = self.dequantiser.init(key)
        return params

    def fit_actnorm(self, params: Params, x: jax.Array, labels: jax.Array) -> Params:
        """Parameters whose activation norms give every channel mean 0 and variance 1 on this batch.

        One pass through the whole flow: each step sees what the one before makes of the batch.

        Args:
            params: parameters of the flow.
            x: images ``[B, *space, C]`` as :meth:`dequantised` gives them.
            labels: class numbers ``[B]``.
        """
        labels = self._checked(labels, x)
        return self.bijection.fit(params, x, labels)

    def forward(
        self, params: Params, x: jax.Array, labels: jax.Array, key: jax.Array | None = None
    ) -> tuple[list[jax.Array], list[jax.Array]]:
        """Latents and log-det contributions, lists of ``[B, *space, C]`` in the order of the splits.

        Args:
            params: parameters of the flow.
            x: images ``[B, *space, C]`` in [-1, 1].
            labels: class numbers ``[B]``.
            key: PRNG key of the dropout; None for none.

        Raises:
            ValueError: images of another shape, or labels that are no class numbers.
        """
        return self.bijection.forward(params, x, Given(self._checked(labels, x), key))

    def inverse(self, params: Params, latents: Sequence[jax.Array], labels: jax.Array) -> jax.Array:
        """Images ``[B, *space, C]`` of latents as :meth:`forward` gives them."""
        labels = checked_labels(labels, len(latents[0]), len(self.classes))
        return self.bijection.inverse(params, latents, labels)

    def assemble(self, parts: Sequence[jax.Array]) -> jax.Array:
        """Arrays of the latents' shapes, every entry back in its place of the image."""
        return self.bijection.assemble(parts)

    def latent_shapes(self) -> list[tuple[int, ...]]:
        """``(*space, C)`` of every latent, in the order of :meth:`forward`."""
        return self.bijection.latent_shapes()

    def log_prob(
        self, params: Params, x: jax.Array, labels: jax.Array, key: jax.Array | None = None
    ) -> jax.Array:
        """Log-density of images given their classes, ``[B]`` in nats; arguments as :meth:`forward`."""
        axes = tuple(range(1, x.ndim))
        terms = self.terms(params, x, labels, key)
        return sum(term.sum(axis=axes) for term in terms)  # type: ignore[return-value]

    def terms(
        self, params: Params, x: jax.Array, labels: jax.Array, key: jax.Array | None = None
    ) -> list[jax.Array]:
        """What the log-density is the sum of, in the latents' shapes; arguments as :meth:`forward`."""
        latents, log_dets = self.forward(params, x, labels, key)
        return [bi.normal_log_prob(z) + d for z, d in zip(latents, log_dets, strict=True)]

    def class_log_probs(
        self, params: Params, x: jax.Array, key: jax.Array | None = None
    ) -> jax.Array:
        """Log-density given every class, ``[B, K]``, in one batched pass; on CPU class by class.

        All classes have the same dropout, of ``key``: else they would be told apart by its noise.
        """

        def given(label: jax.Array) -> jax.Array:
            return self.log_prob(params, x, jnp.full(len(x), label), key)

        every = jnp.arange(len(self.classes))
        if jax.default_backend() == "cpu":  # whose caches hold what a batch needs, not K times that
            return lax.map(given, every).T
        return jax.vmap(given, out_axes=1)(every)

    def dequantised(
        self, params: Params, images: jax.Array, key: jax.Array, *, draw: int = 0,
        index: jax.Array | None = None,
    ) -> jax.Array:  # fmt: skip
        """What :meth:`log_prob` is of, ``[B, *space, C]``: as :meth:`classify` sees draw ``draw``."""
        return self._dequantise(params, images, self._noise(key, draw, index, images))[0]

    @property
    def codec(self) -> PixelCodec:
        """The pixels as they are: the likelihood is that of 8-bit images."""
        return PixelCodec(self.shape)

    def _checked(self, labels: jax.Array, x: jax.Array) -> jax.Array:
        labels = checked_labels(labels, len(x), len(self.classes))
        check_shape(x, self.shape)
        return labels

    def _noise(
        self, key: jax.Array, draw: int | jax.Array, index: jax.Array | None, images: jax.Array
    ) -> jax.Array:
        """Uniform in [0, 1), each image's by the draw and its number alone."""
        key = jax.random.fold_in(key, draw)
        index = content_index(images) if index is None else index
        return jax.vmap(lambda i: jax.random.uniform(jax.random.fold_in(key, i), self.shape))(index)

    def _dequantise(
        self, params: Params, images: jax.Array, noise: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Images with noise, and nats entry by entry, both ``[B, *space, C]``.

        Added to the log-density, the nats give a sample of a bound of the 8-bit image's log-probability.
        """
        images = self.codec.encode(None, images)
        log_q = jnp.zeros_like(noise)
        if self.dequantisation == "variational":
            noise, log_q = self.dequantiser(params["dequantiser"], images, noise)
        x, log_det = bi.dequantise(jnp.round((images + 1) * 127.5), noise)
        return x, log_det - log_q
