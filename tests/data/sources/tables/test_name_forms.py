"""Files that a table names in another of Unicode's normal forms than the disk does."""

import unicodedata
from itertools import product

import pytest

from msflow_jax.data.sources.tables.name_forms import other_form

MIXED = "e\u0301\u00e9.png"  # neither NFC nor NFD


@pytest.fixture
def forms(tmp_path):
    """A folder, if the file system tells normal forms apart."""
    (tmp_path / "\u00e9").touch()
    if (tmp_path / "e\u0301").exists():
        pytest.skip("this file system takes all normal forms as one")
    return tmp_path


@pytest.mark.parametrize(("there", "asked"), [*product(("NFC", "NFD"), repeat=2)])
def test_each_folder_and_the_file_may_have_its_own_form(forms, there, asked):
    real = forms / unicodedata.normalize(there, "bé") / "ä000.png"
    real.parent.mkdir()
    real.touch()
    given = forms / unicodedata.normalize(asked, "bé") / unicodedata.normalize("NFD", "ä000.png")
    assert other_form(given) == real
    assert other_form(real) is None  # as it is asked for
    assert other_form(real.parent) is None


def test_relative_paths_and_names_of_mixed_forms(forms, monkeypatch):
    (forms / MIXED).touch()
    monkeypatch.chdir(forms)
    for form in ("NFC", "NFD"):
        found = other_form(type(forms)(unicodedata.normalize(form, MIXED)))
        assert str(found) == MIXED


@pytest.mark.parametrize(
    "name", ["e.png", "none/\u00e9.png", "\u00e8", "\u00e9/a.png", "x" * 999, "a\0b"]
)
def test_what_is_not_there_in_any_form(forms, name):
    assert other_form(forms / name) is None
