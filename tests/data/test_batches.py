"""The order of examples and the augmentation, by their laws."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.data.batches import gather, to_float, to_loss, to_uint8
from msflow_jax.data.modality import Modality, describe
from msflow_jax.data.order import batch_indices, cropped, movement, plan, set_seed, windows

EACH = settings(max_examples=25, deadline=None)
RNG = np.random.default_rng(0)
IMAGES = jnp.asarray(RNG.integers(0, 256, (64, 6, 6, 3), dtype=np.uint8))
MAPS = IMAGES[..., 0]  # a label map that is a channel of its image must stay one
KINDS = {"image": Modality("image", (6, 6, 3)), "label": Modality("map", (6, 6))}


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


def moved(images, flips, shift=0, seed=0, step=0, maps=None):
    """Every image once, in order, moved as a step would; through the device."""
    axes = windows(seed, step, len(images), images.shape[1:-1], flips, shift)
    arrays = {"image": images} if maps is None else {"image": images, "label": maps}
    one = {"index": np.arange(len(images)), "axes": axes}
    return gather(arrays, one, describe(arrays, {"label": "map"}))


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
    first, again, next_one = (windows(3, step, 8, (6, 6), ("vertical",), 2) for step in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (np.array(first) != np.array(next_one)).any()


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


def test_nothing_asked_nothing_done():
    assert list(plan(0, 0, 1, examples=4, batch=2, sides=(6, 6))) == ["index"]
    batch = gather({"image": IMAGES, "label": MAPS}, {"index": np.array([3, 1])}, KINDS)
    np.testing.assert_array_equal(batch["image"], IMAGES[np.array([3, 1])])
    np.testing.assert_array_equal(batch["label"], MAPS[np.array([3, 1])])
    with pytest.raises(ValueError, match="unknown flip.*diagonal.*horizontal"):
        windows(0, 0, 2, (6, 6), ("diagonal",), 0)


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


VOLUMES = RNG.integers(0, 256, (32, 4, 5, 6, 2), dtype=np.uint8)


def test_a_volume_is_moved_along_three_axes_and_stays_whole():
    """With a map that is one of its channels; each axis by positions of its own."""
    arrays = {"image": jnp.asarray(VOLUMES), "map": jnp.asarray(VOLUMES[..., 0])}
    modalities = describe(arrays)
    moves = movement(modalities, ("depth", "horizontal"), 1)
    assert moves == ((4, 5, 6), ("depth", "horizontal"), 1, 0, 0)
    one = plan(0, 0, 1, examples=32, batch=32, **moves._asdict())
    index, axes = one["index"][0], [axis[0] for axis in one["axes"]]
    batch = gather(arrays, {"index": index, "axes": axes}, modalities)
    assert batch["image"].shape == VOLUMES.shape
    np.testing.assert_array_equal(batch["map"], batch["image"][..., 0])
    for got, number, *at in zip(batch["image"], index, *axes, strict=True):
        np.testing.assert_array_equal(got, VOLUMES[number][np.ix_(*at)])
    turned = [sum(a[0] > a[-1] for a in axis) for axis in axes]
    assert 4 < turned[0] < 28 and turned[1] == 0 and 4 < turned[2] < 28
    with pytest.raises(ValueError, match="unknown flip.*depth"):
        windows(0, 0, 2, (5, 5), ("depth",), 0)


def test_five_dimensions_are_flipped_variants_only_where_the_kind_says_so():
    numbers = jnp.arange(12.0).reshape(3, 4, 1, 1, 1) * jnp.ones((1, 1, 2, 2, 1))
    chosen = {"index": np.array([2, 0]), "variant": np.array([3, 1])}
    latents = gather({"x": numbers}, chosen, {"x": Modality("latent", (4, 2, 2, 1))})["x"]
    np.testing.assert_array_equal(latents[:, 0, 0, 0], [11, 1])
    volumes = gather({"x": numbers}, chosen, {"x": Modality("image", (4, 2, 2, 1))})["x"]
    np.testing.assert_array_equal(volumes, numbers[np.array([2, 0])])


def test_latents_choose_a_variant_and_are_shifted_but_not_mirrored():
    moves = movement({"image": Modality("latent", (2, 3, 4, 8))}, ("horizontal",), 1)
    assert moves == ((3, 4), (), 1, 2, 0)
    one = plan(0, 0, 1, examples=4, batch=9, **moves._asdict())
    assert one["variant"].shape == (1, 9) and set(one["variant"].ravel()) == {0, 1}
    assert [axis.shape for axis in one["axes"]] == [(1, 9, 3), (1, 9, 4)]
    assert all((np.diff(axis) >= 0).all() for axis in one["axes"])


def test_tokens_and_labels_never_move():
    arrays = {
        "image": IMAGES,
        "report": jnp.arange(64 * 6, dtype=jnp.int32).reshape(64, 6),
        "label": jnp.arange(64, dtype=jnp.int32),
    }
    modalities = describe(arrays, {"report": "tokens"})
    index = np.array([5, 5, 9])
    one = {"index": index, "axes": windows(0, 0, 3, (6, 6), ("horizontal", "vertical"), 2)}
    batch = gather(arrays, one, modalities)
    for name in ("report", "label"):
        np.testing.assert_array_equal(batch[name], arrays[name][index])
    assert movement({"report": modalities["report"]}, ("horizontal",), 2) == ((), (), 0, 0, 0)


def test_what_cannot_move_together_is_refused():
    image, small = Modality("image", (8, 8, 1)), Modality("image", (4, 4, 1))
    latent = Modality("latent", (2, 8, 8, 4))
    with pytest.raises(ValueError, match="variants differ: {'image': 0, 'latent': 2}"):
        movement({"image": image, "latent": latent}, (), 0)
    single = Modality("latent", (1, 4, 4, 4))
    assert movement({"image": image, "latent": single}, (), 0).variants == 1
    with pytest.raises(ValueError, match="variants differ: {'image': 0, 'latent': 1}"):
        movement({"image": image, "latent": single}, ("horizontal",), 0)
    with pytest.raises(ValueError, match=r"space differs.*same sides"):
        movement({"image": image, "target": small}, (), 1)
    assert movement({"image": image, "target": small}, (), 0).shift == 0


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


def test_a_crop_is_a_piece_of_the_moved_example():
    """The same flips and shifts as of the whole; its places cover the image, and a short axis stays."""
    whole = windows(3, 1, 64, (3, 8, 9), ("depth", "horizontal"), 1)
    pieces = windows(3, 1, 64, (3, 8, 9), ("depth", "horizontal"), 1, 4)
    np.testing.assert_array_equal(pieces[0], whole[0])
    for piece, axis in zip(pieces[1:], whole[1:], strict=True):
        assert piece.shape == (64, 4)
        found = [
            [s for s in range(axis.shape[1] - 3) if (row[s : s + 4] == part).all()]
            for row, part in zip(axis, piece, strict=True)
        ]
        assert all(found) and {0, axis.shape[1] - 4} <= {s for row in found for s in row}


def test_crops_are_taken_alike_of_image_and_map_on_the_device():
    arrays = {"image": jnp.asarray(VOLUMES), "map": jnp.asarray(VOLUMES[..., 0])}
    modalities = describe(arrays)
    moves = movement(modalities, (), 0, 3)
    one = plan(0, 0, 1, examples=32, batch=8, **moves._asdict())
    taken = {"index": one["index"][0], "axes": [axis[0] for axis in one["axes"]]}
    batch = gather(arrays, taken, modalities)
    assert batch["image"].shape == (8, 3, 3, 3, 2)
    np.testing.assert_array_equal(batch["map"], batch["image"][..., 0])


def test_a_crop_that_cuts_nothing_is_refused():
    assert cropped((4, 8, 9), 6) == (4, 6, 6) and cropped((4, 8), 0) == (4, 8)
    with pytest.raises(ValueError, match="crop=9 cuts nothing off images of 4 x 8 x 9"):
        cropped((4, 8, 9), 9)
