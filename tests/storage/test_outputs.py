"""Outputs are refused before the work that would be lost, and nothing that matters is overwritten."""

import errno
import os
import resource

import numpy as np
import pytest

from msflow_jax.storage import atomic, outputs
from msflow_jax.storage.atomic import check_new
from msflow_jax.storage.outputs import (
    check_both,
    check_file,
    check_folder,
    check_run,
    partial_of,
    refuse_within,
)
from msflow_jax.storage.text import begins_with


def ours(file):
    return begins_with(file, ("name", "label"))


def written(folder):
    record = folder / "record"
    return [*record.read_text().split(), "record"] if record.exists() else None


@pytest.fixture
def images(tmp_path):
    """A folder of inputs, with a table of an earlier call among them."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"picture")
    (folder / "p.csv").write_text("name,label\nx,1\n")
    return folder


def test_a_file_that_may_be_written(images, tmp_path):
    (tmp_path / "empty").touch()
    (tmp_path / "old.csv").write_text("name,label,class\n")
    for name in ("new/deep/p.csv", "empty", "old.csv", "images/p.csv", "images/new.csv"):
        assert check_file(tmp_path / name, ours, [images]) == tmp_path / name
    (tmp_path / "link.csv").symlink_to("old.csv")  # what it points to is written, the link stays
    assert check_file(tmp_path / "link.csv", ours) == tmp_path / "old.csv"
    assert not (tmp_path / "new").exists()


def test_an_input_is_never_overwritten(images, tmp_path):
    (tmp_path / "link").symlink_to(images / "a.png")
    os.link(images / "a.png", tmp_path / "hard")
    picture = images / "a.png"
    for output in (picture, tmp_path / "link", tmp_path / "hard", images / "." / "a.png"):
        for given in (picture, images):
            if output.name == "hard" and given == images:
                continue
            with pytest.raises(ValueError, match="is read by this command"):
                check_file(output, ours, [given], overwrite=True)
    assert picture.read_bytes() == b"picture"


def test_another_file_only_when_asked(tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("name and label")
    with pytest.raises(ValueError, match=r"notes.txt exists and is not what .*--overwrite"):
        check_file(notes, ours)
    assert check_file(notes, ours, overwrite=True) == notes


def test_what_is_no_plain_file(tmp_path):
    with pytest.raises(ValueError, match="is a folder: name a file"):
        check_file(tmp_path, ours)
    for device in ("/dev/null", "/dev/full"):
        with pytest.raises(ValueError, match="is no plain file"):
            check_file(atomic.Path(device), ours, overwrite=True)


def test_a_place_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="cannot be made, since .*file is no folder"):
        check_file(tmp_path / "file" / "deep" / "p.csv", ours)

    def refuse(**_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(atomic.tempfile, "TemporaryFile", refuse)
    for check in (lambda p: check_file(p, ours), lambda p: check_folder(p, written), check_run):
        with pytest.raises(OSError, match=r"nothing can be written in .*\(Read-only file system\)"):
            check(tmp_path / "new" / "x")
    with pytest.raises(OSError, match="Read-only"):
        atomic.check_new(tmp_path / "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


def test_a_folder_that_may_be_written(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "old").mkdir()
    (tmp_path / "old/record").write_text("a.png")
    (tmp_path / "old/a.png").touch()
    for name in ("new/deep", "empty", "old"):
        assert check_folder(tmp_path / name, written) == tmp_path / name
    (tmp_path / "old/mine.txt").touch()
    with pytest.raises(ValueError, match=r"holds more than an earlier call wrote \(mine.txt\)"):
        check_folder(tmp_path / "old", written)
    assert check_folder(tmp_path / "old", written, overwrite=True) == tmp_path / "old"
    with pytest.raises(ValueError, match="is read by this command"):
        check_folder(tmp_path / "old", written, [tmp_path / "old/a.png"], overwrite=True)
    (tmp_path / "old/record").unlink()
    with pytest.raises(ValueError, match=r"did not write \(a.png, mine.txt\): name a new folder"):
        check_folder(tmp_path / "old", written, overwrite=True)
    with pytest.raises(ValueError, match="is a file"):
        check_folder(tmp_path / "old/a.png", written)


def test_no_folder_of_pictures_is_written_among_those_that_are_read(images, tmp_path, monkeypatch):
    """Which the same command would read as images when it is called again."""
    (tmp_path / "link").symlink_to(images)
    for output in (images / "out", images / "deep/out", tmp_path / "link/out", images):
        with pytest.raises(ValueError, match=r"lies within .*give an --output beside it"):
            refuse_within(output, images)
    monkeypatch.chdir(images)
    with pytest.raises(ValueError, match="out lies within"):
        refuse_within(atomic.Path("out"), atomic.Path("."))
    refuse_within(tmp_path / "out", images)
    refuse_within(images.with_name("images2"), images)
    refuse_within(images / "out", images / "a.png")  # a single file: nothing else is read there


@pytest.mark.parametrize("verb", ["segment", "translate", "explain"])
def test_commands_refuse_an_output_among_their_images(images, tmp_path, verb):
    import importlib

    command = getattr(importlib.import_module(f"msflow_jax.commands.{verb}"), verb)
    route = ("t1w", "ct") if verb == "translate" else ()
    with pytest.raises(ValueError, match="out lies within .*images, which is read"):
        command(tmp_path / "W", str(images), *route, images / "out")  # before any model is opened


def test_a_workdir_of_something_else(tmp_path):
    check_run(tmp_path)
    (tmp_path / "config.json").write_text('{"data": {}, "model": {}, "train": {}, "sample": {}}')
    (tmp_path / "manifest.json").write_text('{"msflow_jax": "0.1.0", "data": {}}')
    check_run(tmp_path)
    for content in ('{"packed": 1}', "[]", "{", "\x00"):
        (tmp_path / "manifest.json").write_text(content)
        with pytest.raises(ValueError, match="manifest.json is no file of a training run"):
            check_run(tmp_path)


def test_a_folder_is_complete_or_not_there(tmp_path):
    target = tmp_path / "deep" / "new"
    with pytest.raises(KeyboardInterrupt), atomic.new_folder(target) as folder:
        (folder / "a").touch()
        raise KeyboardInterrupt
    assert list(target.parent.iterdir()) == []
    for name in ("a", "b"):
        with atomic.new_folder(target, replace=True) as folder:
            (folder / name).touch()
        assert [p.name for p in target.iterdir()] == [name]
    with pytest.raises(ValueError, match="not empty"), atomic.new_folder(target):
        pass
    assert [p.name for p in target.parent.iterdir()] == ["new"]


def test_the_folder_in_which_one_stands_stays(tmp_path, monkeypatch):
    """A mounted volume cannot change its name either."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").mkdir()
    inode = tmp_path.stat().st_ino
    with atomic.new_folder(atomic.Path("."), replace=True) as folder:
        (folder / "a").touch()
    assert [p.name for p in atomic.Path.cwd().iterdir()] == ["a"]
    assert tmp_path.stat().st_ino == inode


def test_where_what_was_stopped_goes(tmp_path, monkeypatch):
    assert partial_of(tmp_path / "p.csv") == tmp_path / "p.csv.partial"
    monkeypatch.chdir(tmp_path)
    assert partial_of(atomic.Path(".")) == tmp_path.with_name(f"{tmp_path.name}.partial")
    monkeypatch.setattr(outputs.os, "access", lambda *_: False)
    assert partial_of(tmp_path) == tmp_path


def test_a_full_disk_names_the_file(tmp_path):
    """By the largest size that a file may have, which the system refuses with the same kind of error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    array = np.random.default_rng(0).random(5000)
    (tmp_path / "taken").write_text("old")
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="taken") as bytes_error:
            atomic.write_atomically(tmp_path / "taken", bytes(1000))
        with pytest.raises(OSError, match=r"a.npz"):
            atomic.write_npz(tmp_path / "a.npz", a=array)
        with pytest.raises(OSError, match="folder"), atomic.new_folder(tmp_path / "folder") as new:
            (new / "a").write_bytes(bytes(1000))
        with pytest.raises(OSError, match="name another place, or make room"):
            atomic.check_writable(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert bytes_error.value.errno == errno.EFBIG
    assert (tmp_path / "taken").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_arrays_come_back(tmp_path):
    path = atomic.write_npz(tmp_path / "deep" / "name without suffix", a=np.arange(3), b=[1.5])
    with np.load(path) as found:
        assert found["a"].tolist() == [0, 1, 2] and found["b"].tolist() == [1.5]
    assert [p.name for p in path.parent.iterdir()] == ["name without suffix"]


def test_a_folder_that_will_be_made_is_said_once(tmp_path, capsys):
    def nothing(path):
        return None

    check_both(check_file, tmp_path / "typo" / "x.csv", nothing, [], False)
    check_both(check_folder, tmp_path / "typo" / "x", nothing, [], False)
    check_new(tmp_path / "typo" / "x")
    check_new(tmp_path / "x")
    line = f"the folder {tmp_path / 'typo'} is not there: it will be made"
    assert capsys.readouterr().err.splitlines() == [line] * 3
    assert not (tmp_path / "typo").exists()


def test_links_in_a_circle_are_named(tmp_path, images):
    circle = tmp_path / "circle"
    circle.symlink_to("circle")
    for given in (
        lambda: check_file(circle, ours),
        lambda: check_folder(circle, written),
        lambda: check_file(images / "a.png", ours, [circle]),
        lambda: check_folder(images, written, [circle]),
        lambda: check_new(circle),
        lambda: partial_of(circle),
    ):
        with pytest.raises(OSError, match=r"circle is a link that leads in a circle: name another"):
            given()
