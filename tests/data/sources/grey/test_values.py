"""One range of values for all pictures of a data set, through every way of training on them."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from msflow_jax import data, workdir
from msflow_jax.config import default_config
from msflow_jax.data.sources.grey.values import (
    Extent,
    by_reason,
    common_range,
    refuse_broken,
    scale,
    survey,
)
from tests.data.sources.listings.test_files import load, write_csv

RAMP = np.array([0, 36, 72, 109, 145, 182, 218, 255], np.uint8)


def images_of_12_bits(root, count=10):
    """Two classes; the whole set reaches from 0 to 4080, a single picture may not."""
    for k, name in enumerate(("ill", "well")):
        (root / name).mkdir(parents=True)
        for i in range(count):
            picture = np.roll(np.tile(RAMP, (8, 1)), i + k, axis=1).astype(np.uint16) * 16
            picture[7, 0] = (2 * i + k) * 16  # no two are equal, in 8 bits either
            Image.fromarray(picture if i else picture // 2).save(root / name / f"{i}.png")
    return root


def shown(split, name):
    return split.read(split.names.index(name))[..., 0]


@pytest.fixture
def folder(tmp_path):
    return images_of_12_bits(tmp_path / "images")


def table_of(folder):
    names = [f"{kind}/{i}.png" for kind in ("ill", "well") for i in range(10)]
    return write_csv(folder / "list.csv", "path,label", *(f"{n},{n.split('/')[0]}" for n in names))


@pytest.mark.parametrize("loader", ["device", "grain"])
@pytest.mark.parametrize("source", ["folder", "manifest", "arrayrecord"])
def test_twelve_bits_by_every_source(tmp_path, folder, source, loader):
    root = folder
    if source == "manifest":
        root = table_of(folder)
    if source == "arrayrecord":
        pytest.importorskip("array_record")
        from msflow_jax.data.sources.listings.folders import list_folder
        from msflow_jax.data.sources.packs.packing import Settings, pack

        config = data.default_config("folder")
        config.root = str(folder)
        pack(list_folder(config), tmp_path / "packed", Settings(fit="stretch"))
        root = tmp_path / "packed"
        assert json.loads((root / "manifest.json").read_text())["value_range"] == [0, 4080]
    splits = load(root, source, loader=loader)
    assert splits.info.value_range == (0, 4080)
    assert splits.info.fit == ("stretch" if source == "arrayrecord" else "pad")
    for split in (splits.train, splits.val, splits.test):
        for name in split.names:
            kind, i = name.split("/")
            row = np.roll(RAMP, int(i[:-4]) + (kind == "well"))
            expected = row if i != "0.png" else np.rint(row / 2)
            np.testing.assert_array_equal(shown(split, name)[3], expected)
    # What is to be classified is read alike.
    images, names = data.read_images(folder / "ill", splits.info)
    np.testing.assert_array_equal(images[names.index("4.png")][0, :, 0], np.roll(RAMP, 4))


def test_the_workdir_keeps_range_and_fit(tmp_path, folder):
    info = load(folder, fit="stretch").info
    config = default_config("symmetric")
    config.data.update({"name": "folder", "root": str(folder), "fit": "stretch"})
    workdir.create(tmp_path / "run", config, info)
    kept, again = workdir.read(tmp_path / "run")
    assert (
        again == info and again.value_range == (0, 4080) and again.fit == kept.data.fit == "stretch"
    )


def test_a_workdir_of_before_keeps_the_crop_it_was_trained_with(tmp_path, folder):
    config = default_config("symmetric")
    plain = dataclasses.replace(load(folder).info, value_range=(), fit="crop")
    workdir.create(tmp_path / "run", config, plain)
    assert not {"value_range", "fit"} & set(plain.to_dict())
    stored = json.loads((tmp_path / "run" / "config.json").read_text())
    del stored["data"]["fit"]
    (tmp_path / "run" / "config.json").write_text(json.dumps(stored))
    kept, info = workdir.read(tmp_path / "run")
    assert kept.data.fit == info.fit == "crop" and info == plain


def test_eight_bits_have_no_range(tmp_path):
    from tests.data.sources.listings.test_files import fill

    info = load(fill(tmp_path)).info
    assert info.value_range == () and "value_range" not in info.to_dict()


def test_pictures_of_8_bits_among_deeper_ones(folder):
    Image.fromarray(np.tile(RAMP, (8, 1))).save(folder / "ill" / "3.png")
    with pytest.raises(
        ValueError, match=r"3\.png has 8 bits .*0\.png more \(uint16.*save all pictures"
    ):
        load(folder)


@pytest.mark.parametrize("loader", ["device", "grain"])
def test_all_broken_files_of_a_training_set_at_once(folder, loader):
    for name in ("ill/2.png", "well/7.png", "well/9.png"):
        (folder / name).write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"3 pictures cannot be used: .*2\.png.*7\.png.*9\.png"):
        load(folder, loader=loader)


def test_an_exception_that_sets_the_range_is_named(folder):
    mark = np.full((8, 8), 65535, np.uint16)  # burnt in by a viewer
    Image.fromarray(mark).save(folder / "ill" / "3.png")
    with pytest.warns(UserWarning, match=r"3\.png reaches 65535, half of the 20 .*below 4080"):
        load(folder, duplicates="keep")  # of so wide a range little is left that tells them apart


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            [Extent("a", 0, 1, "float32"), Extent("b", 0, 4095, "uint16")],
            "a holds float32, b uint16",
        ),
        ([Extent("a", 7, 7, "uint16")], "a: the pictures hold no value but 7"),
    ],
)
def test_no_common_range(found, words):
    with pytest.raises(ValueError, match=words):
        common_range(found)
    assert common_range([]) == ()


def test_survey_reads_nothing_of_plain_pictures_but_their_headers(tmp_path, monkeypatch):
    from msflow_jax.data.sources.grey import values

    path = tmp_path / "a.png"
    Image.fromarray(np.tile(RAMP, (8, 1))).save(path)
    monkeypatch.setattr(values, "decode", lambda *_: pytest.fail("decoded"))
    assert survey([path]) == ((), {})


def test_a_picture_is_scaled_without_a_wide_copy():
    """Peak memory: what comes in and out, and a part of a million values."""
    import tracemalloc

    picture = np.random.default_rng(0).integers(0, 4096, (2000, 3000, 1)).astype(np.uint16)
    tracemalloc.start()
    out = scale(picture, (0.0, 4095.0), "a")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < out.nbytes + 30e6
    np.testing.assert_array_equal(out, np.rint(picture / 4095 * 255).astype(np.uint8))


def test_data_scaled_by_another_range_are_not_those_of_the_run(folder):
    now = load(folder).info
    before = dataclasses.replace(now, value_range=())  # a version that divided by 257
    with pytest.raises(ValueError, match=r"had grey values of 8 bits, these have 0 to 4080 .*257"):
        data.check_same(before, now)
    data.check_same(now, now)


def test_errors_that_differ_in_name_and_figures_are_one_that_names_three():
    """Whatever is wrong: the reader needs the reason once, and where to look."""
    said = [
        *(f"new/N{i:02d} b.dcm is {100 + i} x 120, the model reads 32 x 32" for i in range(12)),
        "new/A.png holds 3 pictures; save each",
        "i/x.png has no mask m/x.*: draw one", "i/y.png has no mask m/y.*: draw one",
        "new/v.nii/1 is cut (and 3 more slices of v alike)", "w is cut (and 9 more slices of w alike)",
    ]  # fmt: skip
    assert by_reason(said) == [
        f"{said[0]} (also new/N01 b.dcm, new/N02 b.dcm and 9 more)", said[12],
        f"{said[13]} (also i/y.png)", f"{said[15]} (also w)",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"^10 pictures cannot be used: .*; and 2 reasons more$"):
        refuse_broken(["x.png is " + "a" * n for n in range(10)])
