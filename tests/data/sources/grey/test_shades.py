"""Images that the map of their data set leaves nearly black, nearly white or of one value are named."""

import warnings

import numpy as np
import pytest
from PIL import Image

from msflow_jax.data import read_images
from msflow_jax.data.intensity import FULL, Intensity
from msflow_jax.data.sources.grey.shades import Shades
from tests.data.sources.cohort import cohorts
from tests.data.sources.dicom.dicom_objects import make_object
from tests.data.sources.listings.test_files import load, write_csv

SPLITS = ["train"] * 6 + ["val"] * 2 + ["test"] * 2
COUNT = len(SPLITS)


def values(i):
    return cohorts.volume(i, dtype=np.int16, low=0, high=1000)


def volumes(folder, odd):
    """Ten volumes of one scale, and others by their numbers."""
    return [
        cohorts.save(folder / f"v{i}.nii.gz", odd.get(i, values(i)), spacing=(3, 1, 1))
        for i in range(COUNT)
    ]


def by_manifest(folder, names, **settings):
    rows = [f"{n},{'ab'[i % 2]},{SPLITS[i]}" for i, n in enumerate(names)]
    return load(write_csv(folder / "t.csv", "path,label,split", *rows), "manifest", **settings)


def by_cohort(folder, names, **settings):
    rows = [{"t1w": n, "label": "ab"[i % 2], "split": SPLITS[i]} for i, n in enumerate(names)]
    return cohorts.load(cohorts.table(folder, rows), **settings)


def told(call, words=("nearly", "hardly")):
    """What is said of shades while it loads: the lines with one of the words."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    lines = [str(w.message) for w in caught]
    assert not any("\n" in line for line in lines)
    return [line for line in lines if any(word in line for word in words)]


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("read", [by_manifest, by_cohort])
def test_one_volume_of_another_scale_is_named_with_those_it_darkens(tmp_path, read, dims):
    names = volumes(tmp_path, {2: values(2).astype(np.int32) * 1000})
    training, others = told(lambda: read(tmp_path, names, dims=dims, duplicates="keep"))
    assert "5 of 6 training images use less than 1/16" in training
    assert "nearly black" in training and "v0.nii.gz" in training and "and 2 more" in training
    assert "v2.nii.gz reaches 99" in training
    assert "4 of 4 images for validation and test use less" in others and "v6.nii.gz" in others


@pytest.mark.parametrize("read", [by_manifest, by_cohort])
def test_a_volume_for_test_of_another_scale_is_named(tmp_path, read):
    names = volumes(tmp_path, {8: values(8).astype(np.int32) * 1000, 7: values(7) // 100})
    dark, light = told(lambda: read(tmp_path, names, dims=3))
    assert "1 of 4 images for validation and test use less" in dark and "v7.nii.gz" in dark
    assert "1 of 4 images for validation and test lie for the most part above" in light
    assert "v8.nii.gz" in light


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("read", [by_manifest, by_cohort])
@pytest.mark.parametrize(("at", "level"), [(2, 0), (2, 700), (9, 0)])
def test_a_volume_of_one_value_is_named(tmp_path, read, dims, at, level):
    names = volumes(tmp_path, {at: np.full(cohorts.SPACE, level, np.int16)})
    lines = told(lambda: read(tmp_path, names, dims=dims, duplicates="keep"))
    assert len(lines) == 1 and f"v{at}.nii.gz" in lines[0]
    assert "1 of" in lines[0] and "hold hardly any value but one" in lines[0]


def test_a_black_picture_of_8_bits_is_named(tmp_path):
    for i in range(COUNT):
        grey = np.zeros((8, 8), np.uint8) if i == 3 else cohorts.volume(i, (8, 8))
        Image.fromarray(grey).save(tmp_path / f"{i}.png")
    (line,) = told(lambda: by_manifest(tmp_path, [f"{i}.png" for i in range(COUNT)]))
    assert "1 of 10 images hold hardly any value but one: 3.png" in line


@pytest.mark.parametrize("dim", [(), (3,), (0, 2, 4, 7)])
def test_deep_pictures_of_two_scales_are_named(tmp_path, dim):
    """12 bits in files of 16 become grey levels below 16."""
    for i in range(COUNT):
        deep = cohorts.volume(i, (8, 8), dtype=np.uint16, low=0, high=4096 if i in dim else 65536)
        Image.fromarray(deep).save(tmp_path / f"{i}.png")
    lines = told(lambda: by_manifest(tmp_path, [f"{i}.png" for i in range(COUNT)]))
    assert len(lines) == bool(dim)
    for line in lines:
        assert f"{len(dim)} of 10 images use less than 1/16" in line and f"{dim[0]}.png" in line


def test_blank_slices_of_a_volume_are_no_matter(tmp_path):
    spoilt = values(2)
    spoilt[0] = 0
    names = volumes(tmp_path, {2: spoilt})
    assert told(lambda: by_manifest(tmp_path, names)) == []
    assert told(lambda: by_cohort(tmp_path, names, dims=2)) == []


def test_braces_in_names_and_nothing_to_look_at():
    shades = Shades()
    shades.look(np.zeros(0), "none")
    shades.look(np.zeros(3), "{0}")
    with pytest.warns(UserWarning, match=r"^\{x\}: 1 of 1 images hold .*: \{0\}; do they"):
        shades.warn(FULL, "{x}", "images")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Shades().warn(Intensity("percentiles", 0.0, 1.0), "x", "images")


def test_ct_without_its_offset_is_named(tmp_path):
    """Said to be Hounsfield units, rescaled by 1 and 0: all of it is 1024 too bright."""
    pytest.importorskip("pydicom")
    for i in range(12):
        name = tmp_path / "ab"[i % 2] / f"{i}.dcm"
        more = {"RescaleIntercept": 0} if i % 2 else {}
        level = np.random.default_rng(i).integers(0, 2000, (16, 16)).astype(np.int16)
        make_object(name, level, patient=f"P{i}", series=i + 1, StudyInstanceUID=f"1.2.{i}", **more)
    with pytest.warns(UserWarning, match="6 of 12 images hold no air .*b/1.dcm.*Hounsfield units"):
        splits = load(tmp_path)
    with pytest.warns(
        UserWarning, match="6 of 6 pictures hold no air .*: 1.dcm for one, 11 to .*Houns"
    ):
        read_images(tmp_path / "b", splits.info)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_images(tmp_path / "a", splits.info)


def ct(i, level):
    """Air at -1000 around a body."""
    rng = np.random.default_rng(i)
    body = rng.integers(level, level + 25, (16, 16))
    body[:4] = -1000 + rng.integers(0, 20, (4, 16))
    return body.astype(np.int16)


@pytest.mark.parametrize("bone", [0, 8])
@pytest.mark.parametrize("form", ["dicom", "cohort"])
def test_ct_by_a_window_typed_as_centre_and_width_is_asked_about(tmp_path, form, bone):
    """40,400 is meant as -160..240, and what is soft tissue becomes black; a little bone is bright."""
    pytest.importorskip("pydicom")
    names = []
    for i in range(20):
        values = ct(i, 30)
        values[8, :bone] = 900
        if form == "dicom":
            path, more = tmp_path / "ab"[i % 2] / f"{i}.dcm", {"StudyInstanceUID": f"1.2.{i}"}
            make_object(path, values + 1024, patient=f"P{i}", series=i + 1, **more)
        else:
            volume = np.stack([values] * 3)
            names.append(cohorts.save(tmp_path / f"v{i}.nii.gz", volume, spacing=(3, 1, 1)))

    def read(*window):
        if form == "dicom":
            return load(tmp_path, window=window, duplicates="keep")
        rows = [{"ct": n, "label": "ab"[i % 2]} for i, n in enumerate(names)]
        table = cohorts.table(tmp_path, rows)
        return cohorts.load(table, window=window, duplicates="keep")

    (line,) = told(lambda: read(40.0, 400.0))
    assert "20 of 20 images look nearly black by data.window=40,400: " in line
    assert "not centre and width: is --config.data.window=-160,240 meant?" in line
    (line,) = told(lambda: read(600.0, 1500.0))
    assert "--config.data.window=-150,1350 meant?" in line
    windows = ((-160.0, 240.0), (0.0, 80.0), (-1024.0, 1024.0), (-600.0, 1500.0))
    assert told(lambda: [read(*window) for window in windows]) == []


def test_a_few_images_that_a_window_leaves_nearly_black_are_named_in_training_and_later(tmp_path):
    pytest.importorskip("pydicom")
    for i in range(20):
        path, more = tmp_path / "ab"[i % 2] / f"{i}.dcm", {"StudyInstanceUID": f"1.2.{i}"}
        values = ct(i, -150 if i == 5 else 30) + 1024
        make_object(path, values, patient=f"P{i}", series=i + 1, **more)
    with pytest.warns(UserWarning, match="nearly black") as caught:
        info = load(tmp_path, window=(0.0, 80.0)).info
    (line,) = [str(w.message) for w in caught if "nearly" in str(w.message)]
    assert "1 of 20 images" in line and "b/5.dcm; are their values Hounsfield units" in line
    words = "1 of 10 pictures use less than 1/16 of the range trained on, 0 to 80, .*5.dcm for one"
    with pytest.warns(UserWarning, match=words):
        read_images(tmp_path / "b", info)
    assert told(lambda: read_images(tmp_path / "a", info)) == []
