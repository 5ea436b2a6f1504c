"""Cohorts in the BIDS layout."""

import pytest

from tests.data.sources.cohort.cohorts import load, save, volume

NAMES = ("train", "val", "test")


def dataset(folder, subjects=10, columns=("label", "sex")):
    """T1w of all subjects, FLAIR of every other one; the second has two sessions."""
    lines = ["\t".join(("participant_id", *columns))]
    for i in range(subjects):
        subject = folder / f"sub-{i:02d}"
        for session in ("ses-1", "ses-2") if i == 1 else ("",):
            name = "_".join(filter(None, (subject.name, session)))
            anat = subject / session / "anat"
            save(anat / f"{name}_T1w.nii.gz", volume(2 * i + (session == "ses-2")))
            if i % 2 == 0:
                save(anat / f"{name}_FLAIR.nii", volume(100 + i))
        values = {"label": f"c{i % 2}", "sex": "n/a" if i == 3 else "F", "split": "train"}
        lines.append("\t".join((subject.name, *(values[c] for c in columns))))
    (folder / "participants.tsv").write_text("\n".join(lines) + "\n")
    return folder


def every(splits, name):
    return {
        n: value
        for split in (splits[one] for one in NAMES)
        for n, value in zip(split.names, split.truth[name], strict=True)
    }


def test_a_folder_in_the_layout(tmp_path):
    save(dataset(tmp_path) / "derivatives" / "sub-00" / "anat" / "sub-00_T1w.nii", volume(500))
    splits = load(tmp_path)
    assert list(splits.info.modalities) == ["t1w", "flair", "label"]
    sex = every(splits, "sex")
    assert len(sex) == 11 and sex["sub-03/anat/sub-03_T1w.nii.gz"] == ""
    assert {f"sub-01/ses-{k}/anat/sub-01_ses-{k}_T1w.nii.gz" for k in (1, 2)} < set(sex)
    groups = [set(splits[name].groups) for name in NAMES]
    assert sum(map(len, groups)) == 10 and "sub-01" in set.union(*groups)
    for split in (splits[name] for name in NAMES):
        for at, name in enumerate(split.names):
            i = int(name[4:6])
            assert split.labels[at] == i % 2
            assert (split.arrays["t1w"][at, ..., 0] == volume(2 * i + ("ses-2" in name))).all()
            assert split.arrays["flair"][at].any() == (i % 2 == 0)


def test_what_is_not_taken_is_said(tmp_path):
    anat = dataset(tmp_path) / "sub-04" / "anat"
    for name in ("acq-fast_T1w", "run-02_T1w", "run-01_FLAIR", "T1map"):
        save(anat / f"sub-04_{name}.nii.gz", volume(600))
    with (tmp_path / "participants.tsv").open("a") as file:
        file.write("sub-77\tc0\tM\n")
    words = (
        r"2 modalities have several images, .*sub-04_FLAIR.nii of 2.*; left out 1 images called _T1map; "
        r"participants.tsv names 1 that have no folder \(the first: sub-77\)"
    )
    with pytest.warns(UserWarning, match=words):
        splits = load(tmp_path, modality="t1w")
    assert "sub-04/anat/sub-04_T1w.nii.gz" in every(splits, "sex")


def test_subjects_without_a_label_are_left_out(tmp_path):
    path = dataset(tmp_path, 12) / "participants.tsv"
    path.write_text("".join(line for line in path.open() if not line.startswith("sub-05")))
    with pytest.warns(
        UserWarning, match=r"of 13 examinations 1 are left out: 1 have no label \(sub-05\)"
    ):
        load(tmp_path)


def test_wrong_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="no sub-.*T1w.nii.gz"):
        load(tmp_path)
    dataset(tmp_path, columns=("sex",))
    with pytest.raises(ValueError, match="no examination has a label.*participants.tsv"):
        load(tmp_path)
    dataset(tmp_path, columns=("label", "split"))
    with pytest.raises(ValueError, match="no image in the split test"):
        load(tmp_path)
    (tmp_path / "participants.tsv").write_text("participant_id\tlabel\nsub-01\ta\n01\tb\n")
    with pytest.raises(ValueError, match="participants.tsv, line 3: sub-01 has a line before"):
        load(tmp_path)


def test_a_link_to_a_file_that_was_not_fetched(tmp_path):
    (dataset(tmp_path) / "sub-02" / "anat" / "sub-02_T2w.nii.gz").symlink_to(
        tmp_path / ".git" / "x"
    )
    with pytest.raises(
        FileNotFoundError, match="sub-02_T2w.nii.gz is a link that leads nowhere: fetch"
    ):
        load(tmp_path)


@pytest.mark.parametrize("subject", [1, 3])
def test_images_beside_sessions_are_an_examination_too(tmp_path, subject):
    """The second has two sessions, the fourth has none yet."""
    name = f"sub-{subject:02d}"
    dataset(tmp_path)
    before = {f"{name}/anat/{name}_T1w.nii.gz"} if subject == 3 else set()
    save(tmp_path / name / "anat" / f"{name}_T1w.nii.gz", volume(701))
    save(tmp_path / name / "ses-9" / "anat" / f"{name}_ses-9_T1w.nii.gz", volume(702))
    found = {n for n in every(load(tmp_path), "sex") if n.startswith(name)}
    assert len(found) == (4 if subject == 1 else 2)
    assert {f"{name}/anat/{name}_T1w.nii.gz", f"{name}/ses-9/anat/{name}_ses-9_T1w.nii.gz"} <= found
    assert before <= found


def sessions(folder, *lines, subject="sub-01"):
    path = folder / subject / f"{subject}_sessions.tsv"
    path.write_text("\n".join(lines).replace(" ", "\t") + "\n")


def labels(splits, start):
    """The class of each examination of a subject, by its folder."""
    return {
        n.partition("/anat")[0]: splits.info.classes[k]
        for split in (splits[one] for one in NAMES)
        for n, k in zip(split.names, split.labels, strict=True)
        if n.startswith(start)
    }


@pytest.mark.parametrize("name", ["ses-2", "2"])
def test_a_session_has_its_own_label(tmp_path, name):
    dataset(tmp_path)
    sessions(tmp_path, "session_id label acq_time sex", "ses-1 c0 1850 M", f"{name} c1 n/a n/a")
    splits = load(tmp_path)
    assert labels(splits, "sub-01") == {"sub-01/ses-1": "c0", "sub-01/ses-2": "c1"}
    sex = every(splits, "sex")
    assert [sex[f"sub-01/ses-{k}/anat/sub-01_ses-{k}_T1w.nii.gz"] for k in (1, 2)] == ["M", ""]
    assert "acq_time" not in splits.train.truth


def test_a_session_without_a_label_takes_no_other_s(tmp_path):
    dataset(tmp_path)
    sessions(tmp_path, "session_id label", "ses-1 n/a", "ses-2 c0")
    with pytest.warns(UserWarning, match=r"1 have no label \(sub-01/ses-1\)"):
        assert labels(load(tmp_path), "sub-01") == {"sub-01/ses-2": "c0"}
    sessions(tmp_path, "session_id label", "ses-2 c0")
    words = r"1 examinations have no line in their subject's sessions.tsv.*the first: sub-01/ses-1"
    with pytest.warns(UserWarning, match=words):
        assert labels(load(tmp_path), "sub-01") == {"sub-01/ses-1": "c1", "sub-01/ses-2": "c0"}


def test_words_for_nothing_that_are_not_the_standard_s(tmp_path):
    path = dataset(tmp_path, 12) / "participants.tsv"
    path.write_text(path.read_text().replace("sub-05\tc1", "sub-05\tnan"))
    with pytest.warns(UserWarning) as caught:
        splits = load(tmp_path)
    said = "\n".join(str(warning.message) for warning in caught)
    assert "participants.tsv: cells taken as empty: 1 of 'label' ('nan')" in said
    assert "1 have no label (sub-05)" in said and splits.info.classes == ("c0", "c1")


def respelled(folder, header, cells):
    """The data set with other columns; ``cells`` are those of a subject's row, by its number."""
    path = dataset(folder) / "participants.tsv"
    lines = [f"sub-{i:02d} {cells(i)}" for i in range(10)]
    path.write_text("\n".join((f"participant_id {header}", *lines)).replace(" ", "\t") + "\n")
    return folder


def given(i):
    """Each split has both classes."""
    return ("test", "test", "val", "val", *["train"] * 6)[i]


@pytest.mark.parametrize("split", ["split", "Split", "SPLIT", "splits"])
@pytest.mark.parametrize("label", ["label", "Label"])
def test_a_split_is_known_however_it_is_spelled(tmp_path, split, label):
    root = respelled(tmp_path, f"{label} {split} Report", lambda i: f"c{i % 2} {given(i)} r{i}")
    splits = load(root, modality="t1w")
    for name in NAMES:
        numbers = [int(n[4:6]) for n in splits[name].names]
        assert {given(i) for i in numbers} == {name}
        assert splits[name].truth["report"].tolist() == [f"r{i}" for i in numbers]
        assert set(splits[name].truth) == {"report"}


def test_two_columns_of_a_split_are_refused(tmp_path):
    root = respelled(tmp_path, "label split Split", lambda i: f"c{i % 2} {given(i)} train")
    with pytest.raises(ValueError, match="participants.tsv: the columns split and Split both say"):
        load(root)


def test_the_columns_of_sessions_are_spelled_as_they_like(tmp_path):
    dataset(tmp_path, columns=("label", "split"))
    path = tmp_path / "participants.tsv"
    rows = [line.rpartition("\t")[0] + f"\t{given(i)}" for i, line in enumerate(path.open(), -1)]
    path.write_text("\n".join(["participant_id\tlabel\tSplit", *rows[1:]]) + "\n")
    sessions(tmp_path, "session_id Label splits", "ses-1 c0 val", "ses-2 c1 val")
    splits = load(tmp_path, modality="t1w")
    assert labels(splits, "sub-01") == {"sub-01/ses-1": "c0", "sub-01/ses-2": "c1"}
    assert {n[:6] for n in splits.val.names} == {"sub-01", "sub-02", "sub-03"}
    sessions(tmp_path, "session_id Label label", "ses-1 c0 c0", "ses-2 c1 c1")
    with pytest.raises(ValueError, match="sub-01_sessions.tsv: the columns Label and label both"):
        load(tmp_path)


def test_what_may_be_a_split_is_named(tmp_path):
    root = respelled(tmp_path, "label fold", lambda i: f"c{i % 2} {given(i)}")
    words = r"participants.tsv: the column 'fold' is taken for a fact, .*\(test, train, val\): call"
    with pytest.warns(UserWarning, match=words):
        load(root)


def test_a_column_of_patients_is_a_fact_and_named_where_it_joins_folders(tmp_path):
    root = respelled(tmp_path, "label patient subject", lambda i: f"c{i % 2} P{i // 2} S{i}")
    with pytest.warns(UserWarning) as caught:
        splits = load(root, modality="t1w")
    said = [str(w.message) for w in caught if "is taken for a fact" in str(w.message)]
    assert len(said) == 1 and "'patient' is taken for a fact (5 values in 10 rows)" in said[0]
    assert set(splits.train.truth) == {"patient", "subject"}


@pytest.mark.parametrize("absent", [0, 7])
def test_a_split_of_all_but_one_examination_is_refused(tmp_path, absent):
    """Without that of the first all were thrown away; a later examination was in no split."""
    lines = ["participant_id\tlabel"]
    for i in range(10):
        name = f"sub-{i:02d}"
        save(tmp_path / name / "ses-1" / "anat" / f"{name}_ses-1_T1w.nii.gz", volume(i))
        lines.append(f"{name}\tc{i % 2}")
        if i != absent:
            sessions(tmp_path, "session_id split", f"ses-1 {given(i)}", subject=name)
    (tmp_path / "participants.tsv").write_text("\n".join(lines) + "\n")
    words = rf"sub-0{absent}.ses-1 has no split, as 1 of 10 have none .*sub-\*_sessions.tsv"
    with pytest.raises(ValueError, match=words):
        load(tmp_path)
    sessions(tmp_path, "session_id split", f"ses-1 {given(absent)}", subject=f"sub-0{absent}")
    splits = load(tmp_path)
    assert {n: sorted({int(x[4:6]) for x in splits[n].names}) for n in NAMES} == {
        n: [i for i in range(10) if given(i) == n] for n in NAMES
    }


def test_a_number_of_persons_by_another_name_is_named_where_it_joins_folders(tmp_path):
    root = respelled(tmp_path, "label patient_hash", lambda i: f"c{i % 2} h{i // 2}")
    with pytest.warns(UserWarning, match=r"'patient_hash' is taken for a fact \(5 values in 10"):
        load(root, modality="t1w")
