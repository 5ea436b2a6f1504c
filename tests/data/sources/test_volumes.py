"""Volumes and series of a user's own: as slices and whole, by every source, and what is refused."""

import dataclasses
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from msflow_jax import data
from msflow_jax.data.intensity import Intensity
from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.items import Item
from msflow_jax.data.sources.listing import list_folder
from msflow_jax.data.sources.maps import Notes, choose
from msflow_jax.data.sources.nifti_writing import write_nifti
from tests.data.sources.dicom_objects import make_object, make_series
from tests.data.sources.test_files import load, write_csv

SPACE = (5, 8, 8)
SPACING = (2.0, 1.0, 1.0)
NAMES = [f"{kind}/{i}" for kind in ("ill", "well") for i in range(5)]
pytestmark = pytest.mark.filterwarnings("ignore:.*(volumes? read as|has one training image)")


def head(i, dtype=np.int16, space=SPACE):
    """Values as of an MR; no two heads, and no two slices, are equal."""
    values = np.random.default_rng(i).gamma(2.0, 100.0, space)
    return (values % 256 if dtype == np.uint8 else values * (1 + i / 40)).astype(dtype)


def as_nifti(root, suffix=".nii.gz", **options):
    for i, name in enumerate(NAMES):
        path = root / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_nifti(path, head(i, **options), spacing=SPACING)
    return root


def as_series(root, modality="MR", plane="axial", **options):
    for i, name in enumerate(NAMES):
        make_series(
            root / name, head(i, **options), spacing=SPACING, plane=plane, series=i + 1,
            patient=f"PID-{i}", modality=modality,
        )  # fmt: skip
    return root


def of(splits, name):
    """The examples of a head, in the order of their slices, and the split that they are in."""
    for split in ("train", "val", "test"):
        part = splits[split]
        index = [
            i for i, n in enumerate(part.names) if f"{n}/".startswith((f"{name}/", f"{name}."))
        ]
        if index:
            order = np.argsort(part.truth["slice"][index]) if part.truth else range(len(index))
            return part.take(np.array(index)[order]).images, split
    raise AssertionError(name)


def split_given(root):
    """The same heads in given splits, so that a map is fitted to the same ones."""
    for name in NAMES:
        for path in root.glob(f"{name}*"):
            split = {"0": "test", "1": "val"}.get(name[-1], "train")
            (root / split / name).parent.mkdir(parents=True, exist_ok=True)
            path.rename(root / split / path.relative_to(root))
    for kind in ("ill", "well"):
        (root / kind).rmdir()
    return root


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(
    ("axis", "dtype"), [("axial", np.int16), ("coronal", np.int16), ("axial", np.uint8)]
)
def test_one_and_the_same_from_nifti_and_from_dicom(tmp_path, dims, axis, dtype):
    how = {"dims": dims, "slices": {"axis": axis}, "side": 8 if dims == 2 else 0, "fit": "stretch"}
    a = load(split_given(as_nifti(tmp_path / "nifti", dtype=dtype)), **how)
    b = load(split_given(as_series(tmp_path / "dicom", dtype=dtype)), **how)
    assert a.info.spacing == pytest.approx(b.info.spacing)
    assert a.info.spacing == (pytest.approx(SPACING) if dims == 3 else ())
    fitted = a.info.intensity()
    assert fitted.kind == ("full" if dtype == np.uint8 else "percentiles")
    for i, name in enumerate(NAMES):
        name = f"{({'0': 'test', '1': 'val'}).get(name[-1], 'train')}/{name}"
        first, second = of(a, name)[0], of(b, name)[0]
        np.testing.assert_array_equal(first, second)
        if dims == 3 or axis == "axial":
            shown = first[0] if dims == 3 else first
            np.testing.assert_array_equal(shown[..., 0], fitted.to_grey(head(i, dtype)))


def test_slices_know_their_place_and_a_subject_is_never_parted(tmp_path):
    splits = load(as_series(tmp_path))
    whom = {}
    for split in ("train", "val", "test"):
        part = splits[split]
        assert set(part.truth) == {"volume", "slice"}
        for name, volume, number, group in zip(
            part.names, part.truth["volume"], part.truth["slice"], part.groups, strict=True
        ):
            assert Path(name).parent.as_posix() == volume and 0 <= number < SPACE[0]
            assert whom.setdefault(group, split) == split
    assert len(whom) == 10
    # The names of groups are those of files: the cut depends on no salt, and tells nothing.
    assert set(whom) <= set(splits.train.names + splits.val.names + splits.test.names)


def test_a_patient_in_two_class_folders_is_one_subject(tmp_path):
    as_series(tmp_path)
    for kind, i in (("ill", 0), ("well", 9)):
        make_series(
            tmp_path / kind / "again", head(90 + i), spacing=SPACING,
            patient="PID-3", series=90 + i, modality="MR",
        )  # fmt: skip
    splits = load(tmp_path)
    own = [of(splits, name)[1] for name in ("ill/3", "ill/again", "well/again")]
    assert len(set(own)) == 1


def test_given_splits_that_part_a_patient_are_refused(tmp_path):
    for k, split in enumerate(("train", "val", "test")):
        for j, kind in enumerate(("ill", "well")):
            make_object(
                tmp_path / split / kind / f"{k}.dcm", head(0)[0], modality="CR",
                patient=f"PID-{j}", series=10 * k + j,
            )  # fmt: skip
    with pytest.raises(
        ValueError, match=r"2\.dcm in test and .*0\.dcm in train are of one subject"
    ):
        load(tmp_path)


def test_a_manifest_names_files_series_and_volumes_of_four_axes(tmp_path):
    as_series(tmp_path)
    import nibabel

    four = np.stack([head(60), head(61)], axis=-1)
    nibabel.save(nibabel.Nifti1Image(four, np.diag([-1, -1, 1, 1])), tmp_path / "four.nii.gz")
    lines = [f"{name},{name.split('/')[0]}" for name in NAMES]
    table = write_csv(tmp_path / "list.csv", "path,label", *lines, "four.nii.gz#1,ill")
    splits = load(table, "manifest", dims=3, side=8)
    assert sum(len(splits[s]) for s in ("train", "val", "test")) == 11
    assert of(splits, "four.nii.gz#1")[0].shape == (1, 8, 8, 8, 1)
    bad = write_csv(tmp_path / "bad.csv", "path,label", *lines, "four.nii.gz,ill")
    with pytest.raises(ValueError, match=r"four\.nii\.gz holds 2 volumes; name one"):
        load(bad, "manifest", dims=3, side=8)


def test_a_manifest_that_parts_whom_the_headers_call_one(tmp_path):
    for i, name in enumerate(NAMES):
        make_object(
            tmp_path / f"{name}.dcm", head(i, space=(8, 8)), modality="CR", patient="ANON", series=i
        )
    lines = [f"{name}.dcm,{name.split('/')[0]},p{i}" for i, name in enumerate(NAMES)]
    table = write_csv(tmp_path / "list.csv", "path,label,patient", *lines)
    with pytest.warns(
        UserWarning, match=r"1 patients of the files' headers .*ill/0\.dcm and ill/1\.dcm"
    ):
        splits = load(table, "manifest")
    assert len(set(splits.train.groups)) == 7
    assert not any("ANON" in group for group in splits.train.groups)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_pack_holds_what_its_folder_does(tmp_path, dims):
    pytest.importorskip("array_record")
    from msflow_jax.data.slices import Slices
    from msflow_jax.data.sources.packing import Settings, pack

    how = {"dims": dims, "slices": {"axis": "axial", "first": 0.2, "last": 0.8, "spacing": 0.0}}
    config = data.default_config("folder")
    config.update({"root": str(as_nifti(tmp_path / "images")), **how})
    folder = data.load(config)
    pack(
        list_folder(config), tmp_path / "packed",
        Settings(dims=dims, slices=Slices(**how["slices"]), shard_images=7),
    )  # fmt: skip
    packed = load(tmp_path / "packed", "arrayrecord")
    for split in ("train", "val", "test"):
        names = folder[split].names
        assert sorted(packed[split].names) == sorted(names)
        order = [packed[split].names.index(name) for name in names]
        again = packed[split].take(np.array(order))
        np.testing.assert_array_equal(again.images, folder[split].images)
        for key, values in (folder[split].truth or {}).items():
            np.testing.assert_array_equal(again.truth[key], values)
    for key in ("intensities", "volumes", "spacing", "space"):
        assert getattr(packed.info, key) == getattr(folder.info, key), key
    assert packed.info.identity["contents"] == folder.info.identity["contents"]
    written = json.loads((tmp_path / "packed" / "manifest.json").read_text())["format"]
    assert written == "msflow_jax arrayrecord 2"  # older versions would read it without its map
    if dims == 3:
        assert load(tmp_path / "packed", "arrayrecord", side=4).train.images.shape[1:] == (
            4,
            4,
            4,
            1,
        )


@pytest.mark.parametrize("dims", [2, 3])
def test_grain_reads_them_while_training(tmp_path, dims):
    as_series(tmp_path)
    whole, lazy = (load(tmp_path, dims=dims, loader=loader) for loader in ("device", "grain"))
    assert isinstance(lazy.train, data.LazySplit)
    assert lazy.info.identity == {**whole.info.identity}
    assert lazy.info.intensities == whole.info.intensities
    np.testing.assert_array_equal(data.in_memory(lazy.train).images, whole.train.images)
    for key, values in (whole.train.truth or {}).items():
        np.testing.assert_array_equal(lazy.train.truth[key], values)


def test_a_volume_is_decoded_once_for_all_its_slices(tmp_path, monkeypatch):
    from msflow_jax.data.sources import reading

    as_nifti(tmp_path)
    calls = []
    read = reading.read_nifti
    monkeypatch.setattr(reading, "read_nifti", lambda p, **k: calls.append(p) or read(p, **k))
    load(tmp_path)
    assert len(calls) <= 2 * len(NAMES)  # for the map of values, and for the pictures


def test_a_reader_keeps_no_more_than_it_may(tmp_path):
    from msflow_jax.data.sources.items import Item
    from msflow_jax.data.sources.reading import Reader

    as_nifti(tmp_path)
    size = head(0).nbytes
    read = Reader(kept=2 * size)
    for name in NAMES[:5]:
        for part in (0, 3):
            read(Item(name, (tmp_path / f"{name}.nii.gz",), "nifti", part, "axial"))
    assert sum(v.values.nbytes for v in read._open.values()) == 2 * size


def test_ct_has_its_window_and_what_lies_outside_is_cut_off(tmp_path):
    info = load(as_series(tmp_path, modality="CT"), window=(-1000.0, -600.0)).info
    assert info.intensities == {"image": Intensity("window", -1000.0, -600.0, "HU", "CT")}
    assert info.intensity().describe() == "window, -1000 to -600 HU (CT)"
    again = data.Info.from_dict(json.loads(json.dumps(info.to_dict())))
    assert again == info and again.intensities == info.intensities


def test_percentiles_are_of_the_training_subjects_alone(tmp_path):
    first = load(as_nifti(tmp_path / "a")).info.intensity()
    held = load(tmp_path / "a").test.truth["volume"][0]
    path = tmp_path / "a" / held
    write_nifti(path, head(NAMES.index(held[:-7])) * np.int16(9), spacing=SPACING)
    assert load(tmp_path / "a").info.intensity() == first


@pytest.mark.parametrize(
    ("modality", "dtype", "kind"),
    [
        *((word, np.uint16, "percentiles") for word in ("CR", "DX", "MG", "OT")),
        ("DX", np.uint8, "full"), ("CT", np.int16, "window"),
    ],
)  # fmt: skip
def test_scans_that_are_single_pictures_have_the_map_of_the_docs(tmp_path, modality, dtype, kind):
    """docs/medical_files.md, grey levels: deeper DICOM is never scaled by its smallest and largest."""
    for i in range(4):
        values = (np.arange(64) * (3 if dtype == np.uint8 else 50) + i).astype(dtype).reshape(8, 8)
        make_object(tmp_path / f"{i}.dcm", values, modality=modality)
    items = [Item(f"{i}", (tmp_path / f"{i}.dcm",), "dicom", modality=modality) for i in range(4)]
    assert choose(items, range(4), data.default_config("folder"), tmp_path)[0].kind == kind


def test_hounsfield_units_that_no_file_states(tmp_path):
    for i, name in enumerate(NAMES):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_nifti(tmp_path / f"{name}.nii.gz", head(i) - np.int16(1024), spacing=SPACING)
    with pytest.warns(UserWarning, match="look like Hounsfield units.*--config.data.window"):
        load(tmp_path)
    assert load(tmp_path, window=(-1000.0, 0.0)).info.intensity() == Intensity(
        "window", -1000.0, 0.0
    )


# What is to be classified.


@pytest.fixture
def trained(tmp_path):
    return load(as_series(tmp_path / "trained")).info


def test_what_is_classified_is_read_alike(tmp_path, trained):
    as_nifti(tmp_path / "other")
    with pytest.warns(UserWarning, match="1 of 1 volumes do not say what they are; .* are MR"):
        images, names = data.read_images(tmp_path / "other" / "ill" / "3.nii.gz", trained)
    series, of_files = data.read_images(tmp_path / "trained" / "ill" / "3", trained)
    assert names == tuple(f"3.nii.gz/{i:03d}" for i in range(5)) and of_files[0].endswith(".dcm")
    assert {image.tobytes() for image in images} == {image.tobytes() for image in series}
    np.testing.assert_array_equal(images[..., 0], trained.intensity().to_grey(head(3)))


def test_axis_and_range_of_the_slices_are_those_trained_on(tmp_path):
    how = {"axis": "coronal", "first": 0.3, "last": 0.7, "spacing": 2.0}
    as_nifti(tmp_path)
    splits = load(tmp_path, slices=how, side=8)
    images, names = data.read_images(tmp_path / "ill" / "0.nii.gz", splits.info, resize=True)
    assert names == ("0.nii.gz/002", "0.nii.gz/004")
    np.testing.assert_array_equal(images, of(splits, "ill/0")[0])
    with pytest.warns(UserWarning, match="1 volume read as 2 coronal slices"):
        data.read_images(tmp_path / "ill" / "0.nii.gz", splits.info, resize=True)


@pytest.mark.parametrize(
    ("modality", "values", "words"),
    [
        ("CT", head(0), "is CT, the images trained on are MR"),
        (
            "MR",
            head(0, np.uint8),
            "has 8 bits .*trained on more .percentiles of the training subjects",
        ),
    ],
)
def test_other_values_than_those_trained_on(tmp_path, trained, modality, values, words):
    make_series(tmp_path / "other", values, modality=modality, spacing=SPACING)
    with pytest.raises(ValueError, match=words):
        data.read_images(tmp_path / "other", trained)


def test_an_mr_of_another_scale_is_said(tmp_path, trained):
    make_series(tmp_path / "other", head(3) * np.int16(20), modality="MR", spacing=SPACING)
    with pytest.warns(UserWarning, match="1 of 1 volumes lie for the most part above"):
        data.read_images(tmp_path / "other", trained)


def test_a_volume_for_a_model_of_volumes(tmp_path):
    splits = load(as_nifti(tmp_path / "trained"), dims=3)
    images, names = data.read_images(tmp_path / "trained" / "ill", splits.info)
    assert images.shape == (5, *SPACE, 1) and names[0] == "0.nii.gz"
    np.testing.assert_array_equal(images[:1], of(splits, "ill/0")[0])
    write_nifti(tmp_path / "thick.nii", head(3), spacing=(5.0, 1.0, 1.0))
    with pytest.raises(
        ValueError, match=r"thick.nii has voxels of 5 x 1 x 1 mm, those trained on 2"
    ):
        data.read_images(tmp_path / "thick.nii", splits.info)
    write_nifti(tmp_path / "large.nii", head(3, space=(5, 16, 8)), spacing=SPACING)
    with pytest.raises(ValueError, match="has 5 x 16 x 8 voxels, the model reads 5 x 8 x 8"):
        data.read_images(tmp_path / "large.nii", splits.info)
    resized, _ = data.read_images(tmp_path / "large.nii", splits.info, resize=True)
    assert resized.shape == (1, *SPACE, 1)
    Image.fromarray(head(0, np.uint8)[0]).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png is a picture, not a volume"):
        data.read_images(tmp_path / "a.png", splits.info)
    (tmp_path / "drawn" / "planes").mkdir(parents=True)
    for name in ("large.nii", "planes/large.png"):
        source = tmp_path / ("large.nii" if name.endswith("nii") else "a.png")
        (tmp_path / "drawn" / name).write_bytes(source.read_bytes())
    with pytest.warns(UserWarning, match=r"1 pictures among 1 volumes .*: planes/large\.png"):
        _, names = data.read_images(tmp_path / "drawn", splits.info, resize=True)
    assert names == ("large.nii",)
    make_object(tmp_path / "one.dcm", head(0)[0], modality="MR")
    with pytest.raises(ValueError, match=r"one\.dcm is a picture, not a volume"):
        data.read_images(tmp_path / "one.dcm", splits.info)


def test_voxels_that_became_cubes_in_training_do_so_afterwards(tmp_path):
    """Also those of a volume that has as many as the model reads: none would tell."""
    as_nifti(tmp_path / "trained")
    write_nifti(
        tmp_path / "trained" / "ill" / "0.nii.gz", head(0, space=(8, 8, 8)), spacing=SPACING
    )
    splits = load(tmp_path / "trained", dims=3, side=8)
    file = tmp_path / "trained" / "ill" / "0.nii.gz"
    assert splits.info.volumes == {"scaled": True}
    again, _ = data.read_images(file, splits.info, resize=True)
    np.testing.assert_array_equal(again, of(splits, "ill/0")[0])
    assert not again[0, :, 0].any() and again[0, :, 4].any()  # 16 x 8 x 8 mm, padded
    with pytest.raises(
        ValueError, match="voxels of 2 x 1 x 1 mm, those trained on are cubes; --res"
    ):
        data.read_images(file, splits.info)
    write_nifti(tmp_path / "cubes.nii", head(0, space=(8, 8, 8)), spacing=(2.0, 2.0, 2.0))
    assert data.read_images(tmp_path / "cubes.nii", splits.info)[0].shape == (1, 8, 8, 8, 1)


def test_voxels_are_brought_to_one_size_before_they_are_cut(tmp_path):
    splits = load(as_nifti(tmp_path), dims=3, spacing=2.0, side=6)
    assert splits.info.spacing == (2.0, 2.0, 2.0) and splits.info.space == (6, 6, 6)
    image = of(splits, "ill/0")[0][0, ..., 0]
    assert not image[5].any() and not image[:, 0].any() and image[3, 3].any()  # 5 x 4 x 4 and a rim
    again, _ = data.read_images(tmp_path / "ill" / "0.nii.gz", splits.info, resize=True)
    np.testing.assert_array_equal(again[0, ..., 0], image)


def test_volumes_of_several_grids(tmp_path):
    as_nifti(tmp_path)
    write_nifti(tmp_path / "ill" / "0.nii.gz", head(0, space=(5, 9, 8)), spacing=SPACING)
    with pytest.raises(
        ValueError, match=r"has 5 x 8 x 8 voxels, those before it 5 x 9 x 8: .*side=64"
    ):
        load(tmp_path, dims=3)
    write_nifti(tmp_path / "ill" / "0.nii.gz", head(0), spacing=(2.0, 1.0, 1.5))
    with pytest.warns(UserWarning, match="another size in each; --config.data.spacing"):
        assert load(tmp_path, dims=3).info.spacing == ()


def test_slices_of_voxels_that_are_no_cubes_keep_their_shape(tmp_path):
    splits = load(as_nifti(tmp_path), slices={"axis": "coronal"}, side=10)
    image = of(splits, "ill/0")[0][0, ..., 0]  # 5 rows of 2 mm, 8 columns of 1 mm: 10 x 8 pixels
    assert image[:, 1:9].any(axis=0).all() and not image[:, [0, 9]].any()


# What is refused, and what is said.


def test_files_of_other_kinds_are_counted_and_an_index_is_not(tmp_path):
    as_series(tmp_path)
    (tmp_path / "ill" / "notes.txt").write_text("x")
    (tmp_path / "ill" / "DICOMDIR").write_bytes(b"x")
    moved = next((tmp_path / "ill" / "0").glob("*.dcm"))
    moved.rename(moved.with_name("1.2.840.10008.77"))  # as archives name them: told by content
    with pytest.warns(UserWarning, match=r"left out 1 \.txt files;"):
        splits = load(tmp_path)
    assert len(of(splits, "ill/0")[0]) == SPACE[0]


def test_two_modalities_in_one_data_set(tmp_path):
    as_series(tmp_path)
    make_series(tmp_path / "ill" / "ct", head(77), modality="CT", series=77, patient="x")
    with pytest.raises(ValueError, match=r"mixes modalities \(.* is MR, .* is CT\).*cohort"):
        load(tmp_path)


def test_a_png_among_scans(tmp_path):
    as_nifti(tmp_path)
    Image.fromarray(head(0, np.uint8)[0]).save(tmp_path / "ill" / "a.png")
    with pytest.raises(ValueError, match=r"a\.png is a plain picture .*no one map brings"):
        load(tmp_path)


def test_a_series_that_lacks_a_slice(tmp_path):
    as_series(tmp_path)
    by_place = [tmp_path / "well" / "2" / f"{i * 7919 % 1009:04d}.dcm" for i in range(SPACE[0])]
    by_place[2].unlink()
    with pytest.raises(
        ValueError, match=rf"a slice is missing .*{by_place[1].name}.*{by_place[3].name}"
    ):
        load(tmp_path, dims=3)
    assert len(of(load(tmp_path), "well/2")[0]) == SPACE[0] - 1  # its files are slices all the same


def test_colour_for_a_model_of_grey(tmp_path):
    for i, name in enumerate(NAMES):
        values = head(i, np.uint8, (8, 8))
        make_object(tmp_path / f"{name}.dcm", values, modality="US", patient=name, series=i)
    info = load(tmp_path).info
    colour = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    path = make_object(tmp_path / "colour.dcm", colour, modality="US")
    with pytest.raises(ValueError, match=r"has 3 channel\(s\), the model reads 1"):
        data.read_images(path, info)


def test_values_that_are_no_numbers_are_refused_by_name(tmp_path):
    as_nifti(tmp_path, suffix=".nii")
    path = tmp_path / "ill" / "4.nii"
    values = head(4).astype(np.float32)
    write_nifti(path, values, spacing=SPACING)
    content = bytearray(path.read_bytes())
    content[-4:] = np.float32(np.nan).tobytes()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"4\.nii holds 1 values that are not finite"):
        load(tmp_path)


def test_localisers_are_left_out(tmp_path):
    as_series(tmp_path)
    make_object(
        tmp_path / "ill" / "scout.dcm", head(50)[0], modality="MR", series=99, patient="PID-0",
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
    )  # fmt: skip
    with pytest.warns(UserWarning, match=r"1 localisers .*scout\.dcm for one"):
        splits = load(tmp_path)
    assert sum(len(splits[s]) for s in ("train", "val", "test")) == 10 * SPACE[0]


def test_blank_slices_are_no_copies_but_a_volume_twice_is(tmp_path):
    as_nifti(tmp_path)
    for i, name in enumerate(NAMES):
        values = head(i)
        values[0] = 0
        write_nifti(tmp_path / f"{name}.nii.gz", values, spacing=SPACING)
    splits = load(tmp_path)
    assert not of(splits, "ill/0")[0][0].any()
    test, train = (splits[s].truth["volume"][0] for s in ("test", "train"))
    (tmp_path / train).write_bytes((tmp_path / test).read_bytes())
    with pytest.raises(ValueError, match="equal pictures in two splits: 4 "):
        load(tmp_path)


def test_a_run_is_of_its_map_and_of_its_slices(tmp_path):
    info = load(as_nifti(tmp_path)).info
    other = dataclasses.replace(info, intensities={"image": Intensity("percentiles", 1.0, 2.0)})
    with pytest.raises(
        ValueError, match="grey values by percentiles of the training subjects, 1 to 2"
    ):
        data.check_same(other, info)
    with pytest.raises(ValueError, match=r"volumes were read by .*coronal"):
        data.check_same(load(tmp_path, slices={"axis": "coronal"}, side=8).info, info)


def test_plain_pictures_are_what_they_were(tmp_path):
    """No header is opened, no fact is added."""
    from tests.data.sources.test_files import fill

    splits = load(fill(tmp_path))
    assert splits.train.truth is None and splits.train.groups is None
    assert not {"intensities", "volumes", "space", "spacing"} & set(splits.info.to_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.read_images(tmp_path, splits.info)


def test_labelled_volumes_from_elsewhere(tmp_path, trained):
    from msflow_jax.data import read_labelled

    as_series(tmp_path / "other")
    found = read_labelled(tmp_path / "other", trained)
    assert found.labels.tolist() == [0] * 25 + [1] * 25 and len(set(found.groups)) == 10
    assert set(found.truth) == {"volume", "slice"}
    table = write_csv(
        tmp_path / "other" / "list.csv", "path,label,scanner", "ill/0,ill,A", "well/3,well,B"
    )
    listed = read_labelled(table, trained)
    assert listed.labels.tolist() == [0] * 5 + [1] * 5
    assert listed.truth["scanner"].tolist() == ["A"] * 5 + ["B"] * 5
    assert listed.truth["slice"].tolist() == [*range(5)] * 2


def test_an_archive_of_volumes_is_read_as_training_was(tmp_path):
    """One of twice the side is averaged, as MedMNIST's are: voxel by voxel."""
    volumes = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "v.npz", test_images=volumes)
    info = data.Info(
        "x", ("a", "b"), 1, 4, "binary-class", "", "", "", (), fit="pad", space=(4, 4, 4)
    )
    with pytest.raises(ValueError, match="has 8 x 8 x 8 voxels, the model reads 4 x 4 x 4"):
        data.read_images(f"{tmp_path / 'v.npz'}:test", info)
    read, names = data.read_images(f"{tmp_path / 'v.npz'}:test", info, resize=True)
    cubes = volumes.reshape(3, 4, 2, 4, 2, 4, 2).mean(axis=(2, 4, 6))
    np.testing.assert_array_equal(read[..., 0], np.rint(cubes).astype(np.uint8))
    assert names[0] == "test/00000"
    flat = data.Info("x", ("a", "b"), 1, 8, "binary-class", "", "", "", ())
    with pytest.raises(ValueError, match=r"expected numbers \[N, S, S\], .* reads pictures"):
        data.read_images(f"{tmp_path / 'v.npz'}:test", flat)


def test_notes_that_differ_in_names_alone_are_one_line():
    notes = Notes()
    said = ("{} has 2 windows", "{} and 9 more has 2 windows", "{}: its axes lie 41 degrees off")
    for i, text in enumerate([*said, said[2]]):
        file = Path(f"/data/series{i}/{i}.dcm")
        picture = Picture(np.zeros((2, 2, 1)), notes=(text.format(file),))
        notes.look(picture, file.parent if i == 1 else file, f"v{i}")
    with pytest.warns(UserWarning) as caught:
        notes.warn()
    assert [str(w.message) for w in caught] == [
        "/data/series0/0.dcm has 2 windows (and 1 more alike)",
        "/data/series2/2.dcm: its axes lie 41 degrees off (and 1 more alike)",
    ]
