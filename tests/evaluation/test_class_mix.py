"""Drawn and real images are compared in one mix of classes, whatever mix each comes in."""

import numpy as np
import pytest

from msflow_jax.evaluation import evaluate_generation
from msflow_jax.evaluation.counts import in_mix_of
from msflow_jax.evaluation.memorisation import check_memorisation, nearest_training

CLASSES = ["common", "rare"]
LEFT_OUT = "leave out images of rare"


def pictures(rng, labels):
    """Those of class 1 are nearly empty, so that each is near to all others of it."""
    shape = np.asarray(labels)[:, None, None, None]
    noise = rng.normal(size=(len(labels), 8, 8, 1)) * np.where(shape == 1, 4, 40)
    return np.clip(noise + np.where(shape == 1, 20, 128), 0, 255).astype(np.uint8)


class Known:
    """A classifier that is always right on the common class, and never on the rare one."""

    def features(self, images):
        return images.reshape(len(images), -1)[:, :4].astype(float)

    def predict(self, images):
        return np.zeros(len(images), int)


def measured(drawn, seed=0, held_out=400):
    """Of images that all come from one law, of which 5 % are of the rare class."""
    rng = np.random.default_rng(seed)
    train, real = ((rng.random(n) < 0.05).astype(int) for n in (600, held_out))
    sets = ((pictures(rng, labels), labels) for labels in (train, real))
    fake = pictures(rng, drawn)
    return evaluate_generation(fake, drawn, *sets, CLASSES, seed=seed, classifier=Known())


def test_weights_give_the_mix_of_the_other_set():
    labels, others = np.array([0, 0, 0, 1, 2]), np.array([1, 0, 1, 1, 3])
    weights, counted = in_mix_of(labels, others)
    assert counted.tolist() == [True, True, True, True, False]
    assert weights.sum() == pytest.approx(4) and weights[4] == 0
    assert weights[:3].sum() == pytest.approx(1) and weights[3] == pytest.approx(3)
    same, counted = in_mix_of(np.array([0, 0, 1]), np.array([1, 0, 0, 0, 1, 0]))
    assert (same == 1).all() and counted.all()
    nothing, counted = in_mix_of(np.array([0]), np.array([1]))
    assert not nothing.any() and not counted.any()


def test_a_generator_that_copies_nothing_is_not_taken_for_one_by_its_equal_shares():
    drawn = np.arange(120) % 2  # every class equally often, as an evaluation draws
    found = [measured(drawn, seed)["memorisation"] for seed in range(3)]
    shares = [one["share_below_threshold"] for one in found]
    assert np.mean(shares) < 3 * found[0]["expected_below_threshold"]
    for one in found:
        assert one["class_mix"] == "held-out"
        assert one["generated_median"] == pytest.approx(one["held_out_median"], rel=0.1)


def test_real_images_are_recognised_in_the_mix_that_was_drawn():
    drawn = np.arange(120) % 2
    overall = measured(drawn)["recognition_overall"]
    assert overall["generated"] == 0.5 and overall["real"] == pytest.approx(0.5)


def test_classes_that_one_set_lacks_are_left_out_with_a_line():
    drawn = np.arange(120) % 2
    rng = np.random.default_rng(0)
    train, real = drawn[:100], np.zeros(60, int)
    sets = ((pictures(rng, labels), labels) for labels in (train, real))
    found = evaluate_generation(
        pictures(rng, drawn), drawn, *sets, CLASSES, seed=0, classifier=Known()
    )
    assert found["recognition_overall"] == {"generated": 1.0, "real": 1.0}
    near = found["memorisation"]
    assert near["generated"] == 120 and near["share_below_threshold"] < 0.2
    assert near["generated_median"] == pytest.approx(near["held_out_median"], rel=0.1)
    assert LEFT_OUT in found["notes"][-1]
    assert not any(LEFT_OUT in note for note in measured(drawn)["notes"])


def test_sets_without_a_common_class_have_no_share():
    rng = np.random.default_rng(0)
    fake, real, train = (rng.integers(0, 256, (n, 6, 6, 1), np.uint8) for n in (5, 6, 7))
    found = check_memorisation(
        fake, real, train, np.arange(5), (), (np.zeros(5, int), np.ones(6, int))
    )
    assert found["share_below_threshold"] is found["generated_median"] is found["threshold"] is None
    assert found["generated_copies"] == 0 and len(found["nearest"]["distance"]) == 5


@pytest.mark.parametrize("drawn", [11, 12])
def test_one_mix_in_both_changes_no_bit(drawn):
    rng = np.random.default_rng(drawn)
    sets = [rng.integers(0, 256, (n, 6, 6, 1), np.uint8) for n in (3 * drawn, 24, 30)]
    near = nearest_training(*sets)
    found = near.summary((np.arange(3 * drawn) % 3, np.arange(24) % 3))
    assert found == near.summary()
    assert found["generated_median"] == np.median(near.generated_distance)
    below = near.generated_distance <= np.percentile(near.held_out_distance, 1)
    assert found["share_below_threshold"] == below.mean()
