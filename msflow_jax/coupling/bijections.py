"""One interface of bijections over ``[B, *space, C]``, couplings, logit, and densities of entries.

A bijection gives its output and its log-determinant together, in both directions. The log-determinant is
*spread over the entries*: an array that broadcasts against the output and sums over an image to
log |det|, so that every entry has its log-det contribution. Squeezing and splitting only move entries:
carried along, the contributions become a map of the likelihood. Where a log-determinant belongs to no
entry (activation norm, 1 x 1 convolution), every channel of a site gets the same part of it.

The other bijections: :mod:`msflow_jax.coupling.mixing`, :mod:`msflow_jax.coupling.reshaping`.

Sources: RealNVP (arXiv 1605.08803), Glow (arXiv 1807.03039), MAGIC-Flow (arXiv 2510.22070).
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

Params = Any
Mapped = tuple[jax.Array, jax.Array]  # output and log-determinant, spread over its entries


class Bijection(Protocol):
    """An invertible map of ``[B, *space, C]``; pure, its parameters are arguments."""

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters, ``{}`` for a bijection without any."""

    def forward(self, params: Params, x: jax.Array, context: Any = None) -> Mapped:
        """Output and log-determinant, spread over the entries."""

    def inverse(self, params: Params, z: jax.Array, context: Any = None) -> Mapped:
        """What :meth:`forward` maps to ``z``, and minus the forward log-determinant there."""


class Conditioner(Protocol):
    """What gives a coupling its log-scale and shift; a network or any pure function."""

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters."""

    def __call__(self, params: Params, seen: jax.Array, number: int, context: Any) -> Any:
        """Raw log-scale and shift, both of the shape of ``seen``, in the pass of this number."""


@dataclass(frozen=True)
class _Coupling:
    """What both couplings have: a conditioner, whose parameters are theirs, a bound and passes."""

    conditioner: Conditioner
    bound: float
    passes: int = 1

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters of the conditioner."""
        return self.conditioner.init(key)

    def _moments(self, params: Params, seen: jax.Array, number: int, context: Any) -> Mapped:
        """Log-scale ``bound tanh(raw / bound)`` and shift."""
        raw, shift = self.conditioner(params, seen, number, context)
        return self.bound * jnp.tanh(raw / self.bound), shift

    def _check_passes(self) -> None:
        if self.passes not in (1, 2):
            raise ValueError(f"a coupling has 1 or 2 passes, not {self.passes}")


@dataclass(frozen=True)
class AffineCoupling(_Coupling):
    """Entries outside the mask are scaled and shifted by what those inside say.

    With two passes (MAGIC-Flow) the mask is then turned and the same conditioner used again, so that
    every entry is moved.

    Attributes:
        conditioner: see :class:`Conditioner`; it sees the whole shape, hidden entries as zeros.
        bound: largest absolute log-scale of a pass.
        passes: 1 or 2.
        mask: ``[*space, C]`` of 0 and 1; 1 is what the conditioner sees.
    """

    mask: np.ndarray | jax.Array = ()  # type: ignore[assignment]

    def forward(self, params: Params, x: jax.Array, context: Any = None) -> Mapped:
        """Output and log-determinant, both ``[B, *space, C]``; see :class:`Bijection`.

        Raises:
            ValueError: entries that the mask does not fit, or passes that are not 1 or 2.
        """
        log_det = jnp.zeros_like(x)
        for number, seen in enumerate(self._turns(x)):
            log_scale, shift = self._moments(params, seen * x, number, context)
            x = seen * x + (1 - seen) * (x * jnp.exp(log_scale) + shift)
            log_det += (1 - seen) * log_scale
        return x, log_det

    def inverse(self, params: Params, z: jax.Array, context: Any = None) -> Mapped:
        """Inverse of :meth:`forward`; raises as it does."""
        log_det = jnp.zeros_like(z)
        for number, seen in reversed(list(enumerate(self._turns(z)))):
            log_scale, shift = self._moments(params, seen * z, number, context)
            z = seen * z + (1 - seen) * (z - shift) * jnp.exp(-log_scale)
            log_det -= (1 - seen) * log_scale
        return z, log_det

    def _turns(self, x: jax.Array) -> list[jax.Array]:
        """What is seen in each pass, ``[1, *space, C]``."""
        self._check_passes()
        if x.shape[1:] != self.mask.shape:
            raise ValueError(f"the mask is {self.mask.shape}, the entries are {x.shape[1:]}")
        seen = jnp.asarray(self.mask)[None]
        return [seen, 1 - seen][: self.passes]


@dataclass(frozen=True)
class HalvesCoupling(_Coupling):
    """:class:`AffineCoupling` with the first half of the channels in the place of a mask.

    The conditioner is given that half alone and returns log-scale and shift of the other, in arrays
    of the same shape: half the products of a mask, which hides the other half as zeros. A second pass
    turns them.

    Attributes:
        conditioner: see :class:`Conditioner`; it sees half of the channels.
        bound: largest absolute log-scale of a pass.
        passes: 1 or 2.
    """

    def forward(self, params: Params, x: jax.Array, context: Any = None) -> Mapped:
        """Output and log-determinant, both ``[B, *space, C]``; see :class:`Bijection`.

        Raises:
            ValueError: an odd number of channels, or passes that are not 1 or 2.
        """
        seen, moved = self._halves(x)
        last, other = jnp.zeros_like(seen), jnp.zeros_like(seen)  # log-dets of both halves
        for number in range(self.passes):
            log_scale, shift = self._moments(params, seen, number, context)
            seen, moved = moved * jnp.exp(log_scale) + shift, seen
            last, other = log_scale, last
        halves, log_dets = [seen, moved], [last, other]
        if self.passes == 1:
            halves, log_dets = halves[::-1], log_dets[::-1]
        return jnp.concatenate(halves, axis=-1), jnp.concatenate(log_dets, axis=-1)

    def inverse(self, params: Params, z: jax.Array, context: Any = None) -> Mapped:
        """Inverse of :meth:`forward`; raises as it does."""
        first, second = self._halves(z)
        moved, seen = (second, first) if self.passes == 1 else (first, second)
        last, other = jnp.zeros_like(seen), jnp.zeros_like(seen)
        for number in reversed(range(self.passes)):
            log_scale, shift = self._moments(params, seen, number, context)
            moved, seen = seen, (moved - shift) * jnp.exp(-log_scale)
            other, last = last, -log_scale
        return jnp.concatenate([moved, seen], axis=-1), jnp.concatenate([other, last], axis=-1)

    def _halves(self, x: jax.Array) -> list[jax.Array]:
        self._check_passes()
        if x.shape[-1] % 2:
            raise ValueError(f"{x.shape[-1]} channels have no halves: squeeze first")
        return jnp.split(x, 2, axis=-1)


@dataclass(frozen=True)
class Logit:
    """Values in [-1, 1] to the whole line, ``logit(margin + (1 - 2 margin)(x + 1) / 2)``.

    RealNVP, section 4.1.

    Attributes:
        margin: distance of the ends from 0 and 1 that keeps them finite.
    """

    margin: float = 0.05

    def init(self, key: jax.Array) -> Params:
        """No parameters."""
        return {}

    def forward(self, params: Params, x: jax.Array, context: Any = None) -> Mapped:
        """See :class:`Bijection`."""
        p = self.margin + (1 - 2 * self.margin) * (x + 1) / 2
        log_det = math.log((1 - 2 * self.margin) / 2) - jnp.log(p) - jnp.log1p(-p)
        return jnp.log(p) - jnp.log1p(-p), log_det

    def inverse(self, params: Params, z: jax.Array, context: Any = None) -> Mapped:
        """See :class:`Bijection`."""
        x = 2 * (jax.nn.sigmoid(z) - self.margin) / (1 - 2 * self.margin) - 1
        return x, logistic_log_prob(z) - math.log((1 - 2 * self.margin) / 2)


def dequantise(images: jax.Array, noise: jax.Array, bits: int = 8) -> Mapped:
    """Integers in [0, 2^bits) with noise in [0, 1), as floats in [-1, 1), and the log-det contribution.

    ``x = 2 (v + noise) / 2^bits - 1``: the log-density of x and the contributions (a scalar, the same at
    every entry), averaged over uniform noise, bound the log-probability of v from below.
    """
    return (images + noise) * (2 / 2**bits) - 1, jnp.log(jnp.asarray(2 / 2**bits))


def quantise(x: jax.Array, bits: int = 8) -> jax.Array:
    """The integers that :func:`dequantise` made ``x`` of; values outside are clipped."""
    return jnp.clip(jnp.floor((x + 1) * (2**bits / 2)), 0, 2**bits - 1).astype(jnp.int32)


def normal_log_prob(z: jax.Array, mean: Any = 0.0, log_scale: Any = 0.0) -> jax.Array:
    """Log-density of every entry under a normal distribution, standard by default."""
    standard = (z - mean) * jnp.exp(-jnp.asarray(log_scale))
    return -0.5 * (standard**2 + math.log(2 * math.pi)) - log_scale


def logistic_log_prob(z: jax.Array) -> jax.Array:
    """Log-density of every entry under the logistic distribution: the derivative of the sigmoid."""
    return jax.nn.log_sigmoid(z) + jax.nn.log_sigmoid(-z)
