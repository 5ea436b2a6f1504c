"""The head of the report: headline numbers and one sentence that says them."""

from dataclasses import dataclass
from typing import Any

from msflow_jax.reports import page
from msflow_jax.reports.page import Section, number, percent
from msflow_jax.reports.results import Results


@dataclass(frozen=True)
class Tile:
    """One headline number, what it is, and a remark."""

    value: str
    label: str
    remark: str = ""


def title_of(results: Results) -> str:
    """Name of the data set for a sentence."""
    if results.phantom:
        return "the phantom data"
    return str(results.data.get("name") or "the data set")


def summary_section(results: Results) -> Section:
    """Tiles, a sentence, and what could not be read."""
    tiles = _classification_tiles(results.part("classification"))
    tiles += _likelihood_tiles(results.part("likelihood"))
    tiles += _segmentation_tiles(results.part("segmentation"))
    tiles += _generation_tiles(results.part("generation"))
    content = page.render(
        "summary", tiles=tiles, sentence=in_words(results), problems=results.problems
    )
    return Section("summary", "Summary", "Summary", content)


def in_words(results: Results) -> str:
    """What the headline numbers say, in words; empty if there are none."""
    sentences = [
        _say_classification(results),
        _say_likelihood(results.part("likelihood")),
        _say_generation(results.part("generation")),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _classification_tiles(found: dict[str, Any]) -> list[Tile]:
    if not found:
        return []
    intervals = found.get("intervals") or {}

    def interval(key: str, show: Any) -> str:
        span = intervals.get(key)
        return f"95 % interval {show(span[0])} to {show(span[1])}" if span else ""

    return [
        Tile(percent(found["accuracy"]), "accuracy", interval("accuracy", percent)),
        Tile(
            number(found.get("auc_probability")),
            "AUC (MedMNIST)",
            interval("auc_probability", number),
        ),
        Tile(
            percent(found["balanced_accuracy"]),
            "balanced accuracy",
            "mean recall over classes",
        ),
        Tile(percent(found["ece"]), "calibration error", "ECE, 0 is best"),
    ]


def _likelihood_tiles(found: dict[str, Any]) -> list[Tile]:
    means = {row["name"]: row["mean"] for row in found.get("per_set", [])}
    if not means:
        return []
    inside, reference = found["inside"], found["reference"]
    remark = f"{inside} images"
    if reference != inside:
        remark += f"; {reference} images: {number(means[reference], 2)}"
    return [Tile(number(means[inside], 2), "bits per dimension", remark)]


def _segmentation_tiles(found: dict[str, Any]) -> list[Tile]:
    if not found:
        return []
    return [
        Tile(number(found.get("mean_dice")), "mean Dice", "over the classes present"),
        Tile(number(found.get("mean_iou")), "mean IoU", "over the classes present"),
    ]


def _generation_tiles(found: dict[str, Any]) -> list[Tile]:
    if not found:
        return []
    comparison = found.get("comparison") or {}
    own = (comparison.get("generated") or {}).get("frechet")
    floor = (comparison.get("real") or {}).get("frechet")
    recognised = found.get("recognition_overall") or {}
    near = found.get("memorisation") or {}
    return [
        Tile(number(own, 2), "Fréchet distance", f"real against real: {number(floor, 2)}"),
        Tile(
            percent(recognised.get("generated"), 0),
            "generated images recognised",
            f"real ones: {percent(recognised.get('real'), 0)}",
        ),
        Tile(
            percent(near.get("share_below_threshold")),
            "closer than usual to training",
            "about 1 % is expected without copying",
        ),
    ]


def _say_classification(results: Results) -> str:
    found = results.part("classification")
    if not found:
        return ""
    split = results.evaluation.get("split", "evaluated")
    text = (
        f"On {found['images']:,} {split} images of {title_of(results)} the model names the right "
        f"class for {percent(found['accuracy'])}"
    )
    majority = found.get("majority_accuracy")
    if majority is not None:
        text += f" (the most frequent class alone: {percent(majority)})"
    curves = found.get("rejection") or {}
    if curves:
        name, curve = next(iter(curves.items()))
        name = results.uncertainty_name(name)
        fifth = min(range(len(curve["rejected"])), key=lambda i: abs(curve["rejected"][i] - 0.2))
        text += (
            f"; with the least confident {percent(curve['rejected'][fifth], 0)} rejected (by "
            f"{name}) it is right for {percent(curve['accuracy'][fifth])} of "
            "the rest"
        )
    return text + "."


def _say_likelihood(found: dict[str, Any]) -> str:
    means = {row["name"]: row["mean"] for row in found.get("per_set", [])}
    if not means:
        return ""
    text = f"Images of the {found['inside']} set take {means[found['inside']]:.2f} bits per "
    text += "dimension (8 without a model)"
    likelier = [row["name"] for row in found.get("detection", []) if row["outside_more_likely"]]
    if likelier:
        text += f"; those of {', '.join(likelier)}, of another kind, take fewer"
    return text + "."


def _say_generation(found: dict[str, Any]) -> str:
    comparison = found.get("comparison") or {}
    own = (comparison.get("generated") or {}).get("frechet")
    floor = (comparison.get("real") or {}).get("frechet")
    if own is None or floor is None:
        return ""
    text = f"Generated images lie at Fréchet distance {own:.2f} from held-out real ones"
    text += f", where real images of the training set lie at {floor:.2f}"
    near = found.get("memorisation") or {}
    share, copies = near.get("share_below_threshold"), near.get("generated_copies", 0)
    if share is not None:
        text += f"; {percent(share)} of them are closer to a training image than 99 % of the "
        text += "held-out images are (about 1 % is expected without copying)"
    if copies:
        text += f", and {copies:,} are exact copies of one"
    return text + "."
