"""NIfTI files of every type and orientation, nibabel's own among them, and what is refused."""

import gzip
import re
import warnings
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import strategies as st
from nibabel import orientations
from nibabel.testing import data_path

from msflow_jax.data.sources import nifti
from msflow_jax.data.sources.nifti import is_nifti, read_nifti, split_volume
from tests.fuzzing import fuzz

SHAPE = (5, 4, 3)  # x, y, z
VALUES = np.arange(-20, 40, dtype=np.int16).reshape(SHAPE)
# Voxels of 1 x 1.5 x 3 mm, ten degrees about two axes.
C, S = np.cos(np.radians(10)), np.sin(np.radians(10))
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = (
    np.array([[C, -S, 0], [S, C, 0], [0, 0, 1]])
    @ np.array([[1, 0, 0], [0, C, -S], [0, S, C]])
    @ np.diag([1.0, 1.5, 3.0])
)
OBLIQUE[:3, 3] = -3.5, 7.25, 11.0
FORTY_EIGHT = [
    np.stack([axes, flips], axis=1)
    for axes in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0])
    for flips in np.array(np.meshgrid([1, -1], [1, -1], [1, -1])).reshape(3, -1).T
]


def image(values=VALUES, affine=OBLIQUE, kind=nibabel.Nifti1Image, **header):
    made = kind(values, affine)
    for name, value in header.items():
        made.header[name] = value
    return made


def saved(path, made):
    nibabel.save(made, path)
    return path


def as_picture(values):
    """``[X, Y, Z]`` in RAS to ``[D, H, W]``: feet to head, front to back, right to left reversed."""
    return np.asarray(values).transpose(2, 1, 0)[:, ::-1, ::-1]


@pytest.mark.parametrize("placed", ["sform", "qform", "both"])
def test_48_orientations_give_one_array(tmp_path, placed):
    found = []
    for turn in FORTY_EIGHT:
        made = image().as_reoriented(turn)
        made.set_qform(made.affine, 0 if placed == "sform" else 1)
        made.set_sform(made.affine, 0 if placed == "qform" else 2)
        found.append(read_nifti(saved(tmp_path / "a.nii", made)))
        assert found[-1].notes == ()
    first = found[0]
    np.testing.assert_array_equal(first.values[..., 0], as_picture(VALUES))
    assert first.values.dtype == np.int16
    np.testing.assert_allclose(first.spacing, (3.0, 1.5, 1.0), rtol=1e-6)
    # The first voxel is the lowest, the most frontal and the rightmost one.
    np.testing.assert_allclose(first.affine @ [0, 0, 0, 1], OBLIQUE @ [4, 3, 0, 1], atol=1e-5)
    assert orientations.aff2axcodes(first.affine) == ("S", "P", "L")
    for other in found[1:]:
        np.testing.assert_array_equal(other.values, first.values)
        # A quaternion of 32 bits is the less exact the closer it is to half a turn.
        np.testing.assert_allclose(other.affine, first.affine, atol=1e-4)
        np.testing.assert_allclose(other.spacing, first.spacing, rtol=1e-6)


# name: volumes, type of the values
SHIPPED = {
    "anatomical.nii": (1, "int16"),
    "functional.nii": (20, "float32"),  # scl_slope 0.0754, scl_inter 3100.76
    "example4d.nii.gz": (2, "int16"),
    "example_nifti2.nii.gz": (2, "int16"),
    "reoriented_anat_moved.nii": (1, "float32"),
    "standard.nii.gz": (1, "uint8"),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_nibabels_own_files(name):
    path = Path(data_path) / name
    volumes, dtype = SHIPPED[name]
    canonical = nibabel.as_closest_canonical(nibabel.load(path))
    expected = np.asanyarray(canonical.dataobj).reshape(*canonical.shape[:3], -1)
    assert is_nifti(path.read_bytes()[: nifti.HEAD_BYTES])
    for volume in range(volumes):
        got = read_nifti(path, volume=volume if volumes > 1 else None)
        np.testing.assert_array_equal(
            got.values[..., 0], as_picture(expected[..., volume].astype(dtype))
        )
        assert got.notes == ()
    head = nifti.header(path)
    assert (head.shape, head.volumes) == (got.values.shape, volumes)
    assert head.dtype == got.values.dtype == dtype
    assert head.spacing == got.spacing
    np.testing.assert_allclose(got.spacing, canonical.header.get_zooms()[2::-1], rtol=1e-5)
    corner = [canonical.shape[0] - 1, canonical.shape[1] - 1, 0, 1]
    np.testing.assert_allclose(got.affine[:, 3], canonical.affine @ corner, atol=1e-4)


STORED = {
    "<u1": "uint8", "<i1": "int16", ">i2": "int16", "<u2": "uint16", ">i4": "int32", "<u4": "uint32",
    "<i8": "int32", ">u8": "uint32", "<f4": "float32", ">f4": "float32", "<f8": "float32",
}  # fmt: skip


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_types_and_byte_orders(tmp_path, stored, kind):
    values = np.arange(60).reshape(SHAPE).astype(stored)
    header = kind.header_class(endianness=stored[0])
    header.set_data_dtype(stored)
    made = kind(values, OBLIQUE, header)
    for name in ("a.nii", "a.nii.gz"):
        got = read_nifti(saved(tmp_path / name, made))
        assert got.values.dtype == STORED[stored] and got.values.dtype.isnative
        np.testing.assert_array_equal(got.values[..., 0], as_picture(values))
        assert nifti.header(tmp_path / name).dtype == got.values.dtype


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, -1024.0), (0.125, 3.0), (-2.0, 0.0)])
@pytest.mark.parametrize("order", "<>")
def test_scaling(tmp_path, slope, intercept, order):
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(order + "i2")
    made = nibabel.Nifti1Image(VALUES, OBLIQUE, header)
    made.header.set_slope_inter(slope, intercept)
    path = saved(tmp_path / "a.nii.gz", made)
    stored = np.asanyarray(nibabel.load(path).dataobj)
    got = read_nifti(path)
    assert got.values.dtype == nifti.header(path).dtype == np.float32
    np.testing.assert_array_equal(got.values[..., 0], as_picture(stored.astype(np.float32)))


def rewritten(path, **fields):
    """Sets fields of the header in the file, which nibabel would not write."""
    data = bytearray(path.read_bytes())
    header = nibabel.Nifti1Header(bytes(data[:348]), check=False)
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.binaryblock + bytes(data[348:]))
    return path


@pytest.mark.parametrize("slope", [0.0, np.nan, np.inf])
def test_no_slope_is_no_scaling(tmp_path, slope):
    path = rewritten(saved(tmp_path / "a.nii", image()), scl_slope=slope, scl_inter=-7.0)
    got = read_nifti(path).values
    assert got.dtype == np.int16
    np.testing.assert_array_equal(got[..., 0], as_picture(VALUES))


def test_colours(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (*SHAPE, 4), dtype=np.uint8)
    names = ("R", "G", "B", "A")
    for channels in (3, 4):
        dtype = np.dtype([(n, "u1") for n in names[:channels]])
        made = nibabel.Nifti1Image(np.empty(SHAPE, dtype), OBLIQUE)
        for i, name in enumerate(names[:channels]):
            np.asanyarray(made.dataobj)[name] = rgb[..., i]
        got = read_nifti(saved(tmp_path / "a.nii", made)).values
        assert nifti.header(tmp_path / "a.nii").shape == got.shape == (3, 4, 5, 3)
        for i in range(3):
            np.testing.assert_array_equal(got[..., i], as_picture(rgb[..., i]))


def test_four_axes_need_a_volume(tmp_path):
    several = np.stack([VALUES, VALUES + 100], axis=-1)
    path = saved(tmp_path / "a.nii.gz", image(several))
    assert nifti.header(path).volumes == 2
    with pytest.raises(ValueError, match=r"a\.nii\.gz holds 2 volumes; name one.*a\.nii\.gz#0"):
        read_nifti(path)
    np.testing.assert_array_equal(
        read_nifti(path, volume=1).values[..., 0], as_picture(VALUES) + 100
    )
    with pytest.raises(ValueError, match="no volume 2: it holds 2"):
        read_nifti(path, volume=2)
    one = saved(tmp_path / "one.nii", image(VALUES[..., None]))
    np.testing.assert_array_equal(read_nifti(one).values[..., 0], as_picture(VALUES))
    with pytest.raises(ValueError, match="5 x 4 x 3 x 1 x 2"):
        read_nifti(saved(tmp_path / "five.nii", image(several[:, :, :, None])))
    assert split_volume("b/A.NII.gz#12") == ("b/A.NII.gz", 12)
    assert split_volume("b/a#1.nii") == ("b/a#1.nii", None)


def note(path):
    """The one note on a file that can be read."""
    (line,) = read_nifti(path).notes
    assert line.startswith(f"{path}: ") and "\n" not in line
    return line


def test_sform_before_qform_with_a_note(tmp_path):
    made = image()
    made.set_sform(OBLIQUE, 1)
    made.set_qform(OBLIQUE @ np.diag([-1.0, 1.0, 1.0, 1.0]), 1)
    path = saved(tmp_path / "a.nii", made)
    assert re.search(
        "its sform and qform differ by up to .* mm .axes RAS and LAS.; the sform", note(path)
    )
    np.testing.assert_array_equal(read_nifti(path).values[..., 0], as_picture(VALUES))
    close = OBLIQUE + 5e-4
    close[3] = 0, 0, 0, 1
    made.set_qform(OBLIQUE, 1)
    made.set_sform(close, 1)
    assert read_nifti(saved(path, made)).notes == ()
    made.set_sform(OBLIQUE, 1)
    rewritten(saved(path, made), quatern_b=3.0)
    assert "its qform is broken; its sform is used" in note(path)
    rewritten(path, quatern_b=3.0, sform_code=0)
    with pytest.raises(ValueError, match="its qform is no rotation"):
        read_nifti(path)
    made.set_qform(None, 0)
    rewritten(saved(path, made), pixdim=[1, 1, 1, 1, 0, 0, 0, 0])
    assert "voxels are 1 x 1.5 x 3 mm by its sform and 1 x 1 x 1 mm by pixdim" in note(path)


def test_no_orientation_is_said(tmp_path):
    made = image()
    made.set_qform(None, 0)
    made.set_sform(None, 0)
    path = saved(tmp_path / "a.nii", made)
    assert "it does not say how it lies in the patient" in note(path)
    got = read_nifti(path)
    assert got.affine is None and nifti.header(path).affine is None
    np.testing.assert_allclose(got.spacing, (3, 1.5, 1), rtol=1e-6)
    expected = nibabel.as_closest_canonical(nibabel.load(path))  # nibabel's guess
    np.testing.assert_array_equal(got.values[..., 0], as_picture(expected.dataobj))
    rewritten(path, pixdim=[1, 0, 1, 1, 0, 0, 0, 0])
    assert read_nifti(path).spacing == ()


@pytest.mark.parametrize("unit", [("meter", 1000), ("micron", 1e-3), ("unknown", 1), ("mm", 1)])
def test_units_of_length(tmp_path, unit):
    made = image()
    made.header.set_xyzt_units(unit[0])
    if unit[0] == "meter":
        made.set_sform(np.diag([1e-3] * 3 + [1]) @ OBLIQUE, 1)
        unit = (unit[0], 1)
    got = read_nifti(saved(tmp_path / "a.nii", made))
    np.testing.assert_allclose(got.spacing, np.array([3, 1.5, 1]) * unit[1], rtol=1e-6)


@pytest.mark.parametrize(
    ("unit", "words"),
    [("micron", "0.003 mm, below 0.04"), ("meter", "3000 mm, above 50")],
)
@pytest.mark.parametrize("placed", ["sform", "qform", "none"])
def test_voxels_of_an_unlikely_size_are_said(tmp_path, unit, words, placed):
    made = image()
    made.set_qform(made.affine, int(placed == "qform"))
    made.set_sform(made.affine, int(placed == "sform"))
    made.header.set_xyzt_units(unit)
    lines = read_nifti(saved(tmp_path / "a.nii", made)).notes
    (line,) = (one for one in lines if "unit of length" in one)
    assert "a.nii: its voxels are" in line and words in line and "xyzt_units" in line


@pytest.mark.parametrize("mm", [999.0, 0.001])
def test_a_single_slice_may_be_as_thick_as_it_likes(tmp_path, mm):
    made = image(VALUES[:, :, :1], affine=np.diag([1.0, 1.0, mm, 1.0]))
    assert read_nifti(saved(tmp_path / "a.nii", made)).notes == ()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"srow_z": [0, 0, 0, 5]}, "its affine is singular"),
        ({"srow_z": [1, 0, 0, 5], "srow_x": [1, 0, 0, 0]}, "its affine is singular"),
        ({"srow_x": [np.nan, 0, 0, 5]}, "its affine holds values that are not finite"),
        ({"srow_x": [0, 0, 0, np.inf]}, "its affine holds values that are not finite"),
        ({"srow_x": [1e6, 0, 0, 5]}, "its affine makes voxels of 1e\\+06"),
        ({"srow_x": [0] * 4, "srow_y": [0] * 4, "srow_z": [0] * 4}, "its affine is singular"),
    ],
)
def test_a_broken_affine_is_refused_by_name(tmp_path, rows, words):
    path = saved(tmp_path / "scan7.nii", image(affine=np.eye(4)))
    with pytest.raises(ValueError, match=rf"scan7\.nii: {words}"):
        read_nifti(rewritten(path, **rows))
    with pytest.raises(ValueError, match=rf"scan7\.nii: {words}"):
        nifti.header(path)


@pytest.mark.parametrize("size", [-2.0, 0.0, np.nan, np.inf])
def test_a_qform_alone_needs_sizes_in_pixdim(tmp_path, size):
    made = image(affine=np.eye(4))
    made.set_sform(None, 0)
    made.set_qform(np.eye(4), 1)
    path = rewritten(saved(tmp_path / "scan7.nii", made), pixdim=[1, 1, size, 1, 0, 0, 0, 0])
    with pytest.raises(ValueError, match=rf"scan7\.nii: its pixdim is 1 x {size:g} x 1.*qform"):
        read_nifti(path)
    rewritten(path, pixdim=[1, 1, 1, 1, 0, 0, 0, 0], quatern_b=2.0)
    with pytest.raises(ValueError, match=r"scan7\.nii: its qform is no rotation .*quatern_b"):
        read_nifti(path)


def test_sheared_and_strongly_oblique_axes_are_said(tmp_path):
    sheared = np.eye(4)
    sheared[1, 2] = np.tan(np.radians(12))
    made = image(affine=sheared)
    made.set_sform(sheared, 1)
    assert "12.0 degrees off right angles" in note(saved(tmp_path / "a.nii", made))
    turned = np.eye(4)
    turned[:2, :2] = np.array([[1, -1], [1, 1.01]]) / np.sqrt(2)
    assert "45 degrees off the patient" in note(saved(tmp_path / "a.nii", image(affine=turned)))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_values_that_are_not_finite_are_counted(tmp_path, name):
    values = VALUES.astype(np.float32)
    values[0, 0, 0], values[1, 2, :2] = np.nan, np.inf
    with pytest.raises(ValueError, match=rf"{name} holds 3 values that are not finite.* of 60"):
        read_nifti(saved(tmp_path / name, image(values)))
    too_large = saved(tmp_path / name, image(np.full(SHAPE, 1e300)))
    with pytest.raises(ValueError, match="60 values that are not finite"):
        read_nifti(too_large)


def test_whole_numbers_beyond_32_bits_are_refused(tmp_path):
    for value, dtype in ((1 << 40, np.int64), (-(1 << 33), np.int64), (1 << 33, np.uint64)):
        values = np.full(SHAPE, value, dtype)
        made = nibabel.Nifti1Image(values, OBLIQUE, dtype=dtype)
        with pytest.raises(ValueError, match=rf"{value} to {value}, beyond 32 bits"):
            read_nifti(saved(tmp_path / "a.nii", made))


@pytest.mark.parametrize("cut", [0.0, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_cut_files_are_named(tmp_path, name, cut):
    noise = np.random.default_rng(0).integers(0, 1000, (9, 9, 9), dtype=np.int16)
    path = saved(tmp_path / name, image(noise))
    data = path.read_bytes()
    path.write_bytes(data[: int(cut * len(data))])
    with pytest.raises(ValueError, match=name.replace(".", r"\.")) as caught:
        read_nifti(path)
    assert "\n" not in str(caught.value)


def test_a_damaged_file_is_found_by_its_checksum(tmp_path):
    """nibabel reads it without a word: it never comes to the end of the file."""
    body = saved(tmp_path / "a.nii", image(np.zeros((20, 20, 20), np.int16))).read_bytes()
    data = bytearray(gzip.compress(body, 0))  # stored, so that a changed bit stays a changed value
    data[-20] ^= 0x40
    path = tmp_path / "b.nii.gz"
    path.write_bytes(data)
    np.asanyarray(nibabel.load(path).dataobj)
    with pytest.raises(
        ValueError, match=r"b\.nii\.gz is cut short or damaged \(.*incorrect data check"
    ):
        read_nifti(path)


def test_the_content_decides_whether_it_is_compressed(tmp_path):
    plain = saved(tmp_path / "a.nii", image())
    packed = tmp_path / "packed.nii"
    half = len(plain.read_bytes()) // 2
    members = plain.read_bytes()[:half], plain.read_bytes()[half:]
    # As bgzip writes, with padding that the format allows.
    packed.write_bytes(bytes(90000).join(map(gzip.compress, (*members, b""))) + bytes(70000))
    called = tmp_path / "called.nii.gz"
    called.write_bytes(plain.read_bytes())
    for path in (packed, called):
        np.testing.assert_array_equal(read_nifti(path).values[..., 0], as_picture(VALUES))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"dim": [3, 5, 4, 0, 1, 1, 1, 1]}, "impossible shape"),
        ({"dim": [9, 5, 4, 3, 1, 1, 1, 1]}, "impossible shape"),
        ({"dim": [3, 30000, 30000, 30000, 1, 1, 1, 1]}, "above the limit"),
        ({"dim": [3, 500, 400, 300, 1, 1, 1, 1]}, "cut short or damaged"),
        ({"datatype": 32}, "type 32, which is not read"),
        ({"vox_offset": 9}, "voxels at byte 9"),
        ({"vox_offset": np.nan}, "voxels at byte nan"),
        ({"scl_slope": 2, "scl_inter": np.nan}, "scl_slope 2 but scl_inter nan"),
        ({"magic": b"ni1"}, "a pair of files"),
        ({"magic": b"xyz"}, "is no NIfTI file"),
    ],
)
def test_headers_that_cannot_be(tmp_path, fields, words):
    path = rewritten(saved(tmp_path / "scan7.nii", image()), **fields)
    for read in (read_nifti, nifti.header):
        with pytest.raises(ValueError, match=words) as caught:
            read(path)
        assert "scan7.nii" in str(caught.value)


def test_told_by_content(tmp_path):
    body = saved(tmp_path / "a.nii", image()).read_bytes()
    for data in (body, gzip.compress(body)):
        assert is_nifti(data[: nifti.HEAD_BYTES])
    for data in (b"", b"\x1f\x8b", gzip.compress(b"text" * 500), b"\x89PNG" * 300, bytes(2000)):
        assert not is_nifti(data[: nifti.HEAD_BYTES])
    assert nifti.has_suffix(Path("A.NII.GZ")) and not nifti.has_suffix("a.gz")
    with pytest.raises(ValueError, match=r"none\.nii cannot be read"):
        read_nifti(tmp_path / "none.nii")


def test_mutated_files(tmp_path):
    """A volume, or one line that names the file, whatever the header says."""
    path = tmp_path / "scan7.nii"
    seeds = []
    for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
        made = image(kind=kind)
        made.set_qform(OBLIQUE, 1)
        seeds.append(saved(path, made).read_bytes())
    seeds += map(gzip.compress, seeds[:2])
    places = st.lists(st.tuples(st.integers(0, 559), st.integers(0, 255)), min_size=1, max_size=3)

    def check(data, changes):
        data = bytearray(data)
        for at, value in changes:
            data[at % len(data)] = value
        path.write_bytes(data)
        for read in (nifti.header, read_nifti):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    got = read(path)
            except ValueError as error:
                assert "scan7.nii" in str(error) and "\n" not in str(error), str(error)
                continue
            if read is read_nifti:
                assert got.values.ndim == 4 and np.isfinite(got.values).all()
                assert got.affine is None or np.isfinite(got.affine).all()

    assert fuzz(check, st.sampled_from(seeds), places, share=0.1) > 50
