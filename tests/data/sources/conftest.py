"""An empty home folder, for who asks for it."""

import pytest


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home folder, so that no ~/.medmnist of the machine is found."""
    folder = tmp_path / "home"
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    return folder
