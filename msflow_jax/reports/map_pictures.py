"""Pictures of maps for people: panels with titles, and for each the colours of its scale in nats."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from msflow_jax.reports.overlays import colours_of
from msflow_jax.reports.svg import INK, MUTED

_DPI, _GAP = 100, 14  # a pixel of a panel is one of the file
_TITLE, _BAR, _SCALE = 22, 10, 72  # pixels: above a panel, of its bar, and of all that is below it
_NARROWEST = 270  # pixels that the words beneath a bar take


@dataclass(frozen=True)
class Panel:
    """One picture of a row.

    Attributes:
        picture: uint8 ``[h, w, 3]``.
        title: what it shows.
        limit: value of the strongest colour; 0: it shows no map.
        words: what the colours mean, with the unit; two lines have room.
    """

    picture: np.ndarray
    title: str
    limit: float = 0.0
    words: str = ""


def draw_panels(panels: Sequence[Panel], below: bool = False) -> bytes:
    """A PNG of panels side by side, or below one another.

    Every pixel of a panel is a pixel of the file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sizes = [(max(p.picture.shape[1], _NARROWEST), p.picture.shape[0]) for p in panels]
    cells = [(w + _GAP, h + _TITLE + _SCALE) for w, h in sizes]
    along, across = (1, 0) if below else (0, 1)
    whole = [0, 0]
    whole[along], whole[across] = sum(c[along] for c in cells), max(c[across] for c in cells)
    figure = Figure(figsize=(whole[0] / _DPI, whole[1] / _DPI), dpi=_DPI)
    FigureCanvasAgg(figure)
    start = [0, 0]
    for panel, cell in zip(panels, cells, strict=True):
        _draw(figure, panel, start, whole)
        start[along] += cell[along]
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def _draw(figure: Any, panel: Panel, start: Sequence[int], whole: Sequence[int]) -> None:
    """One panel in its cell, whose upper left corner is at ``start`` pixels."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    height, width = panel.picture.shape[:2]
    left, top = start[0] + _GAP // 2, start[1] + _TITLE

    def place(x: int, y: int, w: int, h: int) -> list[float]:
        return [x / whole[0], 1 - (y + h) / whole[1], w / whole[0], h / whole[1]]

    axis = figure.add_axes(place(left, top, width, height))
    axis.set_axis_off()
    axis.imshow(panel.picture, interpolation="nearest", aspect="auto")
    words: dict[str, Any] = {"fontsize": 8, "parse_math": False, "va": "center"}
    x, y, _, _ = place(left, start[1] + _TITLE // 2, 0, 0)
    figure.text(x, y, panel.title, color=INK, **words)
    if not panel.limit:
        return
    limit, wide = panel.limit, max(width, _NARROWEST)
    bar = figure.add_axes(place(left, top + height + 8, wide - 24, _BAR))
    colours = ScalarMappable(Normalize(-limit, limit), colours_of(limit))
    found = figure.colorbar(
        colours, bar, orientation="horizontal", extend="both", ticks=[-limit, 0, limit],
        format=lambda value, _: f"{value:+.3g}" if value else "0",
    )  # fmt: skip
    found.outline.set_visible(False)
    bar.tick_params(colors=MUTED, labelsize=7.5, length=2)
    x, y, _, _ = place(left, top + height + _SCALE - 20, 0, 0)
    figure.text(x, y, panel.words, color=MUTED, **words)
