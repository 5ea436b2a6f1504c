"""What the map of a data set leaves of its images: some may become nearly black, or have no shades."""

from __future__ import annotations

import warnings
from collections import defaultdict
from typing import NamedTuple

import numpy as np

from msflow_jax.data.intensity import PERCENTILES, Intensity
from msflow_jax.storage.text import first_of

AIR = -200.0  # HU, and below: no value of MR is so low, and a whole CT reaches it
HOUNSFIELD = "are they Hounsfield units, with rescale slope and intercept applied?"
_DIM = 1 / 16  # of the range: a picture that stays below is likely of another range
_BRIGHT = 1 / 2  # of what is not dark: a picture of which more lies above the range likewise
_SPARSE = 1 / 50  # of all values: so few above the range, and it shows hardly anything
_FAR = 3  # times as bright as others, or as dark: subjects of one protocol differ by less
_BLACK = 3 / 4  # of a CT, air apart: so much of it black, and its window is likely another one
_LEVELS = 33  # of the curve by which an image is remembered
_SHOWN = 3


def has_no_air(lowest: float, unit: str) -> bool:
    """Whether values that are said to be Hounsfield units reach so little down that they may be none.

    A whole CT shows air, at -1000; without the offset of its file nothing of it is below 0.
    """
    return unit == "HU" and lowest > AIR


def is_dim(values: np.ndarray, edges: tuple[float, float]) -> bool:
    """Whether a picture uses so little of the range that it may have been stored by another one."""
    low, high = edges
    return bool(values.max() < low + _DIM * (high - low))


def is_bright(values: np.ndarray, edges: tuple[float, float]) -> bool:
    """Whether so much of a picture lies above the range that it may have been stored by another one.

    Air is no evidence, and half of a head's picture is air: what is dark does not count. On a scale many
    times as large the noise of air is not dark either: there the brightest values tell.
    """
    low, high = edges
    far = np.count_nonzero(values > low + _FAR * (high - low))
    if far > (1 - PERCENTILES[1] / 100) * values.size:
        return True
    above = np.count_nonzero(values > high)
    shown = np.count_nonzero(values > low + _DIM * (high - low))
    return bool(above > _BRIGHT * shown and above > _SPARSE * values.size)


def _above(top: float, typical: float, low: float) -> bool:
    return top - low > _FAR * (typical - low)


class _Seen(NamedTuple):
    """An image, or a slice of it."""

    low: float
    high: float
    top: float  # the percentile that a map ends at: a few hot voxels are no scale
    curve: np.ndarray  # evenly spread quantiles, to tell shares of values by


class Shades:
    """Images of a data set by their values, and a line for each way in which some have no shades left.

    Of a volume all slices count together. Values on another scale are told from a map that is fitted to
    the images only where it leaves them nothing, since the one that is far above sets it; so they are
    compared with each other too.
    """

    def __init__(self) -> None:
        self._seen: defaultdict[str, list[_Seen]] = defaultdict(list)

    def look(self, values: np.ndarray, key: str) -> None:
        """Takes the values of an image, or of a part of it.

        Args:
            values: numbers, of any shape; without any it is passed over.
            key: the name of the image; of a slice that of its volume.
        """
        if values.size:
            rising, last = np.sort(values, axis=None), values.size - 1
            curve = rising[((np.arange(_LEVELS) + 0.5) / _LEVELS * values.size).astype(int)]
            low, top, high = (
                float(rising[i]) for i in (0, round(last * PERCENTILES[1] / 100), last)
            )
            self._seen[key].append(_Seen(low, high, top, curve.astype(np.float32)))

    def warn(
        self, intensity: Intensity, source: object, what: str, *, fitted: bool = False
    ) -> None:
        """The lines.

        Args:
            intensity: the map of the images.
            source: where they lie.
            what: what they are, in the plural.
            fitted: whether the map was fitted to these very images.
        """
        seen = {
            key: _Seen(
                min(one.low for one in parts), max(one.high for one in parts),
                max(one.top for one in parts), np.concatenate([one.curve for one in parts]),
            )
            for key, parts in self._seen.items()
        }  # fmt: skip
        flat = {key for key, one in seen.items() if one.low == one.high}
        airless = [key for key, one in seen.items() if has_no_air(one.low, intensity.unit)]
        lines = [
            ("hold hardly any value but one", list(flat), "do they show anything?"),
            (f"hold no air (nothing below {AIR:g})", airless, HOUNSFIELD),
        ]
        shaded = {key: one for key, one in seen.items() if key not in {*flat, *airless}}
        if intensity.kind == "window":
            lines.append(_outside_window((intensity.low, intensity.high), shaded))
        else:
            lines += _off_scale(intensity, shaded, fitted)
        for line, names, question in lines:
            if names:
                warnings.warn(
                    f"{source}: {len(names)} of {len(seen)} {what} {line}: "
                    f"{first_of(sorted(names), _SHOWN)}; {question}",
                    stacklevel=4,
                )


def _outside_window(
    edges: tuple[float, float], found: dict[str, _Seen]
) -> tuple[str, list[str], str]:
    """A line on CT that ``data.window`` leaves nearly black, which images those are, and what to ask.

    Bone is bright by most windows: one that was given by centre and width shows it, and nothing else.
    """
    centre, width = edges
    meant = centre - width / 2, centre + width / 2
    dim = [key for key, one in found.items() if is_dim(np.array(one.high), edges)]
    question = "are their values Hounsfield units, and is it the window that shows what matters?"
    black = [key for key, one in found.items() if _is_black(one.curve, edges)]
    else_black = [key for key, one in found.items() if _is_black(one.curve, meant)]
    if width > 0 and 2 * len(black) > len(found) > 2 * len(else_black):
        dim = list(dict.fromkeys(dim + black))
        question = (
            "it is the lowest and the highest value, not centre and width: is "
            f"--config.data.window={meant[0]:g},{meant[1]:g} meant?"
        )
    return f"look nearly black by data.window={centre:g},{width:g}", dim, question


def _is_black(values: np.ndarray, edges: tuple[float, float]) -> bool:
    """Whether a window leaves most of a CT black, air apart."""
    body, (low, high) = values[values > AIR], edges
    return bool(body.size and np.mean(body < low + _DIM * (high - low)) > _BLACK)


def _off_scale(
    intensity: Intensity, found: dict[str, _Seen], fitted: bool
) -> list[tuple[str, list[str], str]]:
    """Lines, which images each is of, and what to ask."""
    span = f"the range of the grey levels, {intensity.low:g} to {intensity.high:g}"
    edges = (intensity.low, intensity.high)
    dim = [key for key, one in found.items() if is_dim(np.array(one.high), edges)]
    bright = [key for key, one in found.items() if is_bright(one.curve, edges)]
    top = max(found, key=lambda key: found[key].high, default="")
    reach = f"{top} reaches {found[top].high:g}, " if top and top not in dim else ""
    named = {*dim, *bright, *([top] if dim else [])}
    typical = (
        float(np.median([one.top for one in found.values()])) if fitted and found else edges[1]
    )
    pairs = {key: (one.top, typical) for key, one in found.items() if key not in named}
    off = [k for k, (a, b) in pairs.items() if _above(a, b, edges[0]) or _above(b, a, edges[0])]
    return [
        (
            f"use less than 1/16 of {span}, and look nearly black", dim,
            f"{reach}are all stored on one scale?",
        ),
        (
            f"lie for the most part above {span} (air apart), and look nearly white", bright,
            "are all stored on one scale?",
        ),
        (
            f"are {_FAR} times as bright as the others or more, whose brightest values are about "
            f"{typical:g}, or as dark", off if intensity.kind == "percentiles" else [],
            "one map for all leaves little of some; are all stored on one scale?",
        ),
    ]  # fmt: skip
