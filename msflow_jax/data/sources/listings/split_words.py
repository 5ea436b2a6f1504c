"""Words by which tables and folders name splits, also those that are not taken for one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msflow_jax.data.sources.listings.entries import ALIASES

# Words for splits and for nothing else, and such that are of a split beside one of these.
_PLAIN = {*ALIASES, "trn", "tst", "trainset", "trainingset", "valset", "testset", "trainval"}
_FURTHER = {
    "dev", "devel", "development", "tune", "tuning", "holdout", "external", "internal", "eval",
    "evaluation",
}  # fmt: skip
_HELD_OUT = re.compile(r"h[eo]ld[\W_]*out")
_LETTERS = re.compile(r"[^\W\d_]+")
_SET = re.compile(r"([a-z]+)[\W_]*sets?")
_LONGEST = 3  # words of a name; more are a text
_KINDS = 20  # names that a column of splits may have; more are of files or persons


def called_as_splits(names: Iterable[str]) -> list[str]:
    """Those of some names that are called as splits, in their order; none where they may be no splits.

    ``test`` beside ``retest`` is none, and neither is ``external`` beside ``internal``: one more word
    that is of a split must be there, such as ``train`` beside ``dev`` or ``internal test``.

    Args:
        names: cells of a column, or names of folders, in small letters.
    """
    kinds = list(dict.fromkeys(names))
    if len(kinds) > _KINDS:
        return []
    found = {name: words for name in kinds if (words := _words(name))}
    words = set().union(*found.values()) if found else set()
    return list(found) if len(found) > 1 and len(words) > 1 and words & _PLAIN else []


def split_of_set(name: str) -> str:
    """The split that a folder such as ``Training Set`` or ``test_set`` is of; empty of others."""
    found = _SET.fullmatch(name.lower())
    return ALIASES.get(found[1], "") if found else ""


def _words(name: str) -> set[str]:
    """The words of a short name that are of splits."""
    words = _LETTERS.findall(_HELD_OUT.sub("holdout", name))
    return {*words} & (_PLAIN | _FURTHER) if len(words) <= _LONGEST else set()
