"""How far features of an image lie from those of training images: Mahalanobis distance, neighbours.

Lee et al. 2018 (arXiv 1807.03888): the distance to the nearest class mean, by a covariance that all
classes share. Sun et al. 2022 (arXiv 2204.06507): the distance to a near neighbour, of features of unit
length.
"""

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from msflow_jax.storage.archives import read_npz

MAHALANOBIS, NEIGHBOUR = MEASURES = "mahalanobis", "neighbour"
MOST = 512  # training images that are compared with
_NEAR = 10  # which neighbour: a single one may be an oddity itself
_AGAIN = "evaluate the workdir again"
_LEAST = 1e-6  # variance that is added, of the mean one


def file_of(digest: str) -> str:
    """Name of the file that what is known is kept in: no other evaluation's is taken for it."""
    return f"features-{digest[:16]}.npz"


@dataclass(frozen=True)
class Familiar:
    """What is known of the features of training images, float32.

    Attributes:
        means: of each class that is there ``[K, F]``.
        precision: inverse covariance within the classes ``[F, F]``.
        bank: features of training images, of unit length ``[M, F]``.
    """

    means: np.ndarray
    precision: np.ndarray
    bank: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, labels: np.ndarray) -> "Familiar":
        """What is known of features ``[M, F]`` of training images of these classes ``[M]``."""
        features = np.asarray(features, np.float64)
        known, of_image = np.unique(labels, return_inverse=True)
        means = np.stack([features[of_image == k].mean(axis=0) for k in range(len(known))])
        covariance = shrunk_covariance(features - means[of_image])
        found = means, np.linalg.inv(covariance), _unit(features)
        return cls(*(one.astype(np.float32) for one in found))

    def measures(self, features: np.ndarray) -> dict[str, np.ndarray]:
        """Both distances of features ``[N, F]``, each ``[N]``; larger is odder."""
        features = np.asarray(features, np.float64)
        # White features, whose plain distance it is.
        root = np.linalg.cholesky(self.precision.astype(np.float64))
        white, centres = features @ root, self.means @ root
        squared = np.stack([((white - one) ** 2).sum(axis=1) for one in centres], axis=1)
        likeness = np.sort(self.likeness(features), axis=1)
        near = likeness[:, -min(_NEAR, likeness.shape[1])]
        return {MAHALANOBIS: np.sqrt(squared.min(axis=1)), NEIGHBOUR: (1 - near).clip(0)}

    def likeness(self, features: np.ndarray) -> np.ndarray:
        """Cosines ``[N, M]`` of features ``[N, F]`` and those of the training images in the bank."""
        return _unit(np.asarray(features, np.float64)) @ self.bank.T

    def arrays(self) -> dict[str, np.ndarray]:
        """As an evaluation keeps it."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def read(cls, folder: Path, digest: str) -> "Familiar":
        """What was kept of :meth:`arrays` in the folder of an evaluation.

        Raises:
            ValueError: the file is not there, is damaged, or is not what was measured.
        """
        path = folder / file_of(digest)
        try:
            found = cls(**read_npz(path, [f.name for f in fields(cls)], _AGAIN))
        except OSError as error:
            raise ValueError(f"{error}; {_AGAIN}") from error
        if found.digest != digest:
            raise ValueError(f"{path}: other features of training images were measured; {_AGAIN}")
        return found

    @property
    def digest(self) -> str:
        """SHA-256 of the arrays."""
        found = hashlib.sha256()
        for name, one in self.arrays().items():
            found.update(
                f"{name}{one.dtype}{one.shape}".encode() + np.ascontiguousarray(one).tobytes()
            )
        return found.hexdigest()


def of_each_class(labels: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Which training images are compared with: of each class at least ten, if it has them.

    Args:
        labels: class numbers ``[N]``.
        most: how many in all, but for classes of fewer than ten of these.
        seed: seed of the choice.

    Returns:
        Indices, in order.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    rank = np.empty(len(labels), int)
    for k in np.unique(labels):
        of_class = order[labels[order] == k]
        rank[of_class] = np.arange(len(of_class))
    needed, others = order[rank[order] < _NEAR], order[rank[order] >= _NEAR]
    return np.sort(np.concatenate([needed, others[: max(0, most - len(needed))]]))


def shrunk_covariance(centred: np.ndarray) -> np.ndarray:
    """Covariance ``[F, F]`` of centred rows ``[M, F]``, drawn towards a multiple of the identity.

    By the share that is best for the squared error (Ledoit and Wolf 2004,
    doi 10.1016/S0047-259X(03)00096-4), and a millionth of the mean variance, so that it has an inverse.
    """
    from sklearn.covariance import ledoit_wolf  # its import takes a second or two

    # A single row has the covariance of two such rows; of one alone scikit-learn warns.
    rows = centred if len(centred) > 1 else np.repeat(centred, 2, axis=0)
    found, _ = ledoit_wolf(rows, assume_centered=True)
    least = _LEAST * np.trace(found) / len(found) or _LEAST
    return np.asarray(found + least * np.eye(len(found)))


def _unit(features: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(length, np.finfo(np.float32).tiny)
