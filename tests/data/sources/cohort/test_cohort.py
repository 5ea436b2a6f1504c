"""Cohorts from a table: several modalities, some missing, whole or as slices."""

import json
import pickle
import warnings

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.slices import neighbours
from msflow_jax.data.streaming import Stream
from tests.data.sources.cohort.cohorts import (
    COUNT,
    NAMES,
    SPACE,
    cohort,
    load,
    number,
    save,
    table,
    volume,
)


def test_what_a_list_was_taken_for_is_said_once(tmp_path, capsys):
    """By training: its evaluation is of data that are checked to be the same."""
    config = data.default_config("cohort")
    config.root, config.dims = str(table(tmp_path, cohort(tmp_path))), 3
    for told, lines in ((False, 1), (True, 0)):
        data.load(config, told=told)
        assert capsys.readouterr().err.count("examinations (") == lines


def test_modalities_by_name_with_what_is_missing(tmp_path):
    splits = load(table(tmp_path, cohort(tmp_path)))
    info = splits.info
    assert list(info.modalities) == ["t1w", "ct", "xray", "label"]
    assert info.modalities["ct"].shape == (*SPACE, 1) and info.modalities["xray"].shape == (8, 8, 1)
    assert (
        info.sides == SPACE and info.spacing == (3, 1, 1) and info.classes == ("grade0", "grade1")
    )
    assert info.intensity("ct").describe() == "window, -1024 to 1024 HU"
    assert info.intensity("t1w").kind == info.intensity("xray").kind == "full"
    assert data.Info.from_dict(json.loads(json.dumps(info.to_dict()))) == info
    for split in (splits[name] for name in NAMES):
        for at, name in enumerate(split.names):
            i = number(name)
            assert split.labels[at] == i % 2 and split.truth["age"][at] == str(40 + i)
            assert (split.arrays["t1w"][at, ..., 0] == volume(i)).all()
            has = {n: split.present.get(n, np.ones(len(split), bool))[at] for n in split.arrays}
            assert (has["ct"], has["xray"]) == (i % 3 > 0, i % 2 > 0)
            found = info.intensity("ct").to_values(split.arrays["ct"][at, ..., 0])
            stored = volume(100 + i, dtype=np.int16, low=-1024, high=1500).clip(-1024, 1024)
            if has["ct"]:
                assert np.abs(found - stored).max() <= 1024 / 255 + 1e-3
            else:
                assert not split.arrays["ct"][at].any()
            if has["xray"]:
                assert (split.arrays["xray"][at, ..., 0] == volume(200 + i, (8, 8))).all()


def test_one_modality_is_the_image(tmp_path):
    root = table(tmp_path, cohort(tmp_path))
    with pytest.warns(
        UserWarning, match=r"4 have no ct \(row00002, row00005, row00008 and 1 more\)"
    ):
        splits = load(root, modality="ct")
    assert sum(len(splits[name]) for name in NAMES) == 8
    assert splits.train.images.shape[1:] == splits.info.shape == (*SPACE, 1)
    assert splits.info.intensity().unit == "HU" and set(splits.info.modalities) == {
        "image",
        "label",
    }
    assert all(name.startswith("ct_") for name in splits.train.names)
    alone = load(table(tmp_path, cohort(tmp_path, ct=None, xray=None)))
    assert alone.train.images.shape[1:] == (*SPACE, 1) and alone.info.intensities == {}


def test_a_model_of_one_image_says_what_to_choose(tmp_path):
    train = load(table(tmp_path, cohort(tmp_path))).train
    for take in (lambda: train.images, lambda: Stream(train)):
        with pytest.raises(ValueError, match="no '?image'?; it has t1w, ct, .*data.modality=NAME"):
            take()


def test_slices_of_all_modalities_are_at_the_same_places(tmp_path):
    root = table(tmp_path, cohort(tmp_path))
    splits = load(root, dims=2, slices={"first": 0.25, "last": 0.75})
    train = splits.train
    assert splits.info.sides == (8, 8) and splits.info.volumes["slices"]["first"] == 0.25
    assert set(train.truth["slice"].tolist()) == {1, 2, 3}
    for at, name in enumerate(train.names):
        i, k = number(name), int(train.truth["slice"][at])
        assert name == f"t1_{i}.nii.gz/00{k}" and train.truth["volume"][at] == f"t1_{i}.nii.gz"
        assert (train.arrays["t1w"][at, ..., 0] == volume(i)[k]).all()
        if i % 3:
            hu = volume(100 + i, dtype=np.int16, low=-1024, high=1500)[k]
            assert (train.arrays["ct"][at, ..., 0] == splits.info.intensity("ct").to_grey(hu)).all()
        if i % 2:  # one X-ray for all of them
            assert (train.arrays["xray"][at, ..., 0] == volume(200 + i, (8, 8))).all()
    middle = train.names.index(f"t1_{number(train.names[0])}.nii.gz/002")
    near = [train.names[i] for i in neighbours(train, middle, 1)]
    assert near == [train.names[middle][:-1] + "1", train.names[middle][:-1] + "3"]
    assert len(neighbours(train, middle, 9, nearest=2)) == 0
    sparse = load(root, dims=2, slices={"spacing": 6.0}).train
    assert set(sparse.truth["slice"].tolist()) == {0, 2, 4}


@pytest.mark.parametrize("axis", ["coronal", "sagittal"])
def test_other_slices_have_the_head_above(tmp_path, axis):
    rows = cohort(tmp_path, ct=None, xray=None)
    for i in range(COUNT):
        save(tmp_path / f"t1_{i}.nii.gz", volume(i, (8, 8, 8)))
    train = load(table(tmp_path, rows), dims=2, slices={"axis": axis}).train
    whole = volume(number(train.names[0]), (8, 8, 8))
    expected = whole[::-1, 0] if axis == "coronal" else whole[::-1, :, 0]
    assert (train.images[0, ..., 0] == expected).all()


def test_blank_slices_are_no_copies(tmp_path):
    rows = cohort(tmp_path, ct=None, xray=None)
    for i in range(COUNT):
        values = volume(i)
        values[0] = 0
        save(tmp_path / f"t1_{i}.nii.gz", values)
    load(table(tmp_path, rows), dims=2)


def test_copies_of_one_modality_are_refused(tmp_path):
    rows = cohort(tmp_path, subject=lambda i: f"P{i}", xray=None, ct=None)
    for row in rows[:6]:
        row["split"] = "train"
    for row in rows[6:]:
        row["split"] = "test"
    save(tmp_path / "t1_7.nii.gz", volume(2))
    root = table(tmp_path, rows)
    with pytest.raises(ValueError, match=r"t1w: equal pictures in two splits: 1 \(t1_2.*t1_7"):
        load(root)
    with pytest.warns(UserWarning, match="equal pictures in two splits"):
        load(root, duplicates="keep")


def test_read_while_training_it_is_the_same(tmp_path):
    root = table(tmp_path, cohort(tmp_path))
    for settings in ({"modality": "ct"}, {"modality": "t1w", "dims": 2, "side": 6}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of slices that are read one by one
            whole, lazy = (load(root, loader=loader, **settings) for loader in ("device", "grain"))
        assert isinstance(lazy.train, data.LazySplit) and lazy.info == whole.info
        reader = pickle.loads(pickle.dumps(lazy.train))
        assert (reader.rows("image", np.arange(len(reader))) == whole.train.images).all()
        assert reader.names == whole.train.names and set(reader.truth) == set(whole.train.truth)
    with pytest.raises(ValueError, match="loader=grain reads one modality .*t1w, ct, xray"):
        load(root, loader="grain")


def test_percentiles_are_those_of_the_training_subjects(tmp_path):
    def rows(brightest):
        found = cohort(tmp_path, 20, ct=None, xray=None)
        for i, row in enumerate(found):
            row["split"] = "test" if i >= 16 else "train"
            high = brightest if i >= 16 else 4000
            save(tmp_path / f"t1_{i}.nii.gz", volume(i, dtype=np.int16, high=high))
        return table(tmp_path, found)

    first, second = (load(rows(high)).info.intensity() for high in (4000, 30000))
    assert first == second and first.kind == "percentiles"
    assert 0 <= first.low < 100 and 3900 < first.high <= 4000


def test_volumes_on_other_grids_are_brought_onto_the_first_ones(tmp_path):
    rows = cohort(tmp_path, xray=None)
    shifted = volume(4, (6, 8, 8), np.int16, -1024, 1500)
    rows[4]["ct"] = save(tmp_path / "other.nii.gz", shifted, spacing=(3, 1, 1))
    root = table(tmp_path, rows)
    with pytest.raises(ValueError, match=r"not on one grid.*data.resample=True"):
        load(root)
    splits = load(root, resample=True)
    (found,) = [
        split.arrays["ct"][split.names.index("t1_4.nii.gz")]
        for split in (splits[name] for name in NAMES)
        if "t1_4.nii.gz" in split.names
    ]
    between = (shifted[:-1].astype(float) + shifted[1:]) / 2  # half a slice lower
    expected = splits.info.intensity("ct").to_grey(np.rint(between).astype(np.int16))
    assert np.abs(found[..., 0].astype(int) - expected).max() <= 1


def test_what_may_be_no_hounsfield_units_is_said(tmp_path):
    rows = cohort(tmp_path, ct=None, xray=None)
    for i, row in enumerate(rows):
        row["ct"] = save(tmp_path / f"c{i}.nii.gz", volume(i, dtype=np.int16, high=4000))
    with pytest.warns(UserWarning, match="ct: 12 of 12 images hold no air .*are they Hounsfield"):
        load(table(tmp_path, rows), modality="ct")


def test_a_cube_of_the_requested_side(tmp_path):
    splits = load(table(tmp_path, cohort(tmp_path)), side=4, channels=3)
    assert splits.train.arrays["t1w"].shape[1:] == (4, 4, 4, 3)
    assert splits.train.arrays["xray"].shape[1:] == (4, 4, 3)
    assert splits.info.spacing == (3.75, 3.75, 3.75) and splits.info.channels == 3


def test_voxels_of_a_size_in_mm_are_cut_not_scaled(tmp_path):
    root = table(tmp_path, cohort(tmp_path, ct=None, xray=None))
    splits = load(root, spacing=1.0, side=6)
    assert splits.train.images.shape[1:] == (6, 6, 6, 1) and splits.info.spacing == (1, 1, 1)
    assert splits.info.volumes == {"spacing": 1.0}
    whole = load(root, spacing=1.0).train.images
    assert whole.shape[1:] == (15, 8, 8, 1)  # of 5 slices 3 mm apart
    assert (splits.train.images == whole[:, 4:10, 1:7, 1:7]).all()


def test_one_volume_of_a_file_of_several(tmp_path):
    import nibabel

    rows = cohort(tmp_path, ct=None, xray=None)
    several = np.stack([volume(70).T, volume(71).T], axis=-1)
    nibabel.Nifti1Image(several, np.diag([-1.0, -1, 1, 1])).to_filename(tmp_path / "four.nii")
    rows[0]["t1w"] = "four.nii#1"
    splits = load(table(tmp_path, rows))
    found = {n: a for s in NAMES for n, a in zip(splits[s].names, splits[s].images, strict=True)}
    assert (found["four.nii#1"][..., 0] == volume(71)).all()
    rows[0]["t1w"] = "four.nii#2"
    with pytest.raises(ValueError, match="four.nii"):
        load(table(tmp_path, rows))
