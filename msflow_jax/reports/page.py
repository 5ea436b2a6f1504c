"""What the templates of the report are given: numbers in words, pictures as addresses, one environment.

Jinja2 escapes every text that comes from a file; only what is drawn here (SVG) is marked as safe.
"""

import base64
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from msflow_jax.reports.figures import encode_png, strip, thumbnails

NOTHING = "n/a"


@dataclass(frozen=True)
class Section:
    """A titled part of the page that the navigation can jump to.

    Attributes:
        name: identifier in the page.
        link: short name for the navigation.
        title: headline.
        content: HTML.
    """

    name: str
    link: str
    title: str
    content: Markup


@dataclass(frozen=True)
class Picture:
    """An image in the page.

    Attributes:
        address: ``data:`` address, which needs no file.
        alt: text for those who do not see it.
        kind: ``px`` (hard pixels) where it is small, else ``smooth``.
    """

    address: str
    alt: str
    kind: str


@dataclass(frozen=True)
class Chart:
    """A drawn chart with its caption."""

    svg: Markup
    text: str


@dataclass(frozen=True)
class Table:
    """Head, rows of cells (the first is the row's header) and a note above."""

    head: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    note: str = ""


@cache
def environment() -> Environment:
    """The environment of the templates; autoescape is on, and an unknown name is an error."""
    made = Environment(
        loader=PackageLoader("msflow_jax.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    made.globals |= {"percent": percent, "number": number, "flatten": flatten}
    return made


def render(template: str, **context: Any) -> Markup:
    """HTML of a template ``NAME.html``."""
    return Markup(environment().get_template(f"{template}.html").render(**context))


def style() -> Markup:
    """The style sheet: one column, light and dark, print."""
    source, _, _ = environment().loader.get_source(environment(), "style.css")  # type: ignore[union-attr]
    return Markup(source)


def missing(name: str, link: str, title: str, text: str) -> Section:
    """A section that says that its part is not there."""
    return Section(name, link, title, render("missing", text=text))


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as per cent, or "n/a"."""
    return NOTHING if value is None else f"{100 * value:.{digits}f}\u00a0%"


def number(value: float | int | None, digits: int = 3) -> str:
    """A number, whole ones with thousands separated, or "n/a"."""
    if value is None:
        return NOTHING
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"


def flatten(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested dicts as rows of dotted names and texts."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, dict) and value:
            rows += flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            rows.append((f"{prefix}{key}", ", ".join(str(item) for item in value) or "none"))
        else:
            rows.append((f"{prefix}{key}", NOTHING if value in (None, "", {}) else str(value)))
    return rows


def pixels(image: np.ndarray, alt: str) -> Picture:
    """One image ``[H, W, C]`` with hard pixels where it is small."""
    return _picture(encode_png(thumbnails(image[None])[0]), alt, max(image.shape[:2]))


def image_strip(images: np.ndarray, alt: str, per_row: int) -> Picture:
    """Several images in one picture."""
    return _picture(strip(images, per_row), alt, max(images.shape[1:3]))


def _picture(png: bytes, alt: str, side: int) -> Picture:
    address = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    return Picture(address, alt, "px" if side < 100 else "smooth")
