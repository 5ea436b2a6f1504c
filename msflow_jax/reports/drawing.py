"""What charts are drawn with: figures, axes, legends, and lines that are told apart."""

from typing import Any

from msflow_jax.reports.svg import GRID, INK, MUTED, SERIES, plain

LIMIT = 48  # letters of a name
WIDE, NARROW = 920, 440  # widths on the page in CSS pixels
# Dotted is the reference line of a chart. Five patterns beside eight colours: 40 different lines.
_DASHES: tuple[Any, ...] = (
    "-", (0, (6, 1.6)), (0, (2.6, 1.2)), (0, (7, 1.6, 1.4, 1.6)), (0, (7, 1.6, 1.4, 1.6, 1.4, 1.6)),
)  # fmt: skip


def figure(width: float, height: float, columns: int = 1, rows: int = 1, **options: Any) -> Any:
    """A figure of this size in inches, and its axes."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options).ravel()


def style(axis: Any, x: str, y: str, title: str = "") -> None:
    """Grid, spines and labels of an axis."""
    axis.set_facecolor("none")
    axis.grid(True, color=GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(MUTED)
    axis.tick_params(which="both", colors=MUTED, labelsize=8, length=0)
    axis.set_xlabel(x, color=MUTED, fontsize=8.5)
    axis.set_ylabel(y, color=MUTED, fontsize=8.5)
    if title:
        axis.set_title(title, color=INK, fontsize=10, loc="left", pad=8)


def legend(axis: Any, owner: Any = None, **options: Any) -> None:
    """The legend of an axis, drawn on it or on the figure; its samples are long enough for dashes."""
    handles, labels = axis.get_legend_handles_labels()
    if handles:
        options |= {"frameon": False, "fontsize": 8, "handlelength": 2.8}
        shown = (owner or axis).legend(handles, labels, **options)
        for text in shown.get_texts():
            text.set_color(INK)
            text.set_parse_math(False)  # a dollar sign would otherwise start mathematics


def name(text: str, limit: int = LIMIT) -> str:
    """A name for a chart; a very long one would leave no room for the chart."""
    text = plain(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def line(i: int) -> dict[str, Any]:
    """Colour and dashes of line ``i``: both change from line to line, and no pair comes twice in 40."""
    return {"color": SERIES[i % len(SERIES)], "linestyle": _DASHES[i % len(_DASHES)]}
