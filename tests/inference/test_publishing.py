"""What of a workdir is given away: kept runs of several families open alike; lists of hashes."""

import jax
import numpy as np
import pytest

from msflow_jax.inference import publishing
from msflow_jax.latent import autoencoder as autoencoders
from msflow_jax.storage import weights
from msflow_jax.storage.hashes import check_files, read_hashes, write_hashes
from msflow_jax.storage.jsons import read_object
from msflow_jax.workdir import open_workdir
from tests.kept import unpack


@pytest.mark.parametrize("name", ["latent", "coupling", "segment"])
def test_a_staged_workdir_holds_the_same_model(name, tmp_path):
    flow, folder = open_workdir(unpack(name, tmp_path)), tmp_path / "staged"
    folder.mkdir()
    publishing.stage(flow, folder)
    files = write_hashes(folder)
    assert read_hashes(folder / "msflow.json") == files
    check_files(folder, files)
    given = open_workdir(folder)
    assert jax.tree.all(jax.tree.map(np.array_equal, flow.params, given.params))
    assert (given.step, given.classes) == (flow.step, flow.classes)
    assert given.digest == flow.digest != ""
    assert given.calibration.thresholds == flow.calibration.thresholds
    assert not any("/state/" in file or file.endswith(".csv") for file in files)


def test_an_autoencoder_does_not_tell_of_the_images_it_was_fine_tuned_on(tmp_path):
    workdir, staged = unpack("latent", tmp_path), tmp_path / "staged"
    path, staged_path = (folder / "autoencoder/autoencoder.json" for folder in (workdir, staged))
    told = {"settings": {"data": "x", "identity": {"names": "9e107d9d"}}, "step": 4}
    found = {**read_object(path), "origin": {**told, "base": told}}
    weights.write_facts(path, found)
    staged.mkdir()
    publishing.stage(open_workdir(workdir), staged)
    assert "9e107d9d" not in staged_path.read_text()
    autoencoder, _ = autoencoders.load(staged_path.parent)  # whose own digest holds
    assert autoencoder == autoencoders.load(path.parent)[0]
    assert autoencoders.origin(staged_path.parent)["base"] == {"settings": {"data": "x"}, "step": 4}
    assert open_workdir(staged).step == open_workdir(workdir).step


def test_paths_are_shortened_and_nothing_else():
    found = publishing._config(
        {
            "data": {
                "root": "/home/me/patients",
                "name": "folder",
                "map_classes": ["air", "GM/WM"],
            },
            "model": {"latent": {"autoencoder": "ct=/home/me/vae,t1w=patches"}, "steps": [1, 2]},
            "teacher": "C:\\runs\\teacher",
            "two": {"autoencoder": "ct=/home/a/vae,t1w=b/vae,t2w=/home/a/vae,pdw=vae"},
            "no paths": {"layout": "squeeze checkerboard:2/16,8", "name": "tfds:a/b:2"},
            "others": ["/home/Doe, John/vae", "~/a=b/c", "a=runs/Doe, J/vae", "plain, and = kept"],
        }
    )
    assert found == {
        "data": {"root": "", "name": "folder", "map_classes": ["air", "GM/WM"]},
        "model": {"latent": {"autoencoder": "ct=vae,t1w=patches"}, "steps": [1, 2]},
        "teacher": "teacher",
        "two": {"autoencoder": "ct=vae,t1w=vae-2,t2w=vae,pdw=vae-3"},
        "no paths": {"layout": "squeeze checkerboard:2/16,8", "name": "tfds:a/b:2"},
        "others": ["vae", "c", "vae", "plain, and = kept"],
    }


def test_a_segmentation_has_a_card_of_its_own(tmp_path, capsys):
    from msflow_jax.commands.push import push

    push(unpack("segment", tmp_path), "me/model", dry_run=tmp_path / "out")
    assert "no evaluation" not in capsys.readouterr().err
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    flow = open_workdir(tmp_path / "out")
    for name in flow.info.map_classes:
        assert f"| {name} |" in text.replace("\\", "")
    assert "flow.segment_uncertainly(images)" in text and "flow.classify" not in text
    assert "Dice" in text and "abstain" not in text.replace("does not abstain", "")
    assert "calibrated" not in text and "classes of pixels" in text


def test_links_and_files_that_are_not_listed_are_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    files = write_hashes(tmp_path)
    (tmp_path / "secret.json").symlink_to("/etc/hostname")
    with pytest.raises(ValueError, match="is a link"):
        check_files(tmp_path, files)
    (tmp_path / "secret.json").unlink()
    (tmp_path / "more.json").write_text("{}")
    with pytest.raises(ValueError, match="is not in msflow.json"):
        check_files(tmp_path, files)
    (tmp_path / "msflow.json").write_text('{"format": 2, "files": {}}')
    with pytest.raises(ValueError, match="newer"):
        read_hashes(tmp_path / "msflow.json")
