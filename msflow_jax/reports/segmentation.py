"""The section on segmentation."""

from msflow_jax.reports import page
from msflow_jax.reports.page import Section
from msflow_jax.reports.results import Results


def segmentation_section(results: Results) -> Section:
    """Overlap per class."""
    found = results.part("segmentation")
    if not found:
        text = "No segmentation in evaluation.json: evaluate again to measure it."
        return page.missing(results, "segmentation", "Segmentation", text)
    return page.section(
        results, "segmentation", "Segmentation", classes=found.get("classes") or {},
        undefined=found.get("undefined") or {},
    )  # fmt: skip
