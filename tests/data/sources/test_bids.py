"""Cohorts in the BIDS layout."""

import pytest

from tests.data.sources.cohorts import load, save, volume

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
