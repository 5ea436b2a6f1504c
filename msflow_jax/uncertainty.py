"""Doubt: per-image uncertainties from distances and probabilities. Larger always means less certain."""

import numpy as np


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
