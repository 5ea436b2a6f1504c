"""Decoding, fitting, and reading what is to be classified."""

import io

import numpy as np
import pytest
from PIL import Image

from msflow_jax import data
from msflow_jax.data.sources.images import decode, to_square

GREY = data.Info("x", ("a", "b"), 1, 8, "binary-class", "", "", "", ())
RGB = data.Info("x", ("a", "b"), 3, 8, "binary-class", "", "", "", ())


def pixels(shape=(8, 8), seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
@pytest.mark.parametrize("shape", [(8, 6), (8, 6, 3)])
def test_lossless_kinds(tmp_path, kind, shape):
    array = pixels(shape)
    got = decode(encoded(Image.fromarray(array), kind), tmp_path)
    np.testing.assert_array_equal(got, array.reshape(8, 6, -1))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_scale_to_eight(tmp_path, kind):
    deep = np.array([[0, 257], [65535, 128 * 257 + 100]], np.uint16)
    got = decode(encoded(Image.fromarray(deep), kind), tmp_path)
    np.testing.assert_array_equal(got[..., 0], [[0, 1], [255, 128]])


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("L", 1), ("LA", 1), ("P", 3), ("RGBA", 3), ("CMYK", 3)]
)
def test_modes(tmp_path, mode, channels):
    image = Image.fromarray(pixels((8, 8, 3))).convert(mode)
    got = decode(encoded(image, "TIFF" if mode == "CMYK" else "PNG"), tmp_path)
    assert got.shape == (8, 8, channels)
    assert got.dtype == np.uint8


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (Image.fromarray(np.full((4, 4), 0.5, np.float32)), "floating-point"),
        (Image.fromarray(np.full((4, 4), 1 << 20, np.int32)), "outside 16 bits"),
    ],
)
def test_deeper_greys_are_refused(tmp_path, image, words):
    with pytest.raises(ValueError, match=words):
        decode(encoded(image, "TIFF"), tmp_path / "deep.tif")


def test_several_pictures_are_refused(tmp_path):
    pages = [Image.fromarray(pixels(seed=i)) for i in range(2)]
    body = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    with pytest.raises(ValueError, match=r"stack\.tif holds 2 pictures"):
        decode(body, tmp_path / "stack.tif")


def test_camera_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    array = pixels((4, 6))
    got = decode(encoded(Image.fromarray(array), "PNG", exif=exif), tmp_path)
    np.testing.assert_array_equal(got[..., 0], np.rot90(array, -1))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
def test_cut_files_are_named(tmp_path, share, kind):
    body = encoded(Image.fromarray(pixels((32, 32, 3))), kind)
    with pytest.raises(ValueError, match=r"scan7\.x"):
        decode(body[: int(share * len(body))], tmp_path / "scan7.x")


def test_square_keeps_the_middle():
    wide = np.zeros((10, 30, 1), np.uint8)
    wide[:, 10:20] = 200
    np.testing.assert_array_equal(to_square(wide, 10), np.full((10, 10, 1), 200))
    assert to_square(wide, 5).shape == (5, 5, 1)


def test_shrinking_is_antialiased():
    board = (255 * (np.indices((32, 32)).sum(0) % 2)).astype(np.uint8)[..., None]
    small = to_square(board, 8)
    assert np.abs(small.astype(int) - 127).max() < 20  # point sampling would give 0 or 255


def test_read_one_file(tmp_path):
    array = pixels()
    images, names = data.read_images(save(tmp_path / "a.png", array), GREY)
    np.testing.assert_array_equal(images[0, ..., 0], array)
    assert names == ("a.png",)


def test_read_folder_recursively(tmp_path):
    for name in ("b/2.png", "b/1.png", "a.png", ".hidden/x.png"):
        save(tmp_path / name, pixels((8, 8, 3)))
    (tmp_path / "notes.txt").write_text("not an image")
    images, names = data.read_images(str(tmp_path), RGB)
    assert names == ("a.png", "b/1.png", "b/2.png")
    assert images.shape == (3, 8, 8, 3)


@pytest.mark.parametrize(
    ("suffix", "count", "first"), [("", 3, "images/00000"), (":test", 2, "test/00000")]
)
def test_read_archive(tmp_path, suffix, count, first):
    np.savez(tmp_path / "a.npz", images=pixels((3, 8, 8)), test_images=pixels((2, 8, 8, 1)))
    images, names = data.read_images(f"{tmp_path / 'a.npz'}{suffix}", GREY)
    assert images.shape == (count, 8, 8, 1)
    assert names[0] == first
    assert len(names) == count


def test_archive_complaints(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(FileNotFoundError, match=r"a\.npz"):
        data.read_images(path, GREY)
    np.savez(path, test_images=pixels((2, 8, 8)), images=np.zeros((1, 8, 8)))
    with pytest.raises(ValueError, match="lacks val_images; it holds test_images, images"):
        data.read_images(f"{path}:val", GREY)
    with pytest.raises(ValueError, match="float64"):
        data.read_images(path, GREY)


@pytest.mark.parametrize(
    ("shape", "words"),
    [((9, 8), r"odd\.png is 9 x 8.*8 x 8.*--resize"), ((8, 8, 3), r"odd\.png has 3.*--resize")],
)
def test_other_images_need_permission(tmp_path, shape, words):
    path = save(tmp_path / "odd.png", pixels(shape))
    with pytest.raises(ValueError, match=words):
        data.read_images(path, GREY)
    images, _ = data.read_images(path, GREY, resize=True)
    assert images.shape == (1, 8, 8, 1)


def test_nothing_to_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="no image in"):
        data.read_images(tmp_path, GREY)
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        data.read_images(tmp_path / "none.png", GREY)
