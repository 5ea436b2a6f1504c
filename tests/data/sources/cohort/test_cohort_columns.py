"""What a column of a cohort's table is taken for, and what is said where that may be wrong."""

import warnings

import pytest

from tests.data.sources.cohort.cohorts import COUNT, cohort, load, save, table, volume

MOVED = {"subject": None, "ct": None, "xray": None}


def folders(root, column="ct", count=COUNT, absent=(), **columns):
    """A cohort of one modality whose cells name files without an ending, ``absent`` ones not there."""
    rows = cohort(root, count, **{**MOVED, "t1w": None, **columns})
    for i, row in enumerate(rows):
        row[column] = f"s{i}"
        (root / f"t1_{i}.nii.gz").unlink()
        if i not in absent:
            save(root / "x.nii", volume(i))
            (root / "x.nii").rename(root / f"s{i}")
    return rows


def test_most_cells_make_a_modality_and_the_others_are_named(tmp_path):
    rows = folders(tmp_path, absent=(3, 5, 7, 8, 9))
    words = "line 5, column 'ct': no file .*s3 .*empty cell.; absent too: s5, s7, s8 and 1 more"
    for settings in ({}, {"modality": "ct"}):
        with pytest.raises(FileNotFoundError, match=words):
            load(table(tmp_path, rows), **settings)


def test_a_few_cells_do_not_but_they_are_told(tmp_path):
    rows = folders(tmp_path, absent=range(2, COUNT))
    for i, row in enumerate(rows):
        row["t1w"] = save(tmp_path / f"a{i}.nii.gz", volume(i))
    words = "column 'ct' is taken for a fact, since 10 of its 12 cells .*s2, s3, s4 and 7 more"
    with pytest.warns(UserWarning, match=words):
        splits = load(table(tmp_path, rows))
    assert "ct" in splits.train.truth


def test_facts_alone_are_not_remarked_on(tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load(table(tmp_path, cohort(tmp_path, site=lambda i: f"site {i}")))
    assert not any("taken for a fact" in str(warning.message) for warning in caught)


def test_columns_of_persons_and_labels_of_two_spellings_are_named(tmp_path):
    rows = cohort(tmp_path, **MOVED, id=lambda i: f"h{i // 2}", visit=lambda i: f"v{i % 4}")
    for i, row in enumerate(rows):
        row["label"] = ("healthy", "tumor", "tumour")[i // 4]
    with pytest.warns(UserWarning) as caught:
        load(table(tmp_path, rows))
    said = " ".join(str(warning.message) for warning in caught)
    assert "the column 'id' is taken for a fact (6 values in 12 rows)" in said
    assert "'tumor' and 'tumour' are taken as two classes" in said and "'visit'" not in said


@pytest.mark.parametrize("subject", [None, lambda i: f"h{i // 2}"])
def test_names_that_seem_to_say_whom_images_show_are_told(tmp_path, subject):
    rows = cohort(tmp_path, **{**MOVED, "subject": subject})
    for i, row in enumerate(rows):
        row["t1w"] = save(tmp_path / f"P{i // 2}_{i % 2}.nii.gz", volume(i))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load(table(tmp_path, rows))
    said = [str(one.message) for one in caught if "whom images show" in str(one.message)]
    assert len(said) == (subject is None)
    assert all("P0_0.nii.gz and P0_1.nii.gz" in s and "add a column subject" in s for s in said)


@pytest.mark.parametrize("end", [".png", ".nii.gz", ".dcm"])
def test_old_names_of_files_are_told_from_wrong_paths(tmp_path, end):
    rows = cohort(tmp_path, ct=None, xray=None, original=lambda i: f"old{i}{end}")
    words = (
        "column 'original': no file .*none of the 12 cells .*end as files of images do: .*remove"
    )
    with pytest.raises(FileNotFoundError, match=words):
        load(table(tmp_path, rows))


def test_paths_of_windows_are_told(tmp_path):
    rows = cohort(tmp_path, ct=None, xray=None)
    for row in rows:
        row["t1w"] = ".\\" + row["t1w"]
    with pytest.raises(
        FileNotFoundError, match="line 2, column 't1w': no file .*write / instead of"
    ):
        load(table(tmp_path, rows))
    (tmp_path / "flat").mkdir()
    rows = folders(tmp_path / "flat")
    for row in rows:
        row["ct"] = "flat\\" + row["ct"]
    with pytest.raises(ValueError, match=r"no column holds files.*; write / instead of \\"):
        load(table(tmp_path, rows))
    for i, row in enumerate(rows):
        row["t1w"] = save(tmp_path / f"a{i}.nii.gz", volume(i))
    with pytest.warns(UserWarning, match=r"'ct' is taken for a fact.*write / instead of"):
        load(table(tmp_path, rows))


@pytest.mark.parametrize(("sign", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_cells_that_another_sign_parts(tmp_path, sign, name):
    path = table(tmp_path, cohort(tmp_path, ct=None, xray=None))
    path.write_text(path.read_text().replace(",", sign))
    with pytest.raises(ValueError, match=f"cells are parted by {name}: save it with commas"):
        load(path)


def test_a_table_of_tabs_is_read_by_its_suffix(tmp_path):
    rows = cohort(tmp_path, report=lambda i: f"a, b {i}")
    plain = load(table(tmp_path, rows))
    path = table(tmp_path, rows)
    tabs = tmp_path / "table.tsv"
    tabs.write_text(path.read_text().replace('","', '"\t"').replace(",label,", "\tlabel\t"))
    text = path.read_text().splitlines()
    cells = [
        line.replace('","', '"\t"').replace(",,", "\t\t").replace(',"', '\t"') for line in text
    ]
    tabs.write_text("\n".join([text[0].replace(",", "\t"), *cells[1:]]).replace('",', '"\t') + "\n")
    found = load(tabs)
    assert found.test.names == plain.test.names and found.info.modalities == plain.info.modalities
    assert found.test.truth["report"].tolist() == plain.test.truth["report"].tolist()


def test_the_table_of_a_folder_in_the_bids_layout(tmp_path):
    path = tmp_path / "participants.tsv"
    path.write_text("participant_id\tlabel\nsub-01\ta\n")
    with pytest.raises(ValueError, match=f"BIDS layout give the folder, {tmp_path}"):
        load(path)


@pytest.mark.parametrize("name", ["class", "Diagnosis", "labels"])
def test_a_label_by_another_name(tmp_path, name):
    rows = cohort(tmp_path, ct=None, xray=None)
    for row in rows:
        row[name] = row.pop("label")
    with pytest.raises(
        ValueError, match=f"no examination has a label.*is '{name}' the label. Rename"
    ):
        load(table(tmp_path, rows))


@pytest.mark.parametrize("settings", [{"dims": 3, "modality": "t1w"}, {"dims": 2}, {"dims": 3}])
def test_a_picture_among_volumes_is_told_from_them(tmp_path, settings):
    rows = cohort(tmp_path, ct=None)
    rows[4]["t1w"] = save(tmp_path / "flat.png", volume(77, (8, 8)))
    words = "t1w: 1 of 12 are pictures .*flat.png for one.*volumes .*t1_0.nii.gz of 5 slices"
    with pytest.raises(ValueError, match=f"{words}.*complete, or clear its cell"):
        load(table(tmp_path, rows), **settings)


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("label", [lambda i: f"L{i}", lambda i: f"{50 + 1.3 * i:.1f}"])
def test_a_label_that_is_no_class(tmp_path, split, label):
    given = {"split": lambda i: ("train", "val", "test")[i % 3]} if split else {}
    rows = cohort(tmp_path, ct=None, xray=None, subject=None, label=label, **given)
    with pytest.raises(ValueError, match="column label has 12 values for 12 rows: is it the class"):
        load(table(tmp_path, rows))


def test_label_and_subject_exchanged(tmp_path):
    rows = cohort(
        tmp_path, ct=None, xray=None, subject=lambda i: "ab"[i % 2], label=lambda i: f"P{i}"
    )
    words = (
        "table.csv: 2 images .*label has 12 values.*label and subject exchanged, which has 2 val"
    )
    with pytest.raises(ValueError, match=words):
        load(table(tmp_path, rows))
