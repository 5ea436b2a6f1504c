"""Thumbnails among pictures: what is enlarged many times is named."""

import warnings

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.sources.enlarging import Enlarged
from tests.data.sources.cohort import cohorts
from tests.data.sources.listings.test_files import fill, load, save


def lines(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(one.message) for one in caught if "enlarged" in str(one.message)]


def by_table(root, side):
    rows = [
        {"xr": f"{'ill' if i % 2 else 'well'}/{i}.png", "label": "ab"[i % 2]} for i in range(10)
    ]
    return cohorts.load(cohorts.table(root, rows), dims=2, side=side)


@pytest.mark.parametrize("read", [lambda root, side: load(root, side=side), by_table])
def test_a_thumbnail_among_pictures_is_named(tmp_path, read):
    fill(tmp_path, shape=(60, 40))
    save(tmp_path / "ill" / "3.png", shape=(8, 5))
    (line,) = lines(lambda: read(tmp_path, 64))
    assert "1 of " in line and "pictures are enlarged more than 4 times" in line
    assert "ill/3.png is 8 x 5, brought to 64 x 64 (8 times)" in line
    assert lines(lambda: read(tmp_path, 32)) == []


def test_sets_that_are_enlarged_on_purpose_say_nothing(tmp_path):
    fill(tmp_path, shape=(8, 8))
    assert lines(lambda: load(tmp_path, side=64)) == []
    save(tmp_path / "ill" / "3.png", shape=(9, 8))
    assert lines(lambda: load(tmp_path, side=64)) == []


def test_what_is_classified(tmp_path):
    info = load(fill(tmp_path / "train", shape=(16, 16))).info
    save(tmp_path / "new" / "a.png", shape=(3, 3))
    (line,) = lines(lambda: data.read_images(tmp_path / "new", info, resize=True))
    assert line.startswith(
        "1 of 1 images are brought to 16 x 16 x 1 by data.fit=pad: a.png is 3 x 3 x 1,"
    )
    assert "enlarged 5.33 times" in line
    save(tmp_path / "new" / "b.png", shape=(20, 16))
    (line,) = lines(lambda: data.read_images(tmp_path / "new", info, resize=True))
    assert line.startswith(
        "1 of 2 pictures are enlarged more than 4 times: a.png is 3 x 3, brought"
    )
    save(tmp_path / "new" / "a.png", shape=(5, 5))
    assert lines(lambda: data.read_images(tmp_path / "new", info, resize=True)) == []


@pytest.mark.parametrize(("fit", "times"), [("pad", 2.0), ("crop", 8.0), ("stretch", 8.0)])
def test_how_many_times(fit, times):
    found = Enlarged(64, fit)
    found.look((8, 32), "x")
    assert found.most == (times, (8, 32), "x")
    for space, side in (((8, 8, 8), 64), ((8, 8), 0)):
        other = Enlarged(side, fit)
        other.look(space, "x")
        assert other.most.name == ""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found.warn("x")
        Enlarged(64, fit).warn(np.str_("x"))
