"""`msflow pack` as from the shell: shards, their check, and what is refused."""

import shutil

import pytest

pytest.importorskip("array_record")


def test_a_folder_is_packed_and_checked(command, pictures, tmp_path):
    packed = tmp_path / "packed"
    done = command("pack", pictures, packed, "--side=8", "--shard-images=20")
    assert done.status == 0 and f"packed: {packed}" in done.out, done.err
    done = command("pack", "--verify", packed)
    assert done.status == 0 and "files are what the manifest says" in done.out
    shard = max(packed.rglob("*.arrayrecord"), key=lambda file: file.stat().st_size)
    shard.write_bytes(shard.read_bytes()[:-1])
    done = command("pack", "--verify", packed)
    assert done.status == 2 and shard.name in done.err


def test_what_is_not_packed_is_one_line(command, pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "in")
    picture = next((tmp_path / "in" / "test").rglob("*.png"))
    shutil.copy(picture, tmp_path / "in" / "train" / picture.parent.name / "copy.png")
    for given, words in (
        ([tmp_path / "none", tmp_path / "out"], str(tmp_path / "none")),
        ([tmp_path / "in"], "say where the shards go"),
        ([tmp_path / "in", tmp_path / "out"], "equal pictures in two splits: 1"),
        ([tmp_path / "in", tmp_path / "out", "--side=-1"], "--side"),
        (["--verify", tmp_path / "in"], "in"),
    ):
        done = command("pack", *given)
        assert done.status == 2 and words in done.err and "Traceback" not in done.err, done.err
    picture.write_bytes(b"no picture")
    done = command("pack", tmp_path / "in", tmp_path / "out")
    assert done.status == 2 and picture.name in done.err
