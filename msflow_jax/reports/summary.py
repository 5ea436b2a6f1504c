"""The head of the report: headline numbers and one sentence that states them in words."""

from typing import Any

from msflow_jax.reports import page
from msflow_jax.reports.alarms import warnings_of
from msflow_jax.reports.page import Section, number, percent
from msflow_jax.reports.results import Results
from msflow_jax.reports.routes import scores_of
from msflow_jax.storage.text import listed

Tile = tuple[str, str, str]  # value, label, remark


def summary_section(results: Results) -> Section:
    """Tiles, a sentence, and what could not be read."""
    tiles = [
        *_classification_tiles(results.part("classification")),
        *_likelihood_tiles(results.part("likelihood")),
        *_segmentation_tiles(results.part("segmentation")),
        *_translation_tiles(results.part("translation")),
        *_generation_tiles(results.part("generation")),
    ]
    return page.section(
        results, "summary", "Summary", tiles=tiles, sentences=headline_sentences(results),
        alarms=[*_not_applied(results), *warnings_of(results)],
    )  # fmt: skip


def _not_applied(results: Results) -> list[str]:
    """That the figures are of other parameters than the run's; of the same ones nothing."""
    if not results.other:
        return []
    remedy = " Evaluate again." if results.stands else ""
    return [f"The figures are {results.other}: nothing of this evaluation is applied.{remedy}"]


def headline_sentences(results: Results) -> str:
    """What the headline numbers say, in words; empty if there are none."""
    sentences = [
        _classification_sentence(results),
        _likelihood_sentence(results.part("likelihood")),
        _segmentation_sentence(results),
        _generation_sentence(results.part("generation")),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _classification_tiles(found: dict[str, Any]) -> list[Tile]:
    if not found:
        return []
    intervals = found.get("intervals") or {}

    def interval(key: str, show: Any) -> str:
        words = page.span(intervals.get(key), show)
        return f"95 % interval {words}" if words else ""

    auc = number(found.get("auc_probability"))
    return [
        (percent(found["accuracy"]), "accuracy", interval("accuracy", percent)),
        (auc, "AUC (MedMNIST)", interval("auc_probability", number)),
        (
            percent(found["balanced_accuracy"]),
            "balanced accuracy, mean recall",
            interval("balanced_accuracy", percent),
        ),
        (
            percent(found["ece"]),
            "calibration error",
            "ECE, 0 is best" + ("; classes weighed alike" if found.get("weighed") else ""),
        ),
    ]


def _likelihood_tiles(found: dict[str, Any]) -> list[Tile]:
    means = {row["name"]: row["mean"] for row in found.get("per_set", [])}
    if not means:
        return []
    inside, reference = found["inside"], found["reference"]
    remark = f"{inside} images"
    if reference != inside:
        remark += f"; {reference} images: {number(means[reference], 2)}"
    return [(number(means[inside], 2), "bits per dimension", remark)]


def _segmentation_tiles(found: dict[str, Any]) -> list[Tile]:
    if not found:
        return []
    first = next(iter(found.get("classes") or ()), "class 0")
    means = [
        ("mean_dice_foreground", "mean Dice without the background", f" but {first}"),
        ("mean_dice", "mean Dice, background included", f", {first} among them"),
        ("mean_iou", "mean IoU, background included", f", {first} among them"),
    ]
    return [
        (number(found.get(key)), label, _averaged(found, key, f"over the classes present{those}"))
        for key, label, those in means
        if key in found or key != "mean_dice_foreground"  # not in evaluations of before
    ]


def _averaged(found: dict[str, Any], key: str, remark: str) -> str:
    """What a mean is over, with its interval."""
    interval = page.span((found.get("intervals") or {}).get(key), number)
    return f"{remark}; 95 % interval {interval}" if interval else remark


def _translation_tiles(found: dict[str, Any]) -> list[Tile]:
    return [
        (f"{number(one.psnr, 1)} dB", f"PSNR, {one.name}", one.beside) for one in scores_of(found)
    ]


def _generation_tiles(found: dict[str, Any]) -> list[Tile]:
    if not found:
        return []
    if several := found.get("modalities"):
        return [_frechet_tile(block, f", {name}") for name, block in several.items()]
    recognised = found.get("recognition_overall") or {}
    near = found.get("memorisation") or {}
    return [
        _frechet_tile(found),
        (
            page.share(recognised.get("generated")),
            "generated images recognised",
            f"real ones: {page.share(recognised.get('real'))}",
        ),
        (
            percent(near.get("share_below_threshold")),
            "closer than usual to training",
            f"about {_expected(near)} is expected without copying",
        ),
    ]


def _frechet_tile(found: dict[str, Any], of: str = "") -> Tile:
    own, floor = _frechet(found)
    return number(own, 2), f"Fréchet distance{of}", f"real against real: {number(floor, 2)}"


def _expected(near: dict[str, Any]) -> str:
    """Share of new real images that lie as close to the training set as the closest held-out ones."""
    return percent(near.get("expected_below_threshold", 0.01))


def _frechet(found: dict[str, Any]) -> tuple[float | None, float | None]:
    """Fréchet distance of the generated images, and of real ones; None where not measured."""
    comparison = found.get("comparison") or {}
    own, floor = ((comparison.get(name) or {}).get("frechet") for name in ("generated", "real"))
    return own, floor


def _classification_sentence(results: Results) -> str:
    found = results.part("classification")
    if not found:
        return ""
    split = results.evaluation.get("split", "evaluated")
    text = (
        f"On {found['images']:,} {split} images of {results.title} the model names the right "
        f"class for {percent(found['accuracy'])}"
    )
    majority = found.get("majority_accuracy")
    if majority is not None:
        text += f" (the most frequent class alone: {percent(majority)})"
    curves = found.get("rejection") or {}
    if curves:
        name, curve = next(iter(curves.items()))
        fifth = min(range(len(curve["rejected"])), key=lambda i: abs(curve["rejected"][i] - 0.2))
        text += (
            f"; with the least confident {percent(curve['rejected'][fifth], 0)} rejected (by "
            f"{results.word(name)}) it is right for {percent(curve['accuracy'][fifth])} of the rest"
        )
    return text + "."


def _likelihood_sentence(found: dict[str, Any]) -> str:
    means = {row["name"]: row["mean"] for row in found.get("per_set", [])}
    if not means:
        return ""
    text = f"Images of the {found['inside']} set take {means[found['inside']]:.2f} bits per "
    text += "dimension (8 without a model)"
    likelier = [row["name"] for row in found.get("detection", []) if row["outside_more_likely"]]
    if likelier:
        text += f"; those of {listed(likelier)}, of another kind, take fewer"
    return text + "."


def _segmentation_sentence(results: Results) -> str:
    found = results.part("segmentation")
    rows = {name: row["dice"] for name, row in (found.get("classes") or {}).items()}
    known = {name: dice for name, dice in rows.items() if dice is not None}
    if not known or found.get("mean_dice") is None:
        return ""
    mean, whole = found.get("mean_dice_foreground"), number(found["mean_dice"])
    text = f"On the {results.evaluation.get('split', 'evaluated')} images of {results.title} "
    text += "predicted and true maps"
    if mean is None:
        text += f", background included, overlap with a mean Dice of {whole}"
    else:
        first = next(iter(rows))
        known.pop(first, None)
        text += f" overlap with a mean Dice of {number(mean)} without {first} ({whole} with it)"
    worst, best = min(known, key=lambda name: known[name]), max(known, key=lambda name: known[name])
    if len(known) > 1:
        text += f", best for {best} ({number(known[best])})"
        text += f", worst for {worst} ({number(known[worst])})"
    return text + "."


def _generation_sentence(found: dict[str, Any]) -> str:
    own, floor = _frechet(found)
    if own is None or floor is None:
        return ""
    text = f"Generated images lie at Fréchet distance {own:.2f} from held-out real ones"
    text += f", where real images of the training set lie at {floor:.2f}"
    near = found.get("memorisation") or {}
    share, copies = near.get("share_below_threshold"), near.get("generated_copies", 0)
    if share is not None:
        text += f"; {percent(share)} of them are closer to a training image than 99 % of the "
        text += f"held-out images are (about {_expected(near)} is expected without copying)"
    if copies:
        text += f", and {copies:,} are exact copies of one"
    return text + "."
