"""Each series of a folder has a name of its own, however the folder is named."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.intensity import Intensity
from msflow_jax.data.slices import Slices
from msflow_jax.data.sources.images import read_sound_images
from msflow_jax.data.sources.labelled import read_labelled
from tests.data.sources.dicom.dicom_objects import make_object, make_series
from tests.data.sources.test_sliced import info

pytest.importorskip("pydicom")
MAP = Intensity("window", -1024.0, 1016.0, "HU", "CT")
OF_CT = replace(info(6), intensities={"image": MAP})
SQUARE = (2.0, 1.0, 1.0)
VOLUME = np.random.default_rng(0).integers(0, 2000, (4, 6, 6), dtype=np.int16)


def two(folder, within="CT"):
    """A series in a folder, and one of three slices in a folder within."""
    make_series(folder, VOLUME, spacing=SQUARE)
    make_series(folder / within, VOLUME[::-1][:3], spacing=SQUARE, series=2, patient="another")
    return folder


@pytest.mark.parametrize("given", [".", "./", "../CT", "..", "CT"])
def test_the_folder_that_is_given_names_its_series(tmp_path, monkeypatch, given):
    make_series(tmp_path / "CT", VOLUME, spacing=SQUARE)
    (tmp_path / "CT" / "empty").mkdir()
    at = {"..": "CT/empty", "CT": "."}.get(given, "CT")
    monkeypatch.chdir(tmp_path / at)
    assert read_sound_images(given, OF_CT).series == ("CT",) * 4
    (volume,) = data.read_volumes(given, OF_CT, Slices())
    assert volume.name == "CT"


def test_a_link_to_a_folder_names_the_series_as_it_is_called(tmp_path):
    make_series(tmp_path / "CT", VOLUME, spacing=SQUARE)
    os.symlink(tmp_path / "CT", tmp_path / "latest")
    assert set(read_sound_images(tmp_path / "latest", OF_CT).series) == {"latest"}


@pytest.mark.parametrize(("within", "first"), [("CT", "0000.dcm"), ("MR", "CT")])
def test_a_folder_within_that_is_called_alike_has_another_series(tmp_path, within, first):
    found = read_sound_images(two(tmp_path / "CT", within), OF_CT)
    assert found.series == (first,) * 4 + (within,) * 3
    assert len(set(zip(found.series, found.subjects, strict=True))) == 2


def test_pictures_within_take_no_name(tmp_path):
    """Only a series is called as its folder; and one slice alone is a picture."""
    two(tmp_path / "CT")
    for path in sorted((tmp_path / "CT" / "CT").iterdir())[1:]:
        path.unlink()
    found = read_sound_images(tmp_path / "CT", OF_CT)
    assert found.series == ("CT",) * 4 + ("",)


def test_masks_are_made_of_the_slices_of_their_own_volume(tmp_path):
    first, second = data.read_volumes(two(tmp_path / "CT"), OF_CT, Slices())
    assert (first.name, second.name) == ("0000.dcm", "CT")
    for volume, values in ((first, VOLUME), (second, VOLUME[::-1][:3])):
        np.testing.assert_array_equal(volume.slices[..., 0], MAP.to_grey(values - 1024))
        joined = volume.join(volume.slices)
        np.testing.assert_array_equal(joined.values, volume.slices)


def test_volumes_of_one_name_are_cut_by_their_slices(tmp_path, monkeypatch):
    """As before series had names of their own."""
    from msflow_jax.data.sources import sliced

    listed = sliced.list_items

    def alike(*given):
        items, broken = listed(*given)
        return [replace(item, name="CT", volume="CT") for item in items], broken

    monkeypatch.setattr(sliced, "list_items", alike)
    first, second = data.read_volumes(two(tmp_path / "CT"), OF_CT, Slices())
    assert (len(first.slices), len(second.slices)) == (4, 3)
    other = replace(first, slices=np.concatenate([first.slices, second.slices]))
    with pytest.raises(ValueError, match="CT: 7 images of 4 slices"):
        other.join(other.slices)


def test_labelled_slices_are_of_their_own_volume(tmp_path):
    folder = two(tmp_path / "CT")
    files = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.dcm"))]
    (folder / "t.csv").write_text("\n".join(["path,label", *(f"{file},a" for file in files)]))
    found = read_labelled(folder / "t.csv", OF_CT)
    assert found.truth["volume"].tolist() == ["0000.dcm"] * 4 + ["CT"] * 3
    assert len(set(found.groups)) == 2


def test_the_root_of_a_disk_has_no_name():
    from collections import Counter

    from msflow_jax.data.sources.dicom.listed import File, names_of

    group = [File(i, Path(f"/{name}"), name) for i, name in enumerate(("b", "a"))]
    assert names_of([group], Counter({"": 1})) == ["a"]


@pytest.mark.parametrize("tilt", [np.pi / 4, np.arcsin(0.125), 0.3])
def test_directions_that_differ_in_rounding_alone_are_one_series(tmp_path, tilt):
    """At 45 degrees either axis may lead, and at sin = 0.125 hundredths round either way."""
    for i in range(6):
        turned = tilt + (-1) ** i * 1e-6
        column = np.array([0, np.cos(turned), np.sin(turned)])
        across = np.cross([1.0, 0, 0], column)
        make_object(
            tmp_path / "a" / f"{i}.dcm", VOLUME[i % 4], instance=i + 1, PixelSpacing=[1, 1],
            ImagePositionPatient=[f"{v:.6f}" for v in i * across],
            ImageOrientationPatient=[1, 0, 0, *(f"{v:.8f}" for v in column)],
        )  # fmt: skip
    assert read_sound_images(tmp_path, OF_CT).series == ("a",) * 6
