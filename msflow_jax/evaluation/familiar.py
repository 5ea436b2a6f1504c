"""How far features of an image lie from those of training images: Mahalanobis distance, neighbours.

Lee et al. 2018 (arXiv 1807.03888): the distance to the nearest class mean, by a covariance that all
classes share. Sun et al. 2022 (arXiv 2204.06507): the distance to a near neighbour, of features of unit
length.
"""

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

MAHALANOBIS, NEIGHBOUR = MEASURES = "mahalanobis", "neighbour"
MOST = 512  # training images that are compared with
_NEAR = 10  # which neighbour: a single one may be an oddity itself
_LEAST = 1e-6  # variance that is added, of the mean one
_PREFIX = "familiar_"


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
        off = features[:, None] - self.means[None]
        squared = np.einsum("nkf,fg,nkg->nk", off, self.precision.astype(np.float64), off)
        likeness = np.sort(_unit(features) @ self.bank.T, axis=1)
        near = likeness[:, -min(_NEAR, likeness.shape[1])]
        mahalanobis = np.sqrt(squared.min(axis=1).clip(0))
        return {MAHALANOBIS: mahalanobis, NEIGHBOUR: (1 - near).clip(0)}

    def arrays(self) -> dict[str, np.ndarray]:
        """As an evaluation keeps it."""
        return {_PREFIX + f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def read(cls, path: Path, digest: str) -> "Familiar":
        """What :meth:`arrays` gave, of an .npz that may hold more.

        Raises:
            TypeError: it is not what was measured.
        """
        try:
            with np.load(path, allow_pickle=False) as kept:
                found = cls(*(kept[_PREFIX + f.name] for f in fields(cls)))
        except (OSError, ValueError, KeyError) as error:
            raise TypeError(f"{path.name} lacks the features of training images") from error
        if found.digest != digest:
            raise TypeError(f"the features in {path.name} are not what was measured")
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


def shrunk_covariance(centred: np.ndarray) -> np.ndarray:
    """Covariance ``[F, F]`` of centred rows ``[M, F]``, drawn towards a multiple of the identity.

    By the share that is best for the squared error (Ledoit and Wolf 2004,
    doi 10.1016/S0047-259X(03)00096-4).
    """
    count, size = centred.shape
    found = centred.T @ centred / count
    mean = np.trace(found) / size
    squares = (found**2).sum()
    noise = ((centred**2).T @ (centred**2)).sum() / count - squares
    spread = squares - size * mean**2
    share = min(noise / count, spread) / spread if spread > 0 else 1.0
    identity = np.eye(size)
    least = _LEAST * mean or _LEAST
    return (1 - share) * found + (share * mean + least) * identity


def _unit(features: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(length, np.finfo(np.float32).tiny)
