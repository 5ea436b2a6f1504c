"""Log P(image | class) by the flow's own equation, and by Bayes' rule log P(image) and the class.

The label picture of a class is held on the path that training has shown, from its code at u = 0 to
noise at u = 1, and the image alone follows its velocity. Of many label pixels that is the class for
certain until u is near 1 (where the image itself tells it), so that the image's path is one of p(x | y)
and the change of its density is the integral of the divergence (arXiv 1806.07366).
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from msflow_jax.inference.prediction import Prediction, by_bayes
from msflow_jax.latent.codec import PixelCodec
from msflow_jax.ode import FIXED, GAINED, VALUE, integrate, tracing
from msflow_jax.streams import content_index, sample_noise
from msflow_jax.symmetric.readout import check_task
from msflow_jax.symmetric.settings import NO_DENSITY
from msflow_jax.symmetric.velocity import in_forward_mode

if TYPE_CHECKING:
    from msflow_jax.symmetric.model import SymmetricFlow

_LEVEL = 2 / 255  # distance of two values of an 8-bit image


def check_likelihood(flow: "SymmetricFlow") -> None:
    """Raises a ValueError for a flow that carries no densities of the images as they are."""
    check_task(flow.maps, False)
    if flow.learned_guidance != 1:
        raise ValueError(NO_DENSITY)
    codec = flow.codec
    if not isinstance(codec, PixelCodec) or codec.inner != codec.shape:
        what = "resized images" if isinstance(codec, PixelCodec) else "latents"
        raise ValueError(
            f"a likelihood of images needs a flow of the images as they are, not of {what}: "
            "train with model.resize=0 and without an autoencoder"
        )


def _check_settings(
    classes: int, solver: str, probes: int, draws: int, prior: Sequence[float]
) -> None:
    if draws < 1 or probes < 0:
        raise ValueError(f"need draws >= 1 and probes >= 0, got {draws} and {probes}")
    if prior and (len(prior) != classes or min(prior) <= 0 or abs(sum(prior) - 1) > 1e-3):
        raise ValueError(f"prior needs a share for each of {classes} classes, got {tuple(prior)}")
    if solver not in FIXED:
        known = ", ".join(FIXED)
        raise ValueError(f"a likelihood takes equal steps: solver {known}, not {solver!r}")


def likelihood(
    flow: "SymmetricFlow", params: Any, images: jax.Array, key: jax.Array, *, steps: int = 16,
    solver: str = "midpoint", probes: int = 1, draws: int = 1, index: jax.Array | None = None,
    prior: Sequence[float] = (),
) -> Prediction:  # fmt: skip
    """What the likelihoods of images say, as a Bayesian classifier.

    Args:
        flow: a flow in pixels, which are not resized.
        params: its parameters.
        images: ``[B, *space, C]`` of 256 equally spaced values in [-1, 1].
        key: PRNG key of the dequantisation, the label pictures and the probes.
        steps: solver steps.
        solver: one of equal steps, see :func:`msflow_jax.ode.integrate`.
        probes: random directions of Hutchinson's estimate of the divergence; 0: the exact trace, which
            takes as many products as an image has entries.
        draws: noise draws; all are returned.
        index: number that each image's noise is folded from ``[B]``; None: :func:`content_index`.
        prior: probability of each class ``[K]``, above 0 and 1 in sum; empty: all alike.

    Returns:
        Distances -log p(y | x) in nats; ``log_prob`` is, but for the error of solver and estimate, a
        lower bound of the log-probability of the 8-bit image. All classes have the same noise.

    Raises:
        ValueError: a flow of latents, of resized images or of label maps, or one that was distilled with
            guidance; probes or draws that are no counts; an adaptive solver; a prior that is none
            of these classes.
    """
    check_likelihood(flow)
    _check_settings(len(flow.classes), solver, probes, draws, prior)
    classes = len(flow.classes)
    x = flow.codec.encode(None, images)
    index = content_index(x) if index is None else index
    net = in_forward_mode(flow.net)
    field = dataclasses.replace(flow, net=net).field(params)
    log_prior = jnp.log(jnp.asarray(prior or (1 / classes,) * classes))
    dimensions = math.prod(x.shape[1:])

    def one(draw: jax.Array) -> Prediction:
        k_level, k_label, k_probe = jax.random.split(jax.random.fold_in(key, draw), 3)
        level = jax.vmap(
            lambda i: jax.random.uniform(jax.random.fold_in(k_level, i), x.shape[1:]) - 0.5
        )(index)
        noise = sample_noise(k_label, index, (*flow.space, flow.code.channels))
        signs = jax.vmap(
            lambda i: jax.random.rademacher(
                jax.random.fold_in(k_probe, i), (max(probes, 1), *x.shape[1:]), jnp.float32
            ),
            out_axes=1,
        )(index)

        def of_class(label: jax.Array) -> jax.Array:
            code = flow.code.clean_pictures(jnp.full(len(x), label), *flow.space)

            def velocity(u: jax.Array, state: jax.Array) -> jax.Array:
                picture = (1 - (1 - flow.sigma_min) * u) * code + u * noise
                return field(u, {"image": state, "label": picture})["image"]

            start = {VALUE: x + _LEVEL * level, GAINED: jnp.zeros(len(x))}
            traced = tracing(velocity, signs if probes else None)
            end = integrate(traced, start, 1.0, 0.0, solver=solver, steps=steps).end
            z = end[VALUE].reshape(len(x), -1)
            normal = -0.5 * (z**2).sum(axis=1) - 0.5 * dimensions * math.log(2 * math.pi)
            return normal + end[GAINED]

        found = jax.lax.map(of_class, jnp.arange(classes)).T
        nats = dimensions * math.log(_LEVEL)
        nfe = jnp.float32(classes * steps * FIXED[solver][1])
        return by_bayes(found + log_prior[None], flow.classes, dimensions, nfe, nats)

    out = jax.lax.map(one, jnp.arange(draws))
    return dataclasses.replace(out, nfe=out.nfe.mean())
