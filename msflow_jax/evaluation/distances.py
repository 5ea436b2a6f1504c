"""Distances between sets of images: Frechet, precision/recall/density/coverage.

Frechet distance: Dowson and Landau 1982, as in Heusel et al. 2017 but on *given* features, so it is
not an FID. Precision and recall: Kynkaanniemi et al. 2019 (arXiv 1904.06991). Density and coverage:
Naeem et al. 2020 (arXiv 2002.09797).
"""

import numpy as np

from msflow_jax.evaluation.checks import check_finite


def _square_root(matrix: np.ndarray) -> np.ndarray:
    """Symmetric square root of a positive semi-definite matrix; rounding below zero is cut."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def gaussian_frechet(
    mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray
) -> float:
    """Squared Frechet (2-Wasserstein) distance of two Gaussians.

    |mu_a - mu_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2), the last root by its eigenvalues.

    Args:
        mean_a: ``[F]``.
        cov_a: ``[F, F]``.
        mean_b: ``[F]``.
        cov_b: ``[F, F]``.
    """
    root = _square_root(cov_a)
    cross = np.linalg.eigvalsh(root @ cov_b @ root)
    shift = float(((mean_a - mean_b) ** 2).sum())
    spread = float(np.trace(cov_a) + np.trace(cov_b) - 2 * np.sqrt(np.maximum(cross, 0)).sum())
    return max(shift + spread, 0.0)


def _check_pair(a: np.ndarray, b: np.ndarray, minimum: int) -> tuple[np.ndarray, np.ndarray]:
    a, b = check_finite(a, "the first features"), check_finite(b, "the second features")
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"features must be [N, F] and [M, F], got {a.shape} and {b.shape}.")
    if min(len(a), len(b)) < minimum:
        raise ValueError(
            f"at least {minimum} samples per set are needed, got {len(a)} and {len(b)}; generate more."
        )
    return a, b


def frechet_distance(features_a: np.ndarray, features_b: np.ndarray) -> float:
    """Frechet distance between Gaussians fitted to two sets of features.

    Its value depends on the features and, upwards, on the number of samples: compare it only with
    values from the same features and the same counts.

    Args:
        features_a: ``[N, F]``, N at least 2.
        features_b: ``[M, F]``, M at least 2.

    Raises:
        ValueError: for shapes that disagree, fewer than 2 samples, or non-finite features.
    """
    a, b = _check_pair(features_a, features_b, 2)
    cov_a, cov_b = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    return gaussian_frechet(a.mean(axis=0), cov_a, b.mean(axis=0), cov_b)


def _kth_neighbour(points: np.ndarray, k: int, chunk: int) -> np.ndarray:
    """Distance ``[N]`` of each point to its k-th nearest other point."""
    from scipy.spatial.distance import cdist

    parts = [
        # The point itself is among the k + 1 nearest, at distance 0.
        np.partition(cdist(points[i : i + chunk], points), k, axis=1)[:, k]
        for i in range(0, len(points), chunk)
    ]
    return np.concatenate(parts)


def prdc(
    real: np.ndarray, fake: np.ndarray, k: int = 5, *, chunk: int = 1024
) -> dict[str, float | int]:
    """Precision, recall, density and coverage through k-nearest-neighbour balls.

    Precision, recall and coverage count closed balls, density open ones (as the official code), so
    identical sets give exactly 1 for all four unless points are duplicated.

    Args:
        real: ``[N, F]``, N > k.
        fake: ``[M, F]``, M > k.
        k: neighbours, the point itself not counted.
        chunk: rows handled at once, to bound memory at chunk x M.

    Raises:
        ValueError: for shapes that disagree, too few samples, or non-finite features.
    """
    from scipy.spatial.distance import cdist

    real, fake = _check_pair(real, fake, k + 1)
    radius_real, radius_fake = _kth_neighbour(real, k, chunk), _kth_neighbour(fake, k, chunk)
    in_real_ball = np.zeros(len(fake), dtype=bool)
    balls_over_fake = 0
    in_fake_ball, covered = [], []
    for i in range(0, len(real), chunk):
        between = cdist(real[i : i + chunk], fake)
        radius = radius_real[i : i + chunk, None]
        in_real_ball |= (between <= radius).any(axis=0)
        balls_over_fake += int((between < radius).sum())
        in_fake_ball.append((between <= radius_fake).any(axis=1))
        covered.append((between <= radius).any(axis=1))
    return {
        "precision": float(in_real_ball.mean()),
        "recall": float(np.concatenate(in_fake_ball).mean()),
        "density": balls_over_fake / (k * len(fake)),
        "coverage": float(np.concatenate(covered).mean()),
        "k": k,
    }
