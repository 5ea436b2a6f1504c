"""Segmentation over many images: the class of every pixel, and its entropy as the uncertainty."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.data.batches import to_float
from msflow_jax.inference import windows
from msflow_jax.inference.kept import Function, kept
from msflow_jax.parallel.batched import Runner, finished


class Segmented(NamedTuple):
    """The class of every pixel of N images, and how uncertain it is.

    Attributes:
        maps: class numbers, uint8 ``[N, *space]``.
        uncertainty: entropy of the class probabilities of all noise draws, as a share of the
            largest one, log K: float32 in [0, 1], ``[N, *space]``.
    """

    maps: Any
    uncertainty: Any


def segmenting(model: Any, key: jax.Array, overlap: float = 0.5, **settings: Any) -> Function:
    """``(params, images, index) -> Segmented``; see ``segment``.

    Arguments as for :func:`msflow_jax.inference.runners.classifying`.
    """

    def function(params: Any, images: jax.Array, index: jax.Array) -> Segmented:
        p = windows.segment(model, params, to_float(images), key, overlap=overlap, **settings)
        entropy = jax.scipy.special.entr(p).sum(axis=-1) / math.log(p.shape[-1])
        return Segmented(jnp.argmax(p, axis=-1).astype(jnp.uint8), jnp.clip(entropy, 0, 1))

    return function


def make_segmenter(model: Any, *, seed: int, batch: int = 128, **settings: Any) -> Runner:
    """``runner(params, images, description="") -> Segmented`` in numpy; see :func:`segmenting`.

    The runner raises FloatingPointError where a probability is not finite.
    """
    run = kept(segmenting, model, seed=seed, batch=batch, **settings)

    def checked(out: Segmented) -> Segmented:
        if not np.isfinite(out.uncertainty).all():
            raise FloatingPointError(
                "class probabilities are not finite: the parameters are damaged, or the solver diverged"
            )
        return out

    def runner(params: Any, images: np.ndarray, description: str = "") -> Segmented:
        return finished(lambda: run(params, images, description), checked)

    return runner
