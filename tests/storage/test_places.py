"""Where things lie when nothing is known of the user, and that nobody else can put anything there."""

import os
import pwd
import tempfile
from pathlib import Path

import pytest

from msflow_jax.storage import places
from msflow_jax.storage.places import expand, home, private_folder, user_cache, user_data


@pytest.fixture
def nobody(monkeypatch):
    """As in a container that runs as a user without an entry, and without HOME."""

    def unknown(_):
        raise KeyError

    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return tmp_path / "tmp"


def test_without_a_home(nobody, temporary, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert home() is None and user_data() is None
    for path in ("~", "~/runs", "~nobody-of-that-name/runs"):
        with pytest.raises(FileNotFoundError, match="no home folder .*write the whole path"):
            expand(path)
    assert expand("runs/~x") == Path("runs/~x")
    found = user_cache("compiled")
    assert found == temporary / f"msflow_jax-{os.geteuid()}" / "compiled" and found.is_dir()
    assert found.stat().st_mode & 0o077 == 0 and not Path("~").exists()


def test_the_usual_place(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert user_cache("latents") == tmp_path / ".cache/msflow_jax/latents"
    assert expand("~/runs") == tmp_path / "runs" and home() == tmp_path
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert user_data() == tmp_path / ".local/share/msflow_jax"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    assert user_cache("latents") == tmp_path / "other/msflow_jax/latents"


def test_a_home_that_cannot_be_written(temporary, monkeypatch, tmp_path):
    """Docker sets HOME=/ for a user that it does not know."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert user_cache("compiled").is_relative_to(temporary)


def test_a_folder_of_another_user_is_not_used(tmp_path, monkeypatch):
    own, other, loose = tmp_path / "own", tmp_path / "other" / "x", tmp_path / "loose" / "x"
    for folder in (own, other, loose):
        folder.mkdir(parents=True)
    other.parent.chmod(0o777)  # anyone may exchange what lies in it
    own.chmod(0o777)
    assert private_folder(other, own) == own and own.stat().st_mode & 0o022 == 0
    other.parent.chmod(0o1777)  # as /tmp: only the owner may
    assert private_folder(other) == other
    monkeypatch.setattr(places.os, "geteuid", lambda: 12345)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    fresh = private_folder(own, other)
    assert fresh.parent == tmp_path and fresh not in (own, other)
