"""The order of examples and what a batch holds, by their laws."""

import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from msflow_jax.data.batches import to_float, to_loss, to_uint8
from msflow_jax.data.modality import describe
from msflow_jax.data.order import batch_indices, draw_balanced, plan, set_seed, windows
from tests.data.random_images import EACH, IMAGES


@EACH
@given(
    seed=st.integers(0, 2**31),
    first=st.integers(0, 40),
    counts=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    examples=st.integers(1, 30),
    batch=st.integers(1, 20),
)
def test_chunks_of_steps_agree_with_one_call(seed, first, counts, examples, batch):
    whole = batch_indices(seed, first, sum(counts), examples, batch)
    assert whole.shape == (sum(counts), batch) and whole.dtype == np.int32
    starts = first + np.cumsum([0, *counts[:-1]])
    parts = [batch_indices(seed, int(s), n, examples, batch) for s, n in zip(starts, counts)]  # noqa: B905
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@EACH
@given(seed=st.integers(0, 2**31), examples=st.integers(1, 40), batch=st.integers(1, 50))
def test_every_epoch_is_a_permutation(seed, examples, batch):
    """Also where batches straddle epochs, or one batch holds several."""
    steps = -(-3 * examples // batch)
    flat = batch_indices(seed, 0, steps, examples, batch).ravel()
    for epoch in range(3):
        part = flat[epoch * examples : (epoch + 1) * examples]
        np.testing.assert_array_equal(np.sort(part), np.arange(examples))


def test_epochs_and_seeds_differ():
    first, second = batch_indices(0, 0, 2, 50, 50)
    assert (first != second).any()
    assert (batch_indices(1, 0, 1, 50, 50)[0] != first).any()


def test_balanced_batches_draw_every_class_equally_often():
    """By (seed, step) alone, however the steps are chunked."""
    labels = np.repeat([0, 2, 5], [90, 9, 1])
    how = dict(examples=100, batch=64, sides=(6, 6), balance=labels)
    whole = plan(3, 10, 30, **how)["index"]
    parts = [plan(3, 10 + i, 1, **how)["index"] for i in range(30)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    shares = [(labels[whole] == k).mean() for k in (0, 2, 5)]
    np.testing.assert_allclose(shares, 1 / 3, atol=0.04)
    assert len(np.unique(whole[labels[whole] == 0])) > 80


def test_uint8_survives_the_round_trip():
    every = jnp.arange(256, dtype=jnp.uint8)
    x = to_float(every)
    assert x.dtype == jnp.float32 and x.min() == -1 and x.max() == 1
    np.testing.assert_array_equal(to_uint8(x), every)
    np.testing.assert_array_equal(to_uint8(jnp.array([-3.0, 3.0, 1 / 255])), [0, 255, 128])


@EACH
@given(first=st.integers(0, 9), counts=st.lists(st.integers(1, 3), min_size=1, max_size=3))
def test_plans_of_chunks_agree_with_one_plan(first, counts):
    how = dict(examples=7, batch=3, sides=(5, 4), flips=("horizontal",), shift=1)
    whole = plan(0, first, sum(counts), **how)
    starts = first + np.cumsum([0, *counts[:-1]])
    parts = [plan(0, int(s), n, **how) for s, n in zip(starts, counts, strict=True)]
    np.testing.assert_array_equal(np.concatenate([p["index"] for p in parts]), whole["index"])
    for axis, side in enumerate((5, 4)):
        joined = np.concatenate([p["axes"][axis] for p in parts])
        assert joined.shape == (sum(counts), 3, side) and joined.dtype == np.int32
        np.testing.assert_array_equal(joined, whole["axes"][axis])


def test_the_numbers_of_square_images_are_those_of_earlier_runs():
    """Resumed runs and published ones hang on them: rows, then columns, drawn in this order."""
    rows, columns = windows(7, 3, 4, (5, 5), ("horizontal",), 2)
    rng = np.random.default_rng((7, 1, 3))
    offset = rng.integers(-2, 2, (2, 4, 1), endpoint=True)
    turned = rng.random((2, 4, 1)) < 0.5
    index = np.clip(np.arange(5) + offset, 0, 4)
    np.testing.assert_array_equal(rows, index[0])
    np.testing.assert_array_equal(columns, np.where(turned[1], index[1, :, ::-1], index[1]))
    assert 0 < turned[1].sum() < 4


def test_what_reaches_the_loss_is_the_kinds_to_say():
    arrays = {
        "ct": jnp.array([[0, 255]], jnp.uint8).reshape(1, 1, 2, 1),
        "mr": jnp.full((1, 1, 2, 1), 0.5, jnp.float16),
        "code": jnp.full((1, 1, 1, 2, 1), 3, jnp.float16),
        "image": jnp.full((1, 1, 2), 7, jnp.uint8),
        "label": jnp.array([2], jnp.int32),
        "text": jnp.array([[4, 0]], jnp.int32),
    }
    kinds = {"ct": "image", "mr": "image", "code": "latent", "image": "map", "text": "tokens"}
    out = to_loss(arrays, describe(arrays, kinds))
    assert "present" not in out
    types = {name: array.dtype.name for name, array in out.items()}
    assert types == {
        "ct": "float32", "mr": "float32", "code": "float32", "image": "int32", "label": "int32",
        "text": "int32",
    }  # fmt: skip
    np.testing.assert_array_equal(out["ct"].ravel(), [-1, 1])
    np.testing.assert_array_equal(out["mr"].ravel(), [0.5, 0.5])
    np.testing.assert_array_equal(out["code"].ravel(), [3, 3])
    np.testing.assert_array_equal(out["image"].ravel(), [7, 7])


def test_what_an_example_lacks_is_zero():
    arrays = {"image": IMAGES[:3], "label": jnp.arange(3, dtype=jnp.int32)}
    present = {"image": jnp.array([True, False, True])}
    out = to_loss(arrays, describe(arrays), present)
    assert list(out["present"]) == ["image"]
    np.testing.assert_array_equal(out["present"]["image"], present["image"])
    np.testing.assert_array_equal(out["image"][1], np.zeros((6, 6, 3)))
    np.testing.assert_array_equal(out["image"][::2], to_float(IMAGES[:3:2]))


def test_sets_have_seeds_of_their_own():
    seeds = {set_seed(seed, name) for seed in (0, 1) for name in ("ct", "mr")}
    assert len(seeds) == 4 and set_seed(0, "ct") in seeds


def test_variants_and_balanced_draws_are_those_of_earlier_runs():
    """From streams of chance of their own: what moves an example says nothing of its variant."""
    labels = np.repeat([0, 1], [7, 2])
    found = plan(7, 3, 2, examples=9, batch=5, variants=4, balance=labels)
    for i, step in enumerate((3, 4)):
        variants = np.random.default_rng((7, 2, step)).integers(4, size=5)
        np.testing.assert_array_equal(found["variant"][i], variants)
        drawn = draw_balanced(labels, (5,), np.random.default_rng((7, 3, step)))
        np.testing.assert_array_equal(found["index"][i], drawn)
