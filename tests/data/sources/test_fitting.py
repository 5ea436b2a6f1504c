"""Pictures that are not square, and what they are padded with."""

import dataclasses

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.sources.fitting import bring, fill, fit_to_first, fit_to_model, to_square


def test_crop_keeps_the_middle():
    wide = np.zeros((10, 30, 1), np.uint8)
    wide[:, 10:20] = 200
    np.testing.assert_array_equal(to_square(wide, 10, "crop"), np.full((10, 10, 1), 200))
    assert to_square(wide, 5, "crop").shape == (5, 5, 1)


def test_pad_keeps_all_of_it():
    wide = np.full((10, 30, 1), 200, np.uint8)
    wide[:, :2], wide[:, -2:] = 90, 50  # at the ends, which a crop loses
    square = to_square(wide, 30, "pad")
    np.testing.assert_array_equal(square[10:20], wide)
    assert not square[:10].any() and not square[20:].any()
    tall = to_square(wide.swapaxes(0, 1), 30, "pad")
    np.testing.assert_array_equal(tall, square.swapaxes(0, 1))
    assert to_square(wide, 1000, "pad").shape == (1000, 1000, 1)
    assert to_square(np.full((1, 500, 1), 9, np.uint8), 8, "pad").any()  # never lost altogether


def test_stretch_takes_each_side_by_itself():
    wide = np.repeat(np.arange(3, dtype=np.uint8) * 100, 10)[None, :, None].repeat(10, axis=0)
    square = to_square(wide, 10, "stretch")
    assert square.shape == (10, 10, 1)
    np.testing.assert_array_equal(square[0, [0, 5, 9], 0], [0, 100, 200])


def test_a_square_picture_is_the_same_by_each():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    found = [to_square(image, 8, fit) for fit in ("pad", "crop", "stretch")]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    with pytest.raises(ValueError, match="fit='zoom': choose one of pad, crop, stretch"):
        to_square(image, 8, "zoom")


def test_shrinking_is_antialiased():
    board = (255 * (np.indices((32, 32)).sum(0) % 2)).astype(np.uint8)[..., None]
    small = to_square(board, 8, "pad")
    assert np.abs(small.astype(int) - 127).max() < 20  # point sampling would give 0 or 255


def test_grey_is_padded_with_black_and_colour_with_its_edge():
    assert fill(np.full((4, 6, 1), 99, np.uint8)) == 0
    np.testing.assert_array_equal(fill(np.full((4, 6, 3), 99, np.uint8)), [0, 0, 0])
    stained = np.full((4, 6, 3), (230, 200, 220), np.uint8)  # a slide under the microscope
    stained[1:3, 1:5] = (120, 40, 110)
    np.testing.assert_array_equal(fill(stained), [230, 200, 220])
    square = bring(stained, 6, 0, "pad")
    np.testing.assert_array_equal(square[0], np.full((6, 3), (230, 200, 220)))
    grey = bring(stained, 6, 1, "pad")  # made grey, it keeps the brightness of its ground
    assert (grey[0] == grey[1, 0]).all() and grey[0, 0, 0] > 200


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize(("stored", "channels"), [(1, 3), (3, 1), (3, 3), (1, 1)])
def test_an_image_to_classify_is_fitted_as_those_of_training(fit, stored, channels):
    image = np.random.default_rng(0).integers(0, 256, (9, 14, stored), dtype=np.uint8)
    trained = fit_to_first(image, "a.png", None, 8, channels, fit)
    info = data.Info("x", ("a", "b"), channels, 8, "binary-class", "", "", "", ())
    info = dataclasses.replace(info, fit=fit)
    np.testing.assert_array_equal(fit_to_model(image, "a.png", info, change=True), trained)
