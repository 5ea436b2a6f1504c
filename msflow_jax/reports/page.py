"""HTML building blocks. Every text that comes from a file passes through `escape`."""

import base64
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from msflow_jax.reports.charts import DARK, LIGHT, Theme
from msflow_jax.reports.figures import encode_png, strip, thumbnails
from msflow_jax.reports.style import CSS

NOTHING = "n/a"


def percent(value: float | None, digits: int = 1) -> str:
    """A share as per cent, or a dash."""
    return NOTHING if value is None else f"{100 * value:.{digits}f}\u00a0%"


def number(value: float | int | None, digits: int = 3) -> str:
    """A number, whole ones with thousands separated, or a dash."""
    if value is None:
        return NOTHING
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"


def data_uri(png: bytes) -> str:
    """A PNG as an address that needs no file."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def section(identifier: str, title: str, *parts: str) -> str:
    """A titled section that the navigation can jump to."""
    return (
        f'<section id="{identifier}"><h2>{escape(title)}</h2>\n' + "\n".join(parts) + "</section>"
    )


def missing(text: str) -> str:
    """Says that a part is not there."""
    return f'<p class="missing">{escape(text)}</p>'


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    attribute = f' class="{kind}"' if kind else ""
    return f"<p{attribute}>{escape(text)}</p>"


def tile(value: str, label: str, remark: str = "") -> str:
    """One headline number."""
    small = f"<small>{escape(remark)}</small>" if remark else ""
    return f'<div class="tile"><b>{escape(value)}</b><span>{escape(label)}</span>{small}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> str:
    """A table; the first cell of each row is its header, cells are escaped."""
    top = "".join(f'<th scope="col">{escape(str(cell))}</th>' for cell in head)
    body = ""
    for row in rows:
        first, *rest = (escape(str(cell)) for cell in row)
        cells = "".join(f"<td>{cell}</td>" for cell in rest)
        body += f'<tr><th scope="row">{first}</th>{cells}</tr>\n'
    # Above the scrolling box, so that it wraps where the table is wider than the window.
    note = paragraph(caption, "table-note") if caption else ""
    return (
        f'{note}<div class="scroll"><table><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


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


def facts(values: dict[str, Any]) -> str:
    """A two-column table of whatever the dict holds."""
    body = "".join(
        f'<tr><th scope="row">{escape(key)}</th><td class="text">{escape(text)}</td></tr>'
        for key, text in flatten(values)
    )
    return f'<div class="scroll"><table><tbody>{body}</tbody></table></div>'


def details(title: str, content: str) -> str:
    """Content folded away under its title."""
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def caption(text: str, phantom: bool) -> str:
    """A figure caption; figures from phantoms say so."""
    mark = "<strong>Phantom data (simulated, no patient).</strong> " if phantom else ""
    return f"<figcaption>{mark}{escape(text)}</figcaption>"


def chart(draw: Callable[[Theme], bytes], alt: str, text: str, width: int, phantom: bool) -> str:
    """A chart drawn once for light and once for dark pages; the browser picks, without a script."""
    light, dark = data_uri(draw(LIGHT)), data_uri(draw(DARK))
    return (
        f'<figure><picture><source srcset="{dark}" media="(prefers-color-scheme: dark)">'
        f'<img src="{light}" alt="{escape(alt)}" width="{width}"></picture>'
        f"{caption(text, phantom)}</figure>"
    )


def pixels(image: np.ndarray, alt: str) -> str:
    """One image `[H, W, C]` with hard pixels where it is small."""
    small = thumbnails(image[None])[0]
    return _img(encode_png(small), alt, max(image.shape[:2]))


def image_strip(images: np.ndarray, alt: str, per_row: int) -> str:
    """Several images in one picture."""
    return _img(strip(images, per_row), alt, max(images.shape[1:3]))


def _img(png: bytes, alt: str, side: int) -> str:
    kind = "px" if side < 100 else "smooth"
    return f'<img class="{kind}" src="{data_uri(png)}" alt="{escape(alt)}">'


def page(title: str, subtitle: str, badge: str, sections: Sequence[tuple[str, str, str]]) -> str:
    """The whole document.

    Args:
        title: plain text.
        subtitle: plain text.
        badge: plain text beside the title, may be empty.
        sections: (identifier, short name for the navigation, HTML) each.
    """
    links = "".join(f'<a href="#{i}">{escape(name)}</a>' for i, name, _ in sections)
    mark = f'<span class="badge">{escape(badge)}</span>' if badge else ""
    body = "\n".join(content for _, _, content in sections)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head><body>\n"
        f'<header><h1>{escape(title)}{mark}</h1><p class="subtitle">{escape(subtitle)}</p>'
        f'<nav aria-label="Sections">{links}</nav></header>\n<main>{body}</main>\n'
        "<footer>Written by msflow_jax. Research software, not a medical device.</footer>"
        "</body></html>\n"
    )
