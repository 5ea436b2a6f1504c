"""What templates are rendered with: numbers in words, images as addresses, the sections of the page.

Templates escape every text on their own; only HTML that was rendered or drawn here is ``Markup``.
"""

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from msflow_jax.reports.figures import LIMIT, encode_png, strip, thumbnails
from msflow_jax.reports.results import Results
from msflow_jax.storage.text import listed

NOTHING = "n/a"
_ITEMS = 60  # of a list, that a table of facts shows
_DIGITS = 8  # behind the point, at most


@dataclass(frozen=True)
class Section:
    """One section of the page.

    Attributes:
        name: identifier; it becomes the address that the navigation jumps to.
        title: short name for the navigation.
        html: the rendered section without its frame.
        heading: heading of the section; the title where empty.
    """

    name: str
    title: str
    html: Markup
    heading: str = ""


@dataclass(frozen=True)
class Picture:
    """One ``<img>``: its address, its words, and whether its pixels are hard (``px``) or not."""

    src: str
    alt: str
    kind: str


def section(
    results: Results,
    name: str,
    title: str,
    *,
    heading: str = "",
    template: str = "",
    **context: Any,
) -> Section:
    """Renders a template as a section.

    Args:
        results: what the workdir holds; templates see it, whether the images are phantoms, what is
            shown of volumes, and what intervals are over (``units``).
        name: identifier of the section.
        title: short name for the navigation.
        heading: heading of the section; the title where empty.
        template: name of the template without ``.html``; the section's name where empty.
        context: what else the template needs.
    """
    shared = {"results": results, "phantom": results.phantom, "planes": results.planes}
    html = render(template or name, **shared, units=results.units, **context)
    return Section(name, title, html, heading)


def missing(results: Results, name: str, title: str, text: str, heading: str = "") -> Section:
    """A section that only says what is not there."""
    return section(results, name, title, heading=heading, template="missing", text=text)


def render(template: str, **context: Any) -> Markup:
    """A template of the folder ``templates`` as HTML.

    Args:
        template: its name without ``.html``.
        context: what it needs.
    """
    return Markup(_environment().get_template(f"{template}.html").render(context))


@cache  # templates are parsed once
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("msflow_jax.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.do"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=percent, share=share, number=number, flatten=flatten, listed=listed
    )
    return environment


def percent(value: float | None, digits: int = 1) -> str:
    """A share as per cent, or ``n/a``; near the ends with more digits, see :func:`number`."""
    if value is None:
        return NOTHING
    return f"{100 * value:.{_digits(100 * value, digits, 100)}f}\u00a0%"


def share(value: float | None) -> str:
    """A share as whole per cent, near the ends with more digits."""
    return percent(value, 0)


def number(value: float | int | None, digits: int = 3) -> str:
    """A number, whole ones with thousands separated, or ``n/a``.

    One between 0 and 1 has more digits near these: 0 and 1 mean exactly these.
    """
    if value is None:
        return NOTHING
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{_digits(value, digits)}f}"


def _digits(value: float, digits: int, top: int = 1) -> int:
    """As many digits, or more, that what lies between 0 and ``top`` is rounded to neither of both."""
    for more in range(digits, _DIGITS + 1):
        if not 0 < value < top or 0 < float(f"{value:.{more}f}") < top:
            return more
    return digits  # it differs by an error of floats


def significant(value: float, figures: int = 3) -> str:
    """A number with so many digits behind the point, or more where it has fewer figures then."""
    least = math.ceil(-math.log10(abs(value))) if value else 0
    return number(value, max(figures, min(_DIGITS, least + figures - 1)))


def flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested dicts as rows of dotted names and texts; of a long list the first items."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, dict) and value:
            rows += flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            rows.append((f"{prefix}{key}", _listed(value)))
        else:
            rows.append((f"{prefix}{key}", NOTHING if value in (None, "", {}) else str(value)))
    return rows


def span(interval: Sequence[float] | None, show: Callable[[float], str]) -> str:
    """An interval in words; empty where there is none."""
    return f"{show(interval[0])} to {show(interval[1])}" if interval else ""


def _listed(values: list[Any] | tuple[Any, ...]) -> str:
    text = listed(values[:_ITEMS]) or "none"
    return f"{text}, … ({len(values):,} in all)" if len(values) > _ITEMS else text


def picture(
    image: np.ndarray,
    alt: str,
    spacing: Sequence[float] = (),
    *,
    joined: bool = False,
    nearest: bool = False,
) -> Picture:
    """One image ``[*space, C]``, of a volume its three planes; see ``planes.three_planes``.

    Args:
        image: the image.
        alt: what stands for the picture.
        spacing: size of a voxel in mm along each axis of a volume; empty: cubes.
        joined: whether it is three planes in a row already.
        nearest: whether its colours are not mixed where it is shrunk.
    """
    limit = 3 * LIMIT if joined else LIMIT
    small = thumbnails(image[None], limit, spacing, nearest=nearest)[0]
    return _picture(encode_png(small), alt, max(image.shape[:-1]))


def image_strip(
    images: np.ndarray, alt: str, per_row: int, spacing: Sequence[float] = ()
) -> Picture:
    """Several images ``[N, *space, C]`` in one picture, ``per_row`` in a row."""
    return _picture(strip(images, per_row, spacing=spacing), alt, max(images.shape[1:-1]))


def named_strips(
    results: Results, prefix: str, names: Sequence[str], words: str
) -> list[tuple[str, Picture]]:
    """A strip of images for each of several names, of the arrays ``PREFIX_0``, ``PREFIX_1``, ...

    Args:
        results: what an evaluation left.
        prefix: of the arrays' names.
        names: in the order of the arrays; those without images are left out.
        words: before the name in what stands for the picture.
    """
    found = []
    for i, name in enumerate(names):
        array = results.arrays.get(f"{prefix}_{i}")
        if array is not None and len(array):
            per_row = len(array) if array.ndim == 4 else 2
            alt = f"{len(array)} {words} {name}"
            found.append((name, image_strip(array, alt, per_row, results.spacing)))
    return found


def _picture(png: bytes, alt: str, side: int) -> Picture:
    address = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    return Picture(address, alt, "px" if side < 100 else "smooth")
