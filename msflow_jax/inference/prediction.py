"""What every family's classification returns, and how users name classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Reading:
    """What a classification returns; D noise draws, B images, K classes.

    Attributes:
      distances: to each class, the least is the reading, ``[D, B, K]``: of the code, or -log posterior.
      probabilities: ``[D, B, K]``; of a symmetric flow see :meth:`Code.probabilities`.
      mode: class by the published mode rule, ``[D, B]``.
      nfe: network evaluations per image and draw.
      ok: False where an adaptive solver gave up or a number is not finite, ``[D]`` or ``[D, B]``.
      evidence: log p(x) in nats, the marginal over classes, ``[D, B]``; None for families without a
        likelihood.
    """

    distances: jax.Array
    probabilities: jax.Array
    mode: jax.Array
    nfe: jax.Array
    ok: jax.Array
    evidence: jax.Array | None = None


def class_numbers(classes: Sequence[str], labels: Sequence[int | str]) -> np.ndarray:
    """Class numbers ``[B]`` from numbers or names.

    Args:
      classes: class names in label order.
      labels: numbers or names.

    Raises:
      ValueError: a name or number that is none of the classes (the known ones are listed).
    """
    known = {name: k for k, name in enumerate(classes)}
    known |= {str(k): k for k in range(len(classes)) if str(k) not in known}
    unknown = [label for label in labels if str(label) not in known]
    if unknown:
        names = ", ".join(f"{k} = {name}" for k, name in enumerate(classes))
        raise ValueError(f"unknown class {unknown[0]!r}: this model knows {names}")
    return np.array([known[str(label)] for label in labels], np.int32)


def uncertainties(
    distances: np.ndarray, probabilities: np.ndarray, evidence: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Named uncertainties of the draw-averaged reading.

    Args:
      distances: distance to each class per noise draw, ``[D, N, K]``.
      probabilities: class probabilities per noise draw, ``[D, N, K]``.
      evidence: log p(x) per noise draw in nats, ``[D, N]``, of a family that has it.

    Returns:
      A dict of ``[N]`` arrays: ``distance`` to the winning code (the published measure, arXiv
      2507.19098; of a coupling flow -log posterior), ``margin`` (minus the gap between the two nearest
      codes), ``posterior`` (one minus the largest probability), ``entropy`` in nats, with D > 1
      ``spread``, the standard deviation over draws of the winner's probability, and with evidence
      ``evidence``, -log p(x) in nats: how unlike the training images this one is.

    Raises:
      ValueError: the arrays are not ``[D, N, K]`` of one shape.
    """
    distances, probabilities = np.asarray(distances), np.asarray(probabilities)
    if distances.ndim != 3 or distances.shape != probabilities.shape:
        raise ValueError(
            f"need distances and probabilities [D, N, K], got {distances.shape}, {probabilities.shape}"
        )
    mean, p = distances.mean(0), probabilities.mean(0)
    nearest = np.sort(mean, axis=1)
    result = {
        "distance": nearest[:, 0],
        "margin": nearest[:, 0] - nearest[:, 1],
        "posterior": 1 - p.max(1),
        "entropy": -np.sum(p * np.log(np.clip(p, 1e-12, None)), axis=1),
    }
    if len(distances) > 1:
        winner = mean.argmin(1)[None, :, None]
        chosen = np.take_along_axis(probabilities, winner.repeat(len(distances), 0), axis=2)
        result["spread"] = chosen[..., 0].std(axis=0, ddof=1)
    if evidence is not None:
        result["evidence"] = -np.asarray(evidence).mean(axis=0)
    return result
