"""Reports: take results, not models; one self-contained HTML page for a workdir."""

from msflow_jax.reports.build import build_report
from msflow_jax.reports.figures import image_grid, save_grid
from msflow_jax.reports.sections import SECTIONS

__all__ = ["SECTIONS", "build_report", "image_grid", "save_grid"]
