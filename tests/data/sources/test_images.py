"""Reading what is to be classified: files, folders, archives, and what of them is left out."""

import dataclasses
import zipfile

import numpy as np
import pytest
from PIL import Image

from msflow_jax import data
from msflow_jax.data.sources import arrays as arrays_module
from msflow_jax.data.sources import npz_headers
from msflow_jax.data.sources.decoding import read_file
from msflow_jax.data.sources.finding import find_images

RAMP = np.array([0, 36, 72, 109, 145, 182, 218, 255], np.uint8)
GREY = data.Info("x", ("a", "b"), 1, 8, "binary-class", "", "", "", ())
RGB = data.Info("x", ("a", "b"), 3, 8, "binary-class", "", "", "", ())
DEEP = dataclasses.replace(GREY, value_range=(0.0, 4080.0))


def pixels(shape=(8, 8), seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def test_read_one_file(tmp_path):
    array = pixels()
    images, names = data.read_images(save(tmp_path / "a.png", array), GREY)
    np.testing.assert_array_equal(images[0, ..., 0], array)
    assert names == ("a.png",)


def test_read_folder_recursively(tmp_path):
    for name in ("b/2.png", "b/1.png", "a.png", ".hidden/x.png"):
        save(tmp_path / name, pixels((8, 8, 3)))
    (tmp_path / "notes.txt").write_text("not an image")
    with pytest.warns(
        UserWarning, match=r"left out 1 \.txt files, 1 hidden pictures; read are \.bmp"
    ):
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


@pytest.mark.parametrize("name", ["cohort.csv", "cohort.TSV", "cohort.xlsx"])
def test_a_table_is_not_what_is_classified(tmp_path, name):
    (tmp_path / name).write_text("image,label\na.png,1\n")
    with pytest.raises(ValueError, match=f"{name} is a table.* a folder of them, or an .npz"):
        data.read_images(tmp_path / name, GREY)


def test_deep_pictures_by_the_range_of_training(tmp_path):
    ramp = np.tile(RAMP, (8, 1)).astype(np.uint16) * 16
    path = save(tmp_path / "ramp.png", ramp)
    images, _ = data.read_images(path, DEEP)
    np.testing.assert_array_equal(images[0, ..., 0], np.tile(RAMP, (8, 1)))
    np.savez(tmp_path / "a.npz", images=ramp[None], test_images=ramp[None, ..., None].astype(float))
    for name in ("a.npz", "a.npz:test"):
        np.testing.assert_array_equal(data.read_images(tmp_path / name, DEEP)[0], images)
    save(tmp_path / "a little more.png", ramp + 100)
    assert data.read_images(tmp_path / "a little more.png", DEEP)[0].max() == 255


@pytest.mark.parametrize(
    ("array", "info", "words"),
    [
        (np.full((8, 8), 4000, np.uint16), GREY, "from 4000 to 4000 .*8-bit pictures only.*8 bits"),
        (np.full((8, 8), 0.5, np.float32), GREY, "from 0.5 to 0.5 .float32.*8-bit pictures only"),
        (
            np.full((8, 8), 200, np.uint8),
            DEEP,
            "8 bits .200 to 200., .* more .0 to 4080",
        ),
        (
            np.full((8, 8), 65535, np.uint16),
            DEEP,
            "to 65535 .*outside the range .* 0 to 4080.*clip",
        ),
        (np.full((8, 8), -9000, np.int32), DEEP, "from -9000 to .*outside the range"),
        (np.full((8, 8), np.nan, np.float32), DEEP, "not finite|nan"),
    ],
)
def test_other_values_are_never_read_by_a_guess(tmp_path, array, info, words):
    path = save(tmp_path / "scan.tif", array)
    with pytest.raises(ValueError, match=words) as caught:
        data.read_images(path, info)
    assert "scan.tif" in str(caught.value)
    np.savez(tmp_path / "a.npz", images=array[None])
    with pytest.raises(ValueError, match=words.replace("not finite|", "")):
        data.read_images(tmp_path / "a.npz", info)


def test_what_would_be_nearly_black_is_said(tmp_path):
    for i in range(3):
        save(tmp_path / f"{i}.png", np.full((8, 8), 4000 if i == 1 else 200, np.uint16))
    with pytest.warns(UserWarning, match=r"2 of 3 pictures use less than 1/16 .*0\.png for one"):
        data.read_images(tmp_path, DEEP)


def test_all_broken_files_at_once_or_beside_the_sound_ones(tmp_path):
    for i in range(25):
        (tmp_path / f"b{i:02d}.png").write_bytes(b"\x89PNG nonsense")
    save(tmp_path / "good.png", pixels())
    save(tmp_path / "wide.png", pixels((8, 9)))
    with pytest.raises(
        ValueError,
        match=r"26 pictures cannot be used: .*b00.* .also .*b01.*, .*b02.* and 22 more.; .*wide",
    ):
        data.read_images(tmp_path, GREY)
    found = data.read_sound_images(tmp_path, GREY)
    broken = found.broken
    assert found.names == ("good.png",) and len(found.images) == 1
    assert list(broken) == [*(f"b{i:02d}.png" for i in range(25)), "wide.png"]
    assert "b07.png" in broken["b07.png"] and "\n" not in broken["b07.png"]
    (tmp_path / "good.png").unlink()
    with pytest.raises(ValueError, match="26 pictures cannot be used"):
        data.read_sound_images(tmp_path, GREY)


def test_an_archive_is_refused_from_its_header(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", images=np.zeros((1000, 64, 64), np.uint8))
    monkeypatch.setattr(arrays_module, "read_npz", lambda *_: pytest.fail("it was read"))
    with pytest.raises(ValueError, match="64 x 64, the model reads 8 x 8"):
        data.read_images(tmp_path / "a.npz", GREY)


def test_an_array_longer_than_the_archive_or_the_memory(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("images.npy", "w") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (10**12, 8, 8)}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(
        ValueError, match=r"a\.npz: images .*64,000,000,000,000 bytes, but .* holds"
    ):
        data.read_images(path, GREY)
    np.savez(path, images=pixels((3, 8, 8)))
    monkeypatch.setattr(npz_headers, "physical_memory", lambda: 100)
    with pytest.raises(
        ValueError, match=r"192 bytes, above the 100 bytes of this machine's memory"
    ):
        data.read_images(path, GREY)


def test_masks_links_and_others_are_left_out(tmp_path):
    kept = ("a.png", "b_mask.png", "sub/c.PNG", "e.tif")  # of b_mask there is no picture b
    others = ("a_mask.png", "a_mask_1.png", "masks/x.png", "mask/a.png", ".hidden.png")
    for name in (*kept, *others):
        save(tmp_path / name, pixels())
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    for name in ("1.xml", "2.XML", "notes"):
        (tmp_path / name).write_text("x")
    with pytest.warns(UserWarning) as caught:
        _, names = data.read_images(tmp_path, GREY)
    assert set(names) == set(kept)
    words = (
        "4 masks, 2 .xml files, 1 broken links, 1 files without a suffix, 1 hidden pictures; read"
    )
    assert [words in str(w.message) for w in caught] == [True]


def test_a_class_called_mask_is_no_mask(tmp_path):
    for name in ("mask/1.png", "mask/2.png", "none/3.png"):
        save(tmp_path / name, pixels())
    files, left = find_images(tmp_path)
    assert len(files) == 3 and not left


def test_files_longer_than_a_picture_and_files_that_cannot_be_opened(tmp_path):
    with (tmp_path / "long.png").open("wb") as file:
        file.truncate(2 << 30)  # takes no room
    with pytest.raises(ValueError, match=r"long\.png has 2,147,483,648 bytes, above the limit"):
        data.read_images(tmp_path / "long.png", GREY)
    with pytest.raises(ValueError, match=r"gone\.png cannot be read \(No such file"):
        read_file(tmp_path / "gone.png")
