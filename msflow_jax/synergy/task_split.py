"""Understanding instances as arrays of a batch: made when they are read, one row at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from msflow_jax.data.modality import Modality
from msflow_jax.progress import track
from msflow_jax.synergy import phrases
from msflow_jax.synergy.instances import LETTERS, SLOTS, TASKS, Instance

if TYPE_CHECKING:
    from msflow_jax.synergy.tasks import Tasks

IMAGES = tuple(f"image_{slot}" for slot in range(SLOTS))
_KEPT = 4096  # instances that are not made again for the next array of the same batch
_AT_ONCE = 256  # rows that are made between two steps of a bar


@dataclass(frozen=True)
class TaskSplit:
    """So many instances, read as a split is: by a ``Stream``, or at once by :meth:`arrays`.

    | array | kind | of each instance |
    |---|---|---|
    | ``image_0`` to ``image_4`` | image | uint8 ``[*space, C]`` in each slot, 0 where it is empty |
    | ``modality`` | tokens | ``[5]``: 1 + number of the name in each slot, 0 where it is empty |
    | ``prompt`` | tokens | ``[T]``: the question, with its options where these are words |
    | ``options`` | tokens | ``[4 * T2]``: the four options, each padded to the longest that there is |
    | ``task`` | label | which of ``TASKS`` |
    | ``answer`` | label | which of ``LETTERS`` |
    | ``asked`` | label | the slot that a question on one image is about |
    | ``facts`` | tokens | ``[5 * 4]``: of single images, see below |
    | ``route`` | tokens | ``[2]``: 1 + number of source and target, 0 where it is about none |

    ``facts`` are 1 + the right option of each kind of question on one image, for each slot; 0 where it
    is not known, and in all arms but ``questions``.

    Shapes depend on the words and the tokeniser alone: they are equal in every arm.

    Attributes:
        tasks: makes the instances.
        count: how many, at least 1: those from 0 on.
        tokeniser: ``encode(texts, what) -> int32 [N, T]``, 0 for padding. One that is fitted to
            ``tasks.texts`` with ``margin=1.0`` has the shortest rows.

    Raises:
        ValueError: no instance.
    """

    tasks: Tasks
    count: int
    tokeniser: Any
    _widths: tuple[int, int] = field(init=False, repr=False, compare=False)
    _made: dict[int, Instance] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"{self.count} instances: ask for at least one")
        words = [self.tasks.words[name] for name in self.tasks.names]
        used = phrases.option_length(self.tokeniser.encode, words)
        object.__setattr__(self, "_widths", (self.tokeniser.length, used))
        object.__setattr__(self, "_made", {})

    def __getstate__(self) -> dict[str, Any]:
        """What a worker process gets: no instances that were made here."""
        return {**self.__dict__, "_made": {}}

    def __len__(self) -> int:
        return self.count

    @property
    def names(self) -> tuple[str, ...]:
        """Numbers of the instances: nothing of a subject."""
        return tuple(map(str, range(self.count)))

    @property
    def present(self) -> Mapping[str, np.ndarray]:
        """Empty: an empty slot is black, and ``modality`` says so."""
        return {}

    @property
    def modalities(self) -> dict[str, Modality]:
        """What each array of a batch is."""
        split, (long, short) = self.tasks.split, self._widths
        shape = split.arrays[self.tasks.names[0]].shape[1:]
        found = {name: Modality("image", shape) for name in IMAGES}
        lengths = {"modality": SLOTS, "prompt": long, "options": len(LETTERS) * short, "route": 2}
        lengths["facts"] = SLOTS * len(phrases.OPTIONS)
        found |= {name: Modality("tokens", (length,)) for name, length in lengths.items()}
        labels = {"task": TASKS, "answer": tuple(LETTERS), "asked": phrases.PLACES}
        return found | {name: Modality("label", (), names=of) for name, of in labels.items()}

    def rows(self, name: str, index: np.ndarray) -> np.ndarray:
        """The array of this name of the instances ``index`` ``[M]``, ``[M, ...]``.

        Raises:
            ValueError: there is no such array, or no such instance.
        """
        if name not in self.modalities:
            raise ValueError(f"instances have no {name!r}; they have {', '.join(self.modalities)}")
        wanted = np.asarray(index, int)
        if len(wanted) and not 0 <= wanted.min() <= wanted.max() < self.count:
            raise ValueError(f"instances {wanted.min()} to {wanted.max()} of {self.count}")
        some = [self._instance(int(i)) for i in wanted]
        if name in IMAGES:
            return self._images(some, IMAGES.index(name))
        if name == "prompt":
            return self._encoded([one.prompt for one in some])
        if name == "options":
            rows = self._encoded([option for one in some for option in one.options])
            return rows[:, : self._widths[1]].reshape(len(some), len(LETTERS) * self._widths[1])
        if name == "modality":
            return np.array([one.modality for one in some], np.int32).reshape(-1, SLOTS) + 1
        if name == "facts":
            facts = [self.tasks.facts(one) for one in some]
            return np.array(facts, np.int32).reshape(len(some), self.modalities[name].shape[0]) + 1
        if name == "route":
            routes = [self.tasks.route(one) for one in some]
            return np.array(routes, np.int32).reshape(-1, 2) + 1
        return np.array([getattr(one, name) for one in some], np.int32)

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays of all instances, ``[N, ...]`` each, in memory."""
        starts = range(0, self.count, _AT_ONCE)
        parts = [
            {name: self.rows(name, index) for name in self.modalities}
            for start in track(starts, "Making instances", _AT_ONCE)
            for index in [np.arange(start, min(start + _AT_ONCE, self.count))]
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in self.modalities}

    def _instance(self, index: int) -> Instance:
        found = self._made.get(index)
        if found is None:
            if len(self._made) >= _KEPT:
                self._made.clear()
            found = self._made[index] = self.tasks.instance(index)
        return found

    def _images(self, some: list[Instance], slot: int) -> np.ndarray:
        split, names = self.tasks.split, self.tasks.names
        out = np.zeros((len(some), *split.arrays[names[0]].shape[1:]), np.uint8)
        shown = np.array([one.modality[slot] for one in some], int)
        rows = np.array([one.rows[slot] for one in some], int)
        for number in sorted(set(shown[shown >= 0].tolist())):
            mine = shown == number
            out[mine] = split.rows(names[number], rows[mine])
        return out

    def _encoded(self, texts: list[str]) -> np.ndarray:
        if not texts:
            return np.zeros((0, self._widths[0]), np.int32)
        return np.asarray(self.tokeniser.encode(texts, "the instances"), np.int32)
