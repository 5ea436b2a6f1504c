"""Sections that every workdir has, and the plain one of a block that has no section of its own."""

import numpy as np

from msflow_jax.reports import charts, page
from msflow_jax.reports.page import Section
from msflow_jax.reports.results import Results

_SHOWN, _PER_ROW = 16, 8  # images of an array, and how many of them in a row


def data_section(results: Results) -> Section:
    """What the data set is, with the licence and the classes."""
    if not results.data:
        return page.missing(results, "data", "Data", "No facts on the data in this workdir.")
    facts = {key.replace("_", " "): value for key, value in results.data.items()}
    return page.section(results, "data", "Data", items=facts)


def training_section(results: Results) -> Section:
    """Loss and validation curves."""
    rows = results.rows
    losses, scores = charts.curve_names(rows)
    drawn = [name for name in losses + scores if len(charts.series(rows, name)[0])]
    if not drawn:
        text = "No metrics.jsonl with losses in this workdir: training curves are not shown."
        return page.missing(results, "training", "Training", text)
    last = int(max(row["step"] for row in rows))
    speeds = np.sort(charts.series(rows, "images_per_second")[1])
    chart = charts.training_chart(
        rows, f"Curves of {', '.join(drawn)} over {last:,} training steps"
    )
    speed = float(speeds[len(speeds) // 2]) if len(speeds) else None
    return page.section(results, "training", "Training", chart=chart, last=last, speed=speed)


def configuration_section(results: Results) -> Section:
    """Everything that was set, folded away."""
    blocks = (
        ("Evaluation settings", results.part("settings")),
        ("Configuration (config.json)", results.config),
        ("Manifest (manifest.json): versions, device, data, seed", results.manifest),
    )
    heading = "Configuration and manifest"
    return page.section(results, "configuration", "Configuration", heading=heading, blocks=blocks)


def generic_section(results: Results, name: str) -> Section:
    """A block of evaluation.json as a table, and its images in evaluation.npz as strips.

    Args:
        results: what the workdir holds.
        name: name of the block; its arrays are called ``NAME_*``, and those that hold images are
            uint8 ``[N, H, W, 1 or 3]``.
    """
    title = name.replace("_", " ")
    title = title[:1].upper() + title[1:]
    strips = []
    for key, array in results.arrays.items():
        if key.startswith(f"{name}_") and _holds_images(array):
            words = key.removeprefix(f"{name}_").replace("_", " ")
            shown = array[:_SHOWN]
            alt = f"{len(shown)} images of {title}: {words}"
            strips.append((words, len(array), page.image_strip(shown, alt, _PER_ROW)))
    return page.section(
        results, name, title, template="generic", block=results.part(name), strips=strips
    )


def _holds_images(array: np.ndarray) -> bool:
    return bool(
        array.dtype == np.uint8 and array.ndim == 4 and array.shape[3] in (1, 3) and array.size
    )
