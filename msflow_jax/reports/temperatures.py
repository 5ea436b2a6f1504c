"""The section of samples drawn at several temperatures."""

import numpy as np

from msflow_jax.reports import page
from msflow_jax.reports.page import Section
from msflow_jax.reports.results import Results


def temperatures_section(results: Results) -> Section:
    """Samples in a grid: a row for each temperature, a column for each class."""
    arrays, heading = results.arrays, "Samples at several temperatures"
    samples = arrays.get("temperature_samples", np.zeros(0))
    if "temperature_values" not in arrays or not samples.size:
        text = f"No {heading.lower()} in evaluation.npz: run the evaluation to draw them."
        return page.missing(results, "temperatures", "Temperatures", text, heading)
    names = [results.class_name(k) for k in range(samples.shape[1])]
    per_row = int(np.ceil(np.sqrt(samples.shape[2]))) if results.dims == 2 else 1
    rows = []
    for value, row in zip(arrays["temperature_values"], samples, strict=True):
        words = f"drawn at temperature {value:g}"
        cells = [
            page.image_strip(
                images, f"{len(images)} images of class {name} {words}", per_row, results.spacing
            )
            for name, images in zip(names, row, strict=True)
        ]
        rows.append((f"{value:g}", cells))
    return page.section(
        results, "temperatures", "Temperatures", heading=heading, names=names, rows=rows
    )
