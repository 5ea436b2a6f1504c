"""What every family's classification returns, with draws pooled once, and how users name classes."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_LEAST = 1e-30  # probability of which a logarithm is taken


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Prediction:
    """What a classification returns; D noise draws, B images, K classes.

    Attributes:
        distances: distance to each class, ``[D, B, K]``: to its code, or -log posterior in nats;
            the smallest is the prediction.
        probabilities: ``[D, B, K]``; of a symmetric flow see :meth:`Code.probabilities`.
        mode: class by the published mode rule, ``[D, B]``.
        nfe: network evaluations per image and draw.
        ok: False where an adaptive solver gave up or a number is not finite, ``[D]`` or ``[D, B]``.
        log_prob: log P(x) of the 8-bit image in nats, the marginal over classes, ``[D, B]``; None for
            families without a likelihood.
        classes: class names in label order; empty where not known.
        dimensions: entries of an image, which its bits per dimension are divided by.
        in_nats: whether the distances are -log of the probabilities, up to a constant of the image.
        measures: further uncertainties of the family's own by name, ``[D, B]`` or ``[1, B]``.
        features: what the network makes of each image ``[1, B, F]``, to compare with training images;
            None for families without.
        requested: names and values of the settings that a caller asked for.
    """

    distances: Any
    probabilities: Any
    mode: Any
    nfe: Any
    ok: Any
    log_prob: Any = None
    classes: tuple[str, ...] = dataclasses.field(default=(), metadata={"static": True})
    dimensions: int = dataclasses.field(default=1, metadata={"static": True})
    in_nats: bool = dataclasses.field(default=False, metadata={"static": True})
    measures: dict[str, Any] = dataclasses.field(default_factory=dict)
    features: Any = None
    requested: tuple[tuple[str, Any], ...] = dataclasses.field(
        default=(), metadata={"static": True}
    )

    def rows(self, rows: slice) -> "Prediction":
        """The predictions of some of the images."""
        return jax.tree.map(lambda values: values[:, rows], self)

    @property
    def distance(self) -> np.ndarray:
        """Distances averaged over draws, ``[B, K]``."""
        return np.asarray(self.distances).mean(axis=0)

    @property
    def prediction(self) -> np.ndarray:
        """Class number of each image, ``[B]``: the smallest distance averaged over draws."""
        return self.distance.argmin(axis=1)

    @property
    def names(self) -> tuple[str, ...]:
        """Class name of each image."""
        return tuple(self.classes[k] for k in self.prediction)

    @property
    def probability(self) -> np.ndarray:
        """Class probabilities averaged over draws, ``[B, K]``."""
        return np.asarray(self.probabilities).mean(axis=0)

    @property
    def log_likelihood(self) -> np.ndarray | None:
        """log p(x) in nats averaged over draws, ``[B]``; None without a likelihood."""
        return None if self.log_prob is None else np.asarray(self.log_prob).mean(axis=0)

    @property
    def bits_per_dimension(self) -> np.ndarray | None:
        """-log2 p(x) of an entry, averaged over draws, ``[B]``; None without a likelihood."""
        from msflow_jax.evaluation.likelihood import bits_per_dimension  # here: it brings scipy

        found = self.log_likelihood
        return None if found is None else bits_per_dimension(found, self.dimensions)

    @property
    def uncertainty(self) -> dict[str, np.ndarray]:
        """Named uncertainties ``[B]``; see :func:`uncertainties`."""
        own = {name: np.asarray(x).mean(axis=0) for name, x in self.measures.items()}
        return {**uncertainties(self.distances, self.probabilities, self.log_prob), **own}

    @property
    def log_probabilities(self) -> np.ndarray:
        """Of every draw, float64 ``[D, B, K]``; of distances in nats those themselves, however large."""
        if self.in_nats:
            return -np.asarray(self.distances, np.float64)
        return np.log(np.maximum(np.asarray(self.probabilities, np.float64), _LEAST))

    def scaled(self, scaling: Any) -> "Prediction":
        """The same with the probabilities of every draw scaled, see ``evaluation.scaling.Scaling``.

        Distances in nats follow, and all do where classes have a bias, since the prediction has to be
        that of the probabilities; a distance to a code stays what it is.
        """
        if not scaling.changes:
            return self
        logs = scaling.apply(self.log_probabilities)
        follow = self.in_nats or np.size(scaling.bias) > 0
        distances = -logs if follow else self.distances
        if follow and not self.in_nats:
            # So that the mean over draws, by which a class is predicted, is that of the probability;
            # those of one draw are not its own logarithms then, so that they are not in nats.
            pooled = np.log(np.exp(logs).mean(axis=0))
            distances = distances + (logs.mean(axis=0) - pooled)[None]
        return dataclasses.replace(self, distances=distances, probabilities=np.exp(logs))


def by_bayes(
    joint: jax.Array, classes: tuple[str, ...], dimensions: int, nfe: Any, nats: Any = 0.0
) -> Prediction:
    """The posterior of one draw, from log p(x, y) of every class ``[B, K]`` in nats.

    Args:
        joint: log-densities, the classes' prior among them.
        classes: class names in label order.
        dimensions: entries of an image.
        nfe: network evaluations per image.
        nats: what stands between log p(x) and the log-probability of the 8-bit image ``[B]``.
    """
    log_prob = jax.nn.logsumexp(joint, axis=-1) + nats
    distances, finite = -jax.nn.log_softmax(joint), jnp.isfinite(log_prob)
    mode = joint.argmax(axis=-1)
    return Prediction(
        distances, jnp.exp(-distances), mode, nfe, finite, log_prob, classes, dimensions, True
    )


def uncertainties(
    distances: np.ndarray, probabilities: np.ndarray, log_prob: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Named uncertainties of the draw-averaged prediction. Larger always means less certain.

    Args:
        distances: distance to each class per noise draw, ``[D, N, K]``.
        probabilities: class probabilities per noise draw, ``[D, N, K]``.
        log_prob: log p(x) per noise draw in nats, ``[D, N]``, of a family that has it.

    Returns:
        A dict of ``[N]`` arrays: ``distance`` to the predicted class's code (the published measure,
        arXiv 2507.19098; of a coupling flow -log posterior), ``margin`` (minus the gap between the
        two nearest codes), ``posterior`` (one minus the largest probability), ``entropy`` in nats,
        with D > 1 ``spread``, the standard deviation over draws of the predicted class's
        probability (of draws of opposite noise up to sqrt(D / (D - 1)) times that of independent
        ones), and with a likelihood ``evidence``, the negative log-likelihood -log p(x) in nats: how
        unlike the training images this one is.

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
        predicted = mean.argmin(1)[None, :, None]
        chosen = np.take_along_axis(probabilities, predicted.repeat(len(distances), 0), axis=2)
        result["spread"] = chosen[..., 0].std(axis=0, ddof=1)
    if log_prob is not None:
        result["evidence"] = -np.asarray(log_prob).mean(axis=0)
    return result


def class_numbers(classes: Sequence[str], labels: Sequence[int | str]) -> np.ndarray:
    """Class numbers ``[B]`` from numbers or names.

    Args:
        classes: class names in label order.
        labels: an int is a number; a string is a name, or where no class is called by a number, one.

    Raises:
        ValueError: a name or number that is none of the classes (the known ones are listed).
    """
    numbers = {str(k): k for k in range(len(classes))}
    # Of classes called "1", "2", "10" the number 1 is the second, the name "1" the first; "0" is none.
    numbered = any(name.isdecimal() for name in classes)
    named = ({} if numbered else numbers) | {name: k for k, name in enumerate(classes)}
    found = [(named if isinstance(label, str) else numbers).get(str(label)) for label in labels]
    if None in found:
        unknown = labels[found.index(None)]
        names = ", ".join(f"{k} = {name}" for k, name in enumerate(classes))
        raise ValueError(f"unknown class {unknown!r}: this model knows {names}")
    return np.array(found, np.int32)
