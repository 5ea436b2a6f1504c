"""Maps that show why: the log-likelihood of an image, entry by entry, as terms of an exact sum.

The public code of MAGIC-Flow (arXiv 2510.22070) draws maps that do not add up to the likelihood. Here
the sum of a map is the log-likelihood to float accuracy, by construction. The entries are terms of a
sum, not causes: change a pixel, and every term may change.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from msflow_jax.coupling.density import ConditionalDensity

Params = Any
SPREADS = ("entry", "block")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Explanation:
    """Maps of B images, in nats, summed over the channels.

    Attributes:
        map: log P(x | label) of the 8-bit image entry by entry, ``[B, *space]``; its sum is the
            log-likelihood. ``Prediction.log_prob`` of the first draw is the log-sum-exp of these over
            the classes, each with its log-prior added.
        log_ratio: log-likelihood map of the label minus that of the other label; its sum is the
            log-likelihood ratio in nats.
    """

    map: Any
    log_ratio: Any


def likelihood_map(
    flow: "ConditionalDensity",
    params: Params,
    x: jax.Array,
    labels: jax.Array,
    spread: str = "block",
) -> jax.Array:
    """``[B, *space, C]`` in nats, whose sum over an image is ``flow.log_prob(params, x, labels)``.

    Args:
        flow: coupling flow whose likelihood is taken apart.
        params: parameters of the flow.
        x: images ``[B, *space, C]`` as :meth:`ConditionalDensity.dequantised` gives them.
        labels: class numbers ``[B]``.
        spread: ``entry`` leaves every term at the place that its latent came from, but below the first
            1 x 1 convolution of a squeezed image this place within a block of 2 (4, ...) entries along
            each axis is arbitrary; ``block`` spreads a site's terms evenly over its block. The sums are
            equal.

    Raises:
        ValueError: an unknown spread.
    """
    if spread not in SPREADS:
        raise ValueError(f"unknown spread {spread!r}: choose one of {', '.join(SPREADS)}")
    parts = flow.terms(params, x, labels)
    if spread == "entry":
        return flow.assemble(parts)
    return sum(_over_blocks(part, x.shape) for part in parts)  # type: ignore[return-value]


def _over_blocks(part: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Sums over the channels of ``[B, *small, C']``, each spread evenly over its block of ``shape``."""
    sites = part.sum(axis=-1, keepdims=True)
    factor = shape[1] // part.shape[1]
    entries = factor ** (part.ndim - 2) * shape[-1]
    for axis in range(1, part.ndim - 1):
        sites = jnp.repeat(sites, factor, axis=axis)
    return jnp.broadcast_to(sites / entries, shape)


def log_ratio_map(
    flow: "ConditionalDensity",
    params: Params,
    x: jax.Array,
    labels: jax.Array,
    others: jax.Array,
    spread: str = "block",
) -> jax.Array:
    """``[B, *space, C]`` in nats, whose sum is the log-likelihood ratio of ``labels`` over ``others``.

    Positive entries speak for ``labels`` ``[B]``. The terms that no label enters cancel.
    """
    here = likelihood_map(flow, params, x, labels, spread)
    return here - likelihood_map(flow, params, x, others, spread)
