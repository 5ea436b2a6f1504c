"""Maps over images: grey where the map says nothing, the right colour where it speaks."""

import numpy as np
import pytest

from msflow_jax.reports.overlays import NEGATIVE, POSITIVE, overlay


def image(side=12, channels=1, value=100):
    return np.full((side, side, channels), value, np.uint8)


def near(pixel, colour):
    """Whether a pixel is closer to this colour than to the other and to grey 100."""
    away = {c: np.abs(np.subtract(pixel, c, dtype=float)).sum() for c in (POSITIVE, NEGATIVE)}
    grey = np.abs(np.subtract(pixel, 100, dtype=float)).sum()
    return away[colour] == min(*away.values(), grey)


def test_sign_chooses_the_colour_and_zero_is_transparent():
    values = np.zeros((12, 12))
    values[2:5, 2:5], values[8:11, 8:11] = 4.0, -4.0
    out = overlay(image(), values, blur=0)
    assert out.shape == (12, 12, 3) and out.dtype == np.uint8
    assert near(out[3, 3], POSITIVE) and near(out[9, 9], NEGATIVE)
    assert (out[values == 0] == 100).all()
    np.testing.assert_array_equal(out, overlay(image(), 10 * values, blur=0))


def test_limit_sets_the_strength():
    values = np.ones((6, 6))
    full = overlay(image(6), values, blur=0, limit=1.0)
    np.testing.assert_array_equal(full, overlay(image(6), values, blur=0, limit=0.5))
    expected = np.round(0.575 * 100 + 0.425 * np.array(POSITIVE))
    assert (overlay(image(6), values, blur=0, limit=2.0) == expected).all()
    default = np.r_[np.ones(30), np.full(6, 50.0)].reshape(6, 6)
    expected = overlay(image(6), default, blur=0, limit=np.percentile(default, 95))
    np.testing.assert_array_equal(overlay(image(6), default, blur=0), expected)


def test_rare_values_are_shown_and_no_values_leave_the_image():
    values = np.zeros((12, 12))
    assert (overlay(image(), values) == 100).all()
    values[6, 6] = 1.0  # Less than one in twenty: the percentile is 0.
    assert near(overlay(image(), values, blur=0)[6, 6], POSITIVE)
    spread = overlay(image(), values, blur=1.0)
    assert (spread[6, 5] != 100).any() and (spread[0, 0] == 100).all()


def test_centre_makes_the_median_transparent():
    values = np.full((12, 12), -7.0)
    values[:3], values[-3:] = -5.0, -9.0
    assert near(overlay(image(), values, blur=0)[6, 6], NEGATIVE)
    out = overlay(image(), values, blur=0, centre=True)
    assert near(out[0, 0], POSITIVE) and near(out[-1, 0], NEGATIVE) and (out[6] == 100).all()


def test_colour_images_become_grey():
    colour = image(4, 3, 0)
    colour[..., 1] = 200
    assert (overlay(colour, np.zeros((4, 4))) == round(0.587 * 200)).all()


@pytest.mark.parametrize(
    ("given", "values", "options", "message"),
    [
        (image(4), np.zeros((4, 4, 1)), {}, "sum a map"),
        (image(4), np.full((4, 4), np.nan), {}, "finite"),
        (image(4) / 255, np.zeros((4, 4)), {}, "uint8"),
        (image(4), np.zeros((4, 4)), {"blur": -1.0}, "blur"),
        (image(4), np.zeros((4, 4)), {"limit": 0.0}, "limit"),
    ],
)
def test_bad_input_is_refused(given, values, options, message):
    with pytest.raises(ValueError, match=message):
        overlay(given, values, **options)
