"""Sections made of images: samples, paths, confident and uncertain cases, generation, segmentation."""

from typing import Any

import numpy as np

from msflow_jax.reports import page
from msflow_jax.reports.page import Picture, Section, Table, number, percent
from msflow_jax.reports.results import Results

_PER_CLASS, _FRAMES, _CASES = 6, 9, 16


def samples_section(results: Results) -> Section:
    """Generated images of each class beside real ones."""
    arrays, title = results.arrays, "Generated images"
    if "samples" not in arrays or "sample_labels" not in arrays or not len(arrays["samples"]):
        text = "No generated samples in evaluation.npz: run the evaluation with generation."
        return page.missing("samples", title, title, text)
    rows = []
    for k in sorted({int(k) for k in arrays["sample_labels"]}):
        name = results.class_name(k)
        pair = [
            _of_class(arrays, "samples", "sample_labels", k, f"generated images of class {name}"),
            _of_class(arrays, "real", "real_labels", k, f"real images of class {name}"),
        ]
        rows.append({"name": name, "images": pair})
    text = f"Up to {_PER_CLASS} images per class: the first of those that the evaluation stored."
    has_real = "real" in arrays and "real_labels" in arrays
    content = page.render("samples", rows=rows, real=has_real, text=text, phantom=results.phantom)
    return Section("samples", title, title, content)


def _of_class(
    arrays: dict[str, np.ndarray], images: str, labels: str, k: int, words: str
) -> Picture | None:
    if images not in arrays or labels not in arrays:
        return None
    chosen = arrays[images][arrays[labels] == k][:_PER_CLASS]
    return page.image_strip(chosen, f"{len(chosen)} {words}", _PER_CLASS) if len(chosen) else None


def paths_section(results: Results) -> Section:
    """One generation and one classification as film strips."""
    title = "From noise to image and back"
    films = [
        {"title": name, "text": text, "frames": _frames(results, prefix)}
        for prefix, name, text in (
            ("generate", "Generation", _generation_caption(results)),
            ("classify", "Classification", _classification_caption(results)),
        )
    ]
    if not any(film["frames"] for film in films):
        text = "No trajectories in evaluation.npz: run the evaluation with trajectories."
        return page.missing("paths", "Trajectories", title, text)
    content = page.render("paths", films=films, phantom=results.phantom)
    return Section("paths", "Trajectories", title, content)


def _generation_caption(results: Results) -> str:
    text = "The label picture fades to noise while the image forms."
    if "generate_class" not in results.arrays:
        return text
    return f"Requested: {results.class_name(int(results.arrays['generate_class']))}. {text}"


def _classification_caption(results: Results) -> str:
    arrays, text = results.arrays, "The label picture forms while the image goes back to noise."
    if "classify_true" in arrays and "classify_predicted" in arrays:
        true, predicted = (
            results.class_name(int(arrays[f"classify_{kind}"])) for kind in ("true", "predicted")
        )
        text += f" True class: {true}. Classified as: {predicted}."
    return text


def _frames(results: Results, prefix: str) -> list[dict[str, Any]]:
    """At most nine frames of image and label picture."""
    names = [f"{prefix}_{part}" for part in ("image", "label", "u")]
    if any(name not in results.arrays for name in names):
        return []
    image, label, u = (results.arrays[name] for name in names)
    if len(u) == 0:
        return []
    chosen = np.unique(np.linspace(0, len(u) - 1, min(_FRAMES, len(u))).round().astype(int))
    return [
        {
            "u": f"{u[i]:.2f}",
            "image": page.pixels(image[i], f"image at u = {u[i]:.2f}"),
            "label": page.pixels(label[i], f"label at u = {u[i]:.2f}"),
        }
        for i in chosen
    ]


def cases_section(results: Results) -> Section:
    """The most and the least confident images with their true and predicted class."""
    groups = [
        {"title": "Most confident", "cases": _cases(results, "certain")},
        {"title": "Least confident", "cases": _cases(results, "uncertain")},
    ]
    content = page.render("cases", groups=groups, phantom=results.phantom)
    return Section("cases", "Cases", "Confident and uncertain cases", content)


def _cases(results: Results, kind: str) -> list[dict[str, Any]]:
    arrays = results.arrays
    keys = [f"{kind}_{part}" for part in ("images", "labels", "predictions", "uncertainty")]
    if any(key not in arrays for key in keys[:3]):
        return []
    images, labels, predictions = (arrays[key] for key in keys[:3])
    uncertainty = arrays.get(keys[3])
    cases = []
    for i in range(min(_CASES, len(images))):
        true = results.class_name(int(labels[i]))
        predicted = results.class_name(int(predictions[i]))
        alt = f"Image of class {true}, classified as {predicted}"
        cases.append(
            {
                "image": page.pixels(images[i], alt),
                "true": true,
                "predicted": predicted,
                "right": int(labels[i]) == int(predictions[i]),
                "uncertainty": "" if uncertainty is None else f"{uncertainty[i]:.2f}",
            }
        )
    return cases


def generation_section(results: Results) -> Section:
    """Distribution distances beside floor and ceiling, recognition, memorisation."""
    title, found = "Generation metrics", results.part("generation")
    pairs = _pairs(results, found)
    if not found and not pairs:
        text = "No generation metrics in evaluation.json: run the evaluation with generation."
        return page.missing("generation", title, title, text)
    content = page.render(
        "generation",
        comparison=_comparison(found) if found else None,
        notes=found.get("notes", []),
        recognition=_recognition(found),
        memorisation=_memorisation(found.get("memorisation") or {}),
        pairs=pairs,
        phantom=results.phantom,
    )
    return Section("generation", title, title, content)


def _comparison(found: dict[str, Any]) -> dict[str, Any]:
    words = {
        "generated": "generated",
        "real": "real, from the training set (floor)",
        "noise": "uniform noise (ceiling)",
    }
    metrics = ("frechet", "precision", "recall", "density", "coverage")
    comparison = found.get("comparison") or {}
    rows = [
        (words.get(name, name), *(number(row.get(m)) for m in metrics))
        for name, row in comparison.items()
    ]
    text = f"Each against held-out real images, {found.get('samples', 0):,} per set. Features: "
    text += f"{found.get('features', 'not stated')}."
    reasons = {r for row in comparison.values() for r in (row.get("undefined") or {}).values()}
    head = ("set", "Fréchet distance", "precision", "recall", "density", "coverage")
    undefined = [f"Undefined: {reason}." for reason in sorted(reasons)]
    return {"head": head, "rows": rows, "note": text, "undefined": undefined}


def _recognition(found: dict[str, Any]) -> Table:
    rows = [
        (
            row["name"], percent(row["generated"]), number(row["generated_count"]),
            percent(row["real"]), number(row["real_count"]),
        )
        for row in found.get("recognition", [])
    ]  # fmt: skip
    text = "Fraction of the images of a class that the feature classifier gives that class."
    return Table(("class", "generated", "images", "held-out real", "images"), list(rows), text)


def _memorisation(near: dict[str, Any]) -> Table | None:
    if not near:
        return None
    rows = [
        ("median distance to the nearest training image", near["generated_median"],
         near["held_out_median"]),
        ("smallest distance", near["generated_least"], near["held_out_least"]),
        ("exact copies of a training image", near["generated_copies"], near["held_out_copies"]),
    ]  # fmt: skip
    text = (
        f"Root mean square distance per pixel (black 0, white 1) at {near['compared_at_side']} "
        f"pixels to the nearest of {near['training']:,} training images. "
        f"{percent(near['share_below_threshold'])} of the generated images lie at or below "
        f"{near['threshold']:.4f}, the 1st percentile of the held-out images; about 1 % is "
        f"expected without copying. Generated images equal to another generated one: "
        f"{near['generated_repeats']:,}."
    )
    shown = [(name, number(a, 4), number(b, 4)) for name, a, b in rows]
    return Table(("", "generated", "held-out real"), list(shown), text)


def _pairs(results: Results, found: dict[str, Any]) -> list[dict[str, Any]]:
    arrays = results.arrays
    if "nearest_generated" not in arrays or "nearest_training" not in arrays:
        return []
    generated, training = arrays["nearest_generated"], arrays["nearest_training"]
    nearest = (found.get("memorisation") or {}).get("nearest") or {}
    distances = nearest.get("distance", [])
    return [
        {
            "generated": page.pixels(generated[i], "generated image"),
            "training": page.pixels(training[i], "its nearest training image"),
            "words": f"distance {distances[i]:.4f}" if i < len(distances) else "",
        }
        for i in range(min(_CASES // 2, len(generated), len(training)))
    ]


def segmentation_section(results: Results) -> Section:
    """Overlap per class."""
    title, found = "Segmentation", results.part("segmentation")
    if not found:
        text = "No segmentation in evaluation.json: run the evaluation to measure it."
        return page.missing("segmentation", title, title, text)
    rows = [
        (name, number(row["dice"]), number(row["iou"]), number(row["pixels"]))
        for name, row in found.get("classes", {}).items()
    ]
    return Section("segmentation", title, title, page.render("segmentation", rows=rows))
