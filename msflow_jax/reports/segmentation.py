"""The section on segmentation."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from msflow_jax.reports import page, planes
from msflow_jax.reports.label_colours import as_colours, label_colours, lay_over
from msflow_jax.reports.page import Section, number, span
from msflow_jax.reports.results import Results

_PARTS = ("images", "truth", "maps", "uncertainty")
SHOWN = ("image", "truth", "prediction", "uncertainty")
_MAPS = SHOWN[1:3]
_THROUGH = "the middle of what is marked in the truth (of the volume where nothing is)"


def segmentation_section(results: Results) -> Section:
    """Scores of each class, images with truth, prediction and uncertainty, errors by uncertainty."""
    found = results.part("segmentation")
    if not found:
        text = "No segmentation in evaluation.json: evaluate again to measure it."
        return page.missing(results, "segmentation", "Segmentation", text)
    classes = found.get("classes") or {}
    colours = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in label_colours(len(classes)).tolist()]
    return page.section(
        results, "segmentation", "Segmentation", rows=[_row(*pair) for pair in classes.items()],
        unit=unit_of(results), unsized=found.get("unsized"), undefined=found.get("undefined") or {},
        subjects=(found.get("intervals") or {}).get("groups"),
        no_interval=_no_interval((found.get("intervals") or {}).get("undefined") or {}),
        unsure=found.get("uncertainty") or {}, shown=SHOWN, cases=_cases(results, len(classes)),
        legend=list(zip(colours, classes, strict=True)),
        through=planes.caption(results.dims, results.spacing, _THROUGH),
    )  # fmt: skip


def unit_of(results: Results) -> str:
    """Unit of the distances; of pixels how many the model's images have, which files may not have."""
    unit, space = results.part("segmentation").get("unit") or "pixels", results.data.get("space")
    if unit != "pixels" or not isinstance(space, list) or not space:
        return unit
    sides = space[:1] if len(set(space)) == 1 else space
    return f"pixels at {' x '.join(map(str, sides))}{' a side' if len(sides) == 1 else ''}"


def _no_interval(undefined: Mapping[str, str]) -> str:
    """Why there are no intervals, or none of a mean Dice, as a sentence; empty where there are."""
    if "dice" in undefined:
        return f"No intervals: {undefined['dice']}."
    return f"No interval of the mean Dice: {next(iter(undefined.values()))}." if undefined else ""


def _row(name: str, row: Mapping[str, Any]) -> list[Any]:
    """A row of the table: each score with its interval below it."""
    spans = row.get("intervals") or {}

    def score(key: str, digits: int) -> Any:
        interval = span(spans.get(key), lambda value: number(value, digits))
        return [number(row.get(key), digits), interval]

    return [
        name, score("dice", 3), score("image_dice", 3), score("hd95", 1), score("hd", 1),
        number(row.get("iou")), *(number(row.get(key)) for key in ("images", "missed", "invented")),
        number(row.get("pixels")),
    ]  # fmt: skip


def _cases(results: Results, classes: int) -> list[dict[str, Any]]:
    """Pictures of a few images: image, truth, prediction and uncertainty."""
    arrays = [results.arrays.get(f"segmented_{part}") for part in _PARTS]
    if any(array is None or not len(array) for array in arrays):
        return []
    names = results.arrays.get("segmented_names")
    inside = results.arrays.get("segmented_inside")
    cases = []
    for i, (image, truth, maps, unsure) in enumerate(zip(*arrays, strict=True)):
        colour = image.shape[-1] == 3  # of what is laid over in colour the map alone is plainer
        over = [
            as_colours(one, classes) if colour else lay_over(image[None], one[None], classes)[0]
            for one in (truth, maps)
        ]
        shown = [image, *over, unsure[..., None]]
        volume = maps.ndim == 3
        if volume:
            there = np.argwhere(truth > 0)
            at = np.median(there, axis=0).astype(int) if len(there) else None
            shown = [planes.three_planes(one, at, results.spacing) for one in shown]
        name = str(names[i]) if names is not None else ""
        pictures = [
            page.picture(one, f"{words} of {name}", joined=volume, nearest=words in _MAPS)
            for one, words in zip(shown, SHOWN, strict=True)
        ]
        at = ... if inside is None else inside[i]  # not the padding
        error, mean = float((truth != maps)[at].mean()), float(unsure[at].mean() / 255)
        cases.append({"pictures": pictures, "name": name, "error": error, "unsure": mean})
    return cases
