"""What is written is read back bit for bit, by nibabel too, and says nothing but where it lies."""

import gzip

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from msflow_jax.data.sources.nifti.reading import read_nifti
from msflow_jax.data.sources.nifti.writing import DTYPES, write_nifti, write_nifti_like
from msflow_jax.data.sources.volumes.orientation import centred_affine

SHAPE = (3, 4, 5)


@st.composite
def volumes(draw):
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(st.tuples(*[st.integers(1, 4)] * 3))
    if dtype == np.uint8 and draw(st.booleans()):
        shape = (*shape, 3)
    finite = (
        {"elements": st.floats(width=32, allow_nan=False, allow_infinity=False)}
        if dtype.kind == "f"
        else {}
    )
    return draw(arrays(dtype, shape, **finite))


@settings(max_examples=40)
@given(volumes(), st.sampled_from(["a.nii", "a.nii.gz"]), st.floats(-0.5, 0.5), st.booleans())
def test_round_trip(tmp_path_factory, values, name, angle, placed):
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    affine = (turn @ centred_affine(values.shape[:3], (2.5, 0.75, 0.5))).astype(np.float32)
    where = {"affine": affine} if placed else {"spacing": (2.5, 0.75, 0.5)}
    path = write_nifti(tmp_path_factory.mktemp("nifti") / name, values, **where)
    got = read_nifti(path)
    assert got.notes == ()
    assert got.values.dtype == values.dtype
    expected = values if values.ndim == 4 else values[..., None]
    assert got.values.tobytes() == np.ascontiguousarray(expected).tobytes()
    np.testing.assert_allclose(got.spacing, (2.5, 0.75, 0.5), rtol=1e-6)
    straight = centred_affine(values.shape[:3], (2.5, 0.75, 0.5))
    np.testing.assert_allclose(got.affine, affine if placed else straight, atol=1e-6)


def test_as_nibabel_sees_it(tmp_path):
    values = np.arange(60, dtype=np.int16).reshape(SHAPE)
    image = nibabel.load(write_nifti(tmp_path / "a.nii.gz", values, spacing=(3, 2, 1)))
    assert nibabel.aff2axcodes(image.affine) == ("R", "A", "S")
    np.testing.assert_array_equal(
        np.asanyarray(image.dataobj), values.transpose(2, 1, 0)[::-1, ::-1]
    )
    assert image.header.get_zooms() == (1, 2, 3)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (2, 2)
    np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-6)
    np.testing.assert_allclose(image.affine @ [2, 1.5, 1, 1], [0, 0, 0, 1])
    assert image.header.get_xyzt_units()[0] == "mm"
    for name in ("descrip", "db_name", "aux_file", "intent_name"):
        assert not image.header[name].item()
    again = write_nifti(tmp_path / "b.nii.gz", values, spacing=(3, 2, 1))
    assert again.read_bytes() == (tmp_path / "a.nii.gz").read_bytes()


def test_a_sheared_volume_has_no_qform(tmp_path):
    affine = centred_affine(SHAPE)
    affine[0, 0] = 0.015
    image = nibabel.load(write_nifti(tmp_path / "a.nii", np.zeros(SHAPE, np.uint8), affine=affine))
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 0)
    np.testing.assert_allclose(read_nifti(tmp_path / "a.nii").affine, affine, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "values", "affine", "words"),
    [
        ("a.mgz", np.zeros(SHAPE, np.uint8), None, "called .nii"),
        ("a.nii", np.zeros(SHAPE), None, "float64"),
        ("a.nii", np.zeros((4, 4), np.uint8), None, r"\(4, 4\)"),
        ("a.nii", np.zeros((*SHAPE, 3), np.int16), None, "RGB as uint8"),
        ("a.nii", np.full(SHAPE, np.nan, np.float32), None, "not finite"),
        ("a.nii", np.zeros(SHAPE, np.uint8), np.eye(4), "axes RAS"),
        ("a.nii", np.zeros(SHAPE, np.uint8), np.zeros((4, 4)), "singular"),
    ],
)
def test_what_cannot_be_written(tmp_path, name, values, affine, words):
    with pytest.raises(ValueError, match=words):
        write_nifti(tmp_path / name, values, affine=affine)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize(
    "name", ["packed.nii", "plain.nii.gz", "flat.nii", "turned.nii", "zero.nii"]
)
def test_whatever_is_read_is_written_like(tmp_path, kind, name):
    """nibabel goes by the suffix and by the axes that the header names: all masks were lost."""
    shape = (5, 4) if name == "flat.nii" else (5, 4, 3)
    values = np.random.default_rng(0).integers(0, 9, shape).astype(np.uint8)
    affine = None if name == "zero.nii" else np.diag([2.0, 3, 4, 1])
    image = kind(values, affine)
    if affine is None:  # neither a place nor a size
        image.header["pixdim"][:4] = 0
    data = image.to_bytes()
    if name == "turned.nii":
        swapped = image.header.as_byteswapped()
        data = swapped.binaryblock + data[len(swapped.binaryblock) :]
    (tmp_path / name).write_bytes(gzip.compress(data) if name == "packed.nii" else data)
    read = read_nifti(tmp_path / name)
    file = write_nifti_like(tmp_path / "out.nii", read.values, tmp_path / name)
    written = nibabel.load(file)
    np.testing.assert_array_equal(np.asarray(written.dataobj), values.reshape((*shape, 1)[:3]))
    again = read_nifti(file)
    np.testing.assert_array_equal(again.values, read.values)
    if affine is None:
        assert again.affine is None and written.header["pixdim"][:4].tolist() == [1, 1, 1, 1]
    else:
        np.testing.assert_array_equal(again.affine, read.affine)
