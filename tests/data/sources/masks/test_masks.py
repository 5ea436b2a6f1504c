"""Images with masks: what is read, that both are fitted alike, and what is refused by name."""

import shutil
import warnings

import nibabel
import numpy as np
import pytest
from PIL import Image

from msflow_jax import data
from msflow_jax.data.padding import filled_of, inside_of
from msflow_jax.data.sources.masks.names import Seen, choose_names, read_names
from msflow_jax.data.sources.masks.reading import read_mask

AFFINE = np.array([[-1.0, 0, 0, 10], [0, 1.5, 0, -20], [0, 0, 3, 5], [0, 0, 0, 1]])


def draw(rng, space):
    """A mask with a block of class 1 in which there is one of class 2."""
    mask = np.zeros(space, np.uint8)
    starts = [int(rng.integers(1, max(2, n // 3))) for n in space]
    mask[tuple(slice(a, a + n // 2) for a, n in zip(starts, space, strict=True))] = 1
    mask[tuple(slice(a + 1, a + 1 + n // 4) for a, n in zip(starts, space, strict=True))] = 2
    return mask


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith(".nii.gz"):
        nibabel.save(nibabel.Nifti1Image(values, AFFINE), path)
    else:
        Image.fromarray(values).save(path)


def save_palette(path, values, table):
    image = Image.fromarray(values, "P")
    image.putpalette(table)
    image.save(path)


def fill(root, suffix=".png", space=(24, 16), count=11, seed=0):
    """images/ and masks/, of which an image shows little but its mask, by 0, 100 and 200."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        mask = draw(rng, space)
        noise = rng.integers(0, 9, space)  # no two images are equal
        image = (100 * mask + noise).astype(np.uint8 if suffix == ".png" else np.int16)
        save(root / f"images/case{i:02d}{suffix}", image)
        save(root / f"masks/case{i:02d}{suffix}", mask)
    return root


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def copied(pictures, tmp_path):
    return shutil.copytree(pictures, tmp_path / "copy")


def load(root, **changes):
    config = data.default_config("masks")
    config.update({"root": str(root), "side": 16, **changes})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return data.load(config)


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_masks_of_pictures_are_fitted_as_their_images(pictures, fit):
    splits = load(pictures, fit=fit, side=20)
    for part in (splits.train, splits.val, splits.test):
        shown = np.rint(part.images[..., 0] / 100)
        assert part.maps.shape == (len(part), 20, 20) and part.maps.max() == 2
        # Images are interpolated: they differ at borders alone.
        assert np.mean(shown != part.maps) < 0.12
        inside = part.images[..., 0] % 100 < 9
        assert np.mean((shown == part.maps)[inside]) > 0.99
    assert splits.info.map_classes == ("0", "1", "2") and len(splits.train) == 8


def test_given_splits_and_names_of_the_configuration(pictures, tmp_path):
    for split, cases in (("train", range(6)), ("test", range(6, 9)), ("validation", (9, 10))):
        for folder in ("images", "masks"):
            (tmp_path / split / folder).mkdir(parents=True)
            for i in cases:
                name = f"{folder}/case{i:02d}.png"
                shutil.copy(pictures / name, tmp_path / split / name)
    splits = load(tmp_path, map_classes=("air", "organ", "lesion"))
    assert [len(splits[name]) for name in ("train", "val", "test")] == [6, 2, 3]
    assert splits.info.map_classes == splits.info.classes == ("air", "organ", "lesion")


def test_values_as_files_hold_them(tmp_path):
    numbers = np.array([[0, 1], [2, 3]], np.uint8)
    save_palette(tmp_path / "palette.png", numbers, [0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    found = read_mask(tmp_path / "palette.png")
    assert (found.values == numbers).all()
    assert found.palette == {0: (0, 0, 0), 1: (255, 0, 0), 2: (0, 255, 0), 3: (0, 0, 255)}
    white_first = [255, 255, 255, 0, 0, 0]
    save_palette(tmp_path / "grey.png", np.array([[0, 1]], np.uint8), white_first)
    assert read_mask(tmp_path / "grey.png").values.tolist() == [[255, 0]]
    Image.fromarray(numbers > 1).save(tmp_path / "one_bit.png")
    assert read_mask(tmp_path / "one_bit.png").values.tolist() == [[0, 0], [1, 1]]
    Image.fromarray(np.repeat(numbers[..., None], 3, 2)).save(tmp_path / "equal.png")
    assert (read_mask(tmp_path / "equal.png").values == numbers).all()


def test_a_mask_of_a_palettes_greys_alone_is_read_as_those_with_its_colours(copied):
    """Else 128 would be its class: the seventh colour of many palettes is a grey."""
    table = [0, 0, 0, 255, 0, 0, 128, 128, 128]
    masks = sorted((copied / "masks").iterdir())
    for path in masks:
        save_palette(path, read_mask(path).values % 2, table)
    grey = 2 * (np.asarray(Image.open(masks[0])) > 0).astype(np.uint8)
    save_palette(masks[0], grey, table)
    assert set(np.unique(read_mask(masks[0]).values)) == {0, 2}
    config = data.default_config("masks")
    config.update({"root": str(copied), "side": 16})
    with pytest.warns(UserWarning, match="have palettes of colours"):
        splits = data.load(config)
    assert splits.info.map_classes == ("0", "1", "2")
    save_palette(masks[-1], grey, [0, 0, 0, 255, 0, 0, 0, 0, 255])
    words = r"entry 2 of its palette is the colour \(0, 0, 255\), in .* \(128, 128, 128\): "
    with pytest.raises(ValueError, match=words):
        data.load(config)


def test_black_and_white_masks_are_two_classes_and_a_line_says_so(copied):
    for path in (copied / "masks").iterdir():
        save(path, 255 * (read_mask(path).values > 0).astype(np.uint8))
    config = data.default_config("masks")
    config.update({"root": str(copied), "side": 16})
    with pytest.warns(UserWarning, match="0 and 255 alone, which are taken as the classes 0 and 1"):
        splits = data.load(config)
    assert splits.info.map_classes == ("0", "1") and splits.train.maps.max() == 1


def test_small_classes_that_vanish_and_copies_are_told(copied):
    for path in sorted((copied / "masks").iterdir()):
        mask = np.zeros((24, 16), np.uint8)
        mask[4:20, 3:13], mask[7, 7] = 1, 2
        save(path, mask)
    shutil.copy(copied / "images/case00.png", copied / "images/case01.png")
    config = data.default_config("masks")
    config.update({"root": str(copied), "side": 8, "duplicates": "keep"})
    with pytest.warns(UserWarning) as told:
        data.load(config)
    words = " ".join(str(one.message) for one in told)
    assert "images show is not known" in words and "part patients by folders" in words
    assert "classes vanish from masks at 8 pixels a side: 2 in" in words


def colour(root):
    values = np.zeros((24, 16, 3), np.uint8)
    values[3, 5] = 200, 0, 0
    save(root / "masks/case03.png", values)


def named(root, text, name="classes.txt"):
    (root / name).write_text(text, encoding="utf-8")


def change(root, value, case=3):
    path = root / f"masks/case{case:02d}.png"
    values = read_mask(path).values.copy()
    values[0, 0] = value
    save(path, values)


def all_of(root, value):
    for path in (root / "masks").iterdir():
        save(path, np.full((24, 16), value, np.uint8))


def lossy(root):
    mask = root / "masks/case03.png"
    Image.open(mask).save(root / "masks/case03.jpg")
    mask.unlink()


REFUSED = {
    "no mask": (lambda r: (r / "masks/case03.png").unlink(), r"images/case03.png has no mask"),
    "no image": (lambda r: (r / "images/case03.png").unlink(), r"masks/case03.png has no image"),
    "size": (
        lambda r: save(r / "masks/case03.png", np.zeros((24, 15), np.uint8)),
        "masks/case03.png is 24 x 15, its image .*images/case03.png is 24 x 16",
    ),
    "colours": (colour, r"case03.png is a mask of colours \(row 3, column 5 is \(200, 0, 0\)\)"),
    "255 beside classes": (lambda r: change(r, 255), "case03.png holds 255: are these class numbers"),
    "unnamed": (
        lambda r: named(r, "0 air\n1 organ\n"),
        "holds 2, which is no class number: there are 2 classes, 0 air, 1 organ",
    ),
    "empty class": (lambda r: change(r, 4), r"no pixel of any mask is of the class 3 \(3\)"),
    "one class": (lambda r: all_of(r, 0), "every pixel of every mask is 0: one class only"),
    "lossy": (lossy, "case03.jpg is JPEG, which changes values"),
    "gaps in names": (lambda r: named(r, "0 a\n2 b\n"), "class numbers 0, 2: they are to be 0, 1"),
    "two of one name": (lambda r: named(r, '["a", "b", "a"]', "classes.json"), "name of its own"),
    "no folder": (lambda r: shutil.rmtree(r / "masks"), "has no folder masks; expected images/ and"),
    "kinds": (
        lambda r: (
            (r / "masks/case03.png").unlink(),
            save(r / "masks/case03.nii.gz", np.zeros((24, 16, 1), np.uint8)),
        ),
        r"case03.nii.gz is to be a picture \(PNG\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_a_mask_of_its_image_is_refused(copied, name):
    spoil, message = REFUSED[name]
    spoil(copied)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load(copied)


@pytest.mark.parametrize("mark", [" ", ",", ", ", ";", ":", ": ", "=", "\t", " = ", ". ", ") "])
def test_a_number_is_parted_from_its_name_by_any_mark(tmp_path, mark):
    named(tmp_path, f"1{mark}lesion, large\n0{mark}background\n")
    assert read_names(tmp_path) == ("background", "lesion, large")


@pytest.mark.parametrize("names", ["0.5 mm\n2.5 mm", "air\n1,lesion", "3D\n2D", "0,\n1,"])
def test_names_that_only_begin_with_a_number_are_names(tmp_path, names):
    named(tmp_path, names)
    assert read_names(tmp_path) == tuple(names.split("\n"))


def test_a_header_above_numbered_classes_is_no_class(tmp_path):
    """Else it is class 0, and every name is that of the class behind it."""
    named(tmp_path, "id,name\n0,air\n1,organ\n2,lesion")
    assert read_names(tmp_path) == ("air", "organ", "lesion")


def test_changed_masks_are_other_data(copied):
    before = load(copied)
    change(copied, 1)
    after = load(copied)
    with pytest.raises(ValueError, match="masks differ"):
        data.as_trained(after, before.info)
    with pytest.raises(ValueError, match="classes b, a, c|a, b, c in this order"):
        swapped = load(copied, map_classes=("b", "a", "c"))
        data.as_trained(swapped, load(copied, map_classes=("a", "b", "c")).info)


def test_names_of_classes_are_of_masks_alone_and_masks_lie_in_memory(pictures):
    with pytest.raises(ValueError, match="map_classes names the classes of masks: 'folder' takes"):
        config = data.default_config("folder")
        config.map_classes = ("a", "b")
        data.check(config)
    with pytest.raises(ValueError, match="use data.loader=device"):
        load(pictures, loader="grain")


@pytest.mark.parametrize("filed", [True, False])
@pytest.mark.parametrize(
    ("names", "told"),
    [(("lesion", "Background"), True), (("air", "lesion", "background"), True),
     (("background", "lesion"), False), (("air", "background cells"), False)],
)  # fmt: skip
def test_a_background_that_is_not_class_0_is_said(tmp_path, names, told, filed):
    """Measures of the foreground would be of the background."""
    if filed:
        named(tmp_path, "\n".join(names))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        seen = [Seen(tmp_path / "a.png", tuple(range(len(names))))]
        choose_names(() if filed else names, tmp_path, seen)
    said = [str(one.message) for one in caught]
    assert len(said) == told
    where = str(tmp_path) if filed else "data.map_classes"
    words = (
        f"{where}: the class {len(names) - 1} is called {names[-1]}, and 0 {names[0]}: measures of"
    )
    assert all(line.startswith(words) and "the number 0" in line for line in said)


@pytest.mark.parametrize(
    ("given", "told"),
    [(("air", "lesion", "organ"), True), (("air", "organ", "lesion"), False)],
)  # fmt: skip
def test_names_of_the_configuration_that_contradict_the_file_are_said(tmp_path, given, told):
    (tmp_path / "classes.txt").write_text("0 air\n1 organ\n2 lesion\n")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        names, _ = choose_names(given, tmp_path, [Seen(tmp_path / "a.png", (0, 1, 2))])
    said = [str(one.message) for one in caught]
    assert names == given and len(said) == told
    assert all("classes.txt names the classes air, organ, lesion, and data.map" in s for s in said)


@pytest.mark.parametrize("parted", [True, False])
def test_given_splits_that_part_names_are_told(tmp_path, parted):
    rng = np.random.default_rng(0)
    for i in range(24):
        split = ("train", "val", "test")[max(0, (i % 4 if parted else i // 4 - 2) - 1)]
        mask = draw(rng, (24, 16))
        for folder, values in (
            ("images", rng.integers(0, 256, (24, 16), np.uint8)),
            ("masks", mask),
        ):
            save(tmp_path / split / folder / f"P{i // 4}_{i % 4}.png", values)
    config = data.default_config("masks")
    config.root, config.side = str(tmp_path), 16
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data.load(config)
    said = [str(one.message) for one in caught if "two of the given splits" in str(one.message)]
    assert len(said) == parted
    assert all("6 names" in line and "; put them into one split" in line for line in said)


def test_where_pictures_lie_in_their_squares_is_kept(pictures):
    """Padding is right and certain, and is not to be measured as if the model had said it."""
    part = load(pictures).train  # 24 x 16 at 16 a side
    inside = inside_of(part)
    assert inside.shape == part.maps.shape and filled_of(inside[0]) == (16, 11)
    assert not part.images[..., 0][~inside].any() and (inside == inside[0]).all()
    assert part.images[:, :, 2:13].any(axis=(0, 1)).all() and inside[0, 0].nonzero()[0][0] == 2
    for fit in ("crop", "stretch"):
        assert inside_of(load(pictures, fit=fit).train) is None
