"""Which examples have which modalities, and the sets of those that have several."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from msflow_jax.data import Split
from msflow_jax.paired.settings import MAP, REPORT
from msflow_jax.storage.text import listed
from msflow_jax.training.source import Source


class Tokeniser(Protocol):
    """From reports to rows of tokens."""

    def encode(self, texts: Sequence[str], source: str = ...) -> np.ndarray:
        """Rows int32 ``[N, T]``, 0 for padding; ``source`` names the texts in messages."""


class Encoded(Protocol):
    """The latents of a split's images of one modality."""

    def take(self, rows: np.ndarray) -> Mapping[str, np.ndarray]:
        """Arrays ``[M, V, *inner]`` of M examples: ``image``, and ``deviation`` where it is not 0."""


def latent_name(name: str, part: str = "image") -> str:
    """The name in a batch of a modality's latents, or of their ``deviation``."""
    return f"{name}/{part}"


def has(split: Split, name: str) -> np.ndarray:
    """Which examples have a modality, bool ``[N]``.

    Raises:
        ValueError: the data have no such modality; names those that there are.
    """
    if name == REPORT:
        texts = (split.truth or {}).get(REPORT)
        if texts is None:
            raise ValueError("the data have no reports: take 'report' out of model.modalities")
        return np.array([bool(str(text).strip()) for text in texts])
    if name not in split.arrays or split.modalities[name].kind != "image":
        there = [key for key, one in split.modalities.items() if one.kind == "image"]
        raise ValueError(f"the data have no modality {name!r}: there are {listed(there)}")
    return np.asarray(split.present.get(name, np.ones(len(split), bool)))


def images_of(split: Split, name: str) -> tuple[Any, Any]:
    """Images of a modality and their labels, of the examples that have it."""
    rows = has(split, name)
    return split.arrays[name][rows], split.labels[rows]


def texts_of(split: Split) -> list[str]:
    """The reports of a split that are there, each once per subject's examples."""
    return [str(text) for text in (split.truth or {})[REPORT][has(split, REPORT)]]


def together(split: Split, names: Sequence[str]) -> np.ndarray:
    """Which examples have all of these modalities, bool ``[N]``."""
    return np.all([has(split, name) for name in names], axis=0)


def examples(split: Split, names: Sequence[str], count: int) -> Split:
    """The first examples, evenly through the split, that have all of these modalities."""
    rows = np.flatnonzero(together(split, names))
    every = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)
    return split.take(rows[np.unique(every)])


def once_per_subject(split: Split, names: Sequence[str]) -> Split:
    """The middle one of every subject's examples that have all of these modalities.

    Slices of one subject share report and X-ray; of several visits some may lack one of them.
    """
    if split.groups is None:
        return split
    groups, there = np.array(split.groups), together(split, names)
    rows = [np.flatnonzero((groups == one) & there) for one in dict.fromkeys(split.groups)]
    return split.take(np.array([of[len(of) // 2] for of in rows if len(of)], int))


def stored(split: Split, name: str, tokeniser: Tokeniser | None, what: str) -> np.ndarray:
    """A modality of every example as it is stored: images ``[N, *shape]``, or rows of tokens ``[N, T]``.

    Args:
        split: examples that have it.
        name: the modality.
        tokeniser: of reports.
        what: the split's name, for messages.
    """
    if name != REPORT:
        return split.arrays[name]
    assert tokeniser is not None
    return tokeniser.encode([str(text) for text in (split.truth or {})[REPORT]], f"{what} reports")


def pair_source(
    split: Split,
    names: Sequence[str],
    tokeniser: Tokeniser | None,
    what: str,
    encoded: Mapping[str, Encoded] | None = None,
) -> Source:
    """The examples that have all of some modalities, each different one once.

    The slices of a subject share its X-ray and its report: as a pair they are one example. Images that
    are drawn in latents come with these, since encoders see images and diffusers latents.

    Args:
        split: training or validation examples.
        names: modalities.
        tokeniser: of reports.
        what: the split's name, for the message.
        encoded: latents of the split by modality.

    Raises:
        ValueError: no example has all of them, or the data lack one; names them.
    """
    rows = np.flatnonzero(np.all([has(split, name) for name in names], axis=0))
    if not len(rows):
        raise ValueError(
            f"no example of the {what} split has both {listed(names)}: give paired data, or take the "
            "link out of model.links"
        )
    arrays, kinds = {}, {}
    for name in names:
        if name == REPORT:
            assert tokeniser is not None
            texts = [str(text) for text in (split.truth or {})[REPORT][rows]]
            arrays[name], kinds[name] = tokeniser.encode(texts, f"{what} reports"), "tokens"
        else:
            arrays[name], kinds[name] = split.arrays[name][rows], "image"
    once = [*distinct(list(arrays.values()), range(len(rows)))[0].values()]
    found = {name: array[once] for name, array in arrays.items()}
    for name in names:
        if encoded and name in encoded:
            taken = encoded[name].take(rows[once])
            found |= {latent_name(name, part): array for part, array in taken.items()}
    kinds |= {name: "latent" for name in found if name not in kinds}
    return Source.of_arrays(found, kinds)


def mapped_source(split: Split, name: str, classes: int, what: str) -> Source:
    """The images of a modality with their maps of tissues.

    Args:
        split: training or validation examples.
        name: modality.
        classes: classes of a map.
        what: the split's name, for the message.

    Raises:
        ValueError: no example has both, or maps of another grid or of classes that have no name.
    """
    rows = np.flatnonzero(has(split, name))
    if MAP not in split.arrays or not len(rows):
        raise ValueError(
            f"no example of the {what} split has {name} and a map of its tissues: take {name!r} out of "
            "model.segmenter.modalities"
        )
    images, maps = split.arrays[name][rows], split.arrays[MAP][rows]
    if maps.shape != images.shape[:-1] or maps.max() >= classes:
        raise ValueError(
            f"the maps of the {what} split, {list(maps.shape[1:])} with classes up to {maps.max()}, are "
            f"not of its {name}, {list(images.shape[1:-1])}, {classes} classes: take {name!r} out of "
            "model.segmenter.modalities"
        )
    return Source.of_arrays({name: images, MAP: maps}, {name: "image", MAP: "map"})


def distinct(
    arrays: Sequence[np.ndarray], rows: Sequence[int] | np.ndarray
) -> tuple[dict[bytes, int], np.ndarray]:
    """Digest and first row of every different example, in order; and which of them each one is.

    Args:
        arrays: what an example is, ``[N, ...]`` each.
        rows: examples to look at.

    Returns:
        First rows by digest, and the place among them of each of the N; -1 where it was not looked at.
    """
    first: dict[bytes, int] = {}
    places: dict[bytes, int] = {}
    number = np.full(len(arrays[0]), -1)
    for row in map(int, rows):
        found = hashlib.sha256()
        for array in arrays:
            found.update(np.ascontiguousarray(array[row]).data)
        first.setdefault(found.digest(), row)
        number[row] = places.setdefault(found.digest(), len(places))
    return first, number
