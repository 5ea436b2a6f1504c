"""Values to grey levels and back: within half a grey level, cut off outside, the same in every image."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msflow_jax.data import Info
from msflow_jax.data.intensity import FULL, Intensity, fit_percentiles

CT = Intensity("window", -160.0, 240.0, "HU")


@given(low=st.floats(-1e4, 1e4), share=st.floats(0.05, 100), seed=st.integers(0, 1000))
def test_the_inverse_is_within_half_a_grey_level(low, share, seed):
    span = share * (1 + abs(low))  # float32 cannot tell more from an offset
    intensity = Intensity("percentiles", low, low + span)
    values = np.random.default_rng(seed).uniform(low, low + span, (4, 5, 1))
    again = intensity.to_values(intensity.to_grey(values))
    slack = 1e-6 * (abs(low) + span)  # of float32
    assert np.abs(again - values).max() <= span / 255 / 2 + slack
    np.testing.assert_array_equal(intensity.to_grey(again), intensity.to_grey(values))


def test_every_grey_level_comes_back():
    levels = np.arange(256, dtype=np.uint8)
    for intensity in (CT, Intensity("range", 0.0, 4095.0), FULL):
        np.testing.assert_array_equal(
            np.rint(intensity.to_values(levels))
            if intensity is FULL
            else intensity.to_values(levels),
            intensity.to_values(levels),
        )
        if intensity is not FULL:
            np.testing.assert_array_equal(intensity.to_grey(intensity.to_values(levels)), levels)


def test_values_outside_are_cut_off_and_padding_is_black():
    values = np.array([[-2000.0, -160.0, 41.0, 240.0, 3000.0]])[..., None]
    assert CT.to_grey(values).ravel().tolist() == [0, 0, 128, 255, 255]
    missing = np.array([[False, False, False, True, True]])
    assert CT.to_grey(values, missing).ravel().tolist() == [0, 0, 128, 0, 0]


def test_eight_bits_stay_and_nothing_else_is_taken_for_them():
    grey = np.arange(4, dtype=np.uint8).reshape(2, 2, 1)
    assert FULL.to_grey(grey) is grey
    with pytest.raises(ValueError, match="must be uint8, got float64"):
        FULL.to_grey(np.zeros((2, 2, 1)))


def test_percentiles_weigh_every_image_alike():
    small, large = np.linspace(0, 100, 1001), np.linspace(0, 200, 100_001)
    fitted = fit_percentiles([small, large])
    assert fitted.kind == "percentiles" and 0 < fitted.low < 2
    assert fitted.high == pytest.approx(198, abs=0.5)  # 99.5 % of the mixture, not of all values
    with pytest.raises(ValueError, match="nearly all values are 7"):
        fit_percentiles([np.full(10, 7.0)])
    with pytest.raises(ValueError, match="no training image"):
        fit_percentiles([])


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("odd", 0, 1), ("window", 1, 1), ("range", 0, np.nan)]
)
def test_what_is_no_map_is_refused(kind, low, high):
    with pytest.raises(ValueError, match="unknown intensity map|rising numbers"):
        Intensity(kind, low, high)


def test_facts_on_volumes_survive_json():
    info = Info(
        "x", ("a", "b"), 1, 6, "binary-class", "", "", "", (), space=(4, 5, 6), spacing=(2.0, 1.0, 1.0),
        intensities={"image": CT},
    )  # fmt: skip
    again = Info.from_dict(json.loads(json.dumps(info.to_dict())))
    assert again == info and again.shape == (4, 5, 6, 1) and again.dims == 3
    assert again.modalities["image"].sides == (4, 5, 6)
    assert again.intensity() == CT and again.intensity("other") == FULL
    assert dataclasses.replace(info, intensities={}, value_range=(0, 9)).intensity().kind == "range"


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"space": (4, 5, 7)}, "of which the last is the side"),
        ({"space": (6,)}, "two or three sizes"),
        ({"spacing": (1.0, 1.0, 1.0)}, "for each of 2 axes"),
        ({"space": (6, 6, 6), "spacing": (1.0, 0.0, 1.0)}, "positive number of mm"),
    ],
)
def test_space_and_spacing_fit_each_other(facts, message):
    with pytest.raises(ValueError, match=message):
        Info("x", ("a", "b"), 1, 6, "binary-class", "", "", "", (), **facts)
