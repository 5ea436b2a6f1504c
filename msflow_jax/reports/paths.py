"""The section that follows one generation and one classification through time, as film strips."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from msflow_jax.reports import page
from msflow_jax.reports.page import Picture, Section
from msflow_jax.reports.results import Results

_FRAMES = {2: 9, 3: 5}  # of images, and of volumes, whose frames are three planes wide


@dataclass(frozen=True)
class Film:
    """One film strip.

    Attributes:
        times: u of each frame, in words.
        rows: name and frames of each stream.
        true: class that was requested or is true; empty if it is not stored.
        predicted: class that the model predicts; empty if it is not stored.
        end: class at which a classification ends; empty if there is none.
        steps: solver steps of the path; 0 where they are not stored.
    """

    times: list[str]
    rows: list[tuple[str, list[Picture]]]
    true: str
    predicted: str
    end: str
    steps: int


def paths_section(results: Results) -> Section:
    """One generation and one classification."""
    heading = "From noise to image and back"
    generate = _film(results, "generate", ("class", "true"))
    classify = _film(results, "classify", ("true",))
    if generate is None and classify is None:
        text = "No paths in evaluation.npz: run the evaluation to make them."
        return page.missing(results, "paths", "Paths", text, heading)
    return page.section(
        results, "paths", "Paths", heading=heading, generate=generate, classify=classify,
        draws=results.part("paths").get("draws"), guidance=_learned_guidance(results),
    )  # fmt: skip


def _learned_guidance(results: Results) -> float:
    """Guidance that the field has in it, of a guided teacher; 1 for none."""
    found: Any = results.config
    for key in ("model", "distillation", "guidance"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, int | float) else 1.0


def _film(results: Results, prefix: str, true: tuple[str, ...]) -> Film | None:
    """The frames to show of the arrays ``PREFIX_image``, ``PREFIX_label`` and ``PREFIX_u``."""
    found = [results.arrays.get(f"{prefix}_{part}") for part in ("image", "label", "u")]
    image, label, u = found
    if image is None or label is None or u is None or not len(u):
        return None
    frames = np.unique(
        np.linspace(0, len(u) - 1, min(_FRAMES[results.dims], len(u))).round().astype(int)
    )
    times = [f"{u[i]:.2f}" for i in frames]
    space = results.spacing
    rows = [
        (word, [page.picture(images[i], f"{word} at u = {u[i]:.2f}", space) for i in frames])
        for word, images in (("image", image), ("label", label))
    ]
    end, predicted = (_class(results, prefix, part) for part in ("end", "predicted"))
    if not end:  # an evaluation of before: what it calls predicted is where the path ends
        end, predicted = predicted, ""
    steps = results.part("paths").get("steps") or {}
    return Film(times, rows, _class(results, prefix, *true), predicted, end, steps.get(prefix, 0))


def _class(results: Results, prefix: str, *parts: str) -> str:
    """Name of the class that the first array there is holds."""
    for part in parts:
        found = results.arrays.get(f"{prefix}_{part}")
        if found is not None:
            return results.class_name(int(found))
    return ""
