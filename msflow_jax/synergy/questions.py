"""Questions on one image alone, unrelated to pairs: what the arm ``questions`` asks of the same images.

They are ours: the control that arXiv 2605.08724 lacks. Each can be told from the image that it is about.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from msflow_jax.data.phantoms.tasks import MAP_CLASSES
from msflow_jax.data.split import Split
from msflow_jax.synergy.phrases import LEVEL, QUADRANT, SIDE, SIZE
from msflow_jax.synergy.pool import Pool

_LESION = MAP_CLASSES.index("lesion")
# Odds of a question on lesions where there is none, lest "no lesion" be right too often.
UNSEEN = 0.1
_MEDIUM, _LARGE = 0.003, 0.01  # share of an image's pixels from which lesions are of this size


def facts_of(split: Split, pool: Pool, name: str, row: int) -> dict[str, int]:
    """What is true of one image: number of the right one of ``phrases.OPTIONS`` by kind of question.

    Of lesions only phantoms know, and of these the map of the very slice is asked: a report's facts are
    of a whole head, and a slice need not show them.

    Args:
        split: the slices.
        pool: where they lie.
        name: modality of the image.
        row: position of the slice.
    """
    positions = len(pool.slices[pool.volume[row]])
    found = {LEVEL: int(4 * pool.rank[row] // positions)}
    if (corner := brightest(split.arrays[name][row])) is not None:
        found[QUADRANT] = corner
    if "fact_lesions" in (split.truth or {}) and "map" in split.arrays:
        lesion = split.arrays["map"][row] == _LESION
        found |= {SIDE: _side(lesion), SIZE: _size(lesion)}
    return found


def choose_kind(facts: Mapping[str, int], rng: np.random.Generator) -> str:
    """The kind of question to ask, of those that :func:`facts_of` knows the right option of."""
    odds = [UNSEEN if may_be_none(kind) and not k else 1.0 for kind, k in facts.items()]
    return list(facts)[int(rng.choice(len(odds), p=np.array(odds) / sum(odds)))]


def may_be_none(kind: str) -> bool:
    """Whether the first option of a kind of question is that there is nothing to ask about."""
    return kind in (SIDE, SIZE)


def brightest(image: np.ndarray) -> int | None:
    """The brightest quadrant of ``[H, W, C]``: upper left, upper right, lower left, lower right.

    None where two are equally bright, since no option would be the right one.
    """
    high, wide = (max(size // 2, 1) for size in image.shape[:2])
    rows, columns = (image[:high], image[-high:]), (slice(wide), slice(-wide, None))
    sums = [int(half[:, part].sum(dtype=np.int64)) for half in rows for part in columns]
    best = int(np.argmax(sums))
    return best if sums.count(sums[best]) == 1 else None


def _side(lesion: np.ndarray) -> int:
    """In which half of the image ``[H, W]``: nowhere, left, right, both."""
    wide = lesion.shape[1] // 2
    left, right = bool(lesion[:, :wide].any()), bool(lesion[:, -wide:].any())
    return int(left) + 2 * int(right)


def _size(lesion: np.ndarray) -> int:
    """Share of the image: none, small, medium, large."""
    share = float(lesion.mean())
    return 0 if not share else 1 + int(share >= _MEDIUM) + int(share >= _LARGE)
