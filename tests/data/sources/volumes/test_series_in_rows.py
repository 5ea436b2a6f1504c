"""A series whose files lie in several rows of a table, files or folders: all must say the same."""

import numpy as np
import pytest

from msflow_jax.data import Info, read_labelled
from msflow_jax.data.intensity import Intensity
from tests.data.sources.dicom.dicom_objects import make_series
from tests.data.sources.listings.test_files import load, write_csv

pytest.importorskip("pydicom")
pytestmark = pytest.mark.filterwarnings("ignore:.*(volumes? read as|has one training image)")
rng = np.random.default_rng(0)
WHOLE, ACROSS = {"dims": 3}, {"dims": 2, "slices": {"axis": "coronal"}}
PARTED = "s0/lower and s0/upper are slices of one series, but differ in label, split or patient"
MODEL = Info(
    "x", ("ill", "well"), 1, 4, "binary-class", "", "", "", (), space=(4, 4, 4), fit="pad",
    volumes={"scaled": True}, intensities={"image": Intensity("percentiles", 0, 1000)},
)  # fmt: skip


def halves(root, names=("lower", "upper"), number=0):
    """A series of four slices, half of them in each of two folders."""
    volume = rng.integers(0, 1000, (4, 4, 4)).astype(np.uint16)
    paths = make_series(
        root / "all", volume, series=number + 1, spacing=(1, 1, 1), modality="MR",
        patient=f"P{number}", StudyInstanceUID=f"1.2.{number}",
    )  # fmt: skip
    for i, path in enumerate(paths):
        place = root / names[i // 2] / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)
    (root / "all").rmdir()


def listed(root, header, first, second):
    """A table of ten series, each in two folders: of the first one these cells, the others alike."""
    lines = []
    for i in range(10):
        halves(root / f"s{i}", number=i)
        rest = {"label": ("ill", "well")[i % 2], "split": ("train", "val", "test")[max(0, i - 7)]}
        cells = ",".join(rest.get(name, f"p{i}") for name in header.split(",")[1:])
        lines += [
            f"s{i}/lower,{first if not i else cells}",
            f"s{i}/upper,{second if not i else cells}",
        ]
    return write_csv(root / "list.csv", header, *lines)


@pytest.mark.parametrize("how", [WHOLE, ACROSS])
@pytest.mark.parametrize(
    ("header", "first", "second"),
    [
        ("path,label", "ill", "well"),
        ("path,label,split", "ill,train", "ill,test"),
        ("path,label,patient", "ill,a", "ill,b"),
    ],
)
def test_folders_of_one_series_must_agree(tmp_path, how, header, first, second):
    """The files of both were one volume, with what the first row says."""
    with pytest.raises(ValueError, match=PARTED):
        load(listed(tmp_path, header, first, second), "manifest", **how)


@pytest.mark.parametrize("how", [WHOLE, ACROSS])
def test_folders_of_one_series_that_agree_are_one_volume(tmp_path, how):
    splits = load(listed(tmp_path, "path,label", "ill", "ill"), "manifest", **how)
    parts = [splits[name] for name in ("train", "val", "test")]
    assert sum(map(len, parts)) == (10 if how is WHOLE else 40)
    assert splits.train.images.shape[1:] == ((4, 4, 4, 1) if how is WHOLE else (4, 4, 1))


def test_files_of_one_series_must_agree_too(tmp_path):
    halves(tmp_path / "s0")
    files = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.dcm"))
    lines = [f"{name},{'ill' if name == files[-1] else 'well'}" for name in files]
    table = write_csv(tmp_path / "list.csv", "path,label", *lines)
    with pytest.raises(ValueError, match=f"{files[0]} and {files[-1]} are slices of one series"):
        load(table, "manifest", dims=3)


@pytest.mark.parametrize(
    ("header", "first", "second"),
    [("path,label", "ill", "well"), ("path,label,patient", "ill,a", "ill,b")],
)
def test_a_table_that_is_measured_must_agree(tmp_path, header, first, second):
    halves(tmp_path / "s0")
    lines = f"s0/lower,{first}", f"s0/upper,{second}"
    with pytest.raises(ValueError, match=PARTED):
        read_labelled(write_csv(tmp_path / "list.csv", header, *lines), MODEL)
    lines = f"s0/lower,{first}", f"s0/upper,{first}"
    found = read_labelled(write_csv(tmp_path / "list.csv", header, *lines), MODEL)
    assert found.labels.tolist() == [0] and found.images.shape == (1, 4, 4, 4, 1)


def test_a_series_in_the_folders_of_two_classes(tmp_path):
    halves(tmp_path, names=("ill", "well"))
    with pytest.raises(ValueError, match=r"ill/\d+.dcm and well/\d+.dcm are slices of one series"):
        read_labelled(tmp_path, MODEL)


def test_a_series_alone_in_the_folder_of_a_class(tmp_path):
    """It is called as its folder is, and still of its class."""
    halves(tmp_path, names=("well", "well"))
    assert read_labelled(tmp_path, MODEL).labels.tolist() == [1]
