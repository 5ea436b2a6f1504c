"""The section on likelihoods: bits per dimension of each set, and how sets of another kind differ."""

from typing import Any

import numpy as np

from msflow_jax.reports import charts, page
from msflow_jax.reports.page import Section
from msflow_jax.reports.results import Results


def likelihood_section(results: Results) -> Section:
    """Bits per dimension of each set, and how sets of another kind differ."""
    found = results.part("likelihood")
    if not found:
        text = "No likelihoods in evaluation.json: run the evaluation to measure them."
        return page.missing(results, "likelihood", "Likelihood", text)
    return page.section(
        results, "likelihood", "Likelihood", found=found, chart=_histograms(results, found)
    )


def _histograms(results: Results, found: dict[str, Any]) -> Any:
    """The chart of the sets whose bits are stored; None if no set's are."""
    sets = {
        name: results.arrays[f"bits_{i}"]
        for i, name in enumerate(found["sets"])
        if results.arrays.get(f"bits_{i}", np.zeros(0)).size
    }
    if not sets:
        return None
    means = {row["name"]: row["mean"] for row in found["per_set"]}
    words = "; ".join(f"{name}: mean {page.number(means[name], 2)}" for name in sets)
    label = f"Histograms of bits per dimension. {words}"
    return charts.likelihood_chart(sets, found["outside"], means[found["reference"]], label)
