"""Charts of the ROC and precision-recall curves of each class against the rest."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from msflow_jax.reports import drawing as draw
from msflow_jax.reports.svg import MUTED, to_svg

_TAIL = 14  # letters of an area in brackets, at most


def roc_chart(curves: Mapping[str, np.ndarray], label: str) -> Markup:
    """True against false positive rate, a line for each class; dotted: guessing.

    Args:
        curves: words of the legend, an area in brackets behind -> ``[M, 2]``, false and true positive
            rate.
        label: what the chart shows, in words.
    """
    figure, axis = _square(len(curves), "1 - specificity (%)", "sensitivity (%)")
    axis.plot([0, 100], [0, 100], color=MUTED, ls=":", lw=1.5, label="guessing")
    return _finish(figure, axis, curves, "roc", label, steps="default")


def recall_chart(curves: Mapping[str, np.ndarray], label: str) -> Markup:
    """Precision against recall, a line for each class.

    Args:
        curves: words of the legend, an area in brackets behind -> ``[M, 2]``, recall and precision.
        label: what the chart shows, in words.
    """
    figure, axis = _square(len(curves), "recall, sensitivity (%)", "precision, PPV (%)")
    # The last point stands for no threshold: at recall 0 the precision is that of the first image.
    drawn = {
        name: np.concatenate([points[:-1], [[0, points[-2:, 1][0]]]])
        for name, points in curves.items()
    }
    # Between two thresholds precision is that of the higher recall, not on a line: so is its average.
    return _finish(figure, axis, drawn, "recall", label, steps="steps-post")


def _square(lines: int, x: str, y: str) -> tuple[Any, Any]:
    figure, (axis,) = draw.figure(4.6, 4.2 + 0.2 * ((lines + 2) // 2))
    draw.style(axis, x, y)
    axis.set_xlim(-1, 101)
    axis.set_ylim(-1, 101)
    return figure, axis


def _finish(
    figure: Any, axis: Any, curves: Mapping[str, np.ndarray], name: str, label: str, steps: str
) -> Markup:
    for i, (words, points) in enumerate(curves.items()):
        x, y = 100 * np.asarray(points, np.float64).T
        axis.plot(x, y, lw=1.8, drawstyle=steps, label=_shortened(words), **draw.line(i))
    draw.legend(axis, figure, loc="outside lower left", ncols=2)
    return to_svg(figure, name, label, draw.NARROW)


def _shortened(words: str) -> str:
    """Words of a legend with what is in brackets behind them, which a long name would cut off."""
    name, between, area = words.rpartition(" (")
    tail = between + area
    if not name or len(tail) > _TAIL:
        return draw.name(words)
    return draw.name(name, draw.LIMIT - len(tail)) + tail
