"""What each endpoint may be asked: names, types and ranges, refused by name where they do not fit."""

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
        low: smallest number.
        high: largest number.
        words: what it means.
    """

    default: Value
    words: str
    low: float = 0
    high: float = float("inf")

    def read(self, name: str, text: str) -> Value:
        """The value of a text.

        Raises:
            ValueError: it is none, or lies outside the range.
        """
        kind = type(self.default)
        if kind is str:
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
            raise ValueError(f"{name} must lie in [{self.low:g}, {self.high:g}], got {text}")
        return value


_FILE = Parameter("image", "name of the file that is sent, whose ending tells what it is")
_RESIZE = Parameter(True, "bring an image of another size to the model's")
_SEED = Parameter(0, "seed of the noise", high=2**31 - 1)
_STEPS = Parameter(0, "solver steps; 0: as configured", high=500)
_SOURCE = Parameter("", "modality of the image")
_DRAWS = Parameter(0, "noise draws; 0: as configured", high=64)
ENDPOINTS: Mapping[str, Mapping[str, Parameter]] = MappingProxyType({
    "classify": {
        "name": _FILE, "resize": _RESIZE,
        "draws": Parameter(0, "noise draws; 0: as evaluated", high=64),
        "steps": Parameter(0, "solver steps; 0: as evaluated", high=500),
        "keep": Parameter(0.8, "share of images to classify; the rest abstains", 0.01, 1),
        "measure": Parameter("distance", "uncertainty that decides to abstain"),
        "outside": Parameter(0.01, "p-value of images of another kind; 0: none", 0, 0.99),
        "coverage": Parameter(0.0, "rate of conformal sets; 0: none", 0, 0.999),
        "score": Parameter("aps", "of the sets: lac, aps or raps"),
        "by_class": Parameter(False, "the rate of the sets holds within each class"),
        "modality": Parameter("", "of the image, for a model of several"),
        "near": Parameter(3, "nearest training images to show", high=12),
    },
    "explain": {
        "name": _FILE, "resize": _RESIZE,
        "label": Parameter("", "class to explain; empty: the prediction"),
        "against": Parameter("", "class to compare with; empty: the second"),
        "spread": Parameter("block", "block or entry"),
    },
    "generate": {
        "label": Parameter("", "class to draw"),
        "text": Parameter("", "report to draw from, for a model of several modalities"),
        "modalities": Parameter("", "what such a model draws, such as xray,ct; empty: all"),
        "count": Parameter(8, "images", 1, 64), "seed": _SEED, "steps": _STEPS,
        "solver": Parameter("", "euler, heun, midpoint, rk4, tsit5, dopri5, jump"),
        "guidance": Parameter(0.0, "classifier-free guidance; 0: as configured", high=50),
        "temperature": Parameter(0.0, "for models with a likelihood; 0: as configured", high=10),
    },
    "translate": {
        "name": _FILE, "resize": _RESIZE, "source": _SOURCE,
        "target": Parameter("", "modality to draw"),
        "draws": _DRAWS, "seed": _SEED, "steps": _STEPS,
        "solver": Parameter("", "as of generate"),
        "guidance": Parameter(0.0, "weight of the common space; 0: as configured", high=50),
        "instruction": Parameter("", "words that name source and target"),
    },
    "report": {
        "name": _FILE, "resize": _RESIZE, "source": _SOURCE,
        "draws": Parameter(4, "reports drawn", 1, 64), "seed": _SEED, "steps": _STEPS,
    },
})  # fmt: skip


def takes_file(endpoint: str) -> bool:
    """Whether a request's body is an image file."""
    return "name" in ENDPOINTS[endpoint]


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
