"""Charts of numbers as SVG that stands in the page: its colours are those of the style sheet."""

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup, escape

# matplotlib knows no CSS: these colours stand for variables of the style sheet, light or dark.
INK, MUTED, GRID = "#010101", "#020202", "#030303"
COLOURS = ("#040404", "#050505", "#060606", "#070707")  # told apart by colour-blind readers too
_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid"}
_VARIABLES |= dict(zip(COLOURS, ("one", "two", "three", "four"), strict=True))

Rows = Sequence[dict[str, Any]]


def _figure(width: float, height: float, columns: int = 1, rows: int = 1, **options: Any) -> Any:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options).ravel()


def _style(axis: Any, x: str, y: str, title: str = "") -> None:
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


def _legend(axis: Any, **options: Any) -> None:
    handles, labels = axis.get_legend_handles_labels()
    if handles:
        legend = axis.legend(handles, labels, frameon=False, fontsize=8, **options)
        for text in legend.get_texts():
            text.set_color(INK)
            text.set_parse_math(False)


def _svg(figure: Any, name: str, alt: str) -> Markup:
    """The figure as an ``svg`` element; its ids begin with ``name``, as several stand in one page."""
    import matplotlib

    buffer = io.StringIO()
    # Text stays text, in the page's font; the salt makes equal charts equal files.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.S)  # it would style the whole page
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text).replace('href="#', f'href="#{name}-')
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 system-ui, sans-serif", text)
    width = figure.get_figwidth() * 107
    box = re.search(r'viewBox="[^"]*"', text)
    assert box is not None
    opening = (
        f'<svg class="chart" role="img" aria-label="{escape(alt)}" {box[0]} '
        f'style="max-width: {width:.0f}px" xmlns="http://www.w3.org/2000/svg" '
        'xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    return Markup(opening + text[text.index(">") + 1 :].strip())


def series(rows: Rows, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and finite values of one column of metrics.jsonl, in step order."""
    pairs = [
        (float(row["step"]), float(row[name]))
        for row in rows
        if isinstance(row.get(name), int | float) and np.isfinite(row[name])
    ]
    table = np.asarray(sorted(pairs), dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def smooth(values: np.ndarray) -> np.ndarray:
    """Centred running mean over about a twentieth of the points; short series stay as they are."""
    half = len(values) // 40
    if half == 0:
        return values
    total = np.concatenate([[0.0], np.cumsum(values)])
    low = np.maximum(np.arange(len(values)) - half, 0)
    high = np.minimum(np.arange(len(values)) + half + 1, len(values))
    return (total[high] - total[low]) / (high - low)


def curve_names(rows: Rows) -> tuple[list[str], list[str]]:
    """Columns that hold losses, and those that hold validation scores, in order of appearance."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    losses = [n for n in names if n.startswith("loss") or n.endswith(("_loss", "_nll"))]
    return losses, [n for n in names if n.startswith("val_") and n not in losses]


def training_chart(rows: Rows, alt: str) -> Markup:
    """Losses (log scale) and validation scores against the training step.

    Args:
        rows: metrics.jsonl; values that are not finite are left out.
        alt: text for those who do not see it.
    """
    groups = [(title, names) for title, names in zip(("Loss", "Validation"), curve_names(rows),
              strict=True) if any(len(series(rows, n)[0]) for n in names)]  # fmt: skip
    figure, axes = _figure(8.6, 2.9, columns=max(1, len(groups)))
    for axis, (title, names) in zip(axes, groups, strict=False):
        _style(axis, "training step", "", title)
        positive = True
        for i, name in enumerate(names):
            steps, values = series(rows, name)
            if not len(values):
                continue
            colour = COLOURS[i % len(COLOURS)]
            positive &= bool((values > 0).all())
            if len(values) >= 40:
                axis.plot(steps, values, color=colour, linewidth=0.7, alpha=0.25)
            marker = "o" if len(values) < 40 else ""
            label = name if title == "Loss" else name.removeprefix("val_")
            label = label.replace("val_", "validation ").replace("_", " ")
            axis.plot(steps, smooth(values), color=colour, lw=1.7, marker=marker, ms=3, label=label)
        if title == "Loss" and positive:
            _log_axis(axis)
        axis.locator_params(axis="x", nbins=5)
        _legend(axis, loc="best")
    return _svg(figure, "training", alt)


def _log_axis(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_yscale("log")
    low, high = axis.get_ylim()
    # A loss often stays within one decade, where the powers of ten alone leave the axis bare.
    subs = (1.0, 2.0, 5.0) if high / low < 1000 else (1.0,)
    axis.yaxis.set_major_locator(LogLocator(subs=subs))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def rejection_chart(curves: dict[str, dict[str, Any]], alt: str) -> Markup:
    """Accuracy of the images kept against the fraction rejected, one line per uncertainty.

    The dotted line is the best any order of these predictions could do.

    Args:
        curves: name -> ``rejection_curve``.
        alt: text for those who do not see it.
    """
    figure, (axis,) = _figure(4.6, 4.2)
    _style(axis, "least confident images rejected (%)", "accuracy of the rest (%)")
    first = next(iter(curves.values()))
    kept = np.asarray(first["kept"], dtype=float)
    best = np.minimum(1, first["accuracy"][0] * kept[0] / kept)
    x = 100 * np.asarray(first["rejected"])
    axis.plot(x, 100 * best, color=MUTED, ls=":", lw=1.5, label="best possible order")
    for i, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[i % len(COLOURS)]
        values = 100 * np.asarray(curve["accuracy"], dtype=float)
        x = 100 * np.asarray(curve["rejected"])
        line = "-" if i < len(COLOURS) else "--"  # more lines than colours
        axis.plot(
            x, values, color=colour, ls=line, lw=1.8, marker="o", ms=3, label=name.replace("_", " ")
        )
    axis.set_xlim(-2, 97)
    _legend(axis, loc="best")
    return _svg(figure, "rejection", alt)


def reliability_chart(table: Rows, alt: str) -> Markup:
    """Accuracy against confidence in bins, over a histogram of the confidences.

    Args:
        table: ``reliability_table``.
        alt: text for those who do not see it.
    """
    figure, (upper, lower) = _figure(
        4.6, 4.2, rows=2, sharex=True, gridspec_kw={"height_ratios": [3, 1]}
    )
    _style(upper, "", "accuracy (%)")
    _style(lower, "stated probability of the prediction (%)", "images")
    filled = [row for row in table if row["count"]]
    left = [100 * row["lower"] for row in filled]
    width = [100 * (row["upper"] - row["lower"]) * 0.9 for row in filled]
    colour = COLOURS[0]
    upper.bar(left, [100 * r["accuracy"] for r in filled], width, align="edge", color=colour,
              alpha=0.75, label="observed")  # fmt: skip
    upper.plot([0, 100], [0, 100], color=MUTED, ls="--", lw=1.2, label="perfect")
    points = [100 * row["confidence"] for row in filled]
    upper.plot(points, points, ls="", marker="_", ms=9, mew=2, color=COLOURS[1],
               label="stated (bin mean)")  # fmt: skip
    upper.set_ylim(0, 104)
    upper.set_xlim(0, 100)
    _legend(upper, loc="upper left")
    lower.bar(left, [row["count"] for row in filled], width, align="edge", color=MUTED)
    lower.locator_params(axis="y", nbins=3)
    return _svg(figure, "reliability", alt)


def likelihood_chart(
    sets: dict[str, np.ndarray], outside: Sequence[str], reference: float, alt: str
) -> Markup:
    """Histograms of bits per dimension, one below the other on a common axis.

    Sets of the kind trained on are filled, those outside it are hatched outlines in another colour.

    Args:
        sets: name -> bits per dimension ``[N]``, at least one set.
        outside: names of the sets of another kind.
        reference: bits per dimension marked by a line.
        alt: text for those who do not see it.
    """
    low = min(float(np.percentile(values, 0.5)) for values in sets.values())
    high = max(float(np.percentile(values, 99.5)) for values in sets.values())
    edges = np.linspace(low, max(high, low + 1e-3), 91)
    figure, axes = _figure(8.6, 0.7 + 0.62 * len(sets), rows=len(sets), sharex=True)
    for axis, (name, values) in zip(axes, sets.items(), strict=True):
        _style(axis, "", "")
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        other = name in outside
        colour = COLOURS[int(other)]
        fill = {"hatch": "////", "facecolor": "none"} if other else {"facecolor": colour}
        axis.stairs(counts, edges, fill=True, edgecolor=colour, linewidth=1.2, alpha=0.85, **fill)
        axis.axvline(reference, color=MUTED, ls="--", lw=1.0)
        axis.set_ylim(0, 1.08 * counts.max())
        axis.set_yticks([])
        axis.set_ylabel(name, rotation=0, ha="right", va="center", color=INK, fontsize=8.5,
                        parse_math=False)  # fmt: skip
    axes[-1].set_xlabel("bits per dimension (left: more likely)", color=MUTED, fontsize=8.5)
    return _svg(figure, "likelihood", alt)
