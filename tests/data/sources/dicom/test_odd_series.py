"""Slices that lie as those of one volume do and are odd all the same: acquisitions, rescale, places."""

import warnings

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.intensity import Intensity
from msflow_jax.data.slices import Slices
from msflow_jax.data.sources.dicom.odd import Made, alternating, odd_rescale
from msflow_jax.data.sources.dicom.series import read_series
from msflow_jax.data.sources.examples import list_items
from msflow_jax.data.sources.grey.values import by_volume
from msflow_jax.data.sources.items import Wanted
from tests.data.sources.dicom.dicom_objects import SECRETS, make_object, make_series
from tests.data.sources.dicom.test_dicom_series import change

pytest.importorskip("pydicom")
VOLUME = np.random.default_rng(0).integers(0, 2000, (6, 5, 5), dtype=np.int16)
HALVES = Wanted(2, 0.0, Slices(spacing=4.0))


def acquisitions(folder, order, **options):
    """A series whose slices, from the feet up, are of the acquisitions that are named."""
    paths = make_series(folder, VOLUME, **options)
    for path, number in zip(paths, order, strict=True):
        change(path, AcquisitionNumber=number)
    return paths


def lines(call):
    """What it warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(w.message) for w in caught]


def listed(paths, wanted=HALVES):
    return list_items(paths, [path.name for path in paths], wanted)


@pytest.mark.parametrize("order", ["121212", "122112", "112221", "123123", ["", 2] * 3])
def test_acquisitions_between_each_other_are_no_ct(tmp_path, order):
    paths = acquisitions(tmp_path, order)
    with pytest.raises(ValueError, match=r"several acquisitions between .*AcquisitionNumber") as e:
        read_series(paths)
    assert "\n" not in str(e.value) and not any(secret in str(e.value) for secret in SECRETS)
    (line,) = lines(lambda: listed(paths))  # each file is a picture
    assert "several acquisitions between each other" in line and str(tmp_path) in line


def test_acquisitions_of_an_mr_are_told(tmp_path):
    """It may be made in packages, of which the slices lie between each other."""
    (note,) = read_series(acquisitions(tmp_path, "121212", modality="MR")).notes
    assert "and 5 more has slices of several acquisitions between each other" in note


@pytest.mark.parametrize(
    "order", ["111111", "111222", "123456", "112233", ["", "", 1, 1, 2, ""], [1, 1, "", 1, 1, 1]]
)
def test_acquisitions_one_after_the_other_are_one_volume(tmp_path, order):
    paths = acquisitions(tmp_path, order)
    assert read_series(paths).notes == () and lines(lambda: listed(paths)) == []


@pytest.mark.parametrize("rule", [{"RescaleSlope": 10}, {"RescaleIntercept": -1000}])
def test_a_slice_of_a_ct_with_another_rescale_is_named(tmp_path, rule):
    paths = make_series(tmp_path, VOLUME)
    change(paths[2], **rule)
    slope, intercept = rule.get("RescaleSlope", 1), rule.get("RescaleIntercept", -1024)
    words = (
        f"1 of 6 slices with another rescale than the rest ({paths[2].name} has RescaleSlope {slope} "
        f"and RescaleIntercept {intercept}, {paths[0].name} 1 and -1024)"
    )
    (note,) = read_series(paths).notes
    (line,) = lines(lambda: listed(paths))
    assert words in note and words in line


def test_several_series_of_two_rescales_are_one_line(tmp_path):
    found = []
    for i in range(3):
        found += make_series(tmp_path / str(i), VOLUME, series=i)
        change(found[-1], RescaleSlope=2)
    (line,) = lines(lambda: listed(found))
    assert line.endswith("(and 2 more series alike)")


def test_rescale_of_other_modalities_is_their_own():
    made = [Made(slope) for slope in (1.0, 2.0, 3.0)]
    assert odd_rescale(made, "abc", "PT") == odd_rescale(made, "abc", "NM") == ""
    assert "2 of 3" in odd_rescale(made, "abc", "CT")
    assert odd_rescale(made[:1] * 3, "abc", "CT") == alternating(made, "abc") == ""


@pytest.mark.parametrize("wanted", [HALVES, Wanted(2, 2.0), Wanted(2, 0.0, Slices("coronal"))])
def test_a_series_twice_at_its_places_says_so_as_slices_too(tmp_path, wanted):
    paths = make_series(tmp_path / "a", VOLUME)
    paths += make_series(tmp_path / "b", VOLUME + 1)
    with pytest.raises(ValueError, match="at the same place .6 such in all") as whole:
        read_series(paths)
    found, broken = listed(paths, wanted)
    if wanted.slices.axis == "coronal":  # only read whole
        return
    assert not found and len(broken) == 1
    (error,) = broken.values()
    assert "lie at the same place (6 such in all" in error
    assert str(whole.value).split(" lie at")[1] == error.split(" lie at")[1]


EVERY = Wanted(2, 0.0)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"EchoTime": 80, "AcquisitionNumber": 2}, "differ in EchoTime, 5 and 80 ms"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "P"]}, "differ in ImageType"),
        ({"AcquisitionNumber": 2}, "differ in AcquisitionNumber"),
        ({}, "say nothing of how they differ"),
    ],
)
def test_two_pictures_at_each_place_are_said(tmp_path, second, said):
    common = {"modality": "MR", "EchoTime": 5, "ImageType": ["ORIGINAL", "PRIMARY", "M"]}
    paths = make_series(tmp_path / "a", VOLUME, **common)
    paths += make_series(tmp_path / "b", VOLUME + 1, **common | second)
    (line,) = lines(lambda: listed(paths, EVERY))
    assert f"at 0 mm along the normal, which {said}; 6 such in all" in line
    assert line.startswith(f"{paths[0]} and 11 more") and "keep one slice for each place" in line
    assert not any(secret in line for secret in SECRETS)


@pytest.mark.parametrize("wanted", [EVERY, HALVES])
def test_two_slices_stored_twice_are_said(tmp_path, wanted):
    paths = make_series(tmp_path / "a", VOLUME)
    paths += make_series(tmp_path / "b", VOLUME + 1)[2:4]
    (line,) = lines(lambda: listed(paths, wanted))
    assert "at 4 mm along the normal" in line and "2 such in all" in line


def test_of_pictures_that_may_share_a_place_nothing_is_said(tmp_path):
    scout = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    for folder in "ab":
        make_series(tmp_path / "scouts" / folder, VOLUME, **scout)
        make_series(tmp_path / "series" / folder, VOLUME, series="ab".index(folder))
        make_series(tmp_path / "plain" / folder, VOLUME, ImagePositionPatient=None)
    for name in ("scouts", "series", "plain"):
        assert lines(lambda: listed(sorted((tmp_path / name).rglob("*.dcm")), EVERY)) == []  # noqa: B023


def test_a_slice_in_colour_among_grey_ones(tmp_path):
    paths = make_series(tmp_path, VOLUME)
    make_object(paths[3], np.zeros((5, 5, 3), np.uint8), instance=9)
    with pytest.raises(ValueError, match=r"different channels \(.* 5 x 5, .* 5 x 5 in 3 channels"):
        read_series(paths)


# ---- a slice alone, and a model of slices ----


def model(axis="axial", **fields):
    info = {"value_range": (), "volumes": {"slices": {"axis": axis}}} | fields
    return data.Info(
        "x", ("a", "b"), 1, 5, "binary-class", "", "", "", (), **info,
        intensities={"image": Intensity("window", -1024.0, 1024.0, "HU", "CT")},
    )  # fmt: skip


def one(folder, plane, **options):
    """The file of one slice."""
    cube = VOLUME[:5]
    path = make_series(folder, cube, plane=plane, spacing=(1.0, 1.0, 1.0), **options)[2]
    for other in folder.iterdir():
        if other != path:
            other.unlink()
    return path


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_a_slice_of_another_plane_is_named(tmp_path, axis, plane):
    path = one(tmp_path, plane)
    told = lines(lambda: data.read_images(path, model(axis)))
    assert len(told) == int(axis != plane)
    for line in told:
        assert f"1 of 1 pictures are no {axis} slices" in line and f"{path} ({plane})" in line


def test_a_localiser_alone_is_named_in_any_plane(tmp_path):
    path = one(tmp_path, "axial", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    (line,) = lines(lambda: data.read_images(path, model()))
    assert "are no axial slices" in line and f"{path} (localiser)" in line


def test_of_a_model_of_pictures_and_of_pictures_without_a_place_nothing_is_said(tmp_path):
    path = one(tmp_path / "a", "sagittal")
    assert lines(lambda: data.read_images(path, model(volumes={}))) == []
    plain = make_object(tmp_path / "b.dcm", VOLUME[0])
    assert lines(lambda: data.read_images(plain, model())) == []


def test_one_slice_for_a_model_of_volumes(tmp_path):
    path = one(tmp_path, "axial")
    with pytest.raises(
        ValueError, match="is a picture, not a volume.*trained with data.dims=2"
    ) as e:
        data.read_images(path, model(space=(5, 5, 5), volumes={}))
    assert "--config" not in str(e.value)


def test_one_fault_of_all_slices_of_a_series_is_one_line(tmp_path):
    make_series(tmp_path / "head", VOLUME[:, :5], modality="MR")
    with pytest.raises(ValueError, match="is MR, the images trained on are CT") as e:
        data.read_images(tmp_path, model())
    assert str(e.value).count("is MR") == 1 and "and 5 more slices of head alike" in str(e.value)
    make_series(tmp_path / "other", VOLUME[:, :5], modality="MR", series=2)
    make_object(tmp_path / "third" / "0.dcm", np.zeros((5, 5), np.uint8), modality="MR", series=3)
    make_series(tmp_path / "sound", VOLUME[:, :5], series=4, PixelSpacing=[1, 1])
    found = data.read_sound_images(tmp_path, model())
    assert len(found.broken) == 13 and len(found.errors) == 3 and len(found.items) == 6
    assert all(str(tmp_path) in error for error in found.broken.values())


def test_faults_of_slices_that_differ_are_lines_of_their_own():
    broken = {
        "a": "x/a holds -1e+05 to 3",
        "b": "x/b holds -7 to 4.5",
        "c": "x/c is cut",
        "d": "x/d",
    }
    slices = {name: ("v", f"x/{name}") for name in "abc"}
    assert by_volume(broken, slices) == [
        "x/a holds -1e+05 to 3 (and 1 more slices of v alike)", "x/c is cut", "x/d",
    ]  # fmt: skip
    assert by_volume(broken, {}) == list(broken.values())
