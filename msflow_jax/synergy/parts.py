"""What SynerMedGen needs beside its parameters: the tokeniser of questions and instructions."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data import Info, Split, Splits
from msflow_jax.paired.tokens import Tokeniser
from msflow_jax.synergy.answering import arrays_of, replies
from msflow_jax.synergy.jsonl import Line, read
from msflow_jax.synergy.phrases import instructions, texts, word
from msflow_jax.synergy.scoring import score
from msflow_jax.synergy.settings import all_routes
from msflow_jax.synergy.task_split import TaskSplit
from msflow_jax.synergy.tasks import Tasks
from msflow_jax.training.stage import Params

FILE = "tokeniser.json"


@dataclass(frozen=True)
class Questions:
    """Questions of a file.

    Attributes:
        lines: as they lie there.
        arrays: as a model's ``answer`` takes them.
    """

    lines: Sequence[Line]
    arrays: Mapping[str, np.ndarray]

    def replies(
        self, logits: Mapping[str, np.ndarray], words: Sequence[str], form: str = "direct"
    ) -> tuple[list[str], np.ndarray]:
        """What is said to each, and how sure that is, see :func:`answering.replies`."""
        return replies(self.arrays, logits, words, form)

    def score(self, said: Sequence[str]) -> dict[str, Any]:
        """How much of it is right, see :func:`scoring.score`."""
        return score(self.lines, said)


@dataclass(frozen=True)
class SynergyParts:
    """What a run keeps; nothing of it is trained.

    Attributes:
        tokeniser: of questions and instructions.
    """

    tokeniser: Tokeniser
    params: Mapping[str, Params] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Writes the tokeniser into a workdir."""
        self.tokeniser.save(folder / FILE)

    def ask(self, config: ConfigDict, split: Split, count: int, **changes: Any) -> TaskSplit:
        """Questions on a split.

        Args:
            config: the whole configuration.
            split: examples.
            count: questions.
            **changes: of :class:`Tasks`, as ``held_out=True`` for phrasings that training never saw.
        """
        return TaskSplit(make_tasks(config, split, **changes), count, self.tokeniser)

    def instruct(self, text: str, source: str, target: str) -> tuple[int, ...]:
        """An instruction as token numbers.

        Raises:
            ValueError: it does not name both ends of the route.
        """
        for name in (source, target):
            if not re.search(rf"(?<!\w){re.escape(word(name))}(?!\w)", text, re.IGNORECASE):
                raise ValueError(
                    f"the instruction {text!r} does not name {word(name)!r}: from {word(source)} to "
                    f"{word(target)} say for one {instructions(word(source), word(target))[0]!r}"
                )
        (row,) = self.tokeniser.encode([text], "the instruction")
        return tuple(map(int, row[row > 0]))

    def read(self, path: Path, images: Callable[[Sequence[Path]], np.ndarray]) -> "Questions":
        """The questions of a JSONL file.

        Args:
            path: the file.
            images: reads image files as the model takes them, uint8 ``[N, *shape]``.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a line is not of the format, or asks for nothing that is known.
        """
        lines = read(path)
        return Questions(lines, arrays_of(lines, images, self.tokeniser.encode))


def make_tasks(config: ConfigDict, split: Split, **changes: Any) -> Tasks:
    """The builder of a configuration's questions on a split."""
    model = config.model
    names = tuple(model.modalities)
    arm = "aligned" if model.tasks.arm == "random" else model.tasks.arm
    routes = set(all_routes(model))
    withheld = tuple((a, b) for a in names for b in names if a != b and (a, b) not in routes)
    given = dict(
        split=split, names=names, words={name: word(name) for name in names}, arm=arm,
        seed=config.train.seed, withhold=withheld, reach=tuple(model.tasks.reach),
    )  # fmt: skip
    return Tasks(**{**given, **changes})


def prepare(config: ConfigDict, splits: Splits) -> SynergyParts:
    """The parts of a fresh run: a tokeniser of all that can be said, in every arm alike."""
    words = {name: word(name) for name in config.model.modalities}
    return SynergyParts(Tokeniser.fit(texts(words), margin=1.0))


def load(config: ConfigDict, info: Info, folder: Path) -> SynergyParts:
    """The parts of a workdir."""
    return SynergyParts(Tokeniser.load(folder / FILE))
