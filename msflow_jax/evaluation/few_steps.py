"""Drawings of the same labels and noise by several ways, against the same held-out real images."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from msflow_jax.evaluation.generation import FEATURES, Labelled, compare, matched


def compare_ways(
    drawn: Mapping[str, np.ndarray], labels: np.ndarray, train: Labelled, held_out: Labelled,
    classifier: Any, *, reference: str, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """How far drawings of each way lie from real images, and from those of one of the ways.

    Args:
        drawn: uint8 ``[M, *space, C]`` by the name of a way; the same labels and noise in all.
        labels: requested classes ``[M]``.
        train: uint8 images and labels ``[T]``, whose own distance is the floor.
        held_out: real images and labels not trained on.
        classifier: of the training images, by ``train_feature_classifier``.
        reference: the way that the others are compared with, image by image.
        seed: seed of the subsets, the same for all.

    Returns:
        ``rows`` by name, the floor under ``real``: what ``evaluation.generation.compare``
        measures, ``recognised`` (share that the classifier takes for the requested class; of ``real``
        that of the held-out images, as ``recognised_real`` says) and ``difference`` (root mean square
        from the reference, in grey levels).
    """
    a, b, c = matched(labels, held_out[1], train[1], np.random.default_rng(seed))
    real, sets = held_out[0][b], {"real": train[0][c], **{k: x[a] for k, x in drawn.items()}}
    rows = compare(classifier.features, sets, real)
    for name, images in {**sets, "real": real}.items():
        of_set = labels[a] if name in drawn else held_out[1][b]
        recognised = float((classifier.predict(images) == of_set).mean()) if len(a) else None
        rows[name]["recognised"] = recognised
        if name in drawn:
            rows[name]["difference"] = root_mean_square(drawn[name], drawn[reference])
    return {
        "rows": rows, "samples": len(a), "features": FEATURES[real.ndim - 2],
        "reference": reference, "recognised_real": "held-out",
    }  # fmt: skip


def root_mean_square(one: np.ndarray, other: np.ndarray) -> float:
    """Root mean square difference of images uint8, in grey levels."""
    return float(np.sqrt(np.mean((one.astype(np.float32) - other.astype(np.float32)) ** 2)))
