"""How many images and subjects there are, of the splits and of the sets that are compared."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from msflow_jax.evaluation.checks import check_labels
from msflow_jax.storage.text import listed

_FEW, _FEW_OF_CLASS = 100, 10  # images compared, below which a distance says little


def count_splits(
    splits: Mapping[str, tuple[np.ndarray, Sequence[Any] | None]], classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Images and subjects of every split and class.

    Args:
        splits: name -> labels, int ``[N]``, and the subject of each image ``[N]``; None: unknown.
        classes: K class names.

    Returns:
        A dict for each split: ``split``, ``images``, ``subjects`` (None where unknown) and
        ``classes``, a list of ``name``, ``images``, ``subjects``. A subject may be in several classes.
    """
    return [
        {
            "split": name,
            **_count(check_labels(labels, len(classes), f"labels of {name}"), groups),
            "classes": [
                {"name": str(one), **_count(np.asarray(labels), groups, k)}
                for k, one in enumerate(classes)
            ],
        }
        for name, (labels, groups) in splits.items()
    ]


def _count(
    labels: np.ndarray, groups: Sequence[Any] | None, k: int | None = None
) -> dict[str, int | None]:
    """Images of class ``k`` (None: of all), and whose they are."""
    inside = np.ones(len(labels), bool) if k is None else labels == k
    subjects = None
    if groups is not None:
        subjects = len({str(group) for group, of in zip(groups, inside, strict=True) if of})
    return {"images": int(inside.sum()), "subjects": subjects}


def count_sets(
    classes: Sequence[str],
    generated: np.ndarray,
    held_out: np.ndarray,
    train: np.ndarray,
    matched: np.ndarray,
) -> list[dict[str, Any]]:
    """Images of every class in each set and among those compared, from their labels ``[N]``."""
    sets = {"generated": generated, "held_out": held_out, "train": train, "matched": matched}
    counts = {name: np.bincount(of, minlength=len(classes)) for name, of in sets.items()}
    return [
        {"name": str(name), **{key: int(count[k]) for key, count in counts.items()}}
        for k, name in enumerate(classes)
    ]


def in_mix_of(labels: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much each image of one set counts, so that its classes are mixed as another set's are.

    Args:
        labels: class numbers of the images that are weighted, int ``[N]``.
        others: of the other set, int ``[M]``.

    Returns:
        Weights float64 ``[N]``, exactly 1 where both sets have one mix, and bool ``[M]``, which
        images of the other set are of a class that both have. Those of another class count nothing.
    """
    labels, others = np.asarray(labels), np.asarray(others)
    counted = np.isin(others, labels)
    inside, total = int(np.isin(labels, others).sum()), int(counted.sum())
    weights = np.zeros(len(labels))
    for k in np.intersect1d(labels, others):
        own, wanted = int((labels == k).sum()), int((others == k).sum())
        weights[labels == k] = (wanted * inside) / (own * total)
    return weights, counted


def left_out(generated: np.ndarray, held_out: np.ndarray, classes: Sequence[str]) -> list[str]:
    """A sentence on the classes that one of both sets lacks, by their labels ``[M]`` and ``[N]``."""
    lacking = [str(classes[k]) for k in np.setxor1d(generated, held_out)]
    if not lacking:
        return []
    return [
        "Overall recognition and the shares and medians of memorisation leave out images of "
        f"{listed(lacking)}: there are none among the generated or the held-out ones."
    ]


def too_few(classes: Sequence[str], matched: np.ndarray) -> list[str]:
    """A sentence for each lack of images that makes a distance say little.

    Args:
        classes: K class names.
        matched: labels of the images of each set that are compared, int ``[N]``.
    """
    counts = np.bincount(matched, minlength=len(classes)).tolist()
    named = list(zip(map(str, classes), counts, strict=True))
    found = []
    if len(matched) < _FEW:
        found.append(
            f"Too few pictures for a distance: {len(matched)} per set; with fewer than {_FEW} only how "
            "far it lies from the floor of the same count means something."
        )
    if none := [name for name, count in named if count == 0]:
        found.append(
            f"No picture of {listed(none)} is compared: none was drawn, or the held-out split has none."
        )
    if rare := [name for name, count in named if 0 < count < _FEW_OF_CLASS]:
        found.append(
            f"Fewer than {_FEW_OF_CLASS} pictures of {listed(rare)} are compared: the distances hardly "
            "see how they are drawn."
        )
    return found
