"""Understanding tasks out of paired slices, by (seed, index): arXiv 2605.08724, and its controls.

| task | images | what is asked |
|---|---|---|
| ``selection`` (CTS) | a slice, and four of a volume in the target modality | which is the same slice |
| ``identification`` (MI) | four panels | the modality of each |
| ``instruction`` (TIA) | one slice in two modalities | which of four descriptions leads there |

| arm | what it changes |
|---|---|
| ``aligned`` | nothing |
| ``questions`` (N1) | asks of one of the same images alone, see ``questions`` |
| ``permuted`` (N2) | the first image is of another subject and another place, in the same modality |
| ``easy`` (N3) | wrong candidates are of other subjects and other places |
| ``no_...`` | leaves a task out; the others take its share in proportion |
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from msflow_jax.data.split import Split
from msflow_jax.storage.text import listed
from msflow_jax.synergy import drawing, phrases
from msflow_jax.synergy.instances import ARMS as ARMS
from msflow_jax.synergy.instances import (
    IDENTIFICATION,
    INSTRUCTION,
    LETTERS,
    NO_ROUTE,
    SELECTION,
    SHARES,
    TASKS,
    Instance,
    Route,
)
from msflow_jax.synergy.instances import SLOTS as SLOTS
from msflow_jax.synergy.pool import CANDIDATES, Pool
from msflow_jax.synergy.questions import UNSEEN, facts_of, may_be_none
from msflow_jax.synergy.task_split import TaskSplit as TaskSplit
from msflow_jax.synergy.wording import Wording

_TASK, _IMAGES, _WORDS, _CONTROL = range(4)  # streams of chance of one instance


@dataclass(frozen=True)
class Tasks:
    """Makes instances; each is a pure function of (seed, index).

    The arms ``aligned``, ``questions``, ``permuted`` and ``easy`` have the same tasks at the same
    indices, on the same images but for those that an arm exchanges.

    Attributes:
        split: slices of registered volumes, with the facts ``volume`` and ``slice``.
        names: modalities, each an array of the split.
        words: what each is called in texts.
        arm: one of ``ARMS``.
        seed: not negative.
        withhold: routes (source, target) that no instance shows or names.
        reach: fewest and most slices, of those in the split, from the target to a wrong candidate; the
            paper does not say how many.
        held_out: whether phrasings are those that are kept from training.
        pool: where the slices lie.
        pairs: examples of each route that there is.
        wording: how instances are put into words; a description names any route that is not withheld.

    Raises:
        ValueError: an unknown arm or modality, fewer than two, one without words or two of the same,
            no route that an example shows, too few routes to describe, volumes of fewer than four
            slices, one subject where an arm needs others, a reach that does not rise from 1; and as
            ``Pool.of``.
    """

    split: Split
    names: tuple[str, ...]
    words: Mapping[str, str]
    arm: str = "aligned"
    seed: int = 0
    withhold: tuple[tuple[str, str], ...] = ()
    reach: tuple[int, int] = (1, 3)
    held_out: bool = False
    pool: Pool = field(init=False, repr=False, compare=False)
    pairs: Mapping[Route, np.ndarray] = field(init=False, repr=False, compare=False)
    wording: Wording = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_settings(self)
        pool = Pool.of(self.split, self.names)
        withheld = {(self.names.index(a), self.names.index(b)) for a, b in self.withhold}
        routes = itertools.permutations(range(len(self.names)), 2)
        described = tuple(route for route in routes if route not in withheld)
        words = tuple(self.words[name] for name in self.names)
        pairs = {r: rows for r, rows in pool.pairs(self.names).items() if r in described}
        object.__setattr__(self, "pool", pool)
        object.__setattr__(self, "pairs", pairs)
        object.__setattr__(self, "wording", Wording(words, described, self.held_out))
        _check_data(self)

    @property
    def shares(self) -> np.ndarray:
        """Share of each of ``TASKS``, summing to one."""
        found = np.array([s * (self.arm != f"no_{t}") for s, t in zip(SHARES, TASKS, strict=True)])
        return found / found.sum()

    def instance(self, index: int) -> Instance:
        """The instance of this number, from 0.

        Raises:
            ValueError: other subjects that the arm needs are too few.
        """
        task, rng = self._task(index), self._chance(index, _IMAGES)
        if task == SELECTION:
            shown = drawing.selection(self.pool, self.names, self.pairs, self.reach, rng)
        elif task == IDENTIFICATION:
            shown = drawing.identification(self.pool, self.names, rng)
        else:
            shown = drawing.instruction(self.pairs, rng)
        rng = self._chance(index, _CONTROL)
        shown = drawing.exchanged(shown, self.arm, self.pool, self.names, rng)
        rng = self._chance(index, _WORDS)
        if self.arm == "questions":
            return self.wording.asked_alone(shown, self.split, self.pool, self.names, rng)
        return self.wording.asked(shown, rng)

    def route(self, instance: Instance) -> Route:
        """Source and target that an instance is about; ``NO_ROUTE`` where it is about none."""
        if self.arm == "questions" or instance.task == IDENTIFICATION:
            return NO_ROUTE
        source, target, *_ = instance.modality
        return source, target

    def facts(self, instance: Instance) -> np.ndarray:
        """The right option of each kind of question on one image, ``[5, 4]``; -1 where it is unknown."""
        found = np.full((SLOTS, len(phrases.OPTIONS)), -1)
        for slot, (row, modality) in enumerate(zip(instance.rows, instance.modality, strict=True)):
            if self.arm == "questions" and row >= 0:
                known = facts_of(self.split, self.pool, self.names[modality], row)
                for number, kind in enumerate(phrases.OPTIONS):
                    # As rarely as it is asked, lest "no lesion" be right too often.
                    if (
                        (right := known.get(kind, -1))
                        or not may_be_none(kind)
                        or row % round(1 / UNSEEN) == 0
                    ):
                        found[slot, number] = right
        return found

    def reply(self, instance: Instance) -> str:
        """What is to be said: a letter, or the names of four panels as a line of JSON."""
        if self.arm == "questions" or instance.task != IDENTIFICATION:
            return LETTERS[instance.answer]
        return phrases.names_line([self.words[self.names[k]] for k in instance.modality[1:]])

    def _task(self, index: int) -> int:
        return int(self._chance(index, _TASK).choice(len(TASKS), p=self.shares))

    def _chance(self, index: int, stream: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, index, stream))


def texts(tasks: Tasks) -> tuple[str, ...]:
    """All that instances of any arm can say, see ``phrases.texts``: for ``Tokeniser.fit``."""
    return phrases.texts({name: tasks.words[name] for name in tasks.names})


def _check_settings(tasks: Tasks) -> None:
    names, (low, high) = tasks.names, tasks.reach
    if tasks.arm not in ARMS:
        raise ValueError(f"unknown arm {tasks.arm!r}: choose one of {listed(ARMS)}")
    if tasks.seed < 0:
        raise ValueError(f"seed {tasks.seed} is negative: choose one from 0 on")
    if not 1 <= low <= high:
        raise ValueError(
            f"reach {low} to {high} of wrong candidates: two numbers of slices are needed, the first at "
            "least 1, the second not below it"
        )
    if len(set(names)) < max(len(names), 2):
        raise ValueError(
            f"modalities {listed(names) or 'none'}: tasks are made of pairs, so name two or more, once"
        )
    if missing := [name for name in names if not tasks.words.get(name, "").strip()]:
        raise ValueError(f"the modality {missing[0]!r} has no word: say what texts call it")
    words = [tasks.words[name] for name in names]
    if twice := [word for word in words if words.count(word) > 1]:
        raise ValueError(f"two modalities are called {twice[0]!r}: give each a word of its own")
    for route in tasks.withhold:
        if unknown := [name for name in route if name not in names]:
            raise ValueError(
                f"the withheld route {'-'.join(route)} has the unknown modality {unknown[0]!r}: choose "
                f"of {listed(names)}"
            )


def _check_data(tasks: Tasks) -> None:
    names, pool = tasks.names, tasks.pool
    if not tasks.pairs:
        raise ValueError(
            f"no example shows two of {listed(names)} whose route is not withheld: give paired data, or "
            "withhold less"
        )
    described = tasks.wording.described
    if tasks.shares[INSTRUCTION] and len(described) < CANDIDATES:
        raise ValueError(
            f"{len(described)} routes can be described, and an instruction needs {CANDIDATES}: give "
            "more modalities, withhold less, or choose the arm no_instruction"
        )
    if tasks.shares[SELECTION]:
        pool.check_volumes([names[k] for k in sorted({target for _, target in tasks.pairs})])
    if tasks.arm in ("permuted", "easy"):
        for name in (names[k] for k in sorted({k for route in tasks.pairs for k in route})):
            if len(set(pool.subject[pool.shown[name]])) < 2:
                raise ValueError(
                    f"the arm {tasks.arm} exchanges slices between subjects, and one alone has {name}: "
                    "give more subjects"
                )
