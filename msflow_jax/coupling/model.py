"""CouplingFlow: a multiscale class-conditional coupling flow with exact likelihoods (MAGIC-Flow).

An image walks through stages of steps (activation norm, 1 x 1 convolution, affine coupling), is
squeezed, and leaves half of its channels behind as latents where it is split. The log-determinants walk
along as an array of the image's shape: the log-likelihood is the sum of a map over the image.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from msflow_jax.coupling import bijections as bi
from msflow_jax.coupling.dequantiser import Dequantiser
from msflow_jax.coupling.layout import Stage, parse
from msflow_jax.coupling.masks import masks
from msflow_jax.coupling.priors import SplitPrior, TopPrior
from msflow_jax.coupling.steps import Carry, Steps
from msflow_jax.inference.prediction import Prediction, class_numbers
from msflow_jax.nets import init_params
from msflow_jax.streams import sample_noise

Params = Any
CHOICES: dict[str, tuple[Any, ...]] = {
    "passes": (1, 2),
    "mixing": ("plu", "dense"),
    "split_prior": ("normal", "learned"),
    "dequantisation": ("uniform", "variational"),
}


@dataclass(frozen=True)
class CouplingFlow:
    """A coupling flow over images ``[B, *space, C]`` in two or three dimensions. All methods are pure.

    Attributes:
      conditioner: module ``(x, labels [B], train) -> (raw log-scale, shift)``, one for each step.
      classes: class names in label order.
      shape: ``(*space, C)``.
      layout: see :func:`parse`.
      bound: largest absolute log-scale of a coupling's pass.
      passes: passes of a coupling, 1 or 2 (published).
      picture: mask ``[*space]`` of the steps ``picture``.
      remat: recompute each step (the dequantiser's too) in the backward pass; on CPU steps always are.
      contrast: weight of the cross-entropy over the class likelihoods in the loss; 0 is pure likelihood.
      class_prior: frequency of each class in the training set, empty for uniform.
      mixing: 1 x 1 convolutions as ``plu``, which is never singular, or as a free ``dense`` matrix.
      split_prior: latents are ``normal`` (published), or normal with a ``learned`` mean and scale: by
        what is kept where they are split off, by place at the end; see :class:`SplitPrior` and
        :class:`TopPrior`.
      dequantisation: ``uniform`` or ``variational``, see :class:`Dequantiser`.
      logit_margin: the images go through :func:`bijections.logit` first; 0 for none, 0.05 is RealNVP's.

    Raises:
      ValueError: a layout that does not fit, or settings out of range.
    """

    conditioner: nn.Module
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    layout: str = "checkerboard:2 squeeze channel:2 split checkerboard:2"
    bound: float = 0.5
    passes: int = 2
    picture: np.ndarray | None = None
    remat: bool = False
    contrast: float = 0.0
    class_prior: tuple[float, ...] = ()
    mixing: str = "plu"
    split_prior: str = "normal"
    dequantisation: str = "uniform"
    logit_margin: float = 0.0

    def __post_init__(self):
        if len(self.shape) not in (3, 4):
            raise ValueError(f"images are [H, W, C] or [D, H, W, C], not {self.shape}")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                known = ", ".join(map(str, choices))
                raise ValueError(f"unknown {name} {getattr(self, name)!r}: choose one of {known}")
        count = getattr(self.conditioner, "classes", len(self.classes))
        if count != len(self.classes):
            raise ValueError(f"{len(self.classes)} class names, but a conditioner of {count}")
        if not 0 <= self.contrast <= 1:
            raise ValueError(f"contrast must lie in [0, 1], got {self.contrast}")
        if not (self.bound > 0 and 0 <= self.logit_margin < 0.5):
            raise ValueError(
                f"bound must be positive and logit_margin lie in [0, 0.5), got {self.bound} and "
                f"{self.logit_margin}"
            )
        prior = self.class_prior
        if prior and (
            len(prior) != len(self.classes) or min(prior) <= 0 or abs(sum(prior) - 1) > 1e-3
        ):
            raise ValueError(
                f"class_prior needs a positive frequency for each of {self.classes}, 1 in sum, got "
                f"{prior}: a class without training images cannot be read"
            )
        for stage in self.stages:
            if stage.steps:
                masks(stage, self.picture)
            if stage.widths and not hasattr(self.conditioner, "widths"):
                kind = type(self.conditioner).__name__
                raise ValueError(f"the layout gives widths, which the conditioner {kind} has not")

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

    def numbers(self, labels: Sequence[int | str]) -> np.ndarray:
        """Class numbers ``[B]`` from numbers or names; see :func:`class_numbers`."""
        return class_numbers(self.classes, labels)

    @property
    def dequantiser(self) -> Dequantiser:
        """Of variational dequantisation."""
        return Dequantiser(self.shape, self.bound, self.remat)

    @property
    def _steps(self) -> Steps:
        return Steps(
            self.conditioner, self.bound, self.passes, self.mixing, self.picture, self.remat
        )

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters: a flow that only permutes; see :meth:`fit_actnorm`."""
        params = {}
        for number, stage in enumerate(self.stages):
            if stage.steps:
                params[f"stage_{number}"] = self._steps.init(stage, key)
            if stage.kind in ("split", "end") and self.split_prior == "learned":
                *space, channels = stage.shape
                kept = channels if stage.kind == "end" else channels // 2
                x = jax.ShapeDtypeStruct((1, *space, kept), jnp.float32)
                labels = jax.ShapeDtypeStruct((1,), jnp.int32)
                params[f"stage_{number}"] = init_params(self._prior(stage), key, x, labels)
        if self.dequantisation == "variational":
            key = jax.random.fold_in(key, self.stages[-1].first)
            params["dequantiser"] = self.dequantiser.init(key)
        return params

    def _prior(self, stage: Stage) -> SplitPrior | TopPrior:
        """Of what is split off, or of what is left at the end."""
        channels = stage.shape[-1]
        if stage.kind == "end":
            return TopPrior(len(self.classes))
        return SplitPrior(len(self.classes), channels - channels // 2)

    def _check(self, images: jax.Array) -> None:
        if images.shape[1:] != self.shape:
            raise ValueError(f"images must be [B, {self.shape}], got {images.shape}")

    def _checked(self, labels: jax.Array, count: int) -> jax.Array:
        """Labels as they are; outside of `jit` their values are checked too."""
        if labels.shape != (count,) or not jnp.issubdtype(labels.dtype, jnp.integer):
            raise ValueError(
                f"labels must be {count} class numbers, got {labels.dtype} {labels.shape}"
            )
        if not isinstance(labels, jax.core.Tracer):
            values = np.asarray(labels)  # operations of jax would be traced
            least, most = values.min(initial=0), values.max(initial=0)
            if least < 0 or most >= len(self.classes):
                raise ValueError(
                    f"labels must lie in 0..{len(self.classes) - 1}, got {least}..{most}"
                )
        return jnp.asarray(labels)

    def forward(
        self, params: Params, x: jax.Array, labels: jax.Array, key: jax.Array | None = None
    ) -> tuple[list[jax.Array], list[jax.Array]]:
        """Latents and shares, each a list of ``[B, *space, C]``, in the order of the splits.

        Args:
          params: parameters.
          x: images ``[B, *space, C]`` in [-1, 1].
          labels: class numbers ``[B]``.
          key: of the dropout; None for none.

        Raises:
          ValueError: images of another shape, or labels that are no class numbers.
        """
        labels = self._checked(labels, len(x))

        def steps(name: str, stage: Stage, carry: Carry) -> Carry:
            return self._steps.forward(params[name], carry, stage, labels, key)

        return self._walk(params, x, labels, steps)

    def _walk(
        self,
        params: Params,
        x: jax.Array,
        labels: jax.Array,
        steps: Callable[[str, Stage, Carry], Carry],
    ) -> tuple[list[jax.Array], list[jax.Array]]:
        """Forwards through the layout; ``steps`` does what the steps of a stage do."""
        self._check(x)
        margin, latents, shares = self.logit_margin, [], []
        carry = bi.logit(x, margin) if margin else (x, jnp.zeros_like(x))
        for number, stage in enumerate(self.stages):
            x, share = carry
            if stage.kind == "squeeze":
                carry = bi.squeeze(x), bi.squeeze(share)
            elif stage.kind == "split":
                half = stage.shape[-1] // 2
                mean, log_scale = self._moments(params, number, x[..., :half], labels)
                latents.append((x[..., half:] - mean) * jnp.exp(-log_scale))
                shares.append(share[..., half:] - log_scale)
                carry = x[..., :half], share[..., :half]
            elif stage.steps:
                carry = steps(f"stage_{number}", stage, carry)
        x, share = carry
        mean, log_scale = self._moments(params, len(self.stages) - 1, x, labels)
        return [*latents, (x - mean) * jnp.exp(-log_scale)], [*shares, share - log_scale]

    def _moments(
        self, params: Params, number: int, kept: jax.Array, labels: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Mean and log-scale of what stage ``number`` splits off or, the last, leaves."""
        if self.split_prior == "normal":
            return jnp.zeros(()), jnp.zeros(())
        prior = self._prior(self.stages[number])
        return prior.apply({"params": params[f"stage_{number}"]}, kept, labels)  # type: ignore[return-value]

    def _back(
        self,
        parts: Sequence[jax.Array],
        steps: Callable[[str, Stage, jax.Array], jax.Array],
        join: Callable[[int, jax.Array, jax.Array], jax.Array],
    ) -> jax.Array:
        """Backwards through the layout; ``join`` makes what was split off beside what was kept."""
        left, x = list(parts), parts[-1]
        for number, stage in reversed(list(enumerate(self.stages))):
            if stage.kind == "end":
                x = join(number, x, left.pop())
            elif stage.kind == "squeeze":
                x = bi.unsqueeze(x)
            elif stage.kind == "split":
                x = jnp.concatenate([x, join(number, x, left.pop())], axis=-1)
            elif stage.steps:
                x = steps(f"stage_{number}", stage, x)
        return x

    def inverse(self, params: Params, latents: Sequence[jax.Array], labels: jax.Array) -> jax.Array:
        """Images ``[B, *space, C]`` of latents as :meth:`forward` gives them."""
        labels = self._checked(labels, len(latents[0]))

        def steps(name: str, stage: Stage, z: jax.Array) -> jax.Array:
            return self._steps.inverse(params[name], z, stage, labels)

        def join(number: int, kept: jax.Array, z: jax.Array) -> jax.Array:
            mean, log_scale = self._moments(params, number, kept, labels)
            return mean + z * jnp.exp(log_scale)

        x = self._back(latents, steps, join)
        return bi.logit_inverse(x, self.logit_margin) if self.logit_margin else x

    def assemble(self, parts: Sequence[jax.Array]) -> jax.Array:
        """Arrays of the latents' shapes, every entry back in its place of the image."""
        return self._back(parts, lambda name, stage, x: x, lambda number, kept, part: part)

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
        latents, shares = self.forward(params, x, labels, key)
        return [bi.normal_share(z) + s for z, s in zip(latents, shares, strict=True)]

    def class_log_probs(
        self, params: Params, x: jax.Array, key: jax.Array | None = None
    ) -> jax.Array:
        """Log-density given every class, ``[B, K]``, in one batched pass; on CPU class by class."""
        count = len(self.classes)
        if jax.default_backend() == "cpu":  # whose caches hold what a batch needs, not K times that

            def given(label: jax.Array) -> jax.Array:
                return self.log_prob(params, x, jnp.full(len(x), label), key)

            return lax.map(given, jnp.arange(count)).T
        labels = jnp.tile(jnp.arange(count), len(x))
        found = self.log_prob(params, jnp.repeat(x, count, axis=0), labels, key)
        return found.reshape(len(x), count)

    def dequantised(
        self, params: Params, images: jax.Array, key: jax.Array, *, draw: int = 0,
        index: jax.Array | None = None,
    ) -> jax.Array:  # fmt: skip
        """What :meth:`log_prob` is of, ``[B, *space, C]``: as :meth:`classify` sees draw ``draw``."""
        return self._dequantise(params, images, self._noise(key, draw, index, len(images)))[0]

    def _noise(
        self, key: jax.Array, draw: int | jax.Array, index: jax.Array | None, count: int
    ) -> jax.Array:
        """Uniform in [0, 1), each image's by the draw and its global index alone."""
        key = jax.random.fold_in(key, draw)
        index = jnp.arange(count) if index is None else index
        return jax.vmap(lambda i: jax.random.uniform(jax.random.fold_in(key, i), self.shape))(index)

    def _dequantise(
        self, params: Params, images: jax.Array, noise: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Images ``[B, *space, C]`` with noise, and nats ``[B]``.

        Added to the log-density, the nats give a sample of a bound of the 8-bit image's log-probability.
        """
        self._check(images)
        log_q = jnp.zeros_like(noise)
        if self.dequantisation == "variational":
            noise, log_q = self.dequantiser(params["dequantiser"], images, noise)
        x, share = bi.dequantise(jnp.round((images + 1) * 127.5), noise)
        return x, (share - log_q).sum(axis=tuple(range(1, x.ndim)))

    def classify(
        self, params: Params, images: jax.Array, key: jax.Array, *, draws: int = 1,
        index: jax.Array | None = None, weights: Sequence[float] | None = None,
    ) -> Prediction:  # fmt: skip
        """The posterior over classes by Bayes' rule, from the likelihood given each of them.

        Args:
          params: parameters.
          images: ``[B, *space, C]`` of 256 equally spaced values in [-1, 1].
          key: PRNG key of the dequantisation.
          draws: of the dequantisation; all are returned.
          index: global index of each image ``[B]``, on which alone its noise depends.
          weights: wished over trained frequency of each class ``[K]``.

        Returns:
          Distances -log p(y | x) in nats; the mode is the likeliest class; ``log_prob`` bounds the
          log-probability of the 8-bit image: -log_prob / (dimensions ln 2) are bits per dimension.

        Raises:
          ValueError: images of another shape than the model's, or ``draws`` < 1.
        """
        if draws < 1:
            raise ValueError(f"draws must be at least 1, got {draws}")
        count = len(self.classes)
        prior = jnp.asarray(self.class_prior or (1 / count,) * count)
        log_prior = jax.nn.log_softmax(
            jnp.log(prior if weights is None else prior * jnp.asarray(weights))
        )

        def one(draw: jax.Array) -> Prediction:
            noise = self._noise(key, draw, index, len(images))
            x, share = self._dequantise(params, images, noise)
            joint = self.class_log_probs(params, x) + log_prior
            evidence = jax.nn.logsumexp(joint, axis=-1) + share
            distances = -jax.nn.log_softmax(joint)
            return Prediction(
                distances, jnp.exp(-distances), joint.argmax(axis=-1), jnp.float32(count),
                jnp.isfinite(evidence), evidence, self.classes,
            )  # fmt: skip

        out = lax.map(one, jnp.arange(draws))
        return dataclasses.replace(out, nfe=out.nfe.mean())

    def generate(
        self, params: Params, labels: jax.Array, key: jax.Array, *,
        temperature: float | jax.Array = 1.0, index: jax.Array | None = None,
    ) -> jax.Array:  # fmt: skip
        """An image for each label, ``[B, *space, C]``, clipped to [-1, 1].

        Args:
          params: parameters.
          labels: class numbers ``[B]``.
          key: PRNG key.
          temperature: standard deviation of the latents, of all or of each sample ``[B]``.
          index: global index of each sample ``[B]``, on which alone its noise depends.
        """
        index = jnp.arange(len(labels)) if index is None else index
        shapes = self.latent_shapes()
        ends = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
        # One draw for all latents: its program is the longest to compile here.
        noise = sample_noise(key, index, (self.dimensions,))
        noise *= jnp.reshape(jnp.asarray(temperature, noise.dtype), (-1, 1))
        parts = zip(jnp.split(noise, ends, axis=1), shapes, strict=True)
        latents = [part.reshape(-1, *shape) for part, shape in parts]
        return jnp.clip(self.inverse(params, latents, labels), -1, 1)

    def latent_shapes(self) -> list[tuple[int, ...]]:
        """``(*space, C)`` of every latent, in the order of :meth:`forward`."""
        splits = [stage.shape for stage in self.stages if stage.kind == "split"]
        halves = [(*space, channels - channels // 2) for *space, channels in splits]
        return [*halves, self.stages[-1].shape]

    def fit_actnorm(self, params: Params, x: jax.Array, labels: jax.Array) -> Params:
        """Parameters whose activation norms give every channel mean 0 and variance 1 on this batch.

        One pass through the whole flow: each step sees what the one before makes of the batch, ``x``
        ``[B, *space, C]`` as :meth:`dequantised` gives it, of classes ``labels`` ``[B]``.
        """
        labels, fitted = self._checked(labels, len(x)), dict(params)

        def steps(name: str, stage: Stage, carry: Carry) -> Carry:
            fitted[name], carry = self._steps.fit(params[name], carry, stage, labels)
            return carry

        self._walk(params, x, labels, steps)
        return fitted

    def loss(
        self, params: Params, batch: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Negative log-likelihood in bits per dimension, with ``contrast`` a cross-entropy beside it.

        Args:
          params: parameters.
          batch: ``image`` ``[B, *space, C]`` of 256 equally spaced values in [-1, 1], ``label`` ``[B]``.
          key: PRNG key of this step (dequantisation, dropout).
          train: whether dropout acts.

        Returns:
          Scalar loss and metrics ``loss_bits``, with a contrast also ``loss_cross_entropy``.
        """
        k_noise, k_net = jax.random.split(key)
        noise = jax.random.uniform(k_noise, batch["image"].shape)
        x, share = self._dequantise(params, batch["image"], noise)
        dropout = k_net if train else None
        if not self.contrast:
            nats = self.log_prob(params, x, batch["label"], dropout)
            bits = bi.bits_per_dimension(nats + share, self.dimensions).mean()
            return bits, {"loss_bits": bits}
        each = self.class_log_probs(params, x, dropout)
        chosen = jnp.take_along_axis(each, batch["label"][:, None], axis=1)[:, 0]
        bits = bi.bits_per_dimension(chosen + share, self.dimensions).mean()
        entropy = -jnp.take_along_axis(
            jax.nn.log_softmax(each), batch["label"][:, None], axis=1
        ).mean()
        loss = (1 - self.contrast) * bits + self.contrast * entropy
        return loss, {"loss_bits": bits, "loss_cross_entropy": entropy}
