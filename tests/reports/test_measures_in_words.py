"""What the page says of its measures: shares that do not round to 0 and 100 %, and what a mean is of."""

import base64
import html
import io
import re

import numpy as np
import pytest
from PIL import Image

from msflow_jax.evaluation import evaluate_classifier
from msflow_jax.evaluation.counts import count_splits
from msflow_jax.evaluation.privacy import too_few
from msflow_jax.evaluation.segmentation import evaluate_images
from msflow_jax.reports import card, figures, general
from msflow_jax.reports.alarms import warnings_of
from msflow_jax.reports.classification import classification_section
from msflow_jax.reports.headlines import headlines
from msflow_jax.reports.paths import paths_section
from msflow_jax.reports.privacy import privacy_section
from msflow_jax.reports.results import Results
from msflow_jax.reports.sections import named_section
from msflow_jax.reports.segmentation import segmentation_section
from msflow_jax.reports.summary import summary_section
from tests.reports.test_card import FACTS, INFO

WHOLE = "<small>100\u00a0%</small>"


def html_of(section):
    """A section as text, with its quotes."""
    return html.unescape(str(section.html))


def page_of(**blocks):
    """The head of a page of these sections, as HTML."""
    results = Results(name="w", evaluation={"split": "test", "sections": list(blocks), **blocks})
    return str(summary_section(results).html)


def test_shares_near_the_ends_are_not_rounded_to_0_and_100():
    """In a table, a confusion matrix, a tile and an alarm: 99.62 % is not all."""
    labels, predicted = np.repeat([0, 0, 1], [996, 4, 10]), np.repeat([0, 1, 1], [996, 4, 10])
    distances = 1 - np.eye(2)[predicted][None]
    unsure = {"distance": 1.0 * (labels != predicted)}
    found = evaluate_classifier(labels, distances, 1 - distances, unsure, "ab", resamples=0)
    for row in found["rejection"]["distance"]["coverage_at_accuracy"]:
        row["coverage"] = 0.9962
    kept = [{"name": n, "images": 500, "kept": k} for n, k in (("a", 0.9962), ("b", 0.0038))]
    abstention = {"coverage": 0.8, "measures": {"distance": {"classes": kept}}}
    alarm = warnings_of(
        Results(name="w", evaluation={"classification": {"abstention": abstention}})
    )
    page = html_of(classification_section(Results(name="w", evaluation={"classification": found})))
    table = page.split("kept at 90")[1].split("</table>")[0]
    confusion = page.split('class="confusion"')[1].split("</table>")[0]
    tiles = page_of(generation={"recognition_overall": {"generated": 0.9962, "real": 0.0038}})
    for text in (table, confusion, tiles, alarm[0]):
        assert "99.6\u00a0%" in text and "100\u00a0%" not in text.replace(WHOLE, "")
    for text in (confusion, tiles, alarm[0]):
        assert "0.4\u00a0%" in text
    assert WHOLE in confusion and "<small>0\u00a0%</small>" in confusion  # exactly these


def test_what_lies_near_an_end_is_not_shown_as_the_end():
    """In tiles, scores, tables of classes and intervals, sets, alarms, thresholds and the card."""
    row = {
        "name": "b",
        "count": 4000,
        "predicted": 3999,
        "recall": 3999 / 4000,
        "specificity": 0.9997,
    }
    row |= {"intervals": {"recall": [0.9995, 1.0]}, "auc": 0.99998}
    rare = {"name": "a", "count": 4000, "predicted": 1, "recall": 1 / 4000, "specificity": 1.0}
    rare["auc"] = 0.5
    scores = {"accuracy": 0.99975, "balanced_accuracy": 0.99975, "ece": 0.0004, "brier": 0.0002}
    found = {"images": 8000, "auc_probability": 0.99996, **scores, "per_class": [row, rare]}
    found |= {"classes": ["b", "a"], "confusion": [[3999, 1], [3999, 1]], "draws": None}
    thresholds = {"coverage": [0.8, 0.9], "distance": [0.00012, 123.5]}
    sets = {
        "score": "lac",
        "by_class": False,
        "coverage": 0.99975,
        "band": [0.98, 0.99996],
        "size": 1.0,
    }
    sets |= {
        "single": 1.0,
        "empty": 0.0,
        "classes": [{"name": "a", "coverage": 0.99975}],
        "few": [],
    }
    evaluation = {
        "classification": found, "abstain": thresholds, "sections": ["classification"],
        "sets": {"rows": [sets], "coverage": 0.9, "measured": 8000, "chose": False}, "split": "test",
    }  # fmt: skip
    results = Results(name="w", evaluation=evaluation)
    page = html_of(classification_section(results))
    for text in (page, str(summary_section(results).html), html_of(named_section(results, "sets"))):
        assert "99.98\u00a0%" in text, text
    for text in ("0.04\u00a0%", "0.03\u00a0%", "0.0002", "0.99996", "0.000120", "123.500"):
        assert text in page, text
    assert "<small>99.95 to 100.0</small>" in page  # all is all
    assert "a (0.03\u00a0% of its 4,000 images)" in warnings_of(results)[0]
    assert "99.996\u00a0%" in html_of(named_section(results, "sets"))
    written = card.write_card("", "me/model", {**evaluation, "sets": {}}, data=INFO, **FACTS)
    assert "| b | 4,000 | 99.98 % | 99.97 % | 0.99998 |" in written
    assert "1.0000" not in "".join(headlines(evaluation))


@pytest.mark.parametrize(("speed", "words"), [(0.32, "0.32"), (3.21, "3.21"), (123.4, "123")])
def test_a_slow_training_has_a_speed(speed, words):
    rows = [{"step": 1, "loss": 0.5, "images_per_second": speed}]
    text = html_of(general.training_section(Results(name="w", rows=rows)))
    assert f"Median throughput {words} images per second" in text


def test_segmented_volumes_are_shown_large_and_where_the_caption_says():
    side = 64
    image, truth = (
        np.full((1, side, side, side, 1), 60, np.uint8),
        np.zeros((1, *[side] * 3), np.uint8),
    )
    truth[0, 10:13, 50:53, 12:15] = 1
    block = segmented()
    arrays = {"images": image, "truth": truth, "maps": truth, "uncertainty": 0 * truth}
    arrays = {f"segmented_{key}": value for key, value in arrays.items()}
    data = {"space": [side] * 3, "spacing": [1.0, 1.0, 1.0]}
    results = Results(name="w", evaluation={"data": data, "segmentation": block}, arrays=arrays)
    text = html_of(segmentation_section(results))
    assert "plane through the middle of what is marked in the truth (of the volume where" in text
    drawn = re.findall(r'base64,([^"]+)"', text)
    shown = [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in drawn]
    assert all(one.shape[1] > 3 * side for one in shown)
    coloured = (np.ptp(shown[1].astype(int), axis=-1) > 20).sum()
    assert coloured == 27  # three planes of 3 x 3 pixels, none of them mixed with its neighbours
    small = figures.thumbnails(
        np.kron(truth[:, 11], np.ones((4, 4), np.uint8))[..., None], 64, nearest=True
    )
    assert set(np.unique(small)) == {0, 1}


def test_counts_of_several_modalities_are_of_examples():
    splits = count_splits({"test": (np.array([0, 1]), None)}, ["a", "b"])
    data = {"name": "cohort", "classes": ["a", "b"]}
    for names, words in ((["t1w", "ct"], "Examples of each class"), ([], "Images of each class")):
        config = {"model": {"modalities": names}} if names else {}
        results = Results(name="w", config=config, evaluation={"data": data, "counts": splits})
        assert words in html_of(general.data_section(results))


def test_a_lack_of_training_images_of_a_class_is_told_where_privacy_is():
    near = {
        "generated": 8, "compared": 20, "nearer": {"value": 0.5, "chance": [0.4, 0.6]},
        "ratio": {"median": 1.0, "p5": 0.9},
    }  # fmt: skip
    text = too_few({1: (3, 5)}, ["none", "mild"])[0]
    block = {"neighbours": near, "few": [text]}
    assert text in html_of(privacy_section(Results(name="w", evaluation={"privacy": block})))
    del block["few"]  # an evaluation of before
    assert "mild" not in html_of(privacy_section(Results(name="w", evaluation={"privacy": block})))


def segmented(shape=(12, 32, 32)):
    """A lesion of 1 % of the pixels, of which a part that differs between images is found."""
    truth, found = np.zeros(shape, int), np.zeros(shape, int)
    truth[:, 4:7, 4:7] = 1
    for i, one in enumerate(found):
        one[4:7, 4 + i % 3 : 7 + i % 3] = 1
    return evaluate_images(truth, found, ["background", "lesion"])


def test_the_mean_dice_does_not_hide_the_background():
    block = segmented()
    lesion, whole = block["classes"]["lesion"]["dice"], block["mean_dice"]
    assert whole > lesion + 0.1
    page = page_of(segmentation=block)
    first, second = (
        page.index("mean Dice without the background"),
        page.index("mean Dice, background"),
    )
    assert first < second < page.index("mean IoU, background included")
    assert f"<b>{lesion:.3f}</b>" in page and page.count("95 % interval") == 2
    assert "over the classes present but background; 95 % interval" in page
    assert "over the classes present, background among them; 95 % interval" in page
    assert f"mean Dice of {lesion:.3f} without background ({whole:.3f} with it)." in page
    lines = headlines({"split": "test", "sections": ["segmentation"], "segmentation": block})
    assert f"test mean_dice_foreground {lesion:.4f}" in lines
    assert f"test mean_dice          {whole:.4f} (background included)" in lines


def test_a_mean_dice_of_before_says_that_the_background_is_in_it():
    block = segmented()
    del block["mean_dice_foreground"], block["intervals"]["mean_dice_foreground"]
    page = page_of(segmentation=block)
    assert "without the background" not in page and "mean Dice, background included" in page
    assert "true maps, background included, overlap with a mean Dice of" in page


@pytest.mark.parametrize("draws", [2, 8])
def test_deviations_over_draws_of_opposite_noise_are_explained(draws):
    rng = np.random.default_rng(0)
    labels, distances = np.arange(40) % 2, rng.random((draws, 40, 2))
    powers = np.exp(-distances)
    given = labels, distances, powers / powers.sum(-1, keepdims=True), {}, ["a", "b"]
    apart, paired = (
        evaluate_classifier(*given, resamples=0, opposite=opposite) for opposite in (False, True)
    )
    pages = [
        " ".join(html_of(classification_section(of)).split())
        for of in (Results(name="w", evaluation={"classification": x}) for x in (apart, paired))
    ]
    assert "Two draws of different noise name the same class for" in pages[0]
    assert "opposite noise" not in pages[0]
    times = {2: "1.41", 8: "1.07"}[draws]
    assert f"so that of {draws} the deviation may be {times} times that of indep" in pages[1]
    words = "is not known: both draws have" if draws == 2 else "noise name the same class for"
    assert words in pages[1]
    # An evaluation of before counted pairs of opposite noise too, where draws have it.
    del apart["draws"]["opposite"]
    before = Results(name="w", evaluation={"classification": apart})
    assert "Two draws name the same" in " ".join(html_of(classification_section(before)).split())


@pytest.mark.parametrize(
    ("classes", "draws", "words"),
    [
        ({"predicted": 0}, 0, "This one draw ends at a."),  # of before: what the path ends at
        ({"predicted": 1, "end": 1}, 1, "Euler's method ends at b, which is also the model's pred"),
        ({"predicted": 1, "end": 0}, 1, "ends at a; the model's prediction, of 1 draw, is b."),
        (
            {"predicted": 1, "end": 0},
            8,
            "of 24 steps of Euler's method ends at a; the model's prediction, of 8 draws, is b.",
        ),
    ],
)
def test_a_path_is_not_called_the_prediction_of_the_model(classes, draws, words):
    kinds = {"image": np.zeros((3, 4, 4, 1), np.uint8), "label": np.zeros((3, 4, 4, 1), np.uint8)}
    both = {**kinds, "u": np.linspace(0, 1, 3)}
    arrays = {f"{way}_{k}": v for way in ("generate", "classify") for k, v in both.items()}
    arrays |= {f"classify_{k}": np.array(v) for k, v in {"true": 1, **classes}.items()}
    block = {"times": 9} | (
        {"steps": {"generate": 25, "classify": 24}, "draws": draws} if draws else {}
    )
    found = {"paths": block, "data": {"classes": ["a", "b"]}}
    text = " ".join(
        html_of(paths_section(Results(name="w", evaluation=found, arrays=arrays))).split()
    )
    assert "True class: b. This one draw " in text and words in text
    assert "Predicted class" not in text and ("prediction, of" in text) == (
        "prediction, of" in words
    )
    assert ("Drawn by 25 steps of Euler's method without guidance" in text) == bool(draws)


@pytest.mark.parametrize("guidance", [None, 1.0, 2.5])
def test_the_film_of_a_drawing_names_the_guidance_that_the_field_has_in_it(guidance):
    kinds = {"image": np.zeros((3, 4, 4, 1), np.uint8), "label": np.zeros((3, 4, 4, 1), np.uint8)}
    arrays = {f"generate_{k}": v for k, v in {**kinds, "u": np.linspace(0, 1, 3)}.items()}
    config = {"model": {} if guidance is None else {"distillation": {"guidance": guidance}}}
    found = {"paths": {"times": 9, "steps": {"generate": 25}}}
    section = paths_section(Results(name="w", config=config, evaluation=found, arrays=arrays))
    words = "with the guidance that the model was distilled with (2.5) and no other"
    how = words if guidance == 2.5 else "without guidance"
    text = " ".join(html_of(section).split())
    assert f"Drawn by 25 steps of Euler's method {how}, whatever sample.generate says." in text
