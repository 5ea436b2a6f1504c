"""Hashes of subjects: the same in every run of a user, of no use to others."""

import stat

import pytest

from msflow_jax.data.sources import identifiers
from msflow_jax.data.sources.identifiers import VARIABLE, pseudonym


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """As in a new process of a user without a salt."""
    monkeypatch.setattr(identifiers, "_salt", identifiers._salt.__wrapped__)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path / "msflow_jax" / "salt"


def test_the_salt_is_kept_and_private(fresh, monkeypatch, tmp_path):
    one = pseudonym("patient", "47Q11")
    assert pseudonym("patient", "47Q11") == one and "47Q11" not in one
    assert len(fresh.read_bytes()) == 32
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o600
    assert stat.S_IMODE(fresh.parent.stat().st_mode) & 0o077 == 0
    assert [p.name for p in fresh.parent.iterdir()] == ["salt"]
    monkeypatch.setenv(VARIABLE, str(tmp_path / "shared" / "salt"))
    other = pseudonym("patient", "47Q11")
    assert other != one and (tmp_path / "shared" / "salt").exists()


def test_what_makes_a_hash(fresh):
    seen = [
        ("patient", "a"),
        ("study", "a"),
        ("patient", "a", ""),
        ("patient", "", "a"),
        ("patient",),
    ]
    assert len({pseudonym(*parts) for parts in seen}) == len(seen)
    assert pseudonym("patient", "\udcff")  # not UTF-8


def test_a_damaged_salt_is_refused(fresh):
    fresh.parent.mkdir(mode=0o700)
    fresh.write_bytes(b"short")
    with pytest.raises(ValueError, match="salt holds no salt of 32 bytes: restore it"):
        pseudonym("patient", "a")


def test_no_private_folder_is_told(fresh, monkeypatch):
    monkeypatch.setattr(identifiers, "user_data", lambda: None)
    with pytest.warns(UserWarning, match=f"other hashes in every run: set {VARIABLE}"):
        pseudonym("patient", "a")
