"""The headline numbers of an evaluation, as lines for a terminal."""

from collections.abc import Mapping
from typing import Any

from msflow_jax.reports.alarms import warnings_of
from msflow_jax.reports.page import number
from msflow_jax.reports.results import Results
from msflow_jax.reports.routes import scores_of

_SCORES = (
    *("accuracy", "balanced_accuracy", "auc_probability", "auc_distance", "ece"),
    *("mean_dice_foreground", "mean_dice"),
)
_WEIGHED = " (classes weighed alike)"
_REMARKS = {"mean_dice": " (background included)"}


def headlines(found: Mapping[str, Any]) -> list[str]:
    """The scores of every section that has some, then what they hide."""
    lines = []
    for section in found["sections"]:
        weighed = bool(found[section].get("weighed"))
        for name in _SCORES:
            if (value := found[section].get(name)) is not None:
                lines.append(
                    f"{found['split']} {name:18s} {number(float(value), 4)}"
                    f"{_REMARKS.get(name, '')}{_WEIGHED * (name == 'ece' and weighed)}"
                )
        for row in found[section].get("per_set", ()):
            lines.append(f"{row['name']}: {row['mean']:.3f} bits per dimension")
    for one in scores_of(found.get("translation") or {}):
        beside = f" ({one.beside})" if one.beside else ""
        lines.append(f"{found['split']} {one.name}: PSNR {number(one.psnr, 1)} dB{beside}")
    return [
        *lines,
        *(f"warning: {text}" for text in warnings_of(Results(name="", evaluation=dict(found)))),
    ]
