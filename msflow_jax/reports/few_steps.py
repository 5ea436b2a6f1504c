"""The section on few jumps: what they draw beside the teacher's steps, from the same noise."""

from typing import Any

from msflow_jax.reports import page
from msflow_jax.reports.page import Section
from msflow_jax.reports.results import Results
from msflow_jax.reports.routes import blank_of

_METRICS = ("frechet", "precision", "recall", "recognised", "difference")
_TRANSLATED = {"psnr": 2, "ssim": 3, "mae": 4, "difference": 2}  # and how many digits are shown


def few_steps_section(results: Results) -> Section:
    """Samples of every number of steps, and their distances."""
    found = results.part("few_steps")
    heading = "Drawn in few steps"
    if not found.get("rows"):
        text = "No comparison of few steps in evaluation.json: evaluate again."
        return page.missing(results, "few_steps", "Few steps", text, heading)
    strips = page.named_strips(results, "few_steps", found.get("ways", ()), "images drawn in")
    if found.get("translated"):
        rows: list[tuple[str, ...]] = [
            (name, *(_cell(row[metric], digits) for metric, digits in _TRANSLATED.items()))
            for name, row in found["rows"].items()
        ]
        routes = ", ".join(" to ".join(route) for route in found.get("routes", ()))
        return page.section(
            results, "few_steps", "Few steps", heading=heading, strips=strips, rows=rows, found=found,
            routes=routes, blank=blank_of(found, found.get("samples", 0)),
        )  # fmt: skip
    rows = [
        ("real, from the training set (floor)" if name == "real" else name,
         *(page.number(row.get(metric)) for metric in _METRICS))
        for name, row in found["rows"].items()
    ]  # fmt: skip
    return page.section(
        results, "few_steps", "Few steps", heading=heading, strips=strips, rows=rows, found=found
    )


def _cell(value: dict[str, Any], digits: int) -> str:
    """A mean with its interval."""
    interval = page.span(value["interval"], lambda x: page.number(x, digits))
    return page.number(value["value"], digits) + (f" ({interval})" if interval else "")
