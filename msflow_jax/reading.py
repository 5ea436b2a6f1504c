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
