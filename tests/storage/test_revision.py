"""The source revision in a manifest is the library's own, never that of a repository around it."""

import subprocess

from msflow_jax.storage.revision import revision


def commit(folder):
    for line in (
        "git init -q", "git add -A", "git -c user.name=a -c user.email=a@b.c commit -qm x"
    ):  # fmt: skip
        subprocess.run(line.split(), cwd=folder, check=True, capture_output=True)


def test_only_the_top_of_its_own_repository(tmp_path):
    source = tmp_path / ".venv" / "lib" / "site-packages"
    (source / "msflow_jax").mkdir(parents=True)
    (source / "msflow_jax" / "a.py").write_text("")
    assert revision(source) is None
    commit(tmp_path)
    assert revision(source) is None
    assert revision(tmp_path)
