"""What the page says of its measures: shares that do not round to 0 and 100 %, and what a mean is of."""

import html

import numpy as np
import pytest

from msflow_jax.evaluation import evaluate_classifier
from msflow_jax.evaluation.privacy import too_few
from msflow_jax.evaluation.segmentation import evaluate_images
from msflow_jax.reports.alarms import warnings_of
from msflow_jax.reports.classification import classification_section
from msflow_jax.reports.headlines import headlines
from msflow_jax.reports.privacy import privacy_section
from msflow_jax.reports.results import Results
from msflow_jax.reports.summary import summary_section

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
