"""What an evaluation keeps of the images of each modality, so that a wrong source is noticed later."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from msflow_jax.data import Split
from msflow_jax.data.slices import NO_SLICE, SLICE, VOLUME
from msflow_jax.evaluation.looks import Looks
from msflow_jax.inference.evaluation import Evaluation
from msflow_jax.paired.pairs import has

_MOST = 2000  # images of a modality that are looked at


def looks_of(run: Evaluation) -> dict[str, Any]:
    """What images of each modality of the data look like; nothing where there is only one.

    Returns:
        The fields of :class:`~msflow_jax.evaluation.looks.Looks`; ``slices``, the modalities whose
        images differ within a volume; and ``rates`` on the split that is evaluated, of volumes and of
        single images, where it has them.
    """
    train = _images(run.splits.train)
    held = {name: one for name, one in _images(run.splits.val).items() if name in train}
    if len(train) < 2 or not held:
        return {}
    looks = Looks.learn({name: images for name, (images, _) in train.items()}, held)
    chosen = {name: one for name, one in _images(run.chosen).items() if name in looks.names}
    rates = {"images": looks.rates({n: (x, range(len(x))) for n, (x, _) in chosen.items()})}
    if any(len(set(of)) < len(of) for _, of in chosen.values()):
        rates["volumes"] = looks.rates(chosen)
    slices = [name for name, (images, of) in train.items() if _differ(images, of)]
    return {**looks.to_dict(), "slices": slices, "rates": rates}


def _images(split: Split) -> Mapping[str, tuple[np.ndarray, list[str]]]:
    """Images of each modality, evenly through the split, and the volume of each: else its own number."""
    truth, found = split.truth or {}, {}
    for name, one in split.modalities.items():
        if one.kind != "image" or not (there := np.flatnonzero(has(split, name))).size:
            continue
        rows = there[np.linspace(0, len(there) - 1, min(_MOST, len(there))).round().astype(int)]
        of = [f"image {row}" for row in rows]
        if VOLUME in truth and SLICE in truth:
            sliced = truth[SLICE][rows] != NO_SLICE
            of = [
                f"volume {truth[VOLUME][row]}" if cut else alone
                for row, cut, alone in zip(rows, sliced, of, strict=True)
            ]
        found[name] = split.arrays[name][rows], of
    return found


def _differ(images: np.ndarray, of: list[str]) -> bool:
    """Whether the images of any one volume differ: else they are pictures beside it."""
    first: dict[str, int] = {}
    return any((images[first.setdefault(one, i)] != images[i]).any() for i, one in enumerate(of))
