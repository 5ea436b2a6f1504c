"""Volumes and series of a user's own, by every source: as slices and whole."""

import json
from pathlib import Path

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.sources.listings.folders import list_folder
from tests.data.sources.dicom.dicom_objects import make_object, make_series
from tests.data.sources.listings.test_files import load, write_csv
from tests.data.sources.volumes.head_files import (
    NAMES,
    SPACE,
    SPACING,
    as_nifti,
    as_series,
    head,
    of,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*(volumes? read as|has one training image)")


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
    from msflow_jax.data.sources.packs.packing import Settings, pack

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
