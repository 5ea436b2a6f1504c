"""Translations of volumes as files, whatever their channels and values."""

from dataclasses import replace

import numpy as np
import pytest

from msflow_jax.data.base import own_info
from msflow_jax.data.intensity import Intensity
from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.nifti import read_nifti
from msflow_jax.data.sources.nifti_writing import centred_affine
from msflow_jax.inference.translated import FOLDERS, write_volume

AFFINE = centred_affine((2, 4, 4), (3.0, 1.0, 1.0))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("unit", ["", "HU"])
def test_files_hold_the_units_of_the_target(tmp_path, channels, unit):
    shape = (4, 4, channels)
    info = own_info(("a", "b"), shape, name="folder", licence="", md5="", source="")
    if unit:
        map_ = Intensity("window", -100.0, 155.0, unit)  # 1 HU to a level
        info = replace(info, intensities={"image": map_})
    for part in FOLDERS:
        (tmp_path / part).mkdir()
    draws = np.random.default_rng(0).integers(0, 256, (3, 2, *shape), dtype=np.uint8)
    said = write_volume(tmp_path, "a", draws, lambda x: Picture(x, AFFINE), info)
    mean, spread, *samples = (read_nifti(tmp_path / name).values for name in said["files"])
    low = -100 if unit else 0
    grey = draws.astype(float)
    expected = (samples, grey + low), ([mean], grey.mean(axis=0)[None] + low)
    for found, values in expected:
        if unit:  # colours are of 8 bits, and are averaged where values are not
            values = values.mean(axis=-1, keepdims=True)
        np.testing.assert_allclose(np.stack(found), values, atol=1.01)
    deviation = grey.std(axis=0, ddof=1)
    np.testing.assert_allclose(spread, deviation.mean(axis=-1, keepdims=True), atol=0.01)
    assert said["mean_spread"] == pytest.approx(deviation.mean() / 255)
