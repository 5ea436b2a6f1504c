"""CouplingFlow: a multiscale class-conditional coupling flow with exact likelihoods (MAGIC-Flow).

An image walks through stages of steps (activation norm, 1 x 1 convolution, affine coupling), is
squeezed, and leaves half of its channels behind as latents where it is split. The log-determinants walk
along as an array of the image's shape: the log-likelihood is the sum of a map over the image.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from msflow_jax.coupling import bijections as bi
from msflow_jax.nets import init_params
from msflow_jax.streams import sample_noise

Params = Any
Carry = tuple[jax.Array, jax.Array]  # what walks through the layout: entries and their shares
MASKS = ("checkerboard", "channel", "picture")
PUBLISHED = (
    "picture:1 checkerboard:4 squeeze channel:3 split checkerboard:3 squeeze channel:3 split "
    "checkerboard:3 squeeze channel:3 split checkerboard:4"
)


@dataclass(frozen=True)
class Stage:
    """What happens at one place of a layout.

    Attributes:
      kind: ``squeeze``, ``split``, ``end``, or the mask of the steps.
      steps: how many steps of equal shape; 0 for the others.
      first: number of the first of them in the whole flow; odd steps turn their mask.
      shape: ``[*space, C]`` that comes in.
    """

    kind: str
    steps: int
    first: int
    shape: tuple[int, ...]


def parse(layout: str, shape: tuple[int, ...]) -> tuple[Stage, ...]:
    """The stages of a layout such as ``"checkerboard:4 squeeze channel:3 split checkerboard:4"``.

    Args:
      layout: words ``squeeze``, ``split`` and ``MASK:STEPS``.
      shape: ``(*space, C)`` of the images.

    Raises:
      ValueError: an unknown word, or a shape that cannot be squeezed or split where it should be.
    """
    stages, count = [], 0
    for word in layout.split():
        found = re.fullmatch(rf"({'|'.join(MASKS)}):([1-9]\d*)", word)
        steps = int(found[2]) if found else 0
        if not found and word not in ("squeeze", "split"):
            raise ValueError(
                f"unknown word {word!r} in the layout: squeeze, split, or one of {', '.join(MASKS)} "
                "with its steps, such as channel:3"
            )
        stages.append(Stage(found[1] if found else word, steps, count, shape))
        count += steps
        *space, channels = shape
        if word == "squeeze":
            if any(side % 2 for side in space):
                raise ValueError(f"{tuple(space)} cannot be squeezed: its sides must be even")
            shape = (*(side // 2 for side in space), channels * 2 ** len(space))
        if word == "split":
            if channels < 2:
                raise ValueError("a single channel cannot be split: squeeze first")
            shape = (*space, channels // 2)
    if not count:
        raise ValueError("the layout has no steps")
    return (*stages, Stage("end", 0, count, shape))


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
      remat: recompute each step in the backward pass.
      contrast: weight of the cross-entropy over the class likelihoods in the loss; 0 is pure likelihood.

    Raises:
      ValueError: a layout that does not fit.
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

    def __post_init__(self):
        if len(self.shape) not in (3, 4):
            raise ValueError(f"images are [H, W, C] or [D, H, W, C], not {self.shape}")
        known = getattr(self.conditioner, "classes", len(self.classes))
        if known != len(self.classes):
            raise ValueError(f"{len(self.classes)} class names, but a conditioner of {known}")
        if "picture" in self.layout and self.picture is None:
            raise ValueError("the layout has steps 'picture', but there is no picture")
        if not 0 <= self.contrast <= 1:
            raise ValueError(f"contrast must lie in [0, 1], got {self.contrast}")
        for stage in self.stages:
            given = () if self.picture is None else self.picture.shape
            if stage.kind == "picture" and given != stage.shape[:-1]:
                raise ValueError(
                    f"the picture that serves as mask is {given}, where the layout needs "
                    f"{stage.shape[:-1]}"
                )
            if stage.steps:
                self._masks(stage)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The parsed layout."""
        return parse(self.layout, self.shape)

    @property
    def dimensions(self) -> int:
        """Entries of an image."""
        return int(np.prod(self.shape))

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters: a flow that only permutes; see :meth:`fit_actnorm`."""
        params = {}
        for number, stage in enumerate(self.stages):
            if stage.steps:
                drawn = [
                    self._step(stage, jax.random.fold_in(key, stage.first + i))
                    for i in range(stage.steps)
                ]
                params[f"stage_{number}"] = jax.tree.map(lambda *a: jnp.stack(a), *drawn)
        return params

    def _step(self, stage: Stage, key: jax.Array) -> Params:
        x = jax.ShapeDtypeStruct((1, *stage.shape), jnp.float32)
        labels = jax.ShapeDtypeStruct((1,), jnp.int32)
        channels = stage.shape[-1]
        return {
            "norm": {"mean": jnp.zeros(channels), "log_scale": jnp.zeros(channels)},
            "mix": bi.plu_init(channels),
            "conditioner": init_params(self.conditioner, key, x, labels),
        }

    def _masks(self, stage: Stage) -> np.ndarray:
        """``[steps, *space, C]``."""
        *space, channels = stage.shape
        turned = [bool((stage.first + i) % 2) for i in range(stage.steps)]
        if stage.kind == "picture" and self.picture is not None:
            made = [bi.picture_mask(self.picture, channels, t) for t in turned]
        else:
            makers = {"checkerboard": bi.checkerboard, "channel": bi.channel_mask}
            made = [makers[stage.kind](tuple(space), channels, t) for t in turned]
        return np.stack(made)

    def _orders(self, stage: Stage) -> np.ndarray:
        """``[steps, C]``."""
        numbers = range(stage.first, stage.first + stage.steps)
        return np.stack([bi.channel_order(i, stage.shape[-1]) for i in numbers])

    def _net(self, params: Params, labels: jax.Array, key: jax.Array | None) -> bi.Conditioner:
        def apply(x: jax.Array, number: int) -> Any:
            rngs = None if key is None else {"dropout": jax.random.fold_in(key, number)}
            return self.conditioner.apply(
                {"params": params}, x, labels, train=key is not None, rngs=rngs
            )

        return apply

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
          ValueError: images of another shape.
        """
        if x.shape[1:] != self.shape:
            raise ValueError(f"images must be [B, {self.shape}], got {x.shape}")
        step = partial(self._forward_step, labels=labels, key=key)

        def steps(name: str, stage: Stage, carry: Carry) -> Carry:
            return self._run(step, stage, params[name], carry)

        return self._walk((x, jnp.zeros_like(x)), steps)

    def _walk(
        self, carry: Carry, steps: Callable[[str, Stage, Carry], Carry]
    ) -> tuple[list[jax.Array], list[jax.Array]]:
        """Forwards through the layout; ``steps`` does what the steps of a stage do."""
        latents, shares = [], []
        for number, stage in enumerate(self.stages):
            x, share = carry
            half = stage.shape[-1] // 2
            if stage.kind == "squeeze":
                carry = bi.squeeze(x), bi.squeeze(share)
            elif stage.kind == "split":
                latents.append(x[..., half:])
                shares.append(share[..., half:])
                carry = x[..., :half], share[..., :half]
            elif stage.steps:
                carry = steps(f"stage_{number}", stage, carry)
        return [*latents, carry[0]], [*shares, carry[1]]

    def _back(
        self, parts: Sequence[jax.Array], steps: Callable[[str, Stage, jax.Array], jax.Array]
    ) -> jax.Array:
        """Backwards through the layout."""
        left = list(parts)
        x = left.pop()
        for number, stage in reversed(list(enumerate(self.stages))):
            if stage.kind == "squeeze":
                x = bi.unsqueeze(x)
            elif stage.kind == "split":
                x = jnp.concatenate([x, left.pop()], axis=-1)
            elif stage.steps:
                x = steps(f"stage_{number}", stage, x)
        return x

    def _forward_step(self, carry, params, mask, order, number, labels, key):
        x, share = carry
        x, part = bi.actnorm(params["norm"], x)
        share = share + part
        x, part = bi.mix(params["mix"], x, order)
        share = share + part
        key = None if key is None else jax.random.fold_in(key, number)
        net = self._net(params["conditioner"], labels, key)
        x, part = bi.affine(x, mask, net, self.bound, self.passes)
        return x, share + part

    def _run(self, step, stage: Stage, params: Params, carry, reverse: bool = False):
        """The steps of a stage: scanned, but on CPU one by one."""
        numbers = np.arange(stage.first, stage.first + stage.steps)
        each = (params, self._masks(stage), self._orders(stage), numbers)
        if self.remat:
            step = jax.checkpoint(step)
        if not _loops_are_slow():

            def body(state, one):
                return step(state, *one), None

            return lax.scan(body, carry, each, reverse=reverse)[0]
        for i in sorted(range(stage.steps), reverse=reverse):
            carry = step(carry, *jax.tree.map(lambda a, i=i: a[i], each))
        return carry

    def inverse(self, params: Params, latents: Sequence[jax.Array], labels: jax.Array) -> jax.Array:
        """Images ``[B, *space, C]`` of latents as :meth:`forward` gives them."""
        step = partial(self._inverse_step, labels=labels)
        return self._back(
            latents, lambda name, stage, z: self._run(step, stage, params[name], z, reverse=True)
        )

    def _inverse_step(self, z, params, mask, order, number, labels):
        del number
        net = self._net(params["conditioner"], labels, None)
        z = bi.affine_inverse(z, mask, net, self.bound, self.passes)
        return bi.actnorm_inverse(params["norm"], bi.mix_inverse(params["mix"], z, order))

    def assemble(self, parts: Sequence[jax.Array]) -> jax.Array:
        """Arrays of the latents' shapes, every entry back in its place of the image."""
        return self._back(parts, lambda name, stage, x: x)

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
        """Log-density given every class, ``[B, K]``, in one batched pass."""
        count = len(self.classes)
        labels = jnp.tile(jnp.arange(count), len(x))
        found = self.log_prob(params, jnp.repeat(x, count, axis=0), labels, key)
        return found.reshape(len(x), count)

    def sample(
        self, params: Params, labels: jax.Array, key: jax.Array, *, temperature: float = 1.0,
        index: jax.Array | None = None,
    ) -> jax.Array:  # fmt: skip
        """An image for each label, ``[B, *space, C]``, clipped to [-1, 1].

        Args:
          params: parameters.
          labels: class numbers ``[B]``.
          key: PRNG key.
          temperature: standard deviation of the latents.
          index: global index of each sample ``[B]``, on which alone its noise depends.
        """
        index = jnp.arange(len(labels)) if index is None else index
        latents = [
            temperature * sample_noise(jax.random.fold_in(key, number), index, shape)
            for number, shape in enumerate(self.latent_shapes())
        ]
        return jnp.clip(self.inverse(params, latents, labels), -1, 1)

    def latent_shapes(self) -> list[tuple[int, ...]]:
        """``(*space, C)`` of every latent, in the order of :meth:`forward`."""
        splits = [stage.shape for stage in self.stages if stage.kind == "split"]
        halves = [(*space, channels - channels // 2) for *space, channels in splits]
        return [*halves, self.stages[-1].shape]

    def fit_actnorm(self, params: Params, x: jax.Array, labels: jax.Array) -> Params:
        """Parameters whose activation norms give every channel mean 0 and variance 1 on this batch.

        One pass through the whole flow: each step sees what the one before makes of the batch.
        """
        fitted = dict(params)

        def steps(name: str, stage: Stage, carry: Carry) -> Carry:
            masks, orders, done = self._masks(stage), self._orders(stage), []
            for i in range(stage.steps):
                one = jax.tree.map(lambda a: a[i], params[name])  # noqa: B023
                one = {**one, "norm": bi.actnorm_init(carry[0])}
                carry = self._forward_step(carry, one, masks[i], orders[i], 0, labels, None)
                done.append(one)
            fitted[name] = jax.tree.map(lambda *a: jnp.stack(a), *done)
            return carry

        self._walk((x, jnp.zeros_like(x)), steps)
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
          Scalar loss and metrics ``bits``, with a contrast also ``cross_entropy``.
        """
        k_noise, k_net = jax.random.split(key)
        x, share = bi.dequantise(jnp.round((batch["image"] + 1) * 127.5), k_noise)
        dropout = k_net if train else None
        if not self.contrast:
            nats = self.log_prob(params, x, batch["label"], dropout)
            bits = bi.bits_per_dimension(nats + self.dimensions * share, self.dimensions).mean()
            return bits, {"bits": bits}
        each = self.class_log_probs(params, x, dropout)
        chosen = jnp.take_along_axis(each, batch["label"][:, None], axis=1)[:, 0]
        bits = bi.bits_per_dimension(chosen + self.dimensions * share, self.dimensions).mean()
        entropy = -jnp.take_along_axis(
            jax.nn.log_softmax(each), batch["label"][:, None], axis=1
        ).mean()
        loss = (1 - self.contrast) * bits + self.contrast * entropy
        return loss, {"bits": bits, "cross_entropy": entropy}


def _loops_are_slow() -> bool:
    """Whether gradients of convolutions are slow inside a loop: XLA's CPU backend, some 40 times."""
    return jax.default_backend() == "cpu"
