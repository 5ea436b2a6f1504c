"""Which images an instance shows, and where: drawn by chance, before there are words."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

import numpy as np

from msflow_jax.synergy.instances import (
    IDENTIFICATION,
    INSTRUCTION,
    SELECTION,
    SLOTS,
    Instance,
    Route,
)
from msflow_jax.synergy.phrases import PANELS
from msflow_jax.synergy.pool import CANDIDATES, Pool

_ALIKE = 3.0  # odds of a panel of the same kind as the first, to one of another
# Kinds of modality whose images are easily taken for each other; all others are MR contrasts.
_KINDS = (re.compile("pet", re.I), re.compile("ct", re.I), re.compile("x-?ray", re.I))


def draw_pair(pairs: Mapping[Route, np.ndarray], rng: np.random.Generator) -> tuple[Route, int]:
    """A route, each alike, and an example that shows both of it."""
    route = list(pairs)[int(rng.integers(len(pairs)))]
    return route, int(rng.choice(pairs[route]))


def selection(
    pool: Pool,
    names: Sequence[str],
    pairs: Mapping[Route, np.ndarray],
    reach: tuple[int, int],
    rng: np.random.Generator,
) -> Instance:
    """A source slice, and the target among three slices near it in the same volume."""
    (source, target), row = draw_pair(pairs, rng)
    panels = rng.permutation(pool.near(row, names[target], reach, rng)).tolist()
    letter = int(rng.integers(CANDIDATES))
    panels.insert(letter, row)
    modality = (source, *[target] * CANDIDATES)
    return Instance(SELECTION, (row, *panels), modality, "", PANELS, letter)


def identification(pool: Pool, names: Sequence[str], rng: np.random.Generator) -> Instance:
    """Four panels, likelier of one kind; of different slices, lest a pair be learned here."""
    usable = np.array([k for k, name in enumerate(names) if pool.shown[name].any()])
    kinds = np.array([kind_of(names[k]) for k in usable])
    first = int(rng.integers(len(usable)))
    odds = np.where(kinds == kinds[first], _ALIKE, 1.0)
    others = rng.choice(len(usable), CANDIDATES - 1, p=odds / odds.sum())
    panels = usable[rng.permutation([first, *others])].tolist()
    rows: list[int] = []
    for k in panels:
        some = np.flatnonzero(pool.shown[names[k]])
        row = int(rng.choice(some))
        while row in rows and len(some) > len(rows):
            row = int(rng.choice(some))
        rows.append(row)
    return Instance(IDENTIFICATION, (-1, *rows), (-1, *panels), "", PANELS, 0)


def instruction(pairs: Mapping[Route, np.ndarray], rng: np.random.Generator) -> Instance:
    """One slice in two modalities, the source first."""
    route, row = draw_pair(pairs, rng)
    empty = [-1] * (SLOTS - 2)
    letter = int(rng.integers(CANDIDATES))
    return Instance(INSTRUCTION, (row, row, *empty), (*route, *empty), "", PANELS, letter)


def exchanged(
    shown: Instance, arm: str, pool: Pool, names: Sequence[str], rng: np.random.Generator
) -> Instance:
    """The images that an arm has in place of the aligned ones.

    Of ``permuted`` the first image lies where no candidate does: at the place of a wrong one it would
    tell that this one is wrong.

    Raises:
        ValueError: other subjects are too few.
    """
    rows = list(shown.rows)
    if arm == "permuted" and shown.task != IDENTIFICATION:
        there = [rows[0], *(row for row in rows[1:] if row >= 0)]
        (rows[0],) = pool.elsewhere(there, names[shown.modality[0]], 1, rng)
    if arm == "easy" and shown.task == SELECTION:
        wrong = [slot for slot in range(1, SLOTS) if slot != 1 + shown.answer]
        others = pool.elsewhere(rows[:1], names[shown.modality[1]], len(wrong), rng)
        for slot, row in zip(wrong, others, strict=True):
            rows[slot] = row
    return dataclasses.replace(shown, rows=tuple(rows))


def kind_of(name: str) -> int:
    """Number of a modality's kind, in which images look alike."""
    return next((i for i, known in enumerate(_KINDS) if known.search(name)), len(_KINDS))
