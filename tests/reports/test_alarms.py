"""What a headline number hides is said: chance level, classes and images that are not seen."""

import copy

import numpy as np
import pytest

from msflow_jax.evaluation import evaluate_classifier
from msflow_jax.evaluation.selective import kept_by_class
from msflow_jax.reports.alarms import warnings_of
from msflow_jax.reports.headlines import headlines
from msflow_jax.reports.results import Results
from msflow_jax.reports.summary import summary_section
from tests.reports.workdirs import generation


def alarms(**blocks):
    return warnings_of(Results(name="w", evaluation=blocks))


def classified(right, n=200, classes=3, weights=(0.5, 0.3, 0.2)):
    """Evaluation of predictions that are right with this probability, else drawn by frequency."""
    rng = np.random.default_rng(0)
    labels = rng.choice(classes, n, p=weights)
    predicted = np.where(rng.random(n) < right, labels, rng.choice(classes, n, p=weights))
    distances = 1 - np.eye(classes)[predicted][None] + 0.1 * rng.random((1, n, classes))
    powers = np.exp(-3 * distances)
    return evaluate_classifier(
        labels, distances, powers / powers.sum(-1, keepdims=True), {}, list("abc"), resamples=100
    )


def test_good_results_have_none():
    assert alarms(classification=classified(0.9)) == []
    assert alarms() == []


def test_chance_level_is_told_by_kappa_auc_and_accuracy():
    found = alarms(classification=classified(0.0))
    text = " ".join(found)
    assert "no better than chance (Cohen's kappa" in text and "the 0.5 of guessing" in text
    assert "is not above the" in text and len(found) >= 3


def test_the_most_frequent_class_alone_is_no_result():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    distances = np.tile([0.0, 1.0, 2.0], (1, 100, 1))
    powers = np.exp(-distances)
    block = evaluate_classifier(
        labels,
        distances,
        powers / powers.sum(-1, keepdims=True),
        {},
        ["a", "b, x", "c"],
        resamples=50,
    )
    text = " ".join(alarms(classification=block))
    assert "Cohen's kappa 0.000" in text and "60.0\u00a0% is not above the 60.0\u00a0%" in text
    assert (
        "Hardly recognised: “b, x (0.0\u00a0% of its 30 images)”, c (0.0\u00a0% of its 10" in text
    )


def test_abstention_from_one_class_alone_is_told():
    labels = np.repeat([0, 1], 20)
    uncertainty = np.where(labels == 0, np.arange(40) < 12, 0)
    kept = kept_by_class(labels, labels, uncertainty, 0.5, ["mild", "severe"])
    block = {**classified(0.9), "abstention": {"coverage": 0.8, "measures": {"distance": kept}}}
    assert [
        text for text in alarms(classification=block) if "60\u00a0% of the images of mild" in text
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda g: None, "2 generated images are exact copies"),
        (lambda g: g["comparison"].update(noise={"frechet": 1.2}), "no nearer to real ones than"),
        (
            lambda g: g["grain"]["sets"]["generated"].update(spectrum=9.0),
            "spectrum off by 9.0 dB (real images: 0.5)",
        ),
        (lambda g: g["recognition_overall"].update(generated=0.3), "30.0\u00a0% of the generated"),
    ],
)
def test_generated_images(change, words):
    block = copy.deepcopy(generation())
    change(block)
    assert any(words in text for text in alarms(generation=block))


def test_a_likelihood_of_no_model():
    sets = [{"name": "train", "mean": 3.0}, {"name": "test", "mean": 8.1}]
    assert "8.10 bits per dimension" in alarms(likelihood={"inside": "test", "per_set": sets})[0]
    assert alarms(likelihood={"inside": "train", "per_set": sets}) == []


def test_old_blocks_without_the_new_keys_have_no_alarm_and_no_error():
    block = {
        "accuracy": 0.8, "cohen_kappa": 0.6, "auc_probability": 0.9, "majority_accuracy": 0.5,
        "intervals": {"accuracy": [0.7, 0.9]}, "per_class": [{"count": 5, "recall": 0.8}],
    }  # fmt: skip
    assert alarms(classification=block, generation={"samples": 3}, segmentation={}) == []


def test_what_gives_training_images_away_is_told():
    member = {"auroc": {"value": 0.7, "interval": [0.6, 0.8]}}
    near = {"nearer": {"value": 0.9, "chance": [0.4, 0.6]}}
    found = alarms(privacy={"membership": member, "neighbours": near})
    assert "AUROC 0.700 (0.600 to 0.800)" in found[0] and "90.0" in found[1] and len(found) == 2
    whole = {"auroc": {"value": 1.0, "interval": None}}  # every resample has 1
    assert "AUROC 1.000, chance" in alarms(privacy={"membership": whole})[0]
    few = {"auroc": {"value": 0.9, "interval": None}}
    assert alarms(privacy={"membership": few}) == []
    quiet = {"auroc": {"value": 0.55, "interval": [0.45, 0.6]}}
    near = {"nearer": {"value": 0.55, "chance": [0.4, 0.6]}}
    assert alarms(privacy={"membership": quiet, "neighbours": near}) == []
    assert alarms(privacy={"neighbours": near}) == []


def translation(psnr, **simple):
    """A block with one route; ``simple`` has the PSNR of what needs no model, with _ for blanks."""
    known = {"one draw": psnr - 3, "mean of 8": psnr}
    known |= {name.replace("_", " "): value for name, value in simple.items()}
    rows = {name: {"psnr": {"value": value, "interval": None}} for name, value in known.items()}
    return {"draws": 8, "routes": [{"source": "t1w", "target": "t2w", "rows": rows}]}


def test_a_translation_that_is_worse_than_no_model_is_told():
    block = translation(12.43, identity=17.94, mean_image=12.0, tone_curve=21.1)
    (text,) = alarms(translation=block)
    assert text == (
        "t1w to t2w: worse than the unchanged image (17.9 dB), the tone curve (21.1 dB): the mean of "
        "the draws has a PSNR of 12.4 dB."
    )
    lines = headlines({"split": "test", "sections": ["translation"], "translation": block})
    beside = "unchanged image 17.9, mean training image 12.0, tone curve 21.1"
    assert lines == [f"test t1w to t2w: PSNR 12.4 dB ({beside})", f"warning: {text}"]
    results = Results(name="w", evaluation={"sections": ["translation"], "translation": block})
    page = str(summary_section(results).html)
    for words in ("12.4 dB", "PSNR, t1w to t2w", beside, "worse than the unchanged image"):
        assert words in page
    assert alarms(translation=translation(22.0, identity=17.94, tone_curve=21.1)) == []
    assert alarms(translation={"routes": [], "draws": 8}) == []
