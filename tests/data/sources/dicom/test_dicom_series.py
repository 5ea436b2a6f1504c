"""A series of DICOM files is one volume, or one line says why it is none."""

from itertools import product

import numpy as np
import pytest

from msflow_jax.data.sources.dicom.reading import read_header
from msflow_jax.data.sources.dicom.series import group_series, read_series
from tests.data.sources.dicom.dicom_objects import (
    PLANES,
    SECRETS,
    make_dataset,
    make_object,
    make_series,
    save,
)

pydicom = pytest.importorskip("pydicom")

VOLUME = np.random.default_rng(0).integers(0, 2000, (4, 5, 6), dtype=np.int16)
LONG = np.random.default_rng(1).integers(0, 2000, (6, 6, 5), dtype=np.int16)
SPACING = (2.0, 0.7, 0.6)
AXES = [*np.eye(3, dtype=int).tolist(), *(-np.eye(3, dtype=int)).tolist()]
DIRECTIONS = [
    (tuple(a), tuple(b)) for a, b in product(AXES, AXES) if abs(np.dot(a, b)) == 0
]  # all 24 ways to lay a slice along the axes


def change(path, **elements):
    """Changes elements of a file."""
    found = pydicom.dcmread(path)
    for keyword, value in elements.items():
        setattr(found, keyword, value)
    save(found, path)


def test_every_plane_gives_one_volume(tmp_path):
    for i, plane in enumerate([*PLANES, *DIRECTIONS]):
        paths = make_series(
            tmp_path / str(i), VOLUME[:2, :3, :4], spacing=SPACING, plane=plane, origin=(-7, 8, 9)
        )
        picture = read_series(paths[::-1])
        np.testing.assert_array_equal(picture.values[..., 0], VOLUME[:2, :3, :4] - 1024)
        np.testing.assert_allclose(picture.spacing, SPACING)
        assert (picture.unit, picture.modality, picture.notes) == ("HU", "CT", ())
        # From DICOM's millimetres, to the left and the back, to those of RAS.
        np.testing.assert_allclose(picture.affine @ [0, 0, 0, 1], [7, -8, 9, 1])
        np.testing.assert_allclose(
            picture.affine @ [1, 2, 3, 1], [7 - 1.8, -8 - 1.4, 9 + 2, 1], atol=1e-5
        )
        assert picture.values.flags.c_contiguous


def test_oblique_slices_keep_their_place(tmp_path):
    turn = np.radians(20)
    row, column = (np.cos(turn), np.sin(turn), 0.0), (0.0, 0.0, -1.0)
    normal = np.cross(row, column)
    paths = [
        make_object(
            tmp_path / f"{i}.dcm", VOLUME[i], instance=i, PixelSpacing=[0.7, 0.6],
            ImagePositionPatient=[f"{v:.7g}" for v in normal * 2 * i],
            ImageOrientationPatient=[f"{v:.7g}" for v in (*row, *column)],
        )
        for i in range(4)
    ]  # fmt: skip
    picture = read_series(paths)
    assert picture.space == (5, 4, 6)  # coronal is closest: rows go down, slices to the back
    np.testing.assert_array_equal(picture.values[4, 1, :, 0], VOLUME[1, 0] - 1024)
    expected = normal * 2 + np.array(row) * 0.6 * 3  # slice 1, row 0, column 3
    np.testing.assert_allclose(
        (picture.affine @ [4, 1, 3, 1])[:3], expected * [-1, -1, 1], atol=1e-4
    )


def test_a_tilted_gantry_is_told(tmp_path):
    paths = make_series(tmp_path, VOLUME)
    for i, path in enumerate(paths):
        change(path, ImagePositionPatient=[0, 0.5 * i, 2 * i])
    picture = read_series(paths)
    assert any("off right angles (a tilted gantry" in note for note in picture.notes)
    np.testing.assert_allclose(picture.affine[:3, 0], [0, -0.5, 2])


def test_slopes_of_slices_differ(tmp_path):
    paths = make_series(tmp_path, VOLUME, modality="PT")
    for i, path in enumerate(paths):
        change(path, RescaleSlope=0.5 + i, RescaleIntercept=0)
    expected = VOLUME * (0.5 + np.arange(4)[:, None, None])
    picture = read_series(paths)
    np.testing.assert_allclose(picture.values[..., 0], expected, rtol=1e-6)
    assert picture.values.dtype == np.float32


def test_padding_and_colours(tmp_path):
    paths = make_series(tmp_path / "a", VOLUME, plane="sagittal")
    found = pydicom.dcmread(paths[0])
    found.add_new("PixelPaddingValue", "SS", int(VOLUME[1, 2, 5]))
    save(found, paths[0])  # the last one to the left
    missing = read_series(paths).missing
    assert missing.shape == VOLUME.shape and missing[1, 2, 5] and not missing[:, :, :5].any()


def test_one_file_alone_is_an_object(tmp_path):
    paths = make_series(tmp_path, VOLUME)
    assert read_series(paths[:1]).dims == 2


# ---- what makes up no volume ----


def remove(paths, *numbers):
    return [path for i, path in enumerate(paths) if i not in numbers]


def moved(paths, number, **elements):
    change(paths[number], **elements)
    return paths


def two_series(paths):
    return [*paths, *make_series(paths[0].parent / "b", LONG, series=2)]


def two_orientations(paths, **extra):
    other = make_series(paths[0].parent / "b", LONG, plane="coronal", **extra)
    return [*paths, other[0]]


BAD = {
    # name: (paths -> paths, the reason; {0} and so on are names of files in the order of the slices)
    "a missing slice": (
        lambda p: remove(p, 2), "a slice is missing at 4 mm along the normal, between {1} and {3}: ",
    ),
    "two missing": (
        lambda p: remove(p, 1, 4),
        "at 2 mm .*between {0} and {2} .2 slices are missing in all",
    ),
    "unequal spacing": (
        lambda p: moved(p, 5, ImagePositionPatient=[0, 0, 10.9]),
        "lie 2 mm apart, but {4} and {5} 2.9 mm",
    ),
    "two at one place": (
        lambda p: moved(p, 2, ImagePositionPatient=[0, 0, 2]),
        "({1} and {2}|{2} and {1}) lie at the same place .1 such in all",
    ),
    "all at one place": (
        lambda p: [moved(p, i, ImagePositionPatient=[0, 0, 0])[i] for i in range(6)],
        "at the same place .5 such in all",
    ),
    "two orientations": (two_orientations, r"two orientations \(6 like {0}, 1 like b/.*scouts"),
    "another size": (
        lambda p: [*remove(p, 3), make_object(p[3], LONG[0, :3], instance=9)],
        "different size .*6 x 5, .*3 x 5",
    ),
    "another pixel size": (lambda p: moved(p, 2, PixelSpacing=[1, 1]), "{2} have pixels of different"),
    "another unit": (lambda p: moved(p, 2, RescaleType="US"), "have different units"),
    "another polarity": (
        lambda p: [moved(p, i, RescaleType="X") for i in range(6)] and
        moved(p, 2, PhotometricInterpretation="MONOCHROME1"), "stored in different ways",
    ),
    "several series": (two_series, "are of several series"),
    "several patients": (lambda p: moved(p, 2, PatientID="B"), "are of several patients"),
    "no position": (
        lambda p: moved(p, 2, ImagePositionPatient=None), "{2} does not say where it lies .*1 of 6",
    ),
    "shifted": (
        lambda p: moved(p, 2, ImagePositionPatient=[3, 0, 4]), "shifted against each other .{2} by",
    ),
    "several frames": (
        lambda p: [*p, make_object(p[0].parent / "z.dcm", LONG)], "z.dcm holds 6 pictures",
    ),
    "no pixels": (
        lambda p: [*p, save(dataset_without_pixels(), p[0].parent / "z.dcm")], "z.dcm has no pixels",
    ),
}  # fmt: skip


def dataset_without_pixels():
    found = make_dataset(LONG[0])
    del found.PixelData
    return found


@pytest.mark.parametrize("case", BAD)
def test_no_volume(case, tmp_path):
    spoil, reason = BAD[case]
    original = make_series(tmp_path, LONG)
    paths = spoil(list(original))
    with pytest.raises(ValueError, match=reason.format(*(p.name for p in original))) as caught:
        read_series(paths)
    told = str(caught.value)
    assert "\n" not in told and not any(secret in told for secret in SECRETS)


def test_a_localiser_of_another_size_is_named(tmp_path):
    paths = make_series(tmp_path, VOLUME)
    scout = make_object(
        tmp_path / "z.dcm", VOLUME[0, :3], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]
    )
    with pytest.raises(ValueError, match=r"different size.*z.dcm is a localiser \(scout\)"):
        read_series([*paths, scout])


def test_positions_are_rounded_in_real_files(tmp_path):
    paths = make_series(tmp_path, VOLUME, spacing=(1 / 3, 0.7, 0.6))
    for i, path in enumerate(paths):
        change(path, ImagePositionPatient=[0, 0, round(i / 3, 2)])
    assert abs(read_series(paths).spacing[0] - 1 / 3) < 0.002


def test_without_pixel_spacing(tmp_path):
    picture = read_series(make_series(tmp_path, VOLUME, PixelSpacing=None))
    assert picture.affine is None and picture.spacing == ()
    np.testing.assert_array_equal(picture.values[..., 0], VOLUME - 1024)
    assert any("(PixelSpacing)" in note for note in picture.notes)


# ---- listings ----


def test_grouping(tmp_path):
    make_series(tmp_path / "head", VOLUME, series=1)
    make_series(tmp_path / "mixed", VOLUME[:2], series=2, modality="MR")
    make_object(tmp_path / "mixed" / "film.dcm", VOLUME[0], series=3, modality="XA")
    lone = [
        make_object(
            tmp_path / "lone" / f"{i}.dcm", VOLUME[i], SeriesInstanceUID=None, patient=f"P{i}"
        )
        for i in range(2)
    ]
    files = sorted(tmp_path.rglob("*.dcm"))
    found = group_series(read_header(path) for path in reversed(files))
    assert [s.path.relative_to(tmp_path).as_posix() for s in found] == [
        "head", "lone/0.dcm", "lone/1.dcm", "mixed/0000.dcm", "mixed/film.dcm",
    ]  # fmt: skip
    assert [len(s.paths) for s in found] == [len(VOLUME), 1, 1, 2, 1]
    assert [s.modality for s in found] == ["CT", "CT", "CT", "MR", "XA"]
    assert found[0].paths == tuple(files[:4]) and found[1].paths == (lone[0],)
    assert found[0].group == found[3].group != found[1].group != found[2].group
    assert found[0].name == "head" and not any(s in repr(found) for s in SECRETS)
