"""Scores of segmented images with intervals, and what uncertainty says of errors."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from msflow_jax.evaluation.pixel_uncertainty import evaluate_uncertainty
from msflow_jax.evaluation.segmentation import evaluate_images, evaluate_segmentation
from msflow_jax.evaluation.surfaces import hausdorff

NAMES = ("air", "organ", "lesion")


def some_maps(images=24):
    rng = np.random.default_rng(0)
    truth = np.zeros((images, 10, 9), np.uint8)
    truth[:, 2:7, 2:7] = 1
    truth[::2, 3:5, 3:5] = 2
    found = truth.copy()
    noise = rng.random(truth.shape) < 0.1
    found[noise] = rng.integers(0, 2, noise.sum())
    found[0][found[0] == 2] = 1  # a lesion that is missed
    found[1, 0, 0] = 2  # one that is invented
    return truth, found


def test_scores_of_images_and_their_intervals():
    truth, found = some_maps()
    sizes = np.tile([[2.0, 1.0]], (len(truth), 1))
    groups = [f"p{i // 2}" for i in range(len(truth))]
    out = evaluate_images(truth, found, NAMES, sizes=sizes, groups=groups, resamples=200)
    pooled = evaluate_segmentation(truth, found, NAMES)
    for name in NAMES:
        assert pooled["classes"][name].items() <= out["classes"][name].items()
    row = out["classes"]["lesion"]
    assert (row["images"], row["missed"], row["invented"], row["absent"]) == (12, 1, 1, 11)
    dice, far = [], []
    for a, b in zip(truth == 2, found == 2, strict=True):
        if a.any() or b.any():
            dice.append(2 * (a & b).sum() / (a.sum() + b.sum()))
        if a.any() and b.any():
            far.append(hausdorff(a, b, (2.0, 1.0)))
    assert len(dice) == 13 and row["image_dice"] == pytest.approx(np.mean(dice))
    assert [row["hd"], row["hd95"]] == pytest.approx(np.mean(far, axis=0).tolist())
    assert out["unit"] == "mm" and out["intervals"]["unit"] == "subject"
    for key in ("dice", "image_dice"):
        low, high = row["intervals"][key]
        assert low < row[key] < high
    low, high = out["intervals"]["mean_dice"]
    assert low < out["mean_dice"] < high
    assert json.loads(json.dumps(out, allow_nan=False)) == out


def test_a_class_that_is_nowhere_and_too_few_images():
    truth, found = some_maps(4)
    out = evaluate_images(truth, found, (*NAMES, "never"))
    row = out["classes"]["never"]
    assert row["image_dice"] is row["hd"] is row["hd95"] is None and row["absent"] == 4
    assert (
        out["unit"] == "pixels" and "a bootstrap needs 10" in out["intervals"]["undefined"]["dice"]
    )
    assert row["intervals"]["dice"] is None and out["intervals"]["mean_dice"] is None


@pytest.mark.parametrize("shown", [1, 3, 10])
def test_a_class_that_is_never_found_bounds_the_mean(shown):
    """A resample without it has a mean over the others alone, which is another measure."""
    truth = np.zeros((24, 6, 6), np.uint8)
    truth[:, :3] = 1
    found = truth.copy()
    truth[:shown, :2, :2] = 2
    out = evaluate_images(truth, found, NAMES)
    if shown < 10:
        reason = out["intervals"]["undefined"]["mean_dice"]
        assert out["intervals"]["mean_dice"] is None and reason.startswith(f"{shown} image")
        return
    low, high = out["intervals"]["mean_dice"]
    assert low <= out["mean_dice"] <= high < 0.67


def test_a_mean_of_which_few_resamples_have_all_classes_has_no_interval():
    names = tuple("abcdefgh")
    truth = np.tile(np.array([[0, 1]], np.uint8), (24, 2, 1))
    for k in range(2, 8):
        truth[k, 0, 0] = k  # each of one image
    found = np.where(truth > 1, 1, truth)
    out = evaluate_images(truth, found, names)
    assert out["intervals"]["mean_dice"] is None
    assert "fewer than half" in out["intervals"]["undefined"]["mean_dice"]
    assert out["classes"]["b"]["intervals"]["dice"]


def test_uncertainty_against_sklearn_and_by_hand():
    rng = np.random.default_rng(1)
    wrong = rng.random((20, 8, 8)) < np.linspace(0.05, 0.4, 20)[:, None, None]
    unsure = np.clip(rng.random(wrong.shape) * 0.6 + 0.3 * wrong, 0, 1)
    out = evaluate_uncertainty(wrong, unsure, resamples=100)
    assert out["auroc"] == pytest.approx(roc_auc_score(wrong.ravel(), unsure.ravel()), abs=2e-3)
    assert out["intervals"]["auroc"][0] < out["auroc"] < out["intervals"]["auroc"][1]
    assert out["images_spearman"] > 0.5 and out["mean_wrong"] > out["mean_right"]
    assert sum(row["share"] for row in out["bins"]) == pytest.approx(1)
    inside = (unsure >= 0.3) & (unsure < 0.4)
    assert out["bins"][3]["above"] == 0.3
    assert out["bins"][3]["error"] == pytest.approx(wrong[inside].mean())
    assert out["bins"][9]["error"] is None and json.dumps(out, allow_nan=False)


def test_without_errors_there_is_no_area():
    none = np.zeros((12, 3, 3), bool)
    out = evaluate_uncertainty(none, np.full(none.shape, 0.5))
    assert out["auroc"] is None and out["images_spearman"] is None and out["undefined"]["auroc"]
    with pytest.raises(ValueError, match=r"uncertainties lie in \[0, 1\], got 2 to 2"):
        evaluate_uncertainty(none, np.full(none.shape, 2.0))
    with pytest.raises(ValueError, match="differ"):
        evaluate_uncertainty(none, np.zeros((12, 3)))


def test_the_mean_without_the_background_has_its_own_interval():
    truth, found = some_maps()
    out = evaluate_images(truth, found, NAMES)
    dice = [row["dice"] for row in out["classes"].values()]
    assert out["mean_dice_foreground"] == pytest.approx(np.mean(dice[1:]))
    low, high = out["intervals"]["mean_dice_foreground"]
    assert low < out["mean_dice_foreground"] < high
    alone = evaluate_images(0 * truth, 0 * found, NAMES)
    assert alone["mean_dice"] == 1 and alone["mean_dice_foreground"] is None
    assert alone["undefined"] == {"mean_dice_foreground": f"no pixel but of {NAMES[0]}"}
    assert alone["intervals"]["mean_dice_foreground"] is None


def test_padding_says_nothing_of_errors():
    """It is right and certain: it gave 0.74 and 0.99 to an uncertainty that knows nothing."""
    rng = np.random.default_rng(0)
    space = (40, 32, 32)
    inside = np.zeros(space, bool)
    for one in inside:
        height = rng.integers(8, 33)
        one[(32 - height) // 2 : (32 - height) // 2 + height] = True
    wrong = (rng.random(space) < 0.2) & inside
    unsure = np.where(inside, rng.uniform(0.05, 0.9, space), 0).astype(np.float32)
    out = evaluate_uncertainty(wrong, unsure, inside=inside, resamples=100)
    assert out["auroc"] == pytest.approx(0.5, abs=0.02) and abs(out["images_spearman"]) < 0.4
    assert out["bins"][0]["error"] == pytest.approx(0.2, abs=0.03)
    assert sum(row["share"] for row in out["bins"]) == pytest.approx(1)
    area = roc_auc_score(wrong[inside], unsure[inside])
    assert out["auroc"] == pytest.approx(area, abs=2e-3)
    assert out["mean_right"] == pytest.approx(unsure[inside & ~wrong].mean())
    everywhere = np.ones_like(inside)
    assert evaluate_uncertainty(wrong, unsure, inside=everywhere) == evaluate_uncertainty(
        wrong, unsure
    )
    with pytest.raises(ValueError, match="pixels inside"):
        evaluate_uncertainty(wrong, unsure, inside=inside[1:])
