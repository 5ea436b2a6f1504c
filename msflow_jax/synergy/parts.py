"""What SynerMedGen needs beside its parameters: a tokeniser of questions, an autoencoder of images."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data import Info, Split, Splits, in_memory, some_rows
from msflow_jax.data.order import cropped
from msflow_jax.inference.answered import temperatures
from msflow_jax.latent.codec import KEY
from msflow_jax.latent.kept import FITTED
from msflow_jax.paired import latents
from msflow_jax.paired.latents import Latents, placed
from msflow_jax.paired.pairs import has
from msflow_jax.paired.settings import parse_route
from msflow_jax.paired.tokens import Tokeniser
from msflow_jax.storage.jsons import read_object, write_json
from msflow_jax.storage.text import listed
from msflow_jax.synergy import answering
from msflow_jax.synergy.answering import SHOWN, arrays_of, options_in, question_on, replies
from msflow_jax.synergy.instances import TASKS
from msflow_jax.synergy.jsonl import Line, read
from msflow_jax.synergy.phrases import DESCRIPTIONS, texts, word
from msflow_jax.synergy.scoring import score
from msflow_jax.synergy.settings import RANDOM
from msflow_jax.synergy.task_split import TaskSplit
from msflow_jax.synergy.tasks import Tasks
from msflow_jax.training.fitted import Fitted
from msflow_jax.training.stage import Params

FILE, ROUTES = "tokeniser.json", "routes.json"
_IMAGES = "images"  # name of the one autoencoder
Reader = Callable[[Sequence[Path]], np.ndarray]  # of image files, as a model takes them


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
        self, logits: Mapping[str, np.ndarray], model: Any, form: str, evaluation: Mapping[str, Any],
    ) -> list[dict[str, Any]]:  # fmt: skip
        """As :func:`answering.replies`, at an evaluation's temperatures; warns of tasks never taught."""
        fitted = temperatures(evaluation)
        said = replies(self.lines, self.arrays, logits, model, form, fitted)
        asked = {(*TASKS, "question")[task] for task in self.arrays["task"].tolist()}
        if foreign := sorted(asked - set(model.taught)):
            warnings.warn(
                f"this model was never taught {listed(foreign)}: what it says there means nothing",
                stacklevel=2,
            )
        return said

    @property
    def options(self) -> list[tuple[str, ...]]:
        """What the four letters of each mean."""
        return [options_in(line) for line in self.lines]

    def score(self, said: Sequence[str]) -> dict[str, Any]:
        """How much of it is right, see :func:`scoring.score`."""
        return score(self.lines, said)


@dataclass(frozen=True)
class SynergyParts:
    """What a run keeps; nothing of it is trained.

    Attributes:
        tokeniser: of questions and instructions.
        routes: those that a training example shows, (source, target) each.
        latents: what images of all modalities are drawn in; None: pixels.
    """

    tokeniser: Tokeniser
    routes: tuple[tuple[str, str], ...] = ()
    latents: Latents | None = None

    @cached_property
    def params(self) -> dict[str, Params]:
        """The autoencoder's parameters, under the name of the codec; {} in pixels."""
        return {KEY: placed(self._named)[_IMAGES]} if self.latents else {}

    @property
    def _named(self) -> dict[str, Latents]:
        return {_IMAGES: self.latents} if self.latents else {}

    def fitted(self, folder: Path) -> Fitted:
        """See :class:`msflow_jax.families.Parts`; the words of questions are the same for all data."""
        return latents.fitted(self._named, folder, named=False)

    def save(self, folder: Path) -> None:
        """Writes tokeniser, routes and autoencoder into a workdir."""
        self.tokeniser.save(folder / FILE)
        latents.save(self._named, folder)
        write_json(folder / ROUTES, {"routes": [list(route) for route in self.routes]})

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
            ValueError: it is none of the known phrasings of this route.
        """
        known = [one.format(source=word(source), target=word(target)) for one in DESCRIPTIONS]
        said = text.strip().rstrip(".")
        found = next((one for one in known if one.casefold() == said.casefold()), None)
        if found is None:
            raise ValueError(
                f"the instruction {text!r} names no way from {word(source)} to {word(target)} that was "
                f"taught: say {known[0]!r}, or another of {len(known)} phrasings (synergy/phrases.py)"
            )
        (row,) = self.tokeniser.encode([found], "the instruction")
        return tuple(map(int, row[row > 0]))

    def read(self, path: Path, images: Reader, model: Any) -> "Questions":
        """The questions of a JSONL file.

        Args:
            path: the file.
            images: reads image files as the model takes them, uint8 ``[N, *shape]``.
            model: that is asked.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a line is not of the format, or asks for nothing that is known.
        """
        return self._asked(read(path), images, model)

    @property
    def asks(self) -> Mapping[str, Sequence[str]]:
        """What can be asked of images without a file of questions, and what each of them is."""
        return SHOWN

    def ask_of(
        self, task: str, files: Sequence[Path], images: Reader, model: Any, target: str = "",
        routes: str = "",
    ) -> "Questions":  # fmt: skip
        """One question on images, see :func:`answering.question_on`; ``images`` as of :meth:`read`."""
        words = {name: one.word for name, one in model.modalities.items()}
        return self._asked([question_on(task, files, words, target, routes)], images, model)

    def _asked(self, lines: Sequence[Line], images: Reader, model: Any) -> "Questions":
        answering.warn_of_pairs(lines, model.modalities)
        return Questions(lines, arrays_of(lines, images, self.tokeniser.encode, model.words))


def make_tasks(config: ConfigDict, split: Split, **changes: Any) -> Tasks:
    """The builder of a configuration's questions on a split."""
    model = config.model
    arm = "aligned" if model.tasks.arm == RANDOM else model.tasks.arm
    withheld = tuple(parse_route(text, model) for text in model.tasks.withhold)
    given = dict(
        split=split, names=tuple(model.modalities), words={n: word(n) for n in model.modalities},
        arm=arm, seed=config.train.seed, withhold=withheld, reach=tuple(model.tasks.reach),
    )  # fmt: skip
    return Tasks(**{**given, **changes})


def prepare(config: ConfigDict, splits: Splits) -> SynergyParts:
    """The parts of a fresh run: a tokeniser of all that can be said, in every arm alike.

    Raises:
        ValueError: a modality that no training example has.
    """
    names = tuple(config.model.modalities)
    train = in_memory(splits.train)
    there = {name: has(train, name) for name in names}
    if missing := [name for name, rows in there.items() if not rows.any()]:
        raise ValueError(
            f"no training example has the modality {missing[0]!r}: take it out of model.modalities"
        )
    every = [(a, b) for a in names for b in names if a != b]
    routes = tuple((a, b) for a, b in every if (there[a] & there[b]).any())
    if apart := sorted({"-".join(sorted(route)) for route in every if route not in routes}):
        warnings.warn(
            f"no training example shows both of {listed(apart)}: these are drawn zero-shot",
            stacklevel=2,
        )
    tokeniser = Tokeniser.fit(texts({name: word(name) for name in names}), margin=1.0)
    encoded = _latents(config, splits) if config.model.latent.autoencoder else None
    return SynergyParts(tokeniser, routes, encoded)


def _latents(config: ConfigDict, splits: Splits) -> Latents:
    """The autoencoder of all modalities: one spread for all, since one network draws them."""
    model = config.model
    shared_shape(config, splits.info)
    train, val = (
        # As many of each as are ever fitted to or measured.
        np.concatenate([
            images[some_rows(len(images), FITTED)]
            for images in (split.arrays[n][has(split, n)] for n in model.modalities)
        ])
        for split in (in_memory(splits.train), splits.val)
    )  # fmt: skip
    return latents.measure(_IMAGES, model.latent.autoencoder, (train, val), model)


def shared_shape(config: ConfigDict, info: Info) -> tuple[int, ...]:
    """The shape that all modalities have.

    Raises:
        ValueError: a modality that the data have not, other shapes, or sides that differ.
    """
    known = {key: one for key, one in info.modalities.items() if one.kind == "image"}
    shapes = {}
    for name in config.model.modalities:
        if name not in known:
            raise ValueError(f"the data have no modality {name!r}: there are {', '.join(known)}")
        *space, channels = known[name].shape
        shapes[name] = (*cropped(space, config.train.crop), channels)
    if len(set(shapes.values())) > 1:
        raise ValueError(f"model.modalities must be on one grid; they are {shapes}")
    found = next(iter(shapes.values()))
    if len(set(found[:-1])) > 1:
        raise ValueError(f"images of {found[:-1]}: all sides must be equal")
    return found


def load(config: ConfigDict, info: Info, folder: Path) -> SynergyParts:
    """The parts of a workdir."""
    found = read_object(folder / ROUTES, "restore it from a copy")
    routes = tuple((str(a), str(b)) for a, b in found["routes"])
    place, dtype = config.model.latent.autoencoder, config.model.latent.dtype
    kept = latents.load({_IMAGES: place} if place else {}, dtype, folder)
    return SynergyParts(Tokeniser.load(folder / FILE), routes, kept.get(_IMAGES))
