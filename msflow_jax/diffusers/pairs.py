"""The sets of a curriculum: which examples have both modalities of a link."""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from msflow_jax.data import Split
from msflow_jax.diffusers.settings import MAP
from msflow_jax.diffusers.tokens import Tokeniser
from msflow_jax.diffusers.verbs import REPORT as REPORT
from msflow_jax.storage.text import listed
from msflow_jax.training.source import Source

if TYPE_CHECKING:
    from msflow_jax.diffusers.encoded import Encoded


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


def pair_source(
    split: Split,
    names: Sequence[str],
    tokeniser: Tokeniser | None,
    what: str,
    encoded: "Mapping[str, Encoded] | None" = None,
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
        ValueError: no example has all of them; names them.
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


def check_subjects(split: Split, links: Sequence[tuple[str, ...]], shared: bool) -> None:
    """Looks whether the sets of two links have subjects in common.

    A route that was never trained, between modalities of different links, is only then known to be one
    if no subject had both.

    Args:
        split: training examples.
        links: modalities of each link, what is new first.
        shared: whether they may; otherwise it is an error.

    Raises:
        ValueError: they may not, and do; names the links.
    """
    if split.groups is None:
        return
    groups = np.array(split.groups)
    sets: dict[tuple[str, ...], set[str]] = {}
    for link in links:
        sets[link] = set(groups[np.all([has(split, name) for name in link], axis=0)])
    for i, one in enumerate(links):
        for other in links[:i]:
            # What attaches to one image modality may be one set: all contrasts of an MR examination.
            one_set = one[-1] == other[-1] != REPORT
            both = sets[one] & sets[other]
            if both and not one_set:
                text = (
                    f"{len(both)} training subjects are in the sets of both {'-'.join(other)} and "
                    f"{'-'.join(one)}: routes between them are not learned from disjoint subjects"
                )
                if not shared:
                    raise ValueError(
                        f"{text}. Give other subjects, or set model.shared_subjects=True"
                    )
                warnings.warn(text, stacklevel=2)
