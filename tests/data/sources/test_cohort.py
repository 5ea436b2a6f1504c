"""Cohorts from a table: several modalities, some missing, whole or as slices."""

import dataclasses
import json
import pickle
import warnings

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.identity import split_table
from msflow_jax.data.slices import neighbours
from msflow_jax.data.sources import cohort_reading
from msflow_jax.data.sources.nifti import read_nifti
from msflow_jax.data.streaming import Stream
from tests.data.sources.cohorts import COUNT, SPACE, cohort, load, save, table, volume

NAMES = ("train", "val", "test")


def test_what_a_list_was_taken_for_is_said_once(tmp_path, capsys):
    """By training: its evaluation is of data that are checked to be the same."""
    config = data.default_config("cohort")
    config.root, config.dims = str(table(tmp_path, cohort(tmp_path))), 3
    for told, lines in ((False, 1), (True, 0)):
        data.load(config, told=told)
        assert capsys.readouterr().err.count("examinations (") == lines


def number(name):
    """The row of an example, by its file."""
    return int(name.partition(".")[0].partition("_")[2])


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


def test_subjects_stay_together_and_the_cut_knows_no_salt(tmp_path, monkeypatch):
    """Without a column the headers say who is who; their hashes differ on every machine."""
    root = table(tmp_path, cohort(tmp_path, subject=None, ct=None, xray=None))
    found = []
    for salt in ("a", "b"):
        monkeypatch.setattr(
            cohort_reading,
            "read_picture",
            lambda path, s=salt: headed(path, s, number(path.name) // 2),
        )
        splits = load(root)
        found.append([splits[name].names for name in NAMES])
        pairs = [{number(n) // 2 for n in splits[name].names} for name in NAMES]
        assert sum(map(len, pairs)) == len(set.union(*pairs)) == COUNT // 2
        assert set(splits.train.groups) <= {f"t1_{2 * p}.nii.gz" for p in range(COUNT // 2)}
    assert found[0] == found[1]


def headed(path, salt, who):
    """A volume whose header names a patient."""
    return dataclasses.replace(read_nifti(path), group=f"{salt}{hash((salt, who)):x}")


@pytest.mark.parametrize(
    ("who", "words"),
    [
        (lambda i: 0, "line 2 and .*line 4: .*show one patient, but are of two subjects"),
        (lambda i: i, "line 2 and .*line 3: .*show two patients, but are of one subject"),
    ],
)
def test_headers_that_contradict_the_subjects(tmp_path, monkeypatch, who, words):
    root = table(tmp_path, cohort(tmp_path, ct=None, xray=None))
    monkeypatch.setattr(
        cohort_reading, "read_picture", lambda path: headed(path, "", who(number(path.name)))
    )
    with pytest.raises(ValueError, match=words) as error:
        load(root)
    assert "P0" not in str(error.value)  # who it is


def test_files_of_two_patients_in_one_row(tmp_path, monkeypatch):
    root = table(tmp_path, cohort(tmp_path, xray=None))
    monkeypatch.setattr(cohort_reading, "read_picture", lambda path: headed(path, "", path.name))
    with pytest.raises(
        ValueError, match="line 3: .*t1_1.nii.gz and .*ct_1.nii.gz are of two patients"
    ):
        load(root)


def test_nothing_that_is_written_names_a_subject(tmp_path):
    """Files that are called by their subjects are called by their row; reports stay in memory."""
    rows = cohort(tmp_path, ct=None, xray=None)
    for i, row in enumerate(rows):
        row |= {"subject": f"Doe{i}", "report": f"Mr Doe{i} is well.\nNo lesion."}
        (tmp_path / f"doe{i}").mkdir()
        row["t1w"] = f"doe{i}/" + save(tmp_path / f"doe{i}" / "a.nii.gz", volume(i))
    (tmp_path / "r.txt").write_text("From a file.\n")
    rows[0]["report"] = "r.txt"
    splits = load(table(tmp_path, rows))
    known = {
        name: report
        for split in (splits[name] for name in NAMES)
        for name, report in zip(split.names, split.truth["report"], strict=True)
    }
    assert known["row00002"] == "From a file."
    assert sorted(known.values())[-1].endswith("No lesion.") and len(known) == COUNT
    written = json.dumps([split_table(splits), splits.info.to_dict()])
    assert "doe" not in written.lower() and "lesion" not in written
    assert "Doe3" in {g for name in NAMES for g in splits[name].groups}


def bad(rows, folder):
    """Rows that are wrong in one thing, by what it is."""
    other = folder.parent / "elsewhere.nii.gz"
    save(other, volume(0))
    save(folder / "wide.nii.gz", volume(1, (5, 8, 9)))
    save(folder / "deep.nii.gz", volume(1, dtype=np.int16))
    (folder / "cut.nii.gz").write_bytes((folder / "t1_3.nii.gz").read_bytes()[:60])
    last = {"subject": "P9"}
    return {
        "absent": [*rows, {**last, "t1w": "gone.nii.gz", "label": "grade0"}],
        "outside": [*rows, {**last, "t1w": f"../{other.name}", "label": "grade0"}],
        "twice": [*rows, {**last, "t1w": "t1_0.nii.gz", "label": "grade0"}],
        "nobody": [*rows, {"t1w": "wide.nii.gz", "label": "grade0"}],
        "grids": [{**rows[0], "ct": "wide.nii.gz"}, *rows[1:]],
        "shapes": [{**rows[0], "t1w": "wide.nii.gz"}, *rows[1:]],
        "bits": [{**rows[0], "t1w": "deep.nii.gz"}, *rows[1:]],
        "broken": [{**rows[0], "t1w": "cut.nii.gz"}, *rows[1:]],
        "unlabelled": [{**row, "label": ""} for row in rows],
        "no files": [{"age": row["age"], "label": row["label"]} for row in rows],
        "taken": [{**row, "slice": "3"} for row in rows],
        "both": [{**row, "patient": "x"} for row in rows],
        "split": [{**row, "split": "dev"} for row in rows],
        "parted": [{**row, "split": "test" if i == 7 else "train"} for i, row in enumerate(rows)],
    }


@pytest.mark.parametrize(
    ("what", "settings", "error", "words"),
    [
        ("absent", {}, FileNotFoundError, "line 14, column 't1w': no file .*gone.nii.gz .*empty cell"),
        ("outside", {}, ValueError, "line 14, column 't1w': .* lies outside .*data.outside=True"),
        ("twice", {}, ValueError, "line 14, column 't1w': .*t1_0.nii.gz is listed before, .*line 2"),
        ("nobody", {}, ValueError, "line 14: no subject"),
        ("grids", {}, ValueError, "t1_0.nii.gz and .*wide.nii.gz are not on one grid: 5 x 8 x 8 and"),
        ("shapes", {"modality": "t1w"}, ValueError, "has 5 x 8 x 8 voxels, .*5 x 8 x 9.*data.side=64"),
        ("bits", {"modality": "t1w"}, ValueError, "t1w: .* has 8 bits .*deep.nii.gz more .int16"),
        ("broken", {"modality": "t1w"}, ValueError, "cut.nii.gz"),
        ("unlabelled", {}, ValueError, "no examination has a label"),
        ("no files", {}, ValueError, "no column holds files that are there"),
        ("taken", {}, ValueError, "a column cannot be called 'slice'"),
        ("both", {}, ValueError, "columns subject and patient both say the subject"),
        ("split", {}, ValueError, "line 2, 3, 4 and 9 more: split 'dev' is not one of"),
        ("parted", {}, ValueError, "line 8 is in train and .*line 9 in test, but both are of one subj"),
    ],
)  # fmt: skip
def test_wrong_tables(tmp_path, what, settings, error, words):
    folder = tmp_path / "cohort"
    folder.mkdir()
    root = table(folder, bad(cohort(folder), folder)[what])
    with pytest.raises(error, match=words):
        load(root, **settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"modality": "mr"}, "has no such modality; it has t1w, ct, xray"),
        (
            {"modality": "age"},
            "no such modality, but a column of facts, most of whose cells are no files",
        ),
        (
            {"modality": "xray"},
            "x_1.png is a picture, not a volume, as all of xray are: set --config.data.dims=2",
        ),
        ({"slices": {"first": 0.6, "last": 0.5}, "dims": 2}, "slices from 0.6 to 0.5"),
    ],
)
def test_wrong_settings(tmp_path, settings, words):
    with pytest.raises(ValueError, match=words):
        load(table(tmp_path, cohort(tmp_path)), **settings)


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
