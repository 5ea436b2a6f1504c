"""The verbs of a model as a service: files and parameters in, what JSON can carry out."""

import contextlib
import os
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from msflow_jax.families import verbs_of
from msflow_jax.inference.flow import Flow
from msflow_jax.inference.predicted import tabulate
from msflow_jax.inference.sets import check_sets
from msflow_jax.inference.tables import parted, series_rows
from msflow_jax.serving.answers import (
    Answer,
    Asked,
    explain,
    generate,
    padded,
    read,
    refuse_long,
    report,
    translate,
    up,
)
from msflow_jax.serving.asking import answer
from msflow_jax.serving.masks import segment
from msflow_jax.serving.near import Nearest
from msflow_jax.serving.parameters import ENDPOINTS, as_parameters
from msflow_jax.serving.pictures import addresses
from msflow_jax.serving.uploads import lines_of

_OF_SETS = ("score", "by_class")  # what says nothing without coverage
_NUMBERS = (  # or None where they are not known
    "log_likelihood", "bits_per_dimension", "outside", "spread", "agree", "abstained",
)  # fmt: skip
ANSWERS: Mapping[str, Callable[[Flow, Asked], Answer]] = MappingProxyType(
    {
        "segment": segment, "explain": explain, "generate": generate, "translate": translate,
        "report": report, "answer": answer,
    }
)  # fmt: skip


@dataclass(frozen=True)
class Service:
    """The verbs of an opened workdir that have an endpoint.

    Attributes:
        flow: opened workdir.
        near: its training images, to show the nearest ones; None: none are shown.
    """

    flow: Flow
    near: Nearest | None = None

    @property
    def name(self) -> str:
        """The name of the model's folder, which a path such as ``.`` has too."""
        return Path(os.path.abspath(self.flow.path)).name

    @property
    def evaluation(self) -> str:
        """Which evaluation is applied, or why none is."""
        return str(self.flow.calibration) or self._words(self.flow.calibration.reason, "classify")

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Names of the endpoints that the model has."""
        return tuple(verb for verb in ENDPOINTS if verb in verbs_of(self.flow.model))

    def warm(self, most: int) -> list[Callable[[], Any]]:
        """What compiles the programs of classification, so that no user waits for it: sizes up to some.

        One that fails will fail again, and be told, when it is asked for.
        """
        if "classify" not in self.endpoints:
            return []
        several = list(getattr(self.flow.model, "modalities", {}))
        shape = self.flow.info_of(several[0] if several else "").shape
        largest = min(most, self.flow.config.sample.batch)
        sizes = sorted({up(size) for size in range(1, largest + 1)})
        return [
            partial(attempted, self.flow.classify, np.zeros((size, *shape), np.uint8))
            for size in sizes
        ]

    def kind(self, endpoint: str, given: Mapping[str, Any]) -> Hashable:
        """What requests must have in common to be answered together; one that stands alone its own."""
        if endpoint != "classify":
            return endpoint, object()
        return endpoint, given["draws"], given["steps"], given["modality"]

    def do(self, kind: Any, asked: Sequence[Asked]) -> list[Answer | Exception]:
        """Answers requests of one kind; an error stands in the place of its answer.

        None says more of the model's folder than its name; flags are called as requests call them.
        """
        return [self._reworded(one, kind[0]) for one in self._done(kind, asked)]

    def _done(self, kind: Any, asked: Sequence[Asked]) -> list[Answer | Exception]:
        if kind[0] == "classify":
            found = attempted(self._classify, asked)
            if not isinstance(found, Exception):
                return found
            if len(asked) == 1:
                return [found]
            # An image that the network fails at fails for who sent it alone.
            return [one for each in asked for one in self._done(kind, [each])]
        return [attempted(ANSWERS[kind[0]], self.flow, one) for one in asked]

    def _reworded(self, found: Answer | Exception, endpoint: str) -> Answer | Exception:
        """An answer, or an error, in the words of who asks."""
        if isinstance(found, ValueError | ImportError):
            return ValueError(self._words(str(found), endpoint))
        if isinstance(found, dict) and found.get("warnings"):
            lines = [self._words(line, endpoint) for line in found["warnings"]]
            return {**found, "warnings": lines}
        return found

    def _words(self, line: str, endpoint: str) -> str:
        """A line in the words of who asks, without the place of the model's folder."""
        placed = len(self.flow.path.parts) > 1
        line = line.replace(str(self.flow.path), self.name) if placed else line
        return as_parameters(line, endpoint)

    def _classify(self, asked: Sequence[Asked]) -> list[Answer | Exception]:
        """Images of all requests go through the network at once."""
        given = [attempted(self._readable, one) for one in asked]
        sound = [one for one in given if not isinstance(one, Exception)]
        if not sound:
            return given
        images = np.concatenate([found.images for found, _ in sound])
        requested = {name: asked[0].given[name] for name in ("draws", "steps")}
        out = self.flow.classify(padded(images), **requested)
        answers: list[Answer | Exception] = []
        start = 0
        for one, found in zip(asked, given, strict=True):
            if isinstance(found, Exception):
                answers.append(found)
                continue
            rows = slice(start, start := start + len(found[0].images))
            answers.append(attempted(self._predicted, one, *found, out.rows(rows)))
        return answers

    def _readable(self, asked: Asked) -> tuple[Any, list[str]]:
        """The images of a request, whose parameters are looked at before the network runs."""
        given, known = asked.given, self.flow.calibration
        known.threshold(given["measure"], given["keep"])
        if given["coverage"]:
            check_sets(known.conformal, given["coverage"], self.flow.path)
        seen, lines = read(asked, self.flow.info_of(given["modality"]))
        usual = ENDPOINTS["classify"]
        idle = [name for name in _OF_SETS if given[name] != usual[name].default]
        if idle and not given["coverage"]:
            lines = [
                *lines,
                f"warning: {' and '.join(idle)}: of sets, for which no coverage was given",
            ]
        refuse_long(len(seen.images), given["draws"], given["steps"])
        return seen, lines

    def _predicted(self, asked: Asked, read: Any, lines: list[str], out: Any) -> Answer:
        given, known = asked.given, self.flow.calibration
        of_sets = {name: given[name] for name in ("coverage", *_OF_SETS)}
        settings = {name: given[name] for name in ("keep", "measure", "outside")}
        requested = {name: given[name] for name in ("draws", "steps")}
        rows, rejections, said = tabulate(
            self.flow, out, read, requested=requested, sets=of_sets if given["coverage"] else None,
            **settings,
        )  # fmt: skip
        spacing = self.flow.info_of(given["modality"]).spacing
        near = self.near.find(out, given["near"]) if self.near and given["near"] else ()
        images = [
            {**as_json(row, self.flow.classes), "picture": picture}
            for row, picture in zip(rows, addresses(read.images, spacing), strict=True)
        ]
        for image, found in zip(images, near, strict=False):
            image["nearest"] = found
        compared = self.near.counts if self.near and near else {}
        series = series_rows(out, read.series, read.subjects, str(known), rejections)
        return {
            "images": images, "warnings": [*lines, *said],
            "series": [as_json(row, self.flow.classes) for row in series],
            "evaluation": self.evaluation, **compared,
        }  # fmt: skip


def attempted(do: Callable[..., Any], *given: Any) -> Any:
    """What a function returns, or the error that it raises."""
    try:
        with told() as lines:
            found = do(*given)
    except Exception as error:
        return error
    if lines and isinstance(found, dict):
        found["warnings"] = [*found.get("warnings", ()), *lines]
    return found


@contextlib.contextmanager
def told() -> Iterator[list[str]]:
    """Warnings to users that come within it, as lines."""
    lines: list[str] = []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        yield lines
    lines += lines_of(said)


def as_json(row: Mapping[str, Any], classes: Sequence[str]) -> Answer:
    """A row of a table of predictions: numbers as numbers, probabilities and uncertainties by name."""
    found: Answer = {"probability": {}, "uncertainty": {}}
    columns = {f"p_{name}": name for name in classes}
    for column, value in row.items():
        if column in columns:
            found["probability"][columns[column]] = float(value)
        elif column.startswith("uncertainty_"):
            found["uncertainty"][column.removeprefix("uncertainty_")] = float(value)
        elif column in _NUMBERS:
            found[column] = float(value) if value != "" else None
        elif column == "abstain":
            found[column] = None if value == "" else bool(value)
        elif column == "set":
            found[column] = parted(value, classes)
        elif column not in ("evaluation", "subject", "set_size"):
            found[column] = value
    return found
