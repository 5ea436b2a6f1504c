"""Sections that every workdir has, and the plain one of a block that has no section of its own."""

from typing import Any

import numpy as np

from msflow_jax.reports import charts, page
from msflow_jax.reports.page import Section
from msflow_jax.reports.results import Results
from msflow_jax.storage.text import listed

_SHOWN, _PER_ROW = 16, 8  # images of an array, and how many of them in a row


def data_section(results: Results) -> Section:
    """What the data set is, with the licence and the classes."""
    if not results.data:
        return page.missing(results, "data", "Data", "No facts on the data in this workdir.")
    facts = {key.replace("_", " "): value for key, value in results.data.items()}
    used = results.modalities
    if isinstance(kinds := facts.get("modalities"), dict):
        facts["modalities"] = {k: v for k, v in kinds.items() if _used(k, v, used)}
    maps = {k: v for k, v in facts.pop("intensities", {}).items() if not used or k in used}
    if maps:
        lines = [f"{name}: {_grey_levels(one)}" for name, one in maps.items()]
        facts["grey levels"] = "; ".join(lines)
    return page.section(results, "data", "Data", items=facts, counts=_counts(results))


def _used(name: str, fields: Any, used: list[str]) -> bool:
    """Whether a modality of the data is one of the model's, or no image."""
    image = isinstance(fields, dict) and fields.get("kind") == "image"
    return not used or not image or name in used


def _grey_levels(fields: dict[str, Any]) -> str:
    """How values became grey levels, in words."""
    kinds = {
        "full": "8 bits, as stored",
        "range": "range of the data set",
        "percentiles": "percentiles of the training subjects",
    }
    kind, unit, modality = (str(fields.get(key, "")) for key in ("kind", "unit", "modality"))
    if kind == "full":
        return kinds[kind]
    low, high = (f"{fields.get(key, 0):g}" for key in ("low", "high"))
    of = f"({modality})" if modality else ""
    return " ".join(w for w in (f"{kinds.get(kind, kind)},", low, "to", high, unit, of) if w)


def _counts(results: Results) -> dict[str, Any]:
    """Table of the images and subjects of every class and split; empty where they were not counted."""
    splits = results.evaluation.get("counts")
    if not isinstance(splits, list) or not splits:
        return {}

    def cell(row: dict[str, Any]) -> tuple[str, str]:
        subjects = row["subjects"]
        return page.number(row["images"]), "" if subjects is None else page.number(subjects)

    rows = [
        (row["name"], *(cell(split["classes"][i]) for split in splits))
        for i, row in enumerate(splits[0]["classes"])
    ]
    rows.append(("all", *map(cell, splits)))
    head = ["class", *(split["split"] for split in splits)]
    known = any(split["subjects"] is not None for split in splits)
    # One example of several modalities has several images, or some of them.
    things = "Examples" if len(results.modalities) > 1 else "Images"
    return {"head": head, "rows": rows, "subjects": known, "things": things}


def _made(results: Results) -> dict[str, Any]:
    """How the numbers came to be: size, time, date, commands and versions, as far as they are known."""
    run, manifest = results.part("run"), results.manifest
    parameters = run.get("parameters") or {}
    facts: dict[str, Any] = {}
    if parameters:
        facts["trained parameters"] = page.number(parameters.get("trained"))
    if parameters.get("frozen"):
        facts["frozen parameters"] = page.number(parameters["frozen"])
    if seconds := sum(map(_training_seconds, (results.rows, *results.stages.values()))):
        facts["time of the training steps"] = f"{seconds / 60:,.1f} minutes, validation apart"
    for words, source, key in (
        ("trained on", manifest, "device"), ("training began", manifest, "created"),
        ("training command", manifest, "command"), ("evaluated on", run, "device"),
        ("evaluated", run, "created"), ("evaluation command", run, "command"),
        ("msflow_jax", run or manifest, "msflow_jax"), ("git", manifest, "git"),
        ("python", run or manifest, "python"), ("packages", run or manifest, "packages"),
    ):  # fmt: skip
        if isinstance(value := source.get(key), dict):
            value = ", ".join(f"{name} {version}" for name, version in value.items())
        if value:
            facts[words] = value
    return facts


def _training_seconds(rows: list[dict[str, Any]]) -> float:
    """Seconds of all training steps, from the mean time of a step since the row before."""
    steps, each = charts.series(rows, "step_ms")
    return float(np.sum(np.diff(steps, prepend=0.0) * each)) / 1000


def training_section(results: Results) -> Section:
    """Loss and validation curves, of a run in stages of each."""
    runs = {"": results.rows} | results.stages
    curves = [_curves(name, rows, i) for i, (name, rows) in enumerate(runs.items())]
    if not (shown := [one for one in curves if one]):
        text = "No metrics.jsonl with losses in this workdir: training curves are not shown."
        return page.missing(results, "training", "Training", text)
    return page.section(results, "training", "Training", curves=shown)


def _curves(stage: str, rows: list[dict[str, Any]], number: int) -> dict[str, Any]:
    """The chart of a run, or of one of its stages; empty without losses and scores."""
    losses, scores = charts.curve_names(rows)
    drawn = [name for name in losses + scores if len(charts.series(rows, name)[0])]
    if not drawn:
        return {}
    last = int(max(row["step"] for row in rows))
    speeds = np.sort(charts.series(rows, "images_per_second")[1])
    of = f" of the stage {stage}" if stage else ""
    label = f"Curves of {listed(drawn)} over {last:,} training steps{of}"
    chart = charts.training_chart(rows, label, f"-{number}" if stage else "")
    speed = float(speeds[len(speeds) // 2]) if len(speeds) else None
    found = {"stage": stage, "chart": chart, "last": last, "speed": speed}
    return {**found, "log": charts.has_log_axis(rows)}


def configuration_section(results: Results) -> Section:
    """Everything that was set, folded away."""
    blocks = (
        ("Evaluation settings", results.part("settings")),
        ("Configuration (config.json)", results.config),
        ("Manifest (manifest.json): versions, device, data, seed", results.manifest),
    )
    heading = "Configuration and manifest"
    return page.section(
        results,
        "configuration",
        "Configuration",
        heading=heading,
        blocks=blocks,
        made=_made(results),
    )


def generic_section(results: Results, name: str) -> Section:
    """A block of evaluation.json as a table, and its images in evaluation.npz as strips.

    Args:
        results: what the workdir holds.
        name: name of the block; its arrays are called ``NAME_*``, and those that hold images are
            uint8 ``[N, *space, 1 or 3]``.
    """
    title = name.replace("_", " ")
    title = title[:1].upper() + title[1:]
    strips = []
    for key, array in results.arrays.items():
        if key.startswith(f"{name}_") and _holds_images(array, results.dims):
            words = key.removeprefix(f"{name}_").replace("_", " ")
            shown = array[:_SHOWN]
            alt = f"{len(shown)} images of {title}: {words}"
            per_row = _PER_ROW if results.dims == 2 else 2
            strip = page.image_strip(shown, alt, per_row, results.spacing)
            strips.append((words, len(array), strip))
    return page.section(
        results, name, title, template="generic", block=results.part(name), strips=strips
    )


def _holds_images(array: np.ndarray, dims: int) -> bool:
    of_kind = array.dtype == np.uint8 and array.ndim == dims + 2
    return bool(of_kind and array.shape[-1] in (1, 3) and array.size)
