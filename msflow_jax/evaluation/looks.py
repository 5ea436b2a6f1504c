"""Which modality images look like by their grey levels, so that images of another one are noticed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from msflow_jax.evaluation.probes import fit_standardised

_LEVELS = 16
_LEAST = 0.5  # nats: a smaller lead is said of nothing


def grey_levels(images: np.ndarray) -> np.ndarray:
    """What is looked at: how many grey levels of each kind there are, in all and in the middle.

    Args:
        images: uint8 ``[N, *space, C]``.

    Returns:
        float64 ``[N, 32]``: roots of the shares of 16 ranges of grey levels in the whole image, and in
        its middle, half as long along every axis of space.
    """
    middle = tuple(slice(n // 4, n - n // 4) for n in images.shape[1:-1])
    parts = images, images[(slice(None), *middle)]
    return np.concatenate([np.sqrt(_shares(part)) for part in parts], axis=1)


def _shares(images: np.ndarray) -> np.ndarray:
    flat = images.reshape(len(images), -1) // (256 // _LEVELS)
    counts = [np.bincount(one, minlength=_LEVELS) for one in flat]
    return np.array(counts, np.float64).reshape(-1, _LEVELS) / flat.shape[1]


@dataclass(frozen=True)
class Looks:
    """A linear classifier of grey levels, and how wrong it may be before a word is said.

    Attributes:
        names: the M modalities.
        weights: of the features of :func:`grey_levels`, ``[M, 32]``.
        bias: ``[M]``.
        slack: by modality the largest of :meth:`leads` that held-out images of it have: of single
            images, and of the slices of a volume together.
    """

    names: tuple[str, ...]
    weights: np.ndarray
    bias: np.ndarray
    slack: Mapping[str, tuple[float, float]]

    @classmethod
    def learn(
        cls, train: Mapping[str, np.ndarray], held: Mapping[str, tuple[np.ndarray, Sequence[Any]]]
    ) -> Looks:
        """Fits the classifier to training images, and its slack to others.

        Args:
            train: images uint8 ``[N, *space, C]`` of two modalities or more.
            held: images that are not among them, and what each is of (its volume).
        """
        names = tuple(train)
        x = np.concatenate([grey_levels(train[name]) for name in names])
        y = np.repeat(np.arange(len(names)), [len(train[name]) for name in names])
        fitted, mean, scale = fit_standardised(x, y)
        weights, bias = fitted.coef_, fitted.intercept_
        if len(names) == 2:  # of which sklearn keeps the second alone
            weights, bias = np.stack([0 * weights[0], weights[0]]), np.array([0.0, bias[0]])
        plain = cls(names, weights * scale, bias - (weights * scale) @ mean, {})
        slack = {}
        for name, (images, of) in held.items():
            logs = plain.log_probability(images)
            each = (plain.leads(logs, name, range(len(images))), plain.leads(logs, name, of))
            alone, together = (max([_LEAST, *(lead for lead, _ in found)]) for found in each)
            slack[name] = alone, together
        return cls(names, plain.weights, plain.bias, slack)

    def log_probability(self, images: np.ndarray) -> np.ndarray:
        """Of each modality ``[N, M]``, of images uint8 ``[N, *space, C]``."""
        from scipy.special import log_softmax

        return log_softmax(grey_levels(images) @ self.weights.T + self.bias[None], axis=1)

    def leads(self, logs: np.ndarray, name: str, of: Sequence[Any]) -> list[tuple[float, str]]:
        """By how much what images are of looks more like another modality than like ``name``.

        Args:
            logs: of N images, see :meth:`log_probability`.
            name: the modality that they are said to be of.
            of: what each is of ``[N]``; images of one thing count together.

        Returns:
            For each thing, in the order in which they come: difference of the mean log-probabilities,
            in nats, and the likeliest other modality.
        """
        own, found = self.names.index(name), []
        groups = np.array([str(one) for one in of])
        for one in dict.fromkeys(groups.tolist()):
            mean = logs[groups == one].mean(axis=0)
            others = np.where(np.arange(len(self.names)) == own, -np.inf, mean)
            found.append((float(others.max() - mean[own]), self.names[int(others.argmax())]))
        return found

    def others(self, images: np.ndarray, name: str, of: Sequence[Any]) -> list[str]:
        """What each thing looks more like than ``name``, by more than the slack; empty: it does not."""
        found, groups = [], [str(one) for one in of]
        leads = self.leads(self.log_probability(images), name, of)
        for one, (lead, other) in zip(dict.fromkeys(groups), leads, strict=True):
            slack = self.slack[name][int(groups.count(one) > 1)]
            found.append(other if lead > slack else "")
        return found

    def rates(self, images: Mapping[str, tuple[np.ndarray, Sequence[Any]]]) -> dict[str, float]:
        """How often a word is said of images of each modality, rightly and wrongly.

        Args:
            images: images and what each is of, by modality.

        Returns:
            ``false``: the share of things for which another modality is named although theirs was said,
            ``caught``: for which one is named where another was said, over all pairs; ``count``.
        """
        false: list[bool] = []
        caught: list[bool] = []
        for true, (given, of) in images.items():
            for said in self.slack:
                named = [bool(other) for other in self.others(given, said, of)]
                (false if said == true else caught).extend(named)
        return {
            "false": float(np.mean(false)), "caught": float(np.mean(caught)), "count": len(false)
        }  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """JSON types; :meth:`from_dict` is the inverse."""
        return {
            "names": list(self.names), "weights": self.weights.tolist(), "bias": self.bias.tolist(),
            "slack": {name: list(pair) for name, pair in self.slack.items()},
        }  # fmt: skip

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Looks:
        """What :meth:`to_dict` gave.

        Raises:
            ValueError: it is not that.
        """
        try:
            names = tuple(map(str, fields["names"]))
            weights, bias = (np.array(fields[key], float) for key in ("weights", "bias"))
            slack = {str(k): (float(a), float(b)) for k, (a, b) in fields["slack"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"what images look like is not as it was written: {error}") from error
        whole = weights.shape == (len(names), 2 * _LEVELS) and bias.shape == (len(names),)
        numbers = *weights.ravel(), *bias.ravel(), *(x for pair in slack.values() for x in pair)
        if not whole or not set(slack) <= set(names) or not np.isfinite(numbers).all():
            raise ValueError("what images look like is not as it was written: other numbers")
        return cls(names, weights, bias, slack)
