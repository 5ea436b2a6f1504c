"""NIfTI files that are cut, damaged or impossible, and values that are refused."""

import gzip
import warnings
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import strategies as st

from msflow_jax.data.sources.nifti import reading as nifti
from msflow_jax.data.sources.nifti.reading import is_nifti, read_nifti
from tests.data.sources.nifti.nifti_images import (
    OBLIQUE,
    SHAPE,
    VALUES,
    as_picture,
    image,
    rewritten,
    saved,
)
from tests.fuzzing import fuzz


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
