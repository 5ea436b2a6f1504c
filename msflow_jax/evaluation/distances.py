"""Distances between sets of images: Frechet, precision/recall/density/coverage, memorisation.

Frechet distance: Dowson and Landau 1982, as in Heusel et al. 2017 but on *given* features, so it is
not an FID. Precision and recall: Kynkaanniemi et al. 2019 (arXiv 1904.06991). Density and coverage:
Naeem et al. 2020 (arXiv 2002.09797).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from msflow_jax.evaluation.checks import check_finite, check_images


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


@dataclass(frozen=True)
class NearestTraining:
    """The nearest training image of every generated and every held-out real image.

    Distances are per-pixel root mean square with black = 0 and white = 1; indices point into the
    training array.
    """

    generated_distance: np.ndarray
    generated_index: np.ndarray
    held_out_distance: np.ndarray
    held_out_index: np.ndarray
    repeated: int

    @property
    def threshold(self) -> float:
        """1st percentile of the held-out images' distances."""
        return float(np.percentile(self.held_out_distance, 1))

    @property
    def expected(self) -> float:
        """Share of new real images at or below the threshold: near 1 %, more for few held-out images.

        Of n exchangeable distances, a new one lies below the j-th smallest with probability j / (n + 1).
        """
        n = len(self.held_out_distance)
        return (1 + 0.01 * (n - 1)) / (n + 1)

    def closest(self, count: int) -> np.ndarray:
        """Indices of the ``count`` generated images nearest to a training image, nearest first."""
        return np.argsort(self.generated_distance, kind="stable")[:count]

    def summary(self) -> dict[str, Any]:
        """Plain numbers: medians, the share nearer than the threshold, exact copies, repeats."""
        generated, held_out = self.generated_distance, self.held_out_distance
        return {
            "generated": len(generated),
            "held_out": len(held_out),
            "generated_median": float(np.median(generated)),
            "generated_least": float(generated.min()),
            "held_out_median": float(np.median(held_out)),
            "held_out_least": float(held_out.min()),
            "threshold": self.threshold,
            "share_below_threshold": float((generated <= self.threshold).mean()),
            "expected_below_threshold": self.expected,
            "generated_copies": int((generated == 0).sum()),
            "held_out_copies": int((held_out == 0).sum()),
            "generated_repeats": self.repeated,
        }


def nearest_training(
    generated: np.ndarray,
    held_out: np.ndarray,
    train: np.ndarray,
    *,
    flips: bool = False,
    chunk: int = 512,
) -> NearestTraining:
    """Memorisation check: are generated images nearer to the training set than new real ones are?

    A generator that does not copy leaves about 1 % of its images at or below the 1st percentile of
    the held-out distances. Exact copies (distance 0) count, also where the real sets share images.

    Args:
        generated: uint8 ``[M, H, W, C]``.
        held_out: uint8 ``[N, H, W, C]``, real images not trained on.
        train: uint8 ``[T, H, W, C]``, all images trained on.
        flips: also compare with the horizontally mirrored query and keep the smaller distance.
        chunk: training images handled at once.

    Raises:
        ValueError: for another dtype or shape.
    """
    arrays = {"generated": generated, "held_out": held_out, "train": train}
    generated, held_out, train = (check_images(a, name) for name, a in arrays.items())
    if len({a.shape[1:] for a in (generated, held_out, train)}) > 1:
        shapes = {name: a.shape[1:] for name, a in arrays.items()}
        raise ValueError(f"generated, held_out and train must share [H, W, C], got {shapes}.")
    generated_distance, generated_index = _nearest(generated, train, flips, chunk)
    held_out_distance, held_out_index = _nearest(held_out, train, flips, chunk)
    distinct = np.unique(generated.reshape(len(generated), -1), axis=0)
    return NearestTraining(
        generated_distance,
        generated_index,
        held_out_distance,
        held_out_index,
        len(generated) - len(distinct),
    )


def _nearest(
    queries: np.ndarray, train: np.ndarray, flips: bool, chunk: int
) -> tuple[np.ndarray, np.ndarray]:
    """Distance and index of the nearest training image, over mirrored queries too if ``flips``."""
    distance, index = _nearest_unflipped(queries, train, chunk)
    if flips:
        mirrored, other = _nearest_unflipped(queries[:, :, ::-1], train, chunk)
        index = np.where(mirrored < distance, other, index)
        distance = np.minimum(distance, mirrored)
    return distance, index


def _nearest_unflipped(
    queries: np.ndarray, train: np.ndarray, chunk: int
) -> tuple[np.ndarray, np.ndarray]:
    # A matrix product finds the neighbour; its rounding is then removed by an exact distance.
    flat = queries.reshape(len(queries), -1).astype(np.float32) - 127.5
    best = np.full(len(queries), np.inf, dtype=np.float32)
    index = np.zeros(len(queries), dtype=np.int64)
    for i in range(0, len(train), chunk):
        rows = train[i : i + chunk].reshape(len(train[i : i + chunk]), -1)
        rows = rows.astype(np.float32) - 127.5
        # |q - t|^2 up to the query's own norm, which does not change the order.
        score = (rows**2).sum(axis=1) - 2 * flat @ rows.T
        nearest = score.argmin(axis=1)
        value = score[np.arange(len(flat)), nearest]
        index = np.where(value < best, nearest + i, index)
        best = np.minimum(best, value)
    return _exact_rms(queries, train, index), index


def _exact_rms(queries: np.ndarray, train: np.ndarray, index: np.ndarray) -> np.ndarray:
    gaps = [
        np.sqrt(np.mean((q.astype(np.float64) - train[i]) ** 2)) / 255
        for q, i in zip(queries, index, strict=True)
    ]
    return np.asarray(gaps)
