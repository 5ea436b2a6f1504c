"""Volumes and series of a user's own: grey values, what is refused, and what is said."""

import dataclasses
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from msflow_jax import data
from msflow_jax.data.intensity import Intensity
from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.grey.choice import Notes, choose
from msflow_jax.data.sources.items import Item
from msflow_jax.data.sources.nifti.writing import write_nifti
from tests.data.sources.dicom.dicom_objects import make_object, make_series
from tests.data.sources.listings.test_files import load
from tests.data.sources.volumes.head_files import (
    NAMES,
    SPACE,
    SPACING,
    as_nifti,
    as_series,
    head,
    of,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*(volumes? read as|has one training image)")


def test_ct_has_its_window_and_what_lies_outside_is_cut_off(tmp_path):
    info = load(as_series(tmp_path, modality="CT"), window=(-1000.0, -600.0)).info
    assert info.intensities == {"image": Intensity("window", -1000.0, -600.0, "HU", "CT")}
    assert info.intensity().describe() == "window, -1000 to -600 HU (CT)"
    again = data.Info.from_dict(json.loads(json.dumps(info.to_dict())))
    assert again == info and again.intensities == info.intensities


def test_percentiles_are_of_the_training_subjects_alone(tmp_path):
    first = load(as_nifti(tmp_path / "a")).info.intensity()
    held = load(tmp_path / "a").test.truth["volume"][0]
    path = tmp_path / "a" / held
    write_nifti(path, head(NAMES.index(held[:-7])) * np.int16(9), spacing=SPACING)
    assert load(tmp_path / "a").info.intensity() == first


@pytest.mark.parametrize(
    ("modality", "dtype", "kind"),
    [
        *((word, np.uint16, "percentiles") for word in ("CR", "DX", "MG", "OT")),
        ("DX", np.uint8, "full"), ("CT", np.int16, "window"),
    ],
)  # fmt: skip
def test_scans_that_are_single_pictures_have_the_map_of_the_docs(tmp_path, modality, dtype, kind):
    """docs/medical_files.md, grey levels: deeper DICOM is never scaled by its smallest and largest."""
    for i in range(4):
        values = (np.arange(64) * (3 if dtype == np.uint8 else 50) + i).astype(dtype).reshape(8, 8)
        make_object(tmp_path / f"{i}.dcm", values, modality=modality)
    items = [Item(f"{i}", (tmp_path / f"{i}.dcm",), "dicom", modality=modality) for i in range(4)]
    assert choose(items, range(4), data.default_config("folder"), tmp_path)[0].kind == kind


def test_hounsfield_units_that_no_file_states(tmp_path):
    for i, name in enumerate(NAMES):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_nifti(tmp_path / f"{name}.nii.gz", head(i) - np.int16(1024), spacing=SPACING)
    with pytest.warns(UserWarning, match="look like Hounsfield units.*--config.data.window"):
        load(tmp_path)
    assert load(tmp_path, window=(-1000.0, 0.0)).info.intensity() == Intensity(
        "window", -1000.0, 0.0
    )


# What is refused, and what is said.


def test_files_of_other_kinds_are_counted_and_an_index_is_not(tmp_path):
    as_series(tmp_path)
    (tmp_path / "ill" / "notes.txt").write_text("x")
    (tmp_path / "ill" / "DICOMDIR").write_bytes(b"x")
    moved = next((tmp_path / "ill" / "0").glob("*.dcm"))
    moved.rename(moved.with_name("1.2.840.10008.77"))  # as archives name them: told by content
    with pytest.warns(UserWarning, match=r"left out 1 \.txt files;"):
        splits = load(tmp_path)
    assert len(of(splits, "ill/0")[0]) == SPACE[0]


def test_two_modalities_in_one_data_set(tmp_path):
    as_series(tmp_path)
    make_series(tmp_path / "ill" / "ct", head(77), modality="CT", series=77, patient="x")
    with pytest.raises(ValueError, match=r"mixes modalities \(.* is MR, .* is CT\).*cohort"):
        load(tmp_path)


def test_a_png_among_scans(tmp_path):
    as_nifti(tmp_path)
    Image.fromarray(head(0, np.uint8)[0]).save(tmp_path / "ill" / "a.png")
    with pytest.raises(ValueError, match=r"a\.png is a plain picture .*no one map brings"):
        load(tmp_path)


def test_a_series_that_lacks_a_slice(tmp_path):
    as_series(tmp_path)
    by_place = [tmp_path / "well" / "2" / f"{i * 7919 % 1009:04d}.dcm" for i in range(SPACE[0])]
    by_place[2].unlink()
    with pytest.raises(
        ValueError, match=rf"a slice is missing .*{by_place[1].name}.*{by_place[3].name}"
    ):
        load(tmp_path, dims=3)
    assert len(of(load(tmp_path), "well/2")[0]) == SPACE[0] - 1  # its files are slices all the same


def test_colour_for_a_model_of_grey(tmp_path):
    for i, name in enumerate(NAMES):
        values = head(i, np.uint8, (8, 8))
        make_object(tmp_path / f"{name}.dcm", values, modality="US", patient=name, series=i)
    info = load(tmp_path).info
    colour = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    path = make_object(tmp_path / "colour.dcm", colour, modality="US")
    with pytest.raises(ValueError, match=r"has 3 channel\(s\), the model reads 1"):
        data.read_images(path, info)


def test_values_that_are_no_numbers_are_refused_by_name(tmp_path):
    as_nifti(tmp_path, suffix=".nii")
    path = tmp_path / "ill" / "4.nii"
    values = head(4).astype(np.float32)
    write_nifti(path, values, spacing=SPACING)
    content = bytearray(path.read_bytes())
    content[-4:] = np.float32(np.nan).tobytes()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"4\.nii holds 1 values that are not finite"):
        load(tmp_path)


def test_localisers_are_left_out(tmp_path):
    as_series(tmp_path)
    make_object(
        tmp_path / "ill" / "scout.dcm", head(50)[0], modality="MR", series=99, patient="PID-0",
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
    )  # fmt: skip
    with pytest.warns(UserWarning, match=r"1 localisers .*scout\.dcm for one"):
        splits = load(tmp_path)
    assert sum(len(splits[s]) for s in ("train", "val", "test")) == 10 * SPACE[0]


def test_blank_slices_are_no_copies_but_a_volume_twice_is(tmp_path):
    as_nifti(tmp_path)
    for i, name in enumerate(NAMES):
        values = head(i)
        values[0] = 0
        write_nifti(tmp_path / f"{name}.nii.gz", values, spacing=SPACING)
    splits = load(tmp_path)
    assert not of(splits, "ill/0")[0][0].any()
    test, train = (splits[s].truth["volume"][0] for s in ("test", "train"))
    (tmp_path / train).write_bytes((tmp_path / test).read_bytes())
    with pytest.raises(ValueError, match="equal pictures in two splits: 4 "):
        load(tmp_path)


def test_a_run_is_of_its_map_and_of_its_slices(tmp_path):
    info = load(as_nifti(tmp_path)).info
    other = dataclasses.replace(info, intensities={"image": Intensity("percentiles", 1.0, 2.0)})
    with pytest.raises(
        ValueError, match="grey values by percentiles of the training subjects, 1 to 2"
    ):
        data.check_same(other, info)
    with pytest.raises(ValueError, match=r"volumes were read by .*coronal"):
        data.check_same(load(tmp_path, slices={"axis": "coronal"}, side=8).info, info)


def test_plain_pictures_are_what_they_were(tmp_path):
    """No header is opened, no fact is added."""
    from tests.data.sources.listings.test_files import fill

    splits = load(fill(tmp_path))
    assert splits.train.truth is None and splits.train.groups is None
    assert not {"intensities", "volumes", "space", "spacing"} & set(splits.info.to_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.read_images(tmp_path, splits.info)


def test_notes_that_differ_in_names_alone_are_one_line():
    notes = Notes()
    said = ("{} has 2 windows", "{} and 9 more has 2 windows", "{}: its axes lie 41 degrees off")
    for i, text in enumerate([*said, said[2]]):
        file = Path(f"/data/series{i}/{i}.dcm")
        picture = Picture(np.zeros((2, 2, 1)), notes=(text.format(file),))
        notes.look(picture, file.parent if i == 1 else file, f"v{i}")
    with pytest.warns(UserWarning) as caught:
        notes.warn()
    assert [str(w.message) for w in caught] == [
        "/data/series0/0.dcm has 2 windows (and 1 more alike)",
        "/data/series2/2.dcm: its axes lie 41 degrees off (and 1 more alike)",
    ]
