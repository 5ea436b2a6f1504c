"""The section that shows where the likelihood of a few images comes from."""

from typing import Any

import numpy as np

from msflow_jax.reports import page, planes
from msflow_jax.reports.overlays import overlay
from msflow_jax.reports.page import Section
from msflow_jax.reports.results import Results

_EXPLAINED = 8
_PARTS = ("images", "map", "contrast", "labels", "predictions", "against", "log_prob", "ratio")


def explanation_section(results: Results) -> Section:
    """Images with their log-likelihood map, and with the map of the ratio to the second class."""
    arrays = {part: results.arrays.get(f"explain_{part}") for part in _PARTS}
    heading = "Why this class"
    if any(array is None or not len(array) for array in arrays.values()):
        text = "No explained images in evaluation.npz: run the evaluation to make them."
        return page.missing(results, "explanation", "Why", text, heading)
    names = results.arrays.get("explain_names")
    rows = zip(*(array[:_EXPLAINED] for array in arrays.values() if array is not None), strict=True)
    cases = [
        {
            **_explained(results, dict(zip(_PARTS, row, strict=True))),
            "name": "" if names is None else str(names[i]),
        }
        for i, row in enumerate(rows)
    ]
    words = planes.caption(results.dims, results.spacing, "the voxel of the largest absolute ratio")
    return page.section(results, "explanation", "Why", heading=heading, cases=cases, through=words)


def _explained(results: Results, one: dict[str, np.ndarray]) -> dict[str, Any]:
    """Three pictures of one image and the words beneath them."""
    true, predicted, second = (
        results.class_name(int(one[part])) for part in ("labels", "predictions", "against")
    )
    image = one["images"]
    likelihood = overlay(image, one["map"], centre=True)
    ratio = overlay(image, one["contrast"])
    shown = [image, likelihood, ratio]
    if image.ndim == 4:
        at = np.unravel_index(np.abs(one["contrast"]).argmax(), one["contrast"].shape)
        shown = [planes.three_planes(each, at, results.spacing) for each in shown]
    alts = (
        f"Image of class {true}, classified as {predicted}",
        f"Log-likelihood map of that image given {predicted}",
        f"Log-likelihood-ratio map of that image, {predicted} against {second}",
    )
    return {
        "pictures": [
            page.picture(*pair, joined=image.ndim == 4) for pair in zip(shown, alts, strict=True)
        ],
        "true": true,
        "predicted": predicted,
        "second": second,
        "right": int(one["labels"]) == int(one["predictions"]),
        "ratio": float(one["ratio"]),
        "log_prob": float(one["log_prob"]),
    }
