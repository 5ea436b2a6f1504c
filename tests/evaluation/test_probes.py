"""Linear probes and the effective rank, on features that are known."""

import numpy as np
import pytest

from msflow_jax.evaluation.probes import effective_rank, fit_probe, labels_found, probe

RNG = np.random.default_rng(0)
SIDES = np.array(["left", "right", "none"])


def clouds(count, spread, seed):
    """Features around a corner for each label, and the labels."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, 3, count)
    return 5 * np.eye(4)[numbers] + spread * rng.normal(size=(count, 4)), SIDES[numbers]


def test_what_is_linear_is_found_and_noise_is_not():
    x, y = clouds(300, 0.5, 0)
    test, truth = clouds(90, 0.5, 1)
    found = probe(x, y, test, truth, [str(i // 3) for i in range(90)])
    assert found["accuracy"]["value"] == 1 and found["accuracy"]["interval"][0] > 0.85
    assert found["classes"] == ["left", "none", "right"] and found["majority"] < 0.5
    noise = probe(RNG.normal(size=x.shape), y, RNG.normal(size=test.shape), truth)
    low, high = noise["accuracy"]["interval"]
    assert low < 1 / 3 + 0.1 and high < 0.6
    assert noise["balanced_accuracy"]["value"] == pytest.approx(1 / 3, abs=0.15)


def test_scale_and_features_that_do_not_vary_have_no_say():
    x, y = clouds(120, 1.0, 2)
    test, _ = clouds(60, 1.0, 3)
    wide = np.hstack([x * [1, 1e4, 1e-4, 1], np.full((120, 1), 7.0)])
    other = np.hstack([test * [1, 1e4, 1e-4, 1], np.full((60, 1), 7.0)])
    np.testing.assert_array_equal(fit_probe(x, y)(test), fit_probe(wide, y)(other))


def test_one_label_alone_and_one_that_is_new():
    x, test = RNG.normal(size=(20, 3)), RNG.normal(size=(12, 3))
    truth = np.array(["a"] * 9 + ["b"] * 3)
    found = probe(x, np.full(20, "a"), test, truth)
    assert found["accuracy"]["value"] == found["majority"] == 0.75
    assert found["balanced_accuracy"]["value"] == 0.5


def test_a_label_that_is_never_found_bounds_the_mean_recall():
    x, y = clouds(200, 0.1, 6)
    test, truth = clouds(80, 2.0, 7)
    found = probe(x, y, test, np.where(np.arange(80) < 10, "new", truth))["balanced_accuracy"]
    assert found["value"] < 0.75 and found["interval"][1] <= 0.75
    rare = probe(x, y, test, np.where(np.arange(80) < 2, "new", truth))["balanced_accuracy"]
    assert rare["value"] < 0.75 and rare["interval"] is None


def test_labels_that_drawn_images_show():
    x, y = clouds(200, 0.3, 4)
    test, truth = clouds(60, 0.3, 5)
    order = np.roll(np.arange(60), 7)
    known, true = {"side": y, "coin": RNG.integers(0, 2, 200)}, {"side": truth, "coin": np.ones(60)}
    found = labels_found(x, known, {"real": test, "of another": test[order]}, true)
    assert list(found) == ["real", "of another", "most frequent"]
    assert found["real"]["side"]["value"] == 1
    assert found["of another"]["side"]["value"] == (truth[order] == truth).mean()
    assert found["most frequent"]["side"]["value"] < 0.5
    half = (1 + found["real"]["coin"]["value"]) / 2
    assert found["real"]["all"]["value"] == pytest.approx(half)
    low, high = found["of another"]["all"]["interval"]
    assert low < found["of another"]["all"]["value"] < high


def test_the_effective_rank():
    assert effective_rank(np.ones((10, 4))) == 0
    line = np.outer(RNG.normal(size=50), RNG.normal(size=6)) + 3
    assert effective_rank(line) == pytest.approx(1, abs=1e-6)
    white = RNG.normal(size=(20_000, 6))
    assert effective_rank(white) == pytest.approx(6, abs=0.01)
    assert effective_rank(white * [1, 1, 1, 1e-9, 1e-9, 1e-9]) == pytest.approx(3, abs=0.01)
    assert effective_rank(100 * line) == pytest.approx(effective_rank(line))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x, y: (np.full_like(x, np.nan), y), "not finite"),
        (lambda x, y: (x, y[:-1]), "a label for each"),
        (lambda x, y: (x[:, :2], y), "have 4 dimensions, those of the training 2"),
    ],
)
def test_what_is_refused(change, message):
    x, y = clouds(30, 1.0, 0)
    with pytest.raises(ValueError, match=message):
        probe(*change(x, y), x, y)
