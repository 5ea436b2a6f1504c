"""Likelihoods of image sets, and how well they tell images of another kind from trained ones.

Deep generative models can give images of another kind a higher likelihood (Nalisnick et al. 2019,
arXiv 1810.09136). Typicality measures instead how far a likelihood is from the usual one, on either
side (Nalisnick et al. 2019, arXiv 1906.02994).
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from msflow_jax.evaluation.auc import binary_auc
from msflow_jax.evaluation.checks import check_finite

_CONVENTIONS = {
    "bits": "bits per dimension: negative log-likelihood of an 8-bit image in bits, divided by the "
    "number of its entries; less is more likely",
    "sd": "sample standard deviation over the images",
    "auroc_likelihood": "area under the ROC curve of outside against inside, the less likely image "
    "taken for the outside one (0.5: chance; below 0.5: the outside images are more likely)",
    "auroc_typicality": "the same, the image whose bits per dimension are farther from the mean of "
    "the reference set taken for the outside one (Nalisnick et al. 2019, arXiv 1906.02994)",
    "outside_more_likely": "whether the outside images have fewer bits per dimension on average",
}


def typicality(bits: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Distance of each likelihood to the usual one: |bits - mean(reference)|, larger = less typical.

    The typicality test of Nalisnick et al. 2019 (arXiv 1906.02994) for single images (M = 1).

    Args:
        bits: ``[N]`` bits per dimension.
        reference: ``[R]`` bits per dimension of training images, R at least 1.

    Returns:
        float64 ``[N]`` in bits per dimension.
    """
    return np.abs(_bits(bits, "bits") - _bits(reference, "reference").mean())


def evaluate_likelihood(
    sets: dict[str, np.ndarray], inside: str, reference: str, outside: Sequence[str]
) -> dict[str, Any]:
    """Bits per dimension of several sets of images, and how outside sets differ from the inside one.

    Args:
        sets: name -> bits per dimension ``[N]`` of its images, N at least 1.
        inside: the set of the kind trained on that outside sets are compared with, such as "test".
        reference: the set whose mean defines what is typical, such as "train".
        outside: names of sets of another kind.

    Returns:
        Plain values: ``sets`` (names in order), ``inside``, ``reference``, ``outside``, ``per_set`` (a
        dict each: name, count, mean, sd, median, p5, p95 of the bits per dimension), ``detection``
        (a dict for each outside set: name, auroc_likelihood, auroc_typicality, outside_more_likely) and
        ``conventions``.

    Raises:
        ValueError: for a name that is none of the sets, an empty set or non-finite values.
    """
    for name in (inside, reference, *outside):
        if name not in sets:
            raise ValueError(f"{name!r} is none of the sets {', '.join(sets)}: give its bits.")
    known = {str(name): _bits(values, f"bits of {name}") for name, values in sets.items()}
    return {
        "sets": list(known),
        "inside": str(inside),
        "reference": str(reference),
        "outside": [str(name) for name in outside],
        "per_set": [{"name": name, **_summary(values)} for name, values in known.items()],
        "detection": [
            {"name": str(name), **_detection(known[inside], known[name], known[reference])}
            for name in outside
        ],
        "conventions": dict(_CONVENTIONS),
    }


def bits_per_dimension(log_prob: Any, dimensions: int) -> Any:
    """Nats per image (those of dequantisation included) to bits for each of its entries.

    Args:
        log_prob: ``[...]`` log-probabilities of 8-bit images in nats.
        dimensions: entries of an image.
    """
    return -log_prob / (dimensions * math.log(2))


def _bits(values: np.ndarray, name: str) -> np.ndarray:
    values = check_finite(values, name)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"{name} must be a non-empty [N] array, got shape {values.shape}.")
    return values


def _summary(bits: np.ndarray) -> dict[str, Any]:
    p5, median, p95 = np.percentile(bits, [5, 50, 95])
    several = len(bits) > 1
    row: dict[str, Any] = {
        "count": len(bits),
        "mean": float(bits.mean()),
        "sd": float(bits.std(ddof=1)) if several else None,
        "median": float(median),
        "p5": float(p5),
        "p95": float(p95),
    }
    return row if several else {**row, "undefined": {"sd": "one image only"}}


def _detection(inside: np.ndarray, outside: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    both = np.concatenate([inside, outside])
    from_outside = np.arange(len(both)) >= len(inside)
    return {
        "auroc_likelihood": binary_auc(from_outside, both),
        "auroc_typicality": binary_auc(from_outside, typicality(both, reference)),
        "outside_more_likely": bool(outside.mean() < inside.mean()),
    }
