"""The augmentation by its laws: flips, shifts and crops of images, maps and volumes."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msflow_jax.data.batches import gather
from msflow_jax.data.modality import Modality, describe
from msflow_jax.data.order import cropped, movement, plan, windows
from tests.data.random_images import EACH, IMAGES, MAPS, VOLUMES

KINDS = {"image": Modality("image", (6, 6, 3)), "label": Modality("map", (6, 6))}


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


def test_nothing_asked_nothing_done():
    assert list(plan(0, 0, 1, examples=4, batch=2, sides=(6, 6))) == ["index"]
    batch = gather({"image": IMAGES, "label": MAPS}, {"index": np.array([3, 1])}, KINDS)
    np.testing.assert_array_equal(batch["image"], IMAGES[np.array([3, 1])])
    np.testing.assert_array_equal(batch["label"], MAPS[np.array([3, 1])])
    with pytest.raises(ValueError, match="unknown flip.*diagonal.*horizontal"):
        windows(0, 0, 2, (6, 6), ("diagonal",), 0)


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
