"""The section on generation: samples beside real images, distances, recognition, memorisation.

What is measured is one block, or one for each of several modalities.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from msflow_jax.reports import page
from msflow_jax.reports.page import Picture, Section
from msflow_jax.reports.results import Results

_PER_CLASS = {2: 6, 3: 4}  # of images, and of volumes, which are shown two in a row
_PAIRS = 8
_SETS = {
    "generated": "generated",
    "real": "real, from the training set (floor)",
    "noise": "uniform noise",
}
_COUNTED = ("generated", "held_out", "train", "matched")
_METRICS = ("frechet", "precision", "recall", "density", "coverage")


def generation_section(results: Results) -> Section:
    """Generated images, and distribution distances beside floor and ceiling."""
    found = results.part("generation")
    several = found.get("modalities") or {}
    return page.section(
        results,
        "generation",
        "Generated images",
        samples=_of_modalities(results, several) if several else _samples(results),
        per_class=_PER_CLASS[results.dims],
        several=bool(several),
        absent=found.get("absent") or (),
        has_real=bool(several) or ("real" in results.arrays and "real_labels" in results.arrays),
        blocks=[_block(results, name, block) for name, block in blocks_of(found).items()],
    )


def blocks_of(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What was measured of each modality by its name; of images of classes all under an empty one."""
    return dict(found["modalities"]) if "modalities" in found else {"": dict(found)}


def _block(results: Results, name: str, found: dict[str, Any]) -> dict[str, Any]:
    """What the template shows of one block of measures."""
    return {
        "name": _route(name, found) if name else "",
        "found": found,
        "tables": _tables(found),
        "grain": _grain(found),
        "counts": [
            (row["name"], *(page.number(row[key]) for key in _COUNTED))
            for row in found.get("counts") or ()
        ],
        "near": found.get("memorisation") or {},
        "pairs": _pairs(results, found, f"generation_{name}_" if name else ""),
    }


def _route(name: str, found: Mapping[str, Any]) -> str:
    emergent = "" if found.get("trained", True) else ", emergent"
    return f"{name} from {found.get('source', 'nothing')}{emergent}"


def _of_modalities(
    results: Results, several: Mapping[str, Any]
) -> list[tuple[str, Picture | None, Picture | None]]:
    """For each modality what it was drawn from, drawn images, and the real ones of the same examples."""
    rows = []
    for name, found in several.items():
        pictures: list[Picture | None] = []
        for part, word in (("samples", "generated"), ("real", "real")):
            array = results.arrays.get(f"generation_{name}_{part}")
            shown = None
            if array is not None and len(array):
                most = _PER_CLASS[array.ndim - 2]
                alt = f"{len(array[:most])} {word} images, {name}"
                per_row = most if array.ndim == 4 else 2
                shown = page.image_strip(array[:most], alt, per_row, results.spacing)
            pictures.append(shown)
        rows.append((_route(name, found), pictures[0], pictures[1]))
    return rows


def _samples(results: Results) -> list[tuple[str, Picture | None, Picture | None]]:
    """For each class its name, its generated and its real images."""
    labels = results.arrays.get("sample_labels")
    if labels is None or not len(results.arrays.get("samples", ())):
        return []
    return [
        (
            results.class_name(k),
            _of_class(results, "samples", "sample_labels", k, "generated"),
            _of_class(results, "real", "real_labels", k, "real"),
        )
        for k in sorted({int(label) for label in labels})
    ]


def _of_class(results: Results, images: str, labels: str, k: int, word: str) -> Picture | None:
    arrays = results.arrays
    if images not in arrays or labels not in arrays:
        return None
    most = _PER_CLASS[results.dims]
    chosen: np.ndarray = arrays[images][arrays[labels] == k][:most]
    alt = f"{len(chosen)} {word} images of class {results.class_name(k)}"
    per_row = most if results.dims == 2 else 2
    return page.image_strip(chosen, alt, per_row, results.spacing) if len(chosen) else None


def _tables(found: dict[str, Any]) -> list[dict[str, Any]]:
    """A comparison for each network whose features were measured: rows, and why some are undefined."""
    tables = []
    for part, features in (
        ("comparison", "features"),
        ("comparison_supplied", "features_supplied"),
    ):
        comparison = found.get(part) or {}
        if not comparison and part != "comparison":
            continue
        rows = [
            (_SETS.get(name, name), *(page.number(row.get(m)) for m in _METRICS))
            for name, row in comparison.items()
        ]
        reasons = {r for row in comparison.values() for r in (row.get("undefined") or {}).values()}
        tables.append(
            {
                "rows": rows,
                "features": found.get(features, "not stated"),
                "reasons": sorted(reasons),
            }
        )
    return tables


def _grain(found: dict[str, Any]) -> dict[str, Any]:
    """Rows of the distances of grain, and why some are undefined; empty where not measured."""
    grain = found.get("grain") or {}
    if not grain:
        return {}
    named = {_SETS.get(name, name): row for name, row in grain["sets"].items()}
    named["real against real, by chance"] = grain.get("chance") or {}
    rows = [
        (words, page.number(row.get("spectrum"), 2), page.number(row.get("differences"), 2))
        for words, row in named.items()
    ]
    reasons = sorted(set((grain.get("undefined") or {}).values()))
    return {"rows": rows, "images": grain.get("images"), "reasons": reasons}


def _pairs(
    results: Results, found: dict[str, Any], prefix: str = ""
) -> list[tuple[Picture, Picture, float | None, str]]:
    """Generated images with their nearest training images, the distance, and the latter's name."""
    arrays = {
        name.removeprefix(prefix): array
        for name, array in results.arrays.items()
        if name.startswith(prefix)
    }
    if "nearest_generated" not in arrays or "nearest_training" not in arrays:
        return []
    nearest = (found.get("memorisation") or {}).get("nearest") or {}
    distances = [*nearest.get("distance", ()), *[None] * _PAIRS][:_PAIRS]
    names = [*map(str, arrays.get("nearest_names", ())), *[""] * _PAIRS][:_PAIRS]
    given = arrays["nearest_generated"], arrays["nearest_training"]
    pairs = zip(*given, distances, names, strict=False)
    return [
        (
            page.picture(generated, "generated image", results.spacing),
            page.picture(training, "its nearest training image", results.spacing),
            distance,
            name,
        )
        for generated, training, distance, name in pairs
    ]
