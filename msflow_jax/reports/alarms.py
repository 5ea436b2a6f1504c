"""What a reader must not miss: results at chance level, and what does no better than no model."""

from collections.abc import Collection
from typing import Any

from msflow_jax.reports.generation import blocks_of
from msflow_jax.reports.page import number, percent, share, span
from msflow_jax.reports.results import Results
from msflow_jax.reports.routes import scores_of, unmeasured
from msflow_jax.storage.text import listed

_RECALL = 0.25  # below which a class is as good as not recognised
_DICE = 0.25
_GRAIN = 5  # times what real images differ by
_UNEVEN = 0.3  # gap of the shares kept of two classes
_ENOUGH = 10  # images of a class, below which its share kept says little
_GIVEN_AWAY = ("membership", "auroc"), ("neighbours", "nearer")
_NO_MODEL = 8.0  # bits per dimension of a model that knows nothing


def warnings_of(results: Results) -> list[str]:
    """A sentence for each result that a headline number would hide; none if there is none."""
    return [
        *_of_classification(results.part("classification"), results),
        *_of_segmentation(results.part("segmentation")),
        *(one.alarm for one in scores_of(results.part("translation")) if one.alarm),
        *unmeasured(results.part("translation")),
        *_of_generation(results.part("generation")),
        *_of_privacy(results.part("privacy")),
        *_of_likelihood(results.part("likelihood")),
    ]


def warnings_of_drawing(results: Results, classes: Collection[str] = ()) -> list[str]:
    """Those of them that concern whoever uses images that the model draws of classes; empty: of all."""
    found = results.part("classification")
    rows = [row for row in found.get("per_class", ()) if not classes or row["name"] in classes]
    return [
        *_unseen_classes({"per_class": rows}),
        *_of_generation(results.part("generation")),
        *_of_privacy(results.part("privacy")),
    ]


def _of_classification(found: dict[str, Any], results: Results) -> list[str]:
    if not found:
        return []
    return [*_at_chance(found), *_unseen_classes(found), *_uneven_abstention(found, results)]


def _at_chance(found: dict[str, Any]) -> list[str]:
    texts = []
    intervals = found.get("intervals") or {}
    kappa, area = found.get("cohen_kappa"), found.get("auc_probability")
    accuracy, majority = found.get("accuracy"), found.get("majority_accuracy")
    ends = intervals.get("cohen_kappa")
    if kappa is not None and (kappa <= 0.01 or (ends and ends[0] <= 0)):
        interval = f", 95 % interval {span(ends, number)}" if ends else ""
        texts.append(
            f"Chance level: the predictions agree with the labels no better than chance (Cohen's kappa "
            f"{number(kappa)}{interval})."
        )
    ends = intervals.get("auc_probability")
    if area is not None and (area <= 0.5 or (ends and ends[0] <= 0.5)):
        interval = f" (95 % interval {span(ends, number)})" if ends else ""
        texts.append(
            f"Chance level: an AUC of {number(area)}{interval} is not told apart from the 0.5 of "
            "guessing."
        )
    several = sum(1 for row in found.get("per_class", ()) if row["count"]) > 1
    if several and accuracy is not None and majority is not None and accuracy <= majority:
        texts.append(
            f"Accuracy {percent(accuracy)} is not above the {percent(majority)} of always naming the "
            "most frequent class."
        )
    return texts


def _unseen_classes(found: dict[str, Any]) -> list[str]:
    unseen = [
        f"{row['name']} ({percent(row['recall'])} of its {row['count']:,} images)"
        for row in found.get("per_class", ())
        if row.get("recall") is not None and row["recall"] < _RECALL
    ]
    return [f"Hardly recognised: {listed(unseen)}."] if unseen else []


def _uneven_abstention(found: dict[str, Any], results: Results) -> list[str]:
    measures = (found.get("abstention") or {}).get("measures") or {}
    if not measures:
        return []
    name, kept = next(iter(measures.items()))
    shares = [(row["kept"], row["name"]) for row in kept["classes"] if row["images"] >= _ENOUGH]
    if len(shares) < 2 or max(shares)[0] - min(shares)[0] < _UNEVEN:
        return []
    (low, least), (high, most) = min(shares), max(shares)
    return [
        f"Abstention is uneven: at {percent(found['abstention']['coverage'], 0)} coverage by "
        f"{results.word(name)} the model abstains from {share(1 - low)} of the images of {least} "
        f"but {share(1 - high)} of {most}."
    ]


def _of_segmentation(found: dict[str, Any]) -> list[str]:
    rows: dict[str, Any] = found.get("classes") or {}
    unseen = [
        f"{name} ({number(row['dice'])})"
        for name, row in rows.items()
        if row.get("pixels") and row.get("dice") is not None and row["dice"] < _DICE
    ]
    texts = [f"Hardly found, with its Dice: {listed(unseen)}."] if unseen else []
    pixels = [row.get("pixels") or 0 for row in rows.values()]
    accuracy = found.get("accuracy")
    if accuracy is not None and sum(pixels) > max(pixels, default=0):
        majority = max(pixels) / sum(pixels)
        if accuracy <= majority:
            texts.insert(
                0,
                f"Chance level: {percent(accuracy)} of the pixels are right, not more than the "
                f"{percent(majority)} of the most frequent class.",
            )
    return texts


def _of_generation(found: dict[str, Any]) -> list[str]:
    return [
        f"{name}: {text}" if name else text
        for name, block in blocks_of(found).items()
        for text in _of_generated(block)
    ]


def _of_generated(found: dict[str, Any]) -> list[str]:
    texts = []
    comparison = found.get("comparison") or {}
    drawn, noise = ((comparison.get(name) or {}).get("frechet") for name in ("generated", "noise"))
    if drawn is not None and noise is not None and drawn >= noise:
        texts.append(
            f"By the Fréchet distance the generated images ({number(drawn, 2)}) lie no nearer to real "
            f"ones than uniform noise ({number(noise, 2)})."
        )
    if off := _off_in_grain(found.get("grain") or {}):
        texts.append(f"The grain of the generated images is not that of real ones: {off}.")
    recognised = (found.get("recognition_overall") or {}).get("generated")
    classes = len(found.get("recognition") or ())
    if recognised is not None and classes > 1 and recognised <= 1 / classes:
        texts.append(
            f"Chance level: {percent(recognised)} of the generated images are recognised as their "
            f"class, guessing has {percent(1 / classes)}."
        )
    copies = (found.get("memorisation") or {}).get("generated_copies")
    if copies:
        texts.append(f"{copies:,} generated images are exact copies of training images.")
    return texts


def _off_in_grain(grain: dict[str, Any]) -> str:
    """The distances of grain that are far above what real images have; empty if none is."""
    sets, chance = grain.get("sets") or {}, grain.get("chance") or {}
    off = []
    for name, words, unit in (
        ("spectrum", "power spectrum", "dB"),
        ("differences", "differences of neighbouring pixels", "grey levels"),
    ):
        one = (sets.get("generated") or {}).get(name)
        floor = max((sets.get("real") or {}).get(name) or 0, chance.get(name) or 0)
        if one is not None and floor and one > _GRAIN * floor:
            off.append(f"{words} off by {number(one, 1)} {unit} (real images: {number(floor, 1)})")
    return ", ".join(off)


def _of_privacy(found: dict[str, Any]) -> list[str]:
    texts = []
    member, near = ((found.get(n) or {}).get(k) for n, k in _GIVEN_AWAY)
    # Where all are told there is no interval: every resample has 1.
    least = (member["interval"] or [member["value"] == 1])[0] if member else 0
    if member and least > 0.5:
        ends = f" ({span(member['interval'], number)})" if member["interval"] else ""
        texts.append(
            "The model's loss tells training images from validation images: AUROC "
            f"{number(member['value'])}{ends}, chance has 0.5."
        )
    if near and near["value"] > near["chance"][1]:
        texts.append(
            f"{percent(near['value'])} of the generated images lie nearer to training images than to as "
            f"many validation images: by chance {span(near['chance'], percent)}."
        )
    return texts


def _of_likelihood(found: dict[str, Any]) -> list[str]:
    means = {row["name"]: row["mean"] for row in found.get("per_set", ())}
    own = means.get(found.get("inside"))
    if own is None or own < _NO_MODEL:
        return []
    return [
        f"Chance level: {number(own, 2)} bits per dimension is what a model that knows nothing needs "
        f"({number(_NO_MODEL, 0)})."
    ]
