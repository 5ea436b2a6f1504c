"""The lock of a workdir within one process; that of a second process is in the survival tests."""

import json
import os

import pytest

from msflow_jax.storage.lock import locked


def test_the_lock_names_its_holder_and_can_be_taken_again(tmp_path):
    workdir = tmp_path / "deep" / "run"
    for _ in range(2):
        with locked(workdir):
            holder = json.loads((workdir / "lock").read_text())
            assert holder["pid"] == os.getpid() and holder["host"]
    assert [p.name for p in workdir.iterdir()] == ["lock"]


def test_what_an_earlier_holder_wrote_is_replaced(tmp_path):
    (tmp_path / "lock").write_text(json.dumps({"pid": 1, "host": "x" * 500}) + "\n")
    with locked(tmp_path):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("content", [None, "", "not json", "[1]", "{}"])
def test_a_held_workdir_is_refused_and_keeps_its_holder(tmp_path, content):
    path = tmp_path / "lock"
    with locked(tmp_path):
        known = path.read_text()
        if content is not None:
            path.write_text(content)
        who = "another process" if content is not None else f"process {os.getpid()} on "
        with (
            pytest.raises(
                ValueError, match=f"{tmp_path} is in use by {who}.*use another --workdir"
            ),
            locked(tmp_path),
        ):
            pass
        assert path.read_text() == (known if content is None else content)


def test_an_error_releases_the_lock(tmp_path):
    with pytest.raises(RuntimeError), locked(tmp_path):
        raise RuntimeError
    with locked(tmp_path):
        pass
