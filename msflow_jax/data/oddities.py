"""What is odd about a data set and is said before a model learns from it: copies, and rare classes."""

from __future__ import annotations

import contextlib
import difflib
import re
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from msflow_jax.data.base import SPLITS, Splits
from msflow_jax.data.slices import SLICE
from msflow_jax.storage.text import first_of

_SHOWN = 3
_NAMED = 5  # classes in a line
_NUMBER = re.compile(r"[\d.,-]+")
_ZEROS = re.compile(r"(?<![\d.,])0+(?=\d)")  # that lead a number, not those of 1.05
_WORD = re.compile(r"[^\W\d_]+|\d+")
_LONG = 6  # letters of a word that may be written in two ways
_PREFIX = 3  # letters in which another one makes another word
_LIKE = 0.7  # share of letters that a misspelt name has in common with the right one


def check_copies(
    names: Mapping[str, Sequence[str]],
    labels: Mapping[str, np.ndarray],
    contents: Mapping[str, Sequence[str]],
    source: str,
    *,
    refuse: bool,
) -> None:
    """Refuses, or reports, pictures of equal content in two splits; reports equal ones of two labels.

    Args:
        names: name of each picture, by split.
        labels: number of its class, ``[N]`` by split.
        contents: digest of its content, by split; empty where not known.
        source: where the data came from, for the message.
        refuse: whether copies in two splits are an error.

    Raises:
        ValueError: there are some; the first three are named.
    """
    places: defaultdict[str, list[tuple[str, str, int]]] = defaultdict(list)
    for split, sums in contents.items():
        for name, label, one in zip(names[split], labels[split].tolist(), sums, strict=True):
            places[one].append((split, name, label))
    same = [found for found in places.values() if len(found) > 1]
    across = [found for found in same if len({split for split, _, _ in found}) > 1]
    at_odds = [found for found in same if len({label for _, _, label in found}) > 1]
    if at_odds:
        warnings.warn(
            f"{source}: equal pictures under two labels: {len(at_odds)} ({_first(at_odds)})",
            stacklevel=3,
        )
    if not across:
        return
    message = f"{source}: equal pictures in two splits: {len(across)} ({_first(across)})"
    if refuse:
        raise ValueError(
            f"{message}: what is tested was seen in training. Remove the copies or put them into one "
            "split, or accept them with --config.data.duplicates=keep"
        )
    warnings.warn(message, stacklevel=3)


def without_blanks(
    splits: Splits, pixels: Mapping[str, tuple[str, ...]]
) -> Mapping[str, tuple[str, ...]]:
    """Digests of pixels, but of slices that show nothing: those are no copies of each other."""

    def of(split: str, sums: tuple[str, ...]) -> tuple[str, ...]:
        part = splits[split]
        if SLICE not in (part.truth or {}):
            return sums
        flat = part.rows("image", np.arange(len(part))).reshape(len(part), -1)
        blank = (flat == flat[:, :1]).all(axis=1)
        return tuple(
            f"{split}/{name}" if empty else one
            for one, name, empty in zip(sums, part.names, blank, strict=True)
        )

    return {split: of(split, sums) for split, sums in pixels.items()}


def check_split_copies(
    splits: Splits, contents: Mapping[str, Sequence[str]], *, refuse: bool
) -> None:
    """:func:`check_copies` of the examples of a data set."""
    check_copies(
        {name: splits[name].names for name in SPLITS},
        {name: splits[name].labels for name in SPLITS},
        contents,
        splits.info.source,
        refuse=refuse,
    )


def check_rare_classes(splits: Splits) -> None:
    """Says which classes have one training image, or none in a split: no figure of them means much.

    Raises:
        ValueError: a class of one image in all is called nearly as another one is: it was misspelt.
    """
    classes = splits.info.classes
    counts = {s: np.bincount(splits[s].labels, minlength=len(classes)) for s in SPLITS}
    once = [
        name for name, n in zip(classes, np.sum([*counts.values()], axis=0), strict=True) if n == 1
    ]
    for name in once:
        if meant := nearest(name, [one for one in classes if one not in once]):
            raise ValueError(
                f"{splits.info.source}: {name!r} is the label of one image alone; {meant} Correct it, "
                "or take the image out: of one image no class can be learned and tested"
            )
    rare = [name for name, n in zip(classes, counts["train"], strict=True) if n == 1]
    found = []
    for name in rare:
        meant = nearest(name, classes)
        found.append(f"{name!r} has one training image{f' ({meant})' if meant else ''}")
    if len(rare) > _SHOWN:
        found = [f"{len(rare)} of {len(classes)} classes have one training image ({_some(rare)})"]
    for split in SPLITS:
        if absent := [name for name, n in zip(classes, counts[split], strict=True) if n == 0]:
            found.append(f"no image of {_some(absent)} in {split}")
    if found:
        warnings.warn(f"{splits.info.source}: {'; '.join(found)}", stacklevel=3)


def _some(names: Sequence[str]) -> str:
    """The first few of some names."""
    return first_of([repr(name) for name in names], _NAMED)


def nearest(name: str, others: Collection[str]) -> str:
    """Which of other names a misspelt one may be, as a question; empty where none is like it.

    Names that differ in numbers alone, such as grades, are not misspelt.
    """
    kind = _NUMBER.sub("", name)
    alike = [other for other in sorted(others) if _NUMBER.sub("", other) != kind]
    near = difflib.get_close_matches(name, alike, 1, _LIKE)
    return f"is {near[0]!r} meant?" if near else ""


def warn_of_lookalikes(
    names: Sequence[str], what: str, source: object, *, words: bool = False
) -> None:
    """Says which names may be meant as one: they differ in case, blanks, marks that nobody sees or how a
    number is written.

    Args:
        names: the names, no two of them equal.
        what: of what, in the plural.
        source: where they were found, for the message.
        words: whether the names are words, of which one may be written in two ways (``tumor``).
    """
    seen: dict[str, str] = {}
    pairs = []
    for name in names:
        shown = "".join(c for c in name if unicodedata.category(c) != "Cf")  # such as U+200B
        key = " ".join(unicodedata.normalize("NFKC", shown).casefold().split())
        with contextlib.suppress(ValueError, OverflowError):
            key = repr(float(key))
        key = _ZEROS.sub("", key)
        if (other := seen.setdefault(key, name)) != name:
            pairs.append(f"{other!r} and {name!r}")
    if words:
        parts = [(name, _WORD.findall(key)) for key, name in seen.items()]
        pairs += [
            f"{one!r} and {other!r}"
            for i, (one, first) in enumerate(parts)
            for other, second in parts[i + 1 :]
            if _is_misspelt(first, second)
        ]
    if pairs:
        more = f" (and {len(pairs) - _SHOWN} pairs more)" if len(pairs) > _SHOWN else ""
        warnings.warn(
            f"{source}: {', '.join(pairs[:_SHOWN])}{more} are taken as two {what}: write them alike if "
            "they are one",
            stacklevel=5,
        )


def _is_misspelt(words: Sequence[str], others: Sequence[str]) -> bool:
    """Whether names are equal but for one letter of a long word: one more, another, or two exchanged.

    Not the first letters, by which ``typical`` and ``atypical`` differ, ``micro-`` and ``macro-``.
    """
    pairs = [(a, b) for a, b in zip(words, others, strict=False) if a != b]
    if len(words) != len(others) or len(pairs) != 1:
        return False
    one, other = sorted(pairs[0], key=len)
    if len(other) < _LONG or not (one + other).isalpha():
        return False
    letters = enumerate(zip(one, other, strict=False))
    start = next((i for i, (a, b) in letters if a != b), len(one))
    a, b = one[start:], other[start:]
    if len(a) < len(b):
        return start > 0 and a == b[1:]
    swapped = b[1::-1] + b[2:]
    return start >= _PREFIX and (a[1:] == b[1:] or a == swapped)


def _first(copies: Sequence[Sequence[tuple[str, str, int]]]) -> str:
    """The names of the first few, each by its split where its name does not say it."""
    shown = [" = ".join(_place(*found) for found in one[:_SHOWN]) for one in copies[:_SHOWN]]
    return "; ".join(shown) + ("; ..." if len(copies) > _SHOWN else "")


def _place(split: str, name: str, _: int) -> str:
    return name if name.startswith(f"{split}/") else f"{name} in {split}"
