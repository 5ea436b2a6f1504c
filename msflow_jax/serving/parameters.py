"""What each endpoint may be asked: names, types and ranges, refused by name where they do not fit."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

Value = str | int | float | bool
_TRUE, _FALSE = ("1", "true", "yes"), ("0", "false", "no", "")


@dataclass(frozen=True)
class Parameter:
    """A value that a request may give.

    Attributes:
        default: its value where it is not given; its type is the value's.
        words: what it means.
        low: smallest number.
        high: largest number.
        among: those that may be given: each is another program, whose number has to be bounded.
        tasks: of an endpoint that does several tasks, those that it changes; empty: every one.
    """

    default: Value
    words: str
    low: float = 0
    high: float = float("inf")
    among: tuple[Value, ...] = ()
    tasks: tuple[str, ...] = ()

    def read(self, name: str, text: str) -> Value:
        """The value of a text.

        Raises:
            ValueError: it is none, or lies outside the range.
        """
        kind = type(self.default)
        if kind is str:
            if self.among and text not in self.among:
                raise ValueError(f"unknown {name} {text!r}: choose one of {self.listed}")
            return text
        if kind is bool:
            if text.lower() not in (*_TRUE, *_FALSE):
                raise ValueError(f"{name} must be 1 or 0, got {text!r}")
            return text.lower() in _TRUE
        try:
            value: Any = kind(text)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise ValueError(f"{name} must be {what}, got {text!r}") from None
        if not self.low <= value <= self.high:
            raise ValueError(f"{name} must lie in [{self.low}, {self.high}], got {text}")
        if self.among and value not in self.among:
            raise ValueError(f"{name} must be one of {self.listed}, got {text}")
        return value

    @property
    def listed(self) -> str:
        """The values that may be given; empty where they are not listed."""
        among = (one for one in self.among if one != "")
        return ", ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in among)


_FILE = Parameter("image", "name of the file that is sent, whose ending tells what it is")
_RESIZE = Parameter(True, "bring an image of another size to the model's")
_SEED = Parameter(-1, "seed of the noise; -1: as configured", -1, 2**31 - 1)
_OF_STEPS = (0, 1, 2, 3, 4, 6, 8, 10, 15, 20, 25, 30, 40, 50, 75, 100)
_OF_DRAWS = (0, 1, 2, 4, 8, 16, 32, 64)
_OF_GUIDANCE = tuple(k / 2 for k in range(21))
_OF_SOLVERS = ("", "euler", "heun", "midpoint", "rk4", "tsit5", "dopri5", "jump")
_STEPS = Parameter(0, "solver steps; 0: as configured", among=_OF_STEPS)
_SOURCE = Parameter("", "modality of the image")
_DRAWS = Parameter(0, "noise draws; 0: as configured", among=_OF_DRAWS)
_SOLVER = Parameter("", "solver; empty: as configured", among=_OF_SOLVERS)
ENDPOINTS: Mapping[str, Mapping[str, Parameter]] = MappingProxyType({
    "classify": {
        "name": _FILE, "resize": _RESIZE,
        "draws": Parameter(0, "noise draws; 0: as evaluated", among=_OF_DRAWS),
        "steps": Parameter(0, "solver steps; 0: as evaluated", among=_OF_STEPS),
        "keep": Parameter(0.8, "share of images to classify; the rest abstains", 0.01, 1),
        "measure": Parameter("distance", "uncertainty that decides to abstain"),
        "outside": Parameter(0.01, "p-value of images of another kind; 0: none", 0, 0.99),
        "coverage": Parameter(0.0, "rate of conformal sets; 0: none", 0, 0.999),
        "score": Parameter("aps", "how sets are chosen", among=("aps", "lac", "raps")),
        "by_class": Parameter(False, "the rate of the sets holds within each class"),
        "modality": Parameter("", "of the image, for a model of several"),
        "near": Parameter(3, "nearest ones to show, of the training images compared with", high=12),
    },
    "segment": {
        "name": _FILE, "resize": _RESIZE, "draws": _DRAWS, "steps": _STEPS, "solver": _SOLVER,
        "seed": _SEED,
    },
    "explain": {
        "name": _FILE, "resize": _RESIZE,
        "label": Parameter("", "class to explain; empty: the prediction"),
        "against": Parameter("", "class to compare with; empty: the second"),
        "spread": Parameter("block", "where log-dets are placed", among=("block", "entry")),
    },
    "generate": {
        "label": Parameter("", "class to draw"),
        "text": Parameter("", "report to draw from, for a model of several modalities"),
        "modalities": Parameter("", "what such a model draws, such as xray,ct; empty: all"),
        "count": Parameter(8, "images", 1, 64), "seed": _SEED, "steps": _STEPS,
        "solver": _SOLVER,
        "guidance": Parameter(0.0, "classifier-free guidance; 0: as configured", among=_OF_GUIDANCE),
        "temperature": Parameter(
            0.0, "of a model with a likelihood; 0: as configured",
            among=(0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2),
        ),
    },
    "translate": {
        "name": _FILE, "resize": _RESIZE, "source": _SOURCE,
        "target": Parameter("", "modality to draw"),
        "draws": _DRAWS, "seed": _SEED, "steps": _STEPS,
        "solver": _SOLVER,
        "guidance": Parameter(0.0, "weight of the common space; 0: as configured", among=_OF_GUIDANCE),
        "instruction": Parameter("", "words that name source and target"),
    },
    "report": {
        "name": _FILE, "resize": _RESIZE, "source": _SOURCE,
        "draws": Parameter(4, "reports drawn", among=_OF_DRAWS[1:]), "seed": _SEED, "steps": _STEPS,
    },
    "answer": {
        "name": _FILE, "resize": _RESIZE,
        "task": Parameter(
            "modality", "what is asked: the modality of each image, or a selection (5 images: the "
            "reference, and A to D), identification (4: A to D) or instruction (2: the reference, and A)"
        ),
        "target": Parameter(
            "", "of a selection: the modality that is looked for", tasks=("selection",)
        ),
        "options": Parameter(
            "", "of an instruction: four routes such as t1w-ct,ct-t1w,t1w-t2w,t2w-t1w; empty: the first",
            tasks=("instruction",),
        ),
        "form": Parameter(
            "direct", "by comparing vectors, or a letter read off the expert",
            among=("direct", "letter"), tasks=("selection", "identification", "instruction"),
        ),
    },
})  # fmt: skip


def warn_of_other_tasks(endpoint: str, given: Mapping[str, Any]) -> None:
    """A warning where parameters are given that mean nothing to the task that is asked for."""
    known, task = ENDPOINTS[endpoint], given["task"]
    idle = [
        name for name, one in known.items()
        if one.tasks and task not in one.tasks and given[name] != one.default
    ]  # fmt: skip
    if idle:
        warnings.warn(f"{' and '.join(idle)}: of other tasks than {task}", stacklevel=3)


def takes_form(endpoint: str) -> bool:
    """Whether a request's body may be a form of several files."""
    return endpoint == "answer"


def takes_file(endpoint: str) -> bool:
    """Whether a request's body is an image file."""
    return "name" in ENDPOINTS[endpoint]


def as_parameters(line: str, endpoint: str) -> str:
    """A line that names flags of a command, with the parameters of an endpoint in their place."""

    def named(flag: re.Match) -> str:
        name = flag[2].replace("-", "_")
        if name not in ENDPOINTS[endpoint]:
            return flag[0]
        return f"{name}=0" if flag[1] else name

    return re.sub(r"--(no-)?([a-z]+(?:-[a-z]+)*)", named, line)


def seed_of(given: int) -> int | None:
    """The seed of a parameter ``seed``; None as configured."""
    return None if given < 0 else given


def read_parameters(endpoint: str, given: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """All parameters of an endpoint, as given or by default.

    Args:
        endpoint: one of :data:`ENDPOINTS`.
        given: names and texts, as in an address.

    Raises:
        ValueError: an unknown name, one that is given twice, or a value that is none.
    """
    known = ENDPOINTS[endpoint]
    found: dict[str, Any] = {name: one.default for name, one in known.items()}
    names = [name for name, _ in given]
    for name, text in given:
        if name not in known:
            raise ValueError(f"/{endpoint} knows no {name!r}: it takes {', '.join(known)}")
        if names.count(name) > 1:
            raise ValueError(f"{name} is given {names.count(name)} times: give it once")
        found[name] = known[name].read(name, text)
    return found
