"""The order of examples and the augmentation, by their laws."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.data.batches import gather, to_float, to_uint8
from msflow_jax.data.order import batch_indices, plan, windows

EACH = settings(max_examples=25, deadline=None)
RNG = np.random.default_rng(0)
IMAGES = jnp.asarray(RNG.integers(0, 256, (64, 6, 6, 3), dtype=np.uint8))
MAPS = IMAGES[..., 0]  # a label map that is a channel of its image must stay one


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
    how = dict(examples=100, batch=64, side=6, balance=labels)
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


def moved(images, flips, shift=0, seed=0, step=0, maps=None):
    """Every image once, in order, moved as a step would; through the device."""
    rows, columns = windows(seed, step, len(images), images.shape[1], flips, shift)
    labels = jnp.zeros(len(images)) if maps is None else maps
    one = {"index": np.arange(len(images)), "rows": rows, "columns": columns}
    return gather({"image": images, "label": labels}, one)


@pytest.mark.parametrize("flips, axes", [(("horizontal",), (1,)), (("vertical",), (0,))])
def test_a_flip_mirrors_its_axis_or_nothing(flips, axes):
    got = moved(IMAGES, flips)["image"]
    turned = [np.array_equal(g, np.flip(i, axes)) for g, i in zip(got, IMAGES, strict=True)]
    kept = [np.array_equal(g, i) for g, i in zip(got, IMAGES, strict=True)]
    assert (np.array(turned) ^ np.array(kept)).all()
    assert 16 < sum(turned) < 48


def test_flips_are_involutions():
    flips = ("horizontal", "vertical")
    once = moved(IMAGES, flips, seed=1)["image"]
    assert (once != IMAGES).any()
    np.testing.assert_array_equal(moved(once, flips, seed=1)["image"], IMAGES)


@EACH
@given(
    seed=st.integers(0, 1000),
    shift=st.integers(0, 3),
    flips=st.sets(st.sampled_from(["horizontal", "vertical"])),
)
def test_maps_move_with_their_images(seed, shift, flips):
    batch = moved(IMAGES, tuple(sorted(flips)), shift, seed, maps=MAPS)
    assert batch["image"].shape == IMAGES.shape and batch["image"].dtype == jnp.uint8
    np.testing.assert_array_equal(batch["label"], batch["image"][..., 0])


def test_a_shift_moves_pixels_and_repeats_the_border():
    rows = jnp.arange(8, dtype=jnp.uint8)[None, :, None, None]
    images = jnp.broadcast_to(rows, (64, 8, 8, 1))
    seen = set()
    for image in np.asarray(moved(images, (), 2)["image"])[..., 0].astype(int):
        assert (image == image[:, :1]).all()  # columns are alike, wherever they moved
        offset = image[4, 0] - 4
        np.testing.assert_array_equal(image[:, 0], np.clip(np.arange(8) + offset, 0, 7))
        seen.add(int(offset))
    assert seen == {-2, -1, 0, 1, 2}


def test_steps_move_differently_and_repeatably():
    first, again, next_one = (windows(3, step, 8, 6, ("vertical",), 2) for step in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (np.array(first) != np.array(next_one)).any()


@EACH
@given(first=st.integers(0, 9), counts=st.lists(st.integers(1, 3), min_size=1, max_size=3))
def test_plans_of_chunks_agree_with_one_plan(first, counts):
    how = dict(examples=7, batch=3, side=5, flips=("horizontal",), shift=1)
    whole = plan(0, first, sum(counts), **how)
    starts = first + np.cumsum([0, *counts[:-1]])
    parts = [plan(0, int(s), n, **how) for s, n in zip(starts, counts, strict=True)]
    for name in ("index", "rows", "columns"):
        np.testing.assert_array_equal(np.concatenate([p[name] for p in parts]), whole[name])


def test_nothing_asked_nothing_done():
    assert list(plan(0, 0, 1, examples=4, batch=2, side=6)) == ["index"]
    batch = gather({"image": IMAGES, "label": MAPS}, {"index": np.array([3, 1])})
    np.testing.assert_array_equal(batch["image"], IMAGES[np.array([3, 1])])
    np.testing.assert_array_equal(batch["label"], MAPS[np.array([3, 1])])
    with pytest.raises(ValueError, match="unknown flip.*diagonal.*horizontal"):
        windows(0, 0, 2, 6, ("diagonal",), 0)
