"""Values deeper than 8 bits to 0..255, by one range for all pictures of a data set.

What a value of more than 8 bits means no file says: 12 bits of a scanner usually lie in files of 16. So
the range is measured over the whole data set, kept with the model, and applied to all that it is given
later.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from msflow_jax.data.intensity import MARGIN, Intensity
from msflow_jax.data.sources.decoding import decode, is_deep, read_file
from msflow_jax.progress import track
from msflow_jax.storage.text import first_of

Range = tuple[float, ...]  # smallest and largest value; empty where all pictures have 8 bits
_REASONS = 8  # that an error names
_ALIKE = 2  # further files of one reason that it names
_NUMBER = re.compile(r"-?\d[\d.e+-]*")
# Where the name of a file ends and what is wrong with it begins.
_VERB = re.compile(
    r"(?=: | (?:is|has|holds|lacks|lies|says|mixes|stores|names|does|cannot|inflates|asks)\b)"
)
_SLICES = re.compile(r" \(and \d+ more slices of .* alike\)$")


class Extent(NamedTuple):
    """A picture's smallest and largest value, and its type."""

    name: str
    low: float
    high: float
    dtype: str


def extent(picture: np.ndarray, name: str) -> Extent:
    """The smallest and the largest value of a picture."""
    return Extent(name, float(picture.min()), float(picture.max()), picture.dtype.name)


def survey(paths: Sequence[Path]) -> tuple[Range, dict[Path, str]]:
    """The common range of some pictures, and which of them are broken.

    Of pictures of 8 bits only the header is read.

    Returns:
        The range, empty where all have 8 bits; and the error of each picture that shows one so far.

    Raises:
        ValueError: as :func:`common_range`; or pictures of 8 bits among deeper ones.
    """
    plain: Path | None = None
    deep: list[Extent] = []
    broken: dict[Path, str] = {}
    for path in track(paths, "Looking at images"):
        try:
            if is_deep(path):
                deep.append(extent(_values(path), str(path)))
            else:
                plain = plain or path
        except ValueError as error:
            broken[path] = str(error)
    if deep and plain:
        raise ValueError(
            f"{plain} has 8 bits for each value, {deep[0].name} more ({deep[0].dtype}, "
            f"{deep[0].low:g} to {deep[0].high:g}): no range fits both; save all pictures alike"
        )
    return common_range(deep), broken


def _values(path: Path) -> np.ndarray:
    """The values of a picture, or of a TIFF of several pages."""
    from msflow_jax.data.sources.volumes.stacks import pages, read_stack

    several = path.suffix.lower() in (".tif", ".tiff") and pages(path) > 1
    return read_stack(path).values if several else decode(read_file(path), path)


def common_range(found: Sequence[Extent]) -> Range:
    """One range for pictures of more than 8 bits; warns where one of them alone sets it.

    Raises:
        ValueError: pictures of whole numbers among ones with fractions, or all of one value.
    """
    if not found:
        return ()
    floats = [e for e in found if e.dtype.startswith("float")]
    if floats and len(floats) < len(found):
        other = next(e for e in found if e not in floats)
        raise ValueError(
            f"{floats[0].name} holds {floats[0].dtype}, {other.name} {other.dtype}: no range fits both; "
            "save all pictures alike"
        )
    low, largest = min(e.low for e in found), max(found, key=lambda e: e.high)
    span = largest.high - low
    if not 0 < span < np.inf:
        raise ValueError(
            f"{largest.name}: the pictures hold no value but {largest.high:g}, or a range that is not "
            "finite"
        )
    typical = float(np.median([e.high for e in found]))
    if typical - low < span / 4:
        warnings.warn(
            f"{largest.name} reaches {largest.high:g}, half of the {len(found)} pictures stay below "
            f"{typical:g}: all are scaled by the range {low:g} to {largest.high:g}, which leaves little "
            "of them; remove or correct it if it is an exception",
            stacklevel=2,
        )
    return low, largest.high


def scale(picture: np.ndarray, value_range: Range, name: str) -> np.ndarray:
    """Brings the values of a picture to uint8 0..255.

    Args:
        picture: as ``decoding.decode`` gives it, or any array of numbers, ``[..., C]``.
        value_range: what becomes 0 and 255; empty where only uint8 is known, which stays as it is.
        name: name of the picture, for errors.

    Returns:
        uint8 array of the same shape.

    Raises:
        ValueError: uint8 where a range is known, another type where none is, or values that lie outside
            the range by more than ``MARGIN`` of it.
    """
    if picture.dtype == np.uint8 and not value_range:
        return picture
    _, low, high, dtype = extent(picture, name)
    holds = f"{name} holds values from {low:g} to {high:g} ({dtype})"
    if not value_range:
        raise ValueError(
            f"{holds}, and the model or data set knows 8-bit pictures only, so that their range is not "
            "known: save it with 8 bits, scaled as the training pictures were"
        )
    least, most = value_range
    slack = MARGIN * (most - least)
    if picture.dtype == np.uint8:
        raise ValueError(
            f"{name} has 8 bits ({low:g} to {high:g}), the pictures trained on more ({least:g} to "
            f"{most:g}): give it as it was stored, not scaled to 8 bits"
        )
    if not (least - slack <= low and high <= most + slack):
        raise ValueError(
            f"{holds}, outside the range of the pictures trained on, {least:g} to {most:g}: bring it to "
            "their scale, or clip it to this range if its values mean the same"
        )
    return Intensity("range", least, most).to_grey(picture)


def by_volume(broken: Mapping[str, str], slices: Mapping[str, tuple[str, str]]) -> list[str]:
    """Errors, of which those of one volume's slices that differ in places and figures alone are one.

    Args:
        broken: the error of each image by its name.
        slices: of those that are slices the volume, and the place that their error names.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for name, error in broken.items():
        volume, place = slices.get(name, ("", ""))
        kind = _NUMBER.sub("#", error.replace(place, "")) if volume else name
        found.setdefault((volume, kind), []).append(error)
    return [
        errors[0]
        + (f" (and {len(errors) - 1} more slices of {volume} alike)" if len(errors) > 1 else "")
        for (volume, _), errors in found.items()
    ]


def by_reason(errors: Collection[str]) -> list[str]:
    """Errors, of which those that differ in the name of the file and in figures alone are one.

    The first is given whole; of the others alike two are named, and the rest is counted.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for error in errors:
        name, *rest = _VERB.split(error, maxsplit=1)
        reason = _SLICES.sub("", "".join(rest)).replace(f"/{Path(name).stem}", "/@")
        found.setdefault(_NUMBER.sub("#", reason), []).append((name, error))
    return [
        alike[0][1]
        + (f" (also {first_of([n for n, _ in alike[1:]], _ALIKE)})" if len(alike) > 1 else "")
        for alike in found.values()
    ]


class NoneSound(ValueError):
    """No picture of several can be used; ``broken`` has the error of each by its name."""

    broken: Mapping[str, str]


def refuse_all(errors: Collection[str], broken: Mapping[str, str]) -> None:
    """Raises a :class:`NoneSound` as :func:`refuse_broken` a ValueError."""
    try:
        refuse_broken(errors)
    except ValueError as error:
        none = NoneSound(str(error))
        none.broken = broken
        raise none from error


def refuse_broken(errors: Collection[str], remedy: str = "") -> None:
    """Raises a ValueError that lists, by reason, the pictures that cannot be used, if there are any.

    Args:
        errors: the error of each, which begins with its name.
        remedy: what else helps, at the end.
    """
    if len(errors) == 1:
        raise ValueError(next(iter(errors)) + remedy)
    if errors:
        reasons = by_reason(errors)
        shown = "; ".join(reasons[:_REASONS])
        more = f"; and {len(reasons) - _REASONS} reasons more" if len(reasons) > _REASONS else ""
        raise ValueError(f"{len(errors)} pictures cannot be used: {shown}{more}{remedy}")
