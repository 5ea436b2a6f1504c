"""What is sent: parameters and files that are not what they should be are refused by name."""

import errno
import gzip
import re

import numpy as np
import pytest
from PIL import Image

from msflow_jax.data import Info
from msflow_jax.serving.answers import padded, refuse_long, up
from msflow_jax.serving.guards import status_of
from msflow_jax.serving.parameters import ENDPOINTS, as_parameters, read_parameters
from msflow_jax.serving.uploads import lying_together, read_upload, refuse_many, safe_name
from msflow_jax.serving.work import Full

INFO = Info("x", ("a", "b"), 1, 8, "binary-class", "", "", "", ())


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_parameter_has_a_default_of_its_range(endpoint):
    for name, value in read_parameters(endpoint, []).items():
        one = ENDPOINTS[endpoint][name]
        assert one.read(name, str(value)) == value and one.words


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([("stpes", "4")], "knows no 'stpes'"),
        ([("steps", "4"), ("steps", "5")], "given 2 times"),
        ([("steps", "four")], "whole number, got 'four'"),
        ([("steps", "-1")], "must lie in"),
        ([("keep", "nan")], "must lie in"),
        ([("keep", "")], "must be a number"),
        ([("resize", "perhaps")], "must be 1 or 0"),
        ([("draws", "3")], "draws must be one of 0, 1, 2, 4"),
    ],
)
def test_parameters_that_are_none(given, words):
    with pytest.raises(ValueError, match=words):
        read_parameters("classify", given)


def test_a_flag_is_called_what_a_request_calls_it():
    line = (
        "--source=t1w is not checked (--no-resize refuses it, --by-class, --max-upload allows more)"
    )
    found = "source=t1w is not checked (resize=0 refuses it, --by-class, --max-upload allows more)"
    assert as_parameters(line, "translate") == found
    assert as_parameters("--by-class", "classify") == "by_class"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("a.png", "a.png"), ("../../etc/passwd", "passwd"), ("C:\\x\\scan.dcm", "scan.dcm"),
        ("", "image"), ("..", "image"), ("\u202egnp.exe\n", "_gnp.exe_"), ("s.nii.gz", "s.nii.gz"),
        ("x" * 300 + ".png", "x" * 76 + ".png"), ("头/schädel.png", "schädel.png"),
        ("scha\u0308del.png", "schädel.png"), ("𠀀" * 300 + ".png", "𠀀" * 49 + ".png"),
    ],
)  # fmt: skip
def test_a_name_leads_nowhere_else(given, found):
    assert safe_name(given) == found


def png(tmp_path, side, mode="L"):
    path = tmp_path / "x.png"
    pixels = np.random.default_rng(0).integers(0, 255, (side, side), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path.read_bytes()


def test_an_image_is_read_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    found, lines = read_upload(png(tmp_path, 8), "x.png", INFO, False)
    assert found.images.shape == (1, 8, 8, 1) and not lines
    found, lines = read_upload(png(tmp_path, 12), "y.png", INFO, True)
    assert found.images.shape == (1, 8, 8, 1)
    assert lines == ["resized: y.png is 12 x 12, the model reads 8 x 8 images"]
    for content, name, words in (
        (png(tmp_path, 12), "y.png", "resize=1 brings it there"),
        (b"", "y.png", "no image was sent"),
        (b"\x80\x04K\x01.", "y.pkl", "y.pkl"),
        (b"not a picture", "y.png", "^y.png is not an image"),
        (b"a,b\n", "y.csv", "is a table"),
        (png(tmp_path, 8)[:60], "y.png", "y.png"),
    ):
        with pytest.raises(ValueError, match=words) as error:
            read_upload(content, name, INFO, False)
        assert str(tmp_path) not in str(error.value)
    assert list((tmp_path / "t").iterdir()) == []


@pytest.mark.parametrize("name", ["x.nii.gz", "x.npz"])
def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch, name):
    monkeypatch.setattr("msflow_jax.serving.uploads._INFLATED", 1 << 20)
    path = tmp_path / name
    if name.endswith("gz"):
        path.write_bytes(gzip.compress(bytes(3 << 20)))
    else:
        np.savez_compressed(path, images=np.zeros((3 << 20,), np.uint8))
    with pytest.raises(ValueError, match=f"{name} unpacks to more than 1 MiB"):
        read_upload(path.read_bytes(), name, INFO, True)


def test_work_that_would_hold_others_up():
    refuse_long(256, 0, 0)
    refuse_many(256, "x")
    with pytest.raises(ValueError, match="ask for less"):
        refuse_long(256, 64, 25)
    with pytest.raises(ValueError, match="one request may 256"):
        refuse_many(257, "x")


def test_no_pickle_is_opened(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, images=np.array([{"a": 1}], object))
    with pytest.raises(ValueError, match="x.npz"):
        read_upload(path.read_bytes(), "x.npz", INFO, True)


@pytest.mark.parametrize(("count", "size"), [(1, 1), (2, 2), (3, 4), (5, 8), (8, 8)])
def test_sizes_are_few(count, size):
    assert up(count) == size
    images = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)
    assert padded(images).ravel().tolist() == [*range(count)] + [count - 1] * (size - count)


def test_files_of_one_name_stay_apart():
    given = [("2_a.png", b"0"), ("a.png", b"1"), ("a.png", b"2")]
    with lying_together(given) as paths:
        assert [path.read_bytes() for path in paths] == [b"0", b"1", b"2"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_no_fault_of_who_asks(number, monkeypatch, tmp_path):
    def full(*given, **more):
        raise OSError(number, "No space left on device", str(tmp_path))

    for place in ("pathlib.Path.write_bytes", "tempfile.mkdtemp"):
        monkeypatch.setattr(place, full)
        with pytest.raises(Full, match="no room on its disk") as refused:
            read_upload(b"x", "x.png", INFO, False)
        assert status_of(refused.value) == 503 and str(tmp_path) not in str(refused.value)


def test_a_range_is_told_to_its_last_digit():
    with pytest.raises(ValueError, match=re.escape("[-1, 2147483647], got 2147483648")):
        read_parameters("generate", [("seed", "2147483648")])
