"""Conformal sets of a model: whether a split can calibrate them, and on which images they are."""

from types import SimpleNamespace

import numpy as np
import pytest
from ml_collections import ConfigDict

from msflow_jax.data import Splits
from msflow_jax.data.split import Split
from msflow_jax.data.splitting import choosing, held_back
from msflow_jax.inference.prediction import Prediction
from msflow_jax.inference.sets import calibrate, few_cases, held, random_parts, sets_of


@pytest.mark.parametrize(
    ("images", "every", "cases"), [(24, 4, 6), (24, 2, 0), (36, 4, 0), (24, 0, 0), (1, 4, 1)]
)
def test_too_few_cases_are_said_with_what_helps(images, every, cases):
    labels = np.zeros(images, np.int32)
    val = Split.of_images(
        np.zeros((images, 4, 4, 1), np.uint8), labels, tuple(map(str, range(images)))
    )
    line = few_cases(val, every)
    assert (f"{cases} of {images} validation images" in line) == bool(cases)
    assert ("calibrate_every=2" in line) == bool(cases)


def run_of(every, labels, groups=None, classified=None):
    """An evaluation of a validation split, whose probabilities are drawn."""
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 4, 4, 1), np.uint8)
    val = Split.of_images(images, labels, tuple(map(str, range(len(labels)))), groups=groups)
    seen = val if classified is None else val.take(classified)
    p = np.random.default_rng(1).dirichlet(np.ones(3), len(seen)).astype(np.float32)
    return SimpleNamespace(
        splits={"val": val}, labelled=lambda name: seen, sample=ConfigDict(dict(seed=0, batch=8)),
        flow=SimpleNamespace(config=ConfigDict(dict(train=dict(calibrate_every=every)))),
        cross_fitted=SimpleNamespace(probability=p),
    )  # fmt: skip


LABELS = (np.arange(48) % 3).astype(np.int32)


@pytest.mark.parametrize("every", [0, 4])
def test_calibration_cases_chose_no_checkpoint_where_others_could(every):
    run = run_of(every, LABELS)
    mask = held_back(run.splits["val"], every)
    cases = np.flatnonzero(mask if every else ~mask)
    kept = calibrate(run)
    assert kept["chose"] == (every == 0) and len(cases) == (12 if every else 48)
    p = run.cross_fitted.probability
    for k, scores in enumerate(kept["scores"]["lac"]):
        of_class = cases[LABELS[cases] == k]
        np.testing.assert_allclose(scores, 1 - p[of_class, k], rtol=1e-6)
    # Sets of the cases themselves hold the rate that was asked for, to one of them.
    parts = random_parts(run.labelled("val").images[cases], 0, 8)
    found = sets_of(
        Prediction(1 - p[None, cases], p[None, cases], None, 1, True, classes=("a", "b", "c")),
        parts, kept, coverage=0.75,
    )  # fmt: skip
    right = found.chosen[np.arange(len(cases)), LABELS[cases]]
    assert found.cases == len(cases) == len(parts) and found.chose == (every == 0)
    assert right.sum() == np.ceil(0.75 * (len(cases) + 1))


def test_an_image_is_a_case_where_its_subject_is():
    """Of an example several images may be classified, or none."""
    groups = tuple(f"s{i // 2}" for i in range(48))
    rows = np.array([47, 0, 0, 5, 12, 30, 31])
    run = run_of(3, np.repeat(LABELS[:24], 2).astype(np.int32), groups, rows)
    dealt = held_back(run.splits["val"], 3)
    np.testing.assert_array_equal(held(run), dealt[rows])
    assert 0 < held(run).sum() < len(rows)


def test_what_is_held_back_chooses_no_checkpoint():
    val = run_of(4, LABELS).splits["val"]
    left = choosing(Splits(val, val, val, None), 4).val
    held_back_names = {n for n, one in zip(val.names, held_back(val, 4), strict=True) if one}
    assert len(held_back_names) == 12
    assert set(left.names) == set(val.names) - held_back_names
