"""Sections made of images: samples, trajectories, certain and uncertain cases, generation."""

from typing import Any

import numpy as np

from msflow_jax.reports import page
from msflow_jax.reports.results import Results

_PER_CLASS = 6
_FRAMES = 9
_CASES = 16


def samples_section(results: Results) -> str:
    """Generated images of each class beside real ones."""
    arrays = results.arrays
    if "samples" not in arrays or "sample_labels" not in arrays or not len(arrays["samples"]):
        text = "No generated samples in evaluation.npz: run the evaluation with generation."
        return page.section("samples", "Generated images", page.missing(text))
    labels = sorted({int(k) for k in arrays["sample_labels"]})
    has_real = "real" in arrays and "real_labels" in arrays
    heads = ("", "generated", "real" if has_real else "")
    cells = "".join(f'<div class="head">{head}</div>' for head in heads)
    for k in labels:
        name = results.class_name(k)
        cells += f'<div class="name">{page.escape(name)}</div>'
        for kind, prefix in (("samples", "sample"), ("real", "real")):
            chosen = _of_class(arrays, kind, f"{prefix}_labels", k)
            word = "generated" if kind == "samples" else "real"
            alt = f"{len(chosen)} {word} images of class {name}"
            cells += f"<div>{page.image_strip(chosen, alt, _PER_CLASS)}</div>" if len(chosen) else (
                '<div class="muted">none</div>' if has_real else "<div></div>"
            )  # fmt: skip
    text = f"Up to {_PER_CLASS} images a class: the first of those that the evaluation stored."
    figure = (
        f'<figure><div class="samples">{cells}</div>{page.caption(text, results.phantom)}</figure>'
    )
    return page.section("samples", "Generated images", figure)


def _of_class(arrays: dict[str, np.ndarray], images: str, labels: str, k: int) -> np.ndarray:
    if images not in arrays or labels not in arrays:
        return np.zeros((0, 1, 1, 1), np.uint8)
    return arrays[images][arrays[labels] == k][:_PER_CLASS]


def trajectory_section(results: Results) -> str:
    """One generation and one classification as film strips; empty for a family that has none."""
    if results.coupling:
        return ""
    generate = _film(results, "generate", "Generation", _generation_caption(results))
    classify = _film(results, "classify", "Classification", _classification_caption(results))
    if not generate and not classify:
        text = "No trajectories in evaluation.npz: run the evaluation with trajectories."
        return page.section("trajectories", "From noise to image and back", page.missing(text))
    lead = (
        "Image and label picture move together along the time u. At u = 0 the image is noise and "
        "the label clean, at u = 1 the image is clean and the label noise. Generation runs u from "
        "0 to 1, classification from 1 to 0."
    )
    parts = [page.paragraph(lead, "muted"), generate, classify]
    for name, found in (("generation", generate), ("classification", classify)):
        if not found:
            parts.append(page.missing(f"No trajectory of a {name} in evaluation.npz."))
    return page.section("trajectories", "From noise to image and back", *parts)


def _generation_caption(results: Results) -> str:
    if "generate_true" not in results.arrays:
        return "The label picture fades to noise while the image forms."
    name = results.class_name(int(results.arrays["generate_true"]))
    return f"Asked for: {name}. The label picture fades to noise while the image forms."


def _classification_caption(results: Results) -> str:
    arrays = results.arrays
    text = "The label picture forms while the image goes back to noise."
    if "classify_true" in arrays and "classify_predicted" in arrays:
        true, predicted = (
            results.class_name(int(arrays[f"classify_{kind}"])) for kind in ("true", "predicted")
        )
        text += f" True class: {true}. Read as: {predicted}."
    return text


def _film(results: Results, prefix: str, title: str, text: str) -> str:
    """Image row over label row, at most nine frames, u below each."""
    names = [f"{prefix}_{part}" for part in ("image", "label", "u")]
    if any(name not in results.arrays for name in names):
        return ""
    image, label, u = (results.arrays[name] for name in names)
    if len(u) == 0:
        return ""
    frames = np.unique(np.linspace(0, len(u) - 1, min(_FRAMES, len(u))).round().astype(int))
    cells = ""
    for word, images in (("image", image), ("label", label)):
        cells += f'<div class="tag">{word}</div>'
        cells += "".join(page.pixels(images[i], f"{word} at u = {u[i]:.2f}") for i in frames)
    cells += '<div class="tag">u</div>' + "".join(
        f'<div class="u">{u[i]:.2f}</div>' for i in frames
    )
    # One frame more or less must not change the size of the others.
    columns = f"grid-template-columns: 56px repeat({len(frames)}, minmax(40px, 104px))"
    return (
        f'<h3>{title}</h3><figure><div class="film" style="{columns}">{cells}</div>'
        f"{page.caption(text, results.phantom)}</figure>"
    )


def cases_section(results: Results) -> str:
    """The most and the least certain images with their true and predicted class."""
    parts = []
    for kind, title in (("certain", "Most certain"), ("uncertain", "Least certain")):
        content = _cases(results, kind)
        empty = page.missing(f"No {title.lower()} images in evaluation.npz.")
        parts.append(f"<h3>{title}</h3>{content or empty}")
    text = "Under each image: the answer, the true class where it differs, and the uncertainty."
    parts.append(page.caption(text, results.phantom))
    return page.section("cases", "Certain and uncertain cases", *parts)


def _cases(results: Results, kind: str) -> str:
    arrays = results.arrays
    keys = [f"{kind}_{part}" for part in ("images", "labels", "predictions", "uncertainty")]
    if any(key not in arrays for key in keys[:3]) or not len(arrays[keys[0]]):
        return ""
    images, labels, predictions = (arrays[key] for key in keys[:3])
    uncertainty = arrays.get(keys[3])
    cells = ""
    for i in range(min(_CASES, len(images))):
        true, answer = results.class_name(int(labels[i])), results.class_name(int(predictions[i]))
        right = int(labels[i]) == int(predictions[i])
        alt = f"Image of class {true}, read as {answer}"
        words = f'<span class="{"good" if right else "bad"}">{"✓" if right else "✗"} '
        words += f"{page.escape(answer)}</span>"
        words += "" if right else f"<br>true: {page.escape(true)}"
        words += (
            ""
            if uncertainty is None
            else f'<br><span class="muted">uncertainty {uncertainty[i]:.2f}</span>'
        )
        cells += f'<div class="cell">{page.pixels(images[i], alt)}{words}</div>'
    return f'<div class="cells">{cells}</div>'


def generation_section(results: Results) -> str:
    """Distribution distances beside floor and ceiling, recognition, memorisation."""
    found = results.part("generation")
    pairs = _pairs(results, found)
    if not found and not pairs:
        text = "No generation metrics in evaluation.json: run the evaluation with generation."
        return page.section("generation", "Generation metrics", page.missing(text))
    parts = []
    if found:
        parts += [
            _comparison(found),
            *(page.paragraph(note, "table-note") for note in found.get("notes", [])),
            "<h3>Recognition</h3>",
            _recognition(found),
        ]
    parts += ["<h3>Memorisation</h3>", _memorisation(found), pairs]
    return page.section("generation", "Generation metrics", *parts)


def _comparison(found: dict[str, Any]) -> str:
    words = {
        "generated": "generated",
        "real": "real, from the training set (floor)",
        "noise": "uniform noise (ceiling)",
    }
    metrics = ("frechet", "precision", "recall", "density", "coverage")
    comparison = found.get("comparison") or {}
    rows = [
        (words.get(name, name), *(page.number(row.get(m)) for m in metrics))
        for name, row in comparison.items()
    ]
    text = f"Each against held-out real images, {found.get('samples', 0):,} a side. Features: "
    text += f"{found.get('features', 'not stated')}."
    reasons = {r for row in comparison.values() for r in (row.get("undefined") or {}).values()}
    head = ("set", "Fréchet distance", "precision", "recall", "density", "coverage")
    notices = "".join(
        page.paragraph(f"Undefined: {reason}.", "notice") for reason in sorted(reasons)
    )
    return page.table(head, rows, text) + notices


def _recognition(found: dict[str, Any]) -> str:
    rows = [
        (
            row["name"],
            page.percent(row["generated"]),
            page.number(row["generated_count"]),
            page.percent(row["real"]),
            page.number(row["real_count"]),
        )
        for row in found.get("recognition", [])
    ]
    text = "Share of the images of a class that the feature classifier gives that class."
    return page.table(("class", "generated", "images", "held-out real", "images"), rows, text)


def _memorisation(found: dict[str, Any]) -> str:
    near = found.get("memorisation") or {}
    if not near:
        return page.missing("The memorisation check was not run.")
    rows = [
        ("median distance to the nearest training image", near["generated_median"],
         near["held_out_median"]),
        ("least distance", near["generated_least"], near["held_out_least"]),
        ("exact copies of a training image", near["generated_copies"], near["held_out_copies"]),
    ]  # fmt: skip
    shown = [(name, page.number(a, 4), page.number(b, 4)) for name, a, b in rows]
    text = (
        f"Root mean square distance per pixel (black 0, white 1) at {near['compared_at_side']} "
        f"pixels to the nearest of {near['training']:,} training images. "
        f"{page.percent(near['share_below_threshold'])} of the generated images lie at or below "
        f"{near['threshold']:.4f}, the 1st percentile of the held-out images; about 1 % is "
        f"expected without copying. Generated images equal to another generated one: "
        f"{near['generated_repeats']:,}."
    )
    return page.table(("", "generated", "held-out real"), shown, text)


def _pairs(results: Results, found: dict[str, Any]) -> str:
    arrays = results.arrays
    if "nearest_generated" not in arrays or "nearest_training" not in arrays:
        return page.missing("No nearest-training pairs in evaluation.npz.") if found else ""
    generated, training = arrays["nearest_generated"], arrays["nearest_training"]
    nearest = (found.get("memorisation") or {}).get("nearest") or {}
    distances = nearest.get("distance", [])
    cells = ""
    for i in range(min(_CASES // 2, len(generated), len(training))):
        both = page.pixels(generated[i], "generated image")
        both += page.pixels(training[i], "its nearest training image")
        words = f"distance {distances[i]:.4f}" if i < len(distances) else ""
        cells += f'<div class="cell two"><div class="both">{both}</div>{words}</div>'
    text = (
        "The generated images closest to the training set (left) with that training image (right)."
    )
    return f'<figure><div class="cells">{cells}</div>{page.caption(text, results.phantom)}</figure>'


def segmentation_section(results: Results) -> str:
    """Overlap per class; empty where the workdir has no segmentation."""
    found = results.part("segmentation")
    if not found:
        return ""
    rows = [
        (name, page.number(row["dice"]), page.number(row["iou"]), page.number(row["pixels"]))
        for name, row in found.get("classes", {}).items()
    ]
    text = "All pixels of all images together; pixels counted in the true maps."
    parts = page.table(("class", "Dice", "IoU", "pixels"), rows, text)
    return page.section("segmentation", "Segmentation", parts)
