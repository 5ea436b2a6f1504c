"""From the values of a file to grey levels and back: one map for each modality of a data set.

A grey level means the same in every image of a data set and in all that a model is given later: the
map is fixed (a window in Hounsfield units, 8 bits), or fitted once on the training subjects, and kept
in ``Info``. Never is an image scaled by its own smallest and largest value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

KINDS = ("full", "range", "window", "percentiles")
WINDOW = (-1024.0, 1024.0)  # HU; air to dense bone: what is chosen for CT where nothing is said
PERCENTILES = (0.5, 99.5)  # of the training subjects' values, for MR
MARGIN = 0.05  # of a ``range``: how far outside it a value may lie and is cut off
_BLOCK = 1 << 20  # values converted at a time


@dataclass(frozen=True)
class Intensity:
    """The map of one modality's values to 0..255, linear between two values.

    Attributes:
        kind: ``full``: 8 bits, as they are. ``range``: smallest and largest value of the data set; what
            lies outside by more than ``MARGIN`` is refused. ``window``: given; what lies outside is cut
            off, as in every CT. ``percentiles``: fitted on the training subjects; cut off as well.
        low: the value that becomes 0.
        high: the value that becomes 255.
        unit: unit of the values: ``HU`` or empty.
        modality: DICOM's word for what it was made from, ``CT``, ``MR``, ...; empty where no file said.
        intent: ``FOR PROCESSING`` or ``FOR PRESENTATION``, as DICOM said of the first image trained on;
            empty where it did not. It changes no value: two maps that differ in it are equal.
        directions: where that image's rows and columns go, such as ``L\\F``; likewise.

    Raises:
        ValueError: an unknown kind, or values that do not rise.
    """

    kind: str
    low: float = 0.0
    high: float = 255.0
    unit: str = ""
    modality: str = ""
    intent: str = dataclasses.field(default="", compare=False)
    directions: str = dataclasses.field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown intensity map {self.kind!r}; known: {', '.join(KINDS)}")
        if not is_range((self.low, self.high)):
            raise ValueError(
                f"intensity from {self.low} to {self.high}: two rising numbers are needed"
            )

    @property
    def clips(self) -> bool:
        """Whether values outside are cut off without a word; else they are refused."""
        return self.kind in ("window", "percentiles")

    def to_grey(self, values: np.ndarray, missing: np.ndarray | None = None) -> np.ndarray:
        """Brings values to uint8 0..255, rounded and clipped.

        Args:
            values: any array of numbers; of the kind ``full`` uint8, which stays as it is.
            missing: where there is no value (padding of a scanner), of the same shape or without the
                last axis; becomes 0.

        Returns:
            uint8 of the same shape.
        """
        if self.kind == "full":
            grey = np.asarray(values)
            if grey.dtype != np.uint8:
                raise ValueError(f"grey levels of 8 bits must be uint8, got {grey.dtype}")
        else:
            flat, out = values.reshape(-1), np.empty(values.size, np.uint8)
            for start in range(0, len(flat), _BLOCK):  # no copy of the whole in a wider type
                part = flat[start : start + _BLOCK].astype(np.float64) - self.low
                out[start : start + _BLOCK] = np.rint(part * (255 / (self.high - self.low))).clip(
                    0, 255
                )
            grey = out.reshape(values.shape)
        if missing is not None and missing.any():
            grey = np.where(missing if missing.ndim == grey.ndim else missing[..., None], 0, grey)
        return grey.astype(np.uint8, copy=False)

    def to_values(self, grey: np.ndarray) -> np.ndarray:
        """The values float32 that grey levels 0..255 stand for; inverts :meth:`to_grey`."""
        step = np.float32((self.high - self.low) / 255)
        return np.asarray(grey, np.float32) * step + np.float32(self.low)

    def describe(self) -> str:
        """In words, for a report: ``window -160 to 240 HU``."""
        if self.kind == "full":
            return "8 bits, as stored"
        words = {
            "range": "range of the data set",
            "percentiles": "percentiles of the training subjects",
        }
        unit = f" {self.unit}" if self.unit else ""
        of = f" ({self.modality})" if self.modality else ""
        return f"{words.get(self.kind, self.kind)}, {self.low:g} to {self.high:g}{unit}{of}"

    def to_dict(self) -> dict[str, Any]:
        """JSON types; ``Intensity(**fields)`` is its inverse."""
        found = dataclasses.asdict(self)
        return {k: v for k, v in found.items() if v or k not in ("intent", "directions")}


def fit_percentiles(samples: Iterable[np.ndarray], unit: str = "", modality: str = "") -> Intensity:
    """The map of a modality whose values have no unit, from the training subjects.

    Args:
        samples: values of each training image; every image weighs the same, whatever its size.
        unit: unit of the values.
        modality: DICOM's word for what they are.

    Raises:
        ValueError: no value, or all of them equal.
    """
    levels = np.linspace(0, 100, 2001)
    curves = [np.percentile(s, levels) for s in samples if s.size]
    if not curves:
        raise ValueError("an intensity map cannot be fitted: there is no training image of it")
    # Percentiles of the mixture of all images, each with the same weight.
    low, high = np.percentile(np.concatenate(curves), PERCENTILES)
    if not low < high:
        raise ValueError(f"an intensity map cannot be fitted: nearly all values are {low:g}")
    return Intensity("percentiles", float(low), float(high), unit, modality)


def is_range(given: Sequence[Any]) -> bool:
    """Whether these are two finite numbers, the second above the first."""
    numbers = len(given) == 2 and all(isinstance(v, int | float) for v in given)
    return numbers and -np.inf < given[0] < given[1] < np.inf


def check_window(window: Sequence[Any]) -> None:
    """Refuses a setting ``data.window`` that is no range of values.

    Raises:
        ValueError: there are not two finite numbers, or the second is not above the first.
    """
    if is_range(window):
        return
    hint = ""
    if len(window) == 2 and is_range((0, window[1])):  # such as 400,40, were they centre and width
        low, high = window[0] - window[1] / 2, window[0] + window[1] / 2
        hint = f"; centre {window[0]:g} and width {window[1]:g} are {low:g},{high:g}"
    falls = " does not rise" if len(window) == 2 else ""
    raise ValueError(
        f"data.window={','.join(map(str, window))}{falls}: give two rising numbers, the lowest and the "
        f"highest value shown of CT in Hounsfield units, such as --config.data.window=-160,240{hint}"
    )


FULL = Intensity("full")
