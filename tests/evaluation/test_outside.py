"""Images of another kind: scores, p-values, AUROC, and stand-ins for them."""

import dataclasses

import numpy as np
import pytest

from msflow_jax.evaluation.outside import Reference, detection, stand_ins
from msflow_jax.inference.kinds import are_odd, level_used


def measures(count, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    return {"a": np.exp(rng.normal(size=count)), "b": np.exp(shift + 0.1 * rng.normal(size=count))}


def test_p_values_of_the_same_kind_are_even_and_of_another_small():
    known = Reference.of(measures(1500, 0))
    p = known.p_values(measures(4000, 1))
    for level in (0.01, 0.1, 0.5):
        assert np.mean(p <= level) == pytest.approx(level, abs=0.03)
    assert (known.p_values(measures(50, 2, shift=2.0)) == known.least).all()
    assert known.least == 1 / 1501


def test_any_one_measure_may_tell():
    known = Reference.of(measures(500, 0))
    far = {"a": np.array([1.0, 1e6]), "b": np.array([1e3, 1.0])}
    assert (known.p_values(far) == known.least).all()


def test_a_signed_measure_is_odd_on_either_side():
    rng = np.random.default_rng(0)
    known = Reference.of({"evidence": rng.normal(-500, 10, 400)}, signed=("evidence",))
    p = known.p_values({"evidence": np.array([-500.0, -300.0, -700.0])})
    assert p[0] > 0.5 and p[1] == p[2] == known.least
    one_sided = Reference.of(measures(400, 0))
    low = {"a": np.array([1.0]), "b": np.array([1e-6])}
    assert one_sided.p_values(low)[0] > 0.05  # less odd than any is not odd


def test_reference_images_count_themselves_once():
    given = measures(99, 0)
    known = Reference.of(given)
    p = known.p_values(given, themselves=True)
    np.testing.assert_allclose(np.sort(p), np.arange(1, 100) / 99)
    assert known.p_values(given).min() == 2 / 100


@pytest.mark.parametrize(("count", "odd"), [(30, 1), (60, 1), (150, 1), (300, 3)])
def test_reference_images_are_odd_where_their_p_value_says_so(count, odd):
    """Each is compared with the others: the oddest of few is as odd as can be told."""
    given = measures(count, 0)
    kept = dataclasses.asdict(Reference.of(given))
    p = Reference(**kept).p_values(given, themselves=True)
    found = are_odd(given, kept, 0.01, themselves=True)
    assert found.sum() == odd == (p <= max(0.01, 1 / count)).sum() and found[np.argmin(p)]
    assert p[found].max() <= level_used(kept, 0.01, themselves=True)  # as a reason names it
    assert not are_odd(given, kept, 0.0, themselves=True).any()


def test_detection_by_hand_and_over_subjects():
    inside, outside = np.arange(20.0), np.arange(20.0) + 100
    found = detection(inside, outside, None)
    assert found["auroc"]["value"] == 1 and found["fpr95"]["value"] == 0
    assert found["auroc"]["interval"] is None and "no width" in found["undefined"]["auroc"]
    rng = np.random.default_rng(0)
    same = detection(rng.normal(size=200), rng.normal(size=200), np.arange(200) // 4)
    low, high = same["auroc"]["interval"]
    assert low < 0.5 < high and same["fpr95"]["value"] > 0.85
    assert detection(outside, inside, None)["auroc"]["value"] == 0
    # Of images made of the inside ones subject and copy are drawn together: no set lacks either.
    steps = 2.0 * np.arange(10)
    paired = detection(steps, steps + 1, None, same=True)
    assert paired["auroc"]["interval"][0] >= 0.5


@pytest.mark.parametrize("inside, outside", [(9, 40), (40, 9)])
def test_few_images_of_either_kind_have_no_interval(inside, outside):
    rng = np.random.default_rng(0)
    found = detection(rng.normal(size=inside), rng.normal(size=outside), None)
    for name in ("auroc", "fpr95"):
        assert found[name]["interval"] is None and 0 <= found[name]["value"] <= 1
        assert "9 subjects: a bootstrap needs 10" in found["undefined"][name]
    subjects = np.arange(200) // 40
    few = detection(rng.normal(size=200), rng.normal(size=200), subjects)
    assert few["auroc"]["interval"] is None and "5 subjects" in few["undefined"]["auroc"]


@pytest.mark.parametrize("shape", [(6, 16, 16, 3), (3, 8, 8, 8, 1)])
def test_stand_ins_have_the_shape_of_the_images(shape):
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    found = stand_ins(images, 0)
    assert set(found) == {"other scanner", "noise", "texture"}
    for one in found.values():
        assert one.shape == shape and one.dtype == np.uint8 and one.std() > 10
    again = stand_ins(images, 0)
    assert all((again[k] == found[k]).all() for k in found)
    steps = np.abs(np.diff(found["texture"].astype(float), axis=1)).mean()
    assert steps < 0.6 * np.abs(np.diff(found["noise"].astype(float), axis=1)).mean()
