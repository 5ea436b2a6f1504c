"""Sections of models with a likelihood: bits per dimension, explanations, samples by temperature."""

from typing import Any

import numpy as np

from msflow_jax.reports import charts, page
from msflow_jax.reports.overlays import overlay
from msflow_jax.reports.page import Chart, Section, Table, number
from msflow_jax.reports.results import Results

_EXPLAINED = 8


def likelihood_section(results: Results) -> Section:
    """Bits per dimension of each set, and how sets of another kind differ."""
    title, found = "Likelihood", results.part("likelihood")
    if not found:
        text = "No likelihoods in evaluation.json: run the evaluation to measure them."
        return page.missing("likelihood", title, title, text)
    content = page.render(
        "likelihood",
        lead=_lead(found),
        histograms=_histograms(results, found),
        sets=_sets(found),
        detection=_detection(found),
        conventions=found.get("conventions", {}),
        phantom=results.phantom,
    )
    return Section("likelihood", title, title, content)


def _lead(found: dict[str, Any]) -> str:
    text = (
        "Bits per dimension: what an 8-bit image costs when it is coded by the model; less is more "
        "likely, 8 is what a model that knows nothing needs."
    )
    if found.get("dimensions"):
        text += f" An image has {found['dimensions']:,} dimensions."
    return text


def _histograms(results: Results, found: dict[str, Any]) -> Chart | None:
    sets = {
        name: results.arrays[f"bits_{i}"]
        for i, name in enumerate(found["sets"])
        if results.arrays.get(f"bits_{i}", np.zeros(0)).size
    }
    if not sets:
        return None
    rows = {row["name"]: row for row in found["per_set"]}
    outside, reference = found["outside"], rows[found["reference"]]["mean"]
    words = "; ".join(f"{name}: mean {number(rows[name]['mean'], 2)}" for name in sets)
    text = f"Bits per dimension of the images of each set; dashed: mean of the {found['reference']} set."
    if outside:
        text += " Filled: images of the kind trained on. Hatched: images of another kind."
    text += " Each histogram is drawn to its own height."
    alt = f"Histograms of bits per dimension. {words}"
    return Chart(charts.likelihood_chart(sets, outside, reference, alt), text)


def _sets(found: dict[str, Any]) -> Table:
    keys = ("mean", "sd", "median", "p5", "p95")
    rows = [
        (
            row["name"] + (" (another kind)" if row["name"] in found["outside"] else ""),
            number(row["count"]),
            *(number(row[key]) for key in keys),
        )
        for row in found["per_set"]
    ]
    head = ("set", "images", "mean", "sd", "median", "5\u00a0%", "95\u00a0%")
    return Table(head, list(rows), "Bits per dimension; 5 % and 95 % are percentiles.")


def _detection(found: dict[str, Any]) -> dict[str, Any] | None:
    rows = found.get("detection") or []
    if not rows:
        return None
    note = (
        f"How well a score tells images of another kind from those of the {found['inside']} set: area "
        "under the ROC curve, 1 is best, 0.5 is chance. Typicality: distance of the bits per dimension "
        f"to the mean of the {found['reference']} set (Nalisnick et al. 2019, arXiv 1906.02994)."
    )
    shown = [
        (r["name"], number(r["auroc_likelihood"]), number(r["auroc_typicality"])) for r in rows
    ]
    notices = [
        f"Images of {row['name']} are on average more likely than those of the {found['inside']} set, "
        "though they are of another kind: a high likelihood alone does not show that an image belongs "
        "here (Nalisnick et al. 2019, arXiv 1810.09136)."
        for row in rows
        if row["outside_more_likely"]
    ]
    head = ("set", "AUROC by likelihood", "AUROC by typicality")
    return {"head": head, "rows": shown, "note": note, "notices": notices}


def explanation_section(results: Results) -> Section:
    """Images with the map of their likelihood and of its ratio to that of the second class."""
    arrays, title = results.arrays, "Why this class"
    parts = ("images", "map", "contrast", "labels", "predictions", "against", "log_prob", "ratio")
    if any(f"explain_{part}" not in arrays for part in parts) or not len(arrays["explain_images"]):
        text = "No explained images in evaluation.npz: run the evaluation to make them."
        return page.missing("explanation", "Why", title, text)
    count = min(_EXPLAINED, len(arrays["explain_images"]))
    cases = [
        _explained(results, {part: arrays[f"explain_{part}"][i] for part in parts})
        for i in range(count)
    ]
    text = (
        "Left: the image. Middle: its likelihood map given the prediction, about the map's median "
        "(red: more likely than the median entry, blue: less). Right: its log-likelihood-ratio map (red "
        "speaks for the prediction, blue for the second class). The sum of the middle map is the "
        "log-likelihood, that of the right one the log-likelihood ratio. Entries are terms of a sum, "
        "not causes. Maps are smoothed by one pixel; each has its own scale, full colour from the 95th "
        "percentile on."
    )
    content = page.render("explanation", cases=cases, text=text, phantom=results.phantom)
    return Section("explanation", "Why", title, content)


def _explained(results: Results, one: dict[str, Any]) -> dict[str, Any]:
    """Three pictures and the words beneath them."""
    true, predicted, other = (
        results.class_name(int(one[part])) for part in ("labels", "predictions", "against")
    )
    image, likelihood = one["images"], overlay(one["images"], one["map"], centre=True)
    words = f"Log-likelihood-ratio map of that image, {predicted} against {other}"
    return {
        "images": [
            page.pixels(image, f"Image of class {true}, classified as {predicted}"),
            page.pixels(likelihood, f"Likelihood map of that image given {predicted}"),
            page.pixels(overlay(image, one["contrast"]), words),
        ],
        "right": int(one["labels"]) == int(one["predictions"]),
        "true": true,
        "predicted": predicted,
        "other": other,
        "ratio": number(float(one["ratio"]), 1),
        "log_prob": number(float(one["log_prob"]), 1),
    }


def temperatures_section(results: Results) -> Section:
    """Samples in a grid, a row for each temperature and a column for each class."""
    arrays, title = results.arrays, "Samples at several temperatures"
    samples = arrays.get("temperature_samples", np.zeros(0))
    if "temperature_values" not in arrays or not samples.size:
        text = (
            "No samples at several temperatures in evaluation.npz: run the evaluation to draw them."
        )
        return page.missing("temperatures", "Temperatures", title, text)
    names = [results.class_name(k) for k in range(samples.shape[1])]
    per_row = int(np.ceil(np.sqrt(samples.shape[2])))
    rows = []
    for value, row in zip(arrays["temperature_values"], samples, strict=True):
        strips = [
            page.image_strip(
                images,
                f"{len(images)} images of class {name} drawn at temperature {value:g}",
                per_row,
            )
            for name, images in zip(names, row, strict=True)
        ]
        rows.append({"value": f"{value:g}", "images": strips})
    text = (
        "Row: temperature, the standard deviation of the latents; column: class. T = 1 draws from the "
        "model's own distribution, less than 1 gives less varied images."
    )
    content = page.render(
        "temperatures", names=names, rows=rows, text=text, phantom=results.phantom
    )
    return Section("temperatures", "Temperatures", title, content)
