"""Charts of numbers: drawn by matplotlib on transparent ground, as SVG in the page's own colours."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from msflow_jax.reports import drawing as draw
from msflow_jax.reports.svg import INK, MUTED, SERIES, to_svg

Rows = Sequence[dict[str, Any]]

_UNITS = {"val_psnr": "dB"}
_POINTS = 500  # of one line: more cannot be told apart on the page and make the file large


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


def fewer(values: np.ndarray, limit: int = _POINTS) -> np.ndarray:
    """Indices of at most ``limit`` points that keep the outline of a long series.

    Args:
        values: ``[N]``.
        limit: points that are kept, an even number of 4 or more.

    Returns:
        int ``[M]``, rising: the first, the last, and the minimum and maximum of each run of neighbours.
    """
    if len(values) <= limit:
        return np.arange(len(values))
    runs = np.array_split(np.arange(len(values)), limit // 2 - 1)
    ends = [run[pick(values[run])] for run in runs for pick in (np.argmin, np.argmax)]
    return np.unique([0, *ends, len(values) - 1])


def curve_names(rows: Rows) -> tuple[list[str], list[str]]:
    """Columns that hold losses, and those that hold validation scores, in order of appearance."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    losses = [
        n
        for n in names
        if n.startswith(("loss", "val_loss")) or n.endswith(("_loss", "_nll", "_bits"))
    ]
    return losses, [n for n in names if n.startswith("val_") and n not in losses]


def training_chart(rows: Rows, label: str, stage: str = "") -> Markup:
    """Losses (log scale, see :func:`has_log_axis`) and validation scores against the training step.

    Scores that are no shares, such as a PSNR, have an axis each.

    Args:
        rows: metrics.jsonl; values that are not finite are left out.
        label: what the chart shows, in words.
        stage: a word that no other stage of the run has; empty where there is one alone.
    """
    groups = _axes(rows)
    figure, axes = draw.figure(8.6, 2.9, columns=max(1, len(groups)))
    for axis, (title, names, unit) in zip(axes, groups, strict=False):
        draw.style(axis, "training step", unit, title)
        found = {name: series(rows, name) for name in names}
        found = {name: pair for name, pair in found.items() if len(pair[0])}
        for i, (name, (steps, values)) in enumerate(found.items()):
            _curve(axis, i, steps, values, _in_words(name, title != "Loss"))
        if title == "Loss" and has_log_axis(rows):
            _log_axis(axis)
        axis.locator_params(axis="x", nbins=5)
        draw.legend(axis, loc="best")
    return to_svg(figure, f"training{stage}", label, draw.WIDE)


def _axes(rows: Rows) -> list[tuple[str, list[str], str]]:
    """Title, columns and label of each axis: losses, shares, and one for each score that is no share."""
    losses, scores = ([n for n in names if len(series(rows, n)[0])] for names in curve_names(rows))
    shares = [n for n in scores if "error" not in n and (np.abs(series(rows, n)[1]) <= 1).all()]
    groups = [("Loss", losses, ""), ("Validation", shares, "")]
    groups += [("Validation", [n], _UNITS.get(n, "")) for n in scores if n not in shares]
    return [group for group in groups if group[1]]


def has_log_axis(rows: Rows) -> bool:
    """Whether there are losses that :func:`training_chart` shows on a log scale: none is 0 or less."""
    found = [values for _, values in (series(rows, name) for name in curve_names(rows)[0])]
    return any(map(len, found)) and all((values > 0).all() for values in found)


def _curve(axis: Any, i: int, steps: np.ndarray, values: np.ndarray, name: str) -> None:
    """One series: as logged, thin, where it is long, and smoothed over it."""
    many = len(values) >= 40
    if many:
        shown = fewer(values)
        axis.plot(steps[shown], values[shown], lw=0.7, alpha=0.25, **draw.line(i))
    values = smooth(values)
    shown = fewer(values)
    marker = "" if many else "o"
    axis.plot(steps[shown], values[shown], lw=1.7, marker=marker, ms=3, label=name, **draw.line(i))


def _in_words(name: str, validation: bool) -> str:
    name = name.removeprefix("val_") if validation else name
    return draw.name(name.replace("val_", "validation ").replace("_", " "))


def _log_axis(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_yscale("log")
    low, high = axis.get_ylim()
    # A loss often stays within one decade, where the powers of ten alone leave the axis bare.
    subs = (1.0, 2.0, 5.0) if high / low < 1000 else (1.0,)
    axis.yaxis.set_major_locator(LogLocator(subs=subs))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def rejection_chart(curves: Mapping[str, Mapping[str, Any]], label: str) -> Markup:
    """Accuracy of the images kept against the share rejected, one line per uncertainty.

    The dotted line is the best any order of these predictions could do.

    Args:
        curves: name -> ``rejection_curve``.
        label: what the chart shows, in words.
    """
    # The legend stands below the axis: so many lines leave no free corner.
    figure, (axis,) = draw.figure(4.6, 4.0 + 0.2 * ((len(curves) + 2) // 2))
    draw.style(axis, "least confident images rejected (%)", "accuracy of the rest (%)")
    first = next(iter(curves.values()))
    kept = np.asarray(first["kept"], dtype=float)
    best = np.minimum(1, first["accuracy"][0] * kept[0] / kept)
    x = 100 * np.asarray(first["rejected"])
    axis.plot(x, 100 * best, color=MUTED, ls=":", lw=1.5, label="best possible order")
    for i, (name, curve) in enumerate(curves.items()):
        values = 100 * np.asarray(curve["accuracy"], dtype=float)
        x = 100 * np.asarray(curve["rejected"])
        axis.plot(x, values, lw=1.8, marker="o", ms=3, label=draw.name(name), **draw.line(i))
    axis.set_xlim(-2, 97)
    draw.legend(axis, figure, loc="outside lower left", ncols=2)
    return to_svg(figure, "rejection", label, draw.NARROW)


def reliability_chart(table: Rows, label: str) -> Markup:
    """Accuracy against confidence in bins, over a histogram of the confidences.

    Args:
        table: ``reliability_table``.
        label: what the chart shows, in words.
    """
    figure, (upper, lower) = draw.figure(
        4.6, 4.2, rows=2, sharex=True, gridspec_kw={"height_ratios": [3, 1]}
    )
    draw.style(upper, "", "accuracy (%)")
    draw.style(lower, "probability of the prediction (%)", "images")
    filled = [row for row in table if row["count"]]
    left = [100 * row["lower"] for row in filled]
    width = [100 * (row["upper"] - row["lower"]) * 0.9 for row in filled]
    upper.bar(left, [100 * r["accuracy"] for r in filled], width, align="edge", color=SERIES[0],
              alpha=0.75, label="observed")  # fmt: skip
    upper.plot([0, 100], [0, 100], color=MUTED, ls="--", lw=1.2, label="perfect")
    points = [100 * row["confidence"] for row in filled]
    upper.plot(points, points, ls="", marker="_", ms=9, mew=2, color=SERIES[1],
               label="predicted (bin mean)")  # fmt: skip
    upper.set_ylim(0, 104)
    upper.set_xlim(0, 100)
    draw.legend(upper, loc="upper left")
    lower.bar(left, [row["count"] for row in filled], width, align="edge", color=MUTED)
    lower.locator_params(axis="y", nbins=3)
    return to_svg(figure, "reliability", label, draw.NARROW)


def likelihood_chart(
    sets: Mapping[str, np.ndarray], outside: Sequence[str], reference: float, label: str
) -> Markup:
    """Histograms of bits per dimension, one below the other on a common axis.

    Sets of the kind trained on are filled, those outside it are hatched outlines in another colour.

    Args:
        sets: name -> bits per dimension ``[N]``, at least one set.
        outside: names of the sets of another kind.
        reference: bits per dimension marked by a line.
        label: what the chart shows, in words.
    """
    low = min(float(np.percentile(values, 0.5)) for values in sets.values())
    high = max(float(np.percentile(values, 99.5)) for values in sets.values())
    edges = np.linspace(low, max(high, low + 1e-3), 91)
    figure, axes = draw.figure(8.6, 0.7 + 0.62 * len(sets), rows=len(sets), sharex=True)
    for axis, (name, values) in zip(axes, sets.items(), strict=True):
        draw.style(axis, "", "")
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        foreign = name in outside
        colour = SERIES[int(foreign)]
        fill = {"hatch": "////", "facecolor": "none"} if foreign else {"facecolor": colour}
        axis.stairs(counts, edges, fill=True, edgecolor=colour, linewidth=1.2, alpha=0.85, **fill)
        axis.axvline(reference, color=MUTED, ls="--", lw=1.0)
        axis.set_ylim(0, 1.08 * counts.max())
        axis.set_yticks([])
        axis.set_ylabel(draw.name(name), rotation=0, ha="right", va="center", color=INK, fontsize=8.5,
                        parse_math=False)  # fmt: skip
    axes[-1].set_xlabel("bits per dimension (left: more likely)", color=MUTED, fontsize=8.5)
    return to_svg(figure, "likelihood", label, draw.WIDE)
