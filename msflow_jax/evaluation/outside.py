"""Images of another kind than those of training: one score of several, p-values, and how well they tell.

AUROC and FPR at 95 % TPR as OpenOOD (arXiv 2306.09301) has them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from msflow_jax.evaluation.auc import weighted_auc
from msflow_jax.evaluation.bootstrap import values_of_two

_MOST = 2000  # reference images whose score is kept
_FLOOR = 1e-12
_RATE = 0.95
STAND_INS = ("other scanner", "noise", "texture")
MADE_OF_THE_SPLIT = STAND_INS[:1]


@dataclass(frozen=True)
class Reference:
    """How measures are distributed over images of the kind that was learned, none of them trained on.

    Attributes:
        centre: median of the logarithm of each measure, or where it is signed of itself.
        width: median absolute deviation from it.
        signed: names of the measures that are taken as they are, and are odd on either side.
        scores: scores of the reference images, sorted.
    """

    centre: Mapping[str, float]
    width: Mapping[str, float]
    signed: Sequence[str]
    scores: Sequence[float]

    @classmethod
    def of(cls, measures: Mapping[str, np.ndarray], signed: Sequence[str] = ()) -> "Reference":
        """The reference of images' measures ``[N]`` by name."""
        values = {name: _plain(name, x, signed) for name, x in measures.items()}
        centre = {name: float(np.median(x)) for name, x in values.items()}
        width = {
            name: max(float(np.median(np.abs(x - centre[name]))), _FLOOR)
            for name, x in values.items()
        }
        found = cls(centre, width, tuple(signed), ())
        scores = np.sort(found.score(measures))
        some = np.linspace(0, len(scores) - 1, min(len(scores), _MOST)).astype(int)
        return cls(centre, width, tuple(signed), scores[some].tolist())

    def score(self, measures: Mapping[str, np.ndarray]) -> np.ndarray:
        """The largest deviation of an image in any measure ``[N]``; larger is odder."""
        found = []
        for name, centre in self.centre.items():
            off = (_plain(name, measures[name], self.signed) - centre) / self.width[name]
            found.append(np.abs(off) if name in self.signed else off)
        return np.max(found, axis=0)

    def p_values(self, measures: Mapping[str, np.ndarray], themselves: bool = False) -> np.ndarray:
        """Conformal p-values ``[N]``: share of reference images that are as odd, the image counted.

        ``themselves``: whether these are the reference images, which are counted already.
        """
        scores = np.asarray(self.scores)
        above = len(scores) - np.searchsorted(scores, self.score(measures), side="left")
        return above.clip(1) / len(scores) if themselves else (1 + above) / (1 + len(scores))

    @property
    def least(self) -> float:
        """The smallest p-value there is."""
        return 1 / (1 + len(self.scores))


def _plain(name: str, values: np.ndarray, signed: Sequence[str]) -> np.ndarray:
    values = np.asarray(values, float)
    return values if name in signed else np.log(np.maximum(values, _FLOOR))


def detection(
    inside: np.ndarray, outside: np.ndarray, groups: Sequence[Any] | None, same: bool = False
) -> dict[str, Any]:
    """How well a score tells images from outside, with 95 % intervals over subjects of the inside ones.

    Args:
        inside: scores of images of the known kind ``[N]``; larger is odder.
        outside: scores of the others ``[M]``.
        groups: subjects of the inside images; None: all differ.
        same: whether the outside images are made of the inside ones, in order; otherwise all differ.

    Returns:
        ``auroc``, and ``fpr95``: share of outside images that pass for inside ones at the threshold
        that lets 95 % of the inside ones pass; each with its interval,
        None with the reason under ``undefined``, see :func:`values_of_two`.
    """
    own = [str(one) for one in (range(len(inside)) if groups is None else groups)]
    others = own if same else [f"outside {i}" for i in range(len(outside))]
    both = np.concatenate([inside, outside])
    from_outside = np.arange(len(both)) >= len(inside)

    def passing(weights: np.ndarray) -> float:
        chosen = np.repeat(np.arange(len(both)), weights.astype(int))
        of, scores = from_outside[chosen], both[chosen]
        if of.all() or not of.any():
            return np.nan
        return float((scores[of] <= np.quantile(scores[~of], _RATE)).mean())

    return values_of_two({
        "auroc": lambda weights: weighted_auc(from_outside, both, weights),
        "fpr95": lambda weights: np.array([passing(row) for row in weights]),
    }, own, others)  # fmt: skip


def stand_ins(images: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Images of another kind that can be made of any: another scanner, noise, texture.

    Args:
        images: uint8 ``[N, *space, C]``.
        seed: seed of what is drawn.

    Returns:
        ``other scanner`` (the same images, darker in the middle tones and with noise), ``noise``
        (uniform) and ``texture`` (noise whose power falls with the square of the frequency, as that of
        photographs does), uint8 of the same shape.
    """
    found = {name: np.empty_like(images) for name in STAND_INS}
    space, sides = tuple(range(images.ndim - 2)), images.shape[1:-1]
    frequencies = np.meshgrid(*(np.fft.fftfreq(n) for n in sides), indexing="ij")
    fall = 1 / np.maximum(np.sqrt(sum(f**2 for f in frequencies)), 1 / max(sides))
    for i, image in enumerate(images):  # one by one: volumes are large
        rng = np.random.default_rng([seed, i])
        light = (image / 255.0) ** 1.4 + rng.normal(scale=0.04, size=image.shape)
        waves = np.fft.fftn(rng.normal(size=image.shape), axes=space) * fall[..., None]
        texture = np.fft.ifftn(waves, axes=space).real
        texture = (texture - texture.mean(space)) / texture.std(space)
        found["other scanner"][i] = np.clip(np.rint(255 * light), 0, 255)
        found["noise"][i] = rng.integers(0, 256, image.shape)
        found["texture"][i] = np.clip(np.rint(128 + 50 * texture), 0, 255)
    return found
