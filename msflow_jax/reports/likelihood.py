"""Sections of models with a likelihood: bits per dimension, why a class, samples by temperature."""

from typing import Any

import numpy as np

from msflow_jax.reports import charts, page
from msflow_jax.reports.overlays import overlay
from msflow_jax.reports.results import Results

_EXPLAINED = 8


def likelihood_section(results: Results) -> str:
    """Bits per dimension of each set, and how sets of another kind differ; empty if not measured."""
    found = results.part("likelihood")
    if not found:
        text = "No likelihoods in evaluation.json: run the evaluation to measure them."
        return _absent(results, "likelihood", "Likelihood", text)
    parts = [
        page.paragraph(_lead(found), "muted"),
        _histograms(results, found),
        _sets_table(found),
        _detection(found),
        page.details("How each measure is defined", page.facts(found.get("conventions", {}))),
    ]
    return page.section("likelihood", "Likelihood", *parts)


def _absent(results: Results, identifier: str, title: str, text: str) -> str:
    """A remark where the family should have the section, otherwise nothing."""
    return page.section(identifier, title, page.missing(text)) if results.coupling else ""


def _lead(found: dict[str, Any]) -> str:
    text = (
        "Bits per dimension: what an 8-bit image costs when it is coded by the model; less is more "
    )
    text += "likely, 8 is what a model that knows nothing needs."
    if found.get("dimensions"):
        text += f" An image has {found['dimensions']:,} dimensions."
    return text


def _histograms(results: Results, found: dict[str, Any]) -> str:
    sets = {
        name: results.arrays[f"bits_{i}"]
        for i, name in enumerate(found["sets"])
        if results.arrays.get(f"bits_{i}", np.zeros(0)).size
    }
    if not sets:
        return page.missing("No bits per dimension in evaluation.npz: no histogram is shown.")
    rows = {row["name"]: row for row in found["per_set"]}
    outside, reference = found["outside"], rows[found["reference"]]["mean"]
    words = "; ".join(f"{name}: mean {page.number(rows[name]['mean'], 2)}" for name in sets)
    alt = f"Histograms of bits per dimension. {words}"
    text = f"Bits per dimension of the images of each set; dashed: mean of the {found['reference']} set."
    if outside:
        text += " Filled: images of the kind trained on. Hatched: images of another kind."
    text += " Each histogram is drawn to its own height."
    return page.chart(
        lambda t: charts.likelihood_chart(sets, outside, reference, t),
        alt,
        text,
        920,
        results.phantom,
    )


def _sets_table(found: dict[str, Any]) -> str:
    keys = ("mean", "sd", "median", "p5", "p95")
    rows = [
        (
            row["name"] + (" (another kind)" if row["name"] in found["outside"] else ""),
            page.number(row["count"]),
            *(page.number(row[key]) for key in keys),
        )
        for row in found["per_set"]
    ]
    head = ("set", "images", "mean", "sd", "median", "5\u00a0%", "95\u00a0%")
    return page.table(head, rows, "Bits per dimension; 5 % and 95 % are percentiles.")


def _detection(found: dict[str, Any]) -> str:
    rows = found.get("detection") or []
    if not rows:
        return ""
    text = (
        f"How well a score tells images of another kind from those of the {found['inside']} set: area "
        "under the ROC curve, 1 is best, 0.5 is chance. Typicality: distance of the bits per dimension "
        f"to the mean of the {found['reference']} set (Nalisnick et al. 2019, arXiv 1906.02994)."
    )
    shown = [
        (r["name"], page.number(r["auroc_likelihood"]), page.number(r["auroc_typicality"]))
        for r in rows
    ]
    notices = "".join(
        page.paragraph(
            f"Images of {row['name']} are on average more likely than those of the "
            f"{found['inside']} set, though they are of another kind: a high likelihood alone does not "
            "show that an image belongs here (Nalisnick et al. 2019, arXiv 1810.09136).",
            "notice",
        )
        for row in rows
        if row["outside_more_likely"]
    )
    head = ("set", "AUROC by likelihood", "AUROC by typicality")
    return f"<h3>Images of another kind</h3>{page.table(head, shown, text)}{notices}"


def why_section(results: Results) -> str:
    """Images with the map of their likelihood and of the contrast to the runner-up; may be empty."""
    arrays = results.arrays
    parts = ("images", "map", "contrast", "labels", "predictions", "against", "log_prob", "ratio")
    if any(f"explain_{part}" not in arrays for part in parts) or not len(arrays["explain_images"]):
        text = "No explained images in evaluation.npz: run the evaluation to make them."
        return _absent(results, "why", "Why this class", text)
    count = min(_EXPLAINED, len(arrays["explain_images"]))
    cells = "".join(
        _explained(results, {part: arrays[f"explain_{part}"][i] for part in parts})
        for i in range(count)
    )
    text = (
        "Left: the image. Middle: its likelihood map given the answer, about the map's median (red: "
        "more likely than the median entry, blue: less). Right: the contrast of the answer with the "
        "runner-up (red speaks for the answer, blue for the runner-up). The sum of the middle map is "
        "the log-likelihood, that of the right one the log-likelihood ratio. Entries are terms of a "
        "sum, not causes. Maps are smoothed by one pixel; each has its own scale, full colour from "
        "the 95th percentile on."
    )
    figure = f'<figure><div class="cells wide">{cells}</div>'
    figure += f"{page.caption(text, results.phantom)}</figure>"
    return page.section("why", "Why this class", figure)


def _explained(results: Results, one: dict[str, Any]) -> str:
    """Three pictures and the words beneath them."""
    true, answer, other = (
        results.class_name(int(one[part])) for part in ("labels", "predictions", "against")
    )
    right = int(one["labels"]) == int(one["predictions"])
    image = one["images"]
    both = page.pixels(image, f"Image of class {true}, read as {answer}")
    both += page.pixels(
        overlay(image, one["map"], centre=True), f"Likelihood map of that image given {answer}"
    )
    both += page.pixels(
        overlay(image, one["contrast"]), f"Contrast map of that image, {answer} against {other}"
    )
    words = f'<span class="{"good" if right else "bad"}">{"✓" if right else "✗"} '
    words += f"{page.escape(answer)}</span>"
    words += "" if right else f" (true: {page.escape(true)})"
    words += (
        f"; runner-up: {page.escape(other)}<br>log-likelihood ratio "
        f'{page.number(float(one["ratio"]), 1)} nats<br><span class="muted">log-likelihood '
        f"{page.number(float(one['log_prob']), 1)} nats</span>"
    )
    return f'<div class="cell three"><div class="both">{both}</div>{words}</div>'


def temperatures_section(results: Results) -> str:
    """Samples in a grid, a row for each temperature and a column for each class; may be empty."""
    arrays, title = results.arrays, "Samples at several temperatures"
    samples = arrays.get("temperature_samples", np.zeros(0))
    if "temperature_values" not in arrays or not samples.size:
        text = (
            "No samples at several temperatures in evaluation.npz: run the evaluation to draw them."
        )
        return _absent(results, "temperatures", title, text)
    names = [results.class_name(k) for k in range(samples.shape[1])]
    cells = "<div></div>" + "".join(f'<div class="head">{page.escape(n)}</div>' for n in names)
    per_row = int(np.ceil(np.sqrt(samples.shape[2])))
    for value, row in zip(arrays["temperature_values"], samples, strict=True):
        cells += f'<div class="head">T = {value:g}</div>'
        for name, images in zip(names, row, strict=True):
            alt = f"{len(images)} images of class {name} drawn at temperature {value:g}"
            cells += f"<div>{page.image_strip(images, alt, per_row)}</div>"
    columns = f"grid-template-columns: 64px repeat({len(names)}, minmax(64px, 160px))"
    text = (
        "Row: temperature, the standard deviation of the latents; column: class. T = 1 draws from the "
        "model's own distribution, less than 1 gives less varied images."
    )
    figure = (
        f'<figure><div class="temperatures" style="{columns}">{cells}</div>'
        f"{page.caption(text, results.phantom)}</figure>"
    )
    return page.section("temperatures", title, figure)
