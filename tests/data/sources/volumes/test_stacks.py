"""TIFF files of several pages: volumes of every type, what their pages are, and what is refused."""

import io
import warnings

import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from msflow_jax.data.sources.decoding import decode
from msflow_jax.data.sources.items import Item
from msflow_jax.data.sources.reading import Reader, read_item
from msflow_jax.data.sources.volumes.stacks import UNPLACED, pages, read_stack
from tests.fuzzing import fuzz

RNG = np.random.default_rng(0)


def stack(path, volume, description="", resolution=(), **options):
    """Writes pages ``[D, H, W]`` or ``[D, H, W, 3]`` with Pillow."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    if description:
        tags[270] = description
    for tag, value in zip((282, 283), resolution, strict=False):
        tags[tag] = value
    images = [Image.fromarray(page) for page in volume]
    images[0].save(path, "TIFF", save_all=True, append_images=images[1:], tiffinfo=tags, **options)
    return path


def noise(dtype, shape=(4, 5, 6)):
    if np.dtype(dtype).kind == "f":
        return RNG.normal(size=shape).astype(dtype)
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype=dtype)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_pages_are_slices(tmp_path, dtype, compression):
    volume = noise(dtype)
    path = stack(tmp_path / "a.tif", volume, compression=compression)
    assert pages(path) == 4
    got = read_stack(path)
    assert got.values.dtype == dtype
    np.testing.assert_array_equal(got.values[..., 0], volume)
    assert got.affine is None and got.spacing == () and got.notes == (f"{path}: {UNPLACED}",)
    for number, page in enumerate(volume):  # as the same picture alone
        buffer = io.BytesIO()
        Image.fromarray(page).save(buffer, "TIFF")
        np.testing.assert_array_equal(decode(buffer.getvalue(), path), got.values[number])


def test_colours(tmp_path):
    volume = noise("uint8", (3, 5, 6, 3))
    got = read_stack(stack(tmp_path / "a.tif", volume)).values
    np.testing.assert_array_equal(got, volume)


def test_tifffiles_own_files(tmp_path):
    """Types and layouts that Pillow does not write."""
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "a.tif"
    for dtype in (">u2", "<u4", ">f4", "<i2"):
        volume = noise(dtype[1:]).astype(dtype)
        tifffile.imwrite(path, volume, byteorder=dtype[0], photometric="minisblack")
        np.testing.assert_array_equal(read_stack(path).values[..., 0], volume)
    deep = noise("uint16", (3, 5, 6, 3))
    tifffile.imwrite(path, deep, photometric="rgb")
    np.testing.assert_array_equal(read_stack(path).values, deep)
    volume = noise("uint16")
    meta = {"spacing": 3.0, "unit": "um", "axes": "ZYX"}
    tifffile.imwrite(path, volume, imagej=True, resolution=(2.0, 4.0), metadata=meta)
    got = read_stack(path)
    np.testing.assert_array_equal(got.values[..., 0], volume)
    np.testing.assert_allclose(got.spacing, (3e-3, 0.25e-3, 0.5e-3))
    meta = {"axes": "ZYX", "PhysicalSizeX": 500, "PhysicalSizeXUnit": "µm"}
    meta |= {"PhysicalSizeY": 0.25, "PhysicalSizeYUnit": "mm", "PhysicalSizeZ": 3000}
    tifffile.imwrite(path, volume, ome=True, metadata=meta)
    np.testing.assert_allclose(read_stack(path).spacing, (3, 0.25, 0.5))
    for axes, ome in (("CYX", True), ("TYX", True), ("CYX", False), ("TYX", False)):
        tifffile.imwrite(
            path, volume, ome=ome, imagej=not ome, photometric="minisblack", metadata={"axes": axes}
        )
        assert pages(path) == 4
        with pytest.raises(ValueError, match=r"a\.tif holds . channels and . times"):
            read_stack(path)
    colours = noise("uint8", (4, 5, 6, 3))
    tifffile.imwrite(path, colours, ome=True, photometric="rgb", metadata={"axes": "ZYXS"})
    np.testing.assert_array_equal(read_stack(path).values, colours)


@pytest.mark.parametrize(
    ("description", "spacing"),
    [
        ("ImageJ=1.5\nimages=4\nslices=4\nspacing=2\nunit=cm", (20, 2.5, 5)),
        ("ImageJ=1.5\nimages=4\nslices=4\nspacing=2\nunit=\\u00B5m", (2e-3, 0.25e-3, 0.5e-3)),
        ("ImageJ=1.5\nimages=4\nslices=4\nspacing=-2\nunit=mm", ()),
        ("ImageJ=1.5\nimages=4\nslices=4\nspacing=2\nunit=pixel", ()),
        ("ImageJ=1.5\nimages=4\nslices=4\nunit=mm", ()),
        ("a scan", ()),
        ("<OME><Pixels SizeC='x' SizeZ=\"4\"/></OME>", ()),
        ("<OME", ()),
    ],
)
def test_what_descriptions_say(tmp_path, description, spacing):
    path = stack(tmp_path / "a.tif", noise("uint8"), description, (2.0, 4.0))
    got = read_stack(path)
    np.testing.assert_allclose(got.spacing, spacing)


def test_one_page_and_more_behind_it(tmp_path):
    one = stack(tmp_path / "one.tif", noise("uint8", (1, 5, 6)))
    assert pages(one) == 1 and read_stack(one).values.shape == (1, 5, 6, 1)
    path = stack(tmp_path / "a.tif", noise("uint8", (1, 5, 6)), "ImageJ=1.5\nimages=9\nslices=9")
    assert pages(path) == 9
    with pytest.raises(ValueError, match=r"a\.tif says that it holds 9 pictures, and has 1 pages"):
        read_stack(path)


def test_pages_of_two_kinds_are_refused(tmp_path):
    for first, second in (
        (noise("uint8", (5, 6)), noise("uint8", (6, 5))),
        (noise("uint8", (5, 6)), noise("uint16", (5, 6))),
    ):
        path = stack(tmp_path / "a.tif", [first, second])
        with pytest.raises(
            ValueError, match=r"a\.tif: page 2 is .*, the first one 5 x 6 x 1 uint8"
        ):
            read_stack(path)


def test_what_is_no_volume(tmp_path):
    for kind in ("PNG", "GIF"):
        path = tmp_path / f"a.{kind.lower()}"
        frames = [Image.fromarray(noise("uint8", (5, 6))) for _ in range(2)]
        options = {"save_all": True, "append_images": frames[1:]} if kind == "GIF" else {}
        frames[0].save(path, kind, **options)
        with pytest.raises(ValueError, match=f"a.* is a {kind} file; of pictures only a TIFF"):
            read_stack(path)
    assert pages(path) == 2


@pytest.mark.filterwarnings("ignore:(Corrupt|Truncated):UserWarning")
@pytest.mark.parametrize("big", [False, True])
def test_a_stack_cut_anywhere_is_named(tmp_path, big):
    """Pillow gives the pages that are left, where the pages lie before their directories."""
    tifffile = pytest.importorskip("tifffile")
    path, volume = tmp_path / "a.tif", noise("uint16", (5, 6, 7))
    tifffile.imwrite(path, volume, photometric="minisblack", bigtiff=big)
    data = path.read_bytes()
    np.testing.assert_array_equal(read_stack(path).values[..., 0], volume)
    for end in range(0, len(data) - 8, 23):  # behind the last page there may be padding
        path.write_bytes(data[:end])
        with pytest.raises(ValueError, match=r"a\.tif"):
            read_stack(path)


def test_pages_that_lead_to_each_other(tmp_path):
    path = stack(tmp_path / "a.tif", noise("uint8", (2, 5, 6)))
    data = bytearray(path.read_bytes())
    first = int.from_bytes(data[4:8], "little")
    end = first + 2 + 12 * int.from_bytes(data[first : first + 2], "little")
    data[end : end + 4] = data[4:8]
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.tif has pages that lead to each other"):
        pages(path)


def test_values_that_are_not_finite_are_refused(tmp_path):
    volume = noise("float32")
    volume[2, 1, 1] = np.nan
    with pytest.raises(ValueError, match=r"a\.tif holds values that are not finite"):
        read_stack(stack(tmp_path / "a.tif", volume))


def test_mutated_files(tmp_path):
    """A volume, or one line that names the file."""
    path = tmp_path / "scan7.tif"
    text = "ImageJ=1.5\nimages=3\nslices=3\nspacing=2\nunit=mm"
    volume = noise("uint16", (3, 4, 5))
    seeds = [stack(path, volume, text, (1.0, 2.0)).read_bytes()]
    seeds.append(stack(path, volume, compression="tiff_lzw").read_bytes())
    places = st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=3)

    def check(data, changes):
        data = bytearray(data)
        for at, value in changes:
            data[at % len(data)] = value
        path.write_bytes(data)
        for read in (pages, read_stack):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    got = read(path)
            except ValueError as error:
                assert "scan7.tif" in str(error) and "\n" not in str(error), str(error)
                continue
            if read is read_stack:
                assert got.values.ndim == 4 and got.values.size and np.isfinite(got.spacing).all()

    assert fuzz(check, st.sampled_from(seeds), places, share=0.1) > 50


@pytest.mark.parametrize("axis", ["axial", "coronal"])
def test_upright_slices_of_voxels_of_unknown_size_are_named(tmp_path, axis):
    path = stack(tmp_path / "a.tif", np.zeros((4, 6, 8), np.uint8))
    item = Item("a.tif/001", (path,), "stack", part=1, axis=axis, volume="a.tif")
    for picture in (read_item(item), Reader()(item)):
        said = [note for note in picture.notes if "taken for squares" in note]
        assert len(said) == (axis == "coronal")
        assert all(note.startswith(f"{path} ") for note in said)
