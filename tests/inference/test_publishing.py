"""What of a workdir is given away: kept runs of several families open alike; lists of hashes."""

import tarfile
from pathlib import Path

import jax
import numpy as np
import pytest

from msflow_jax.inference import publishing
from msflow_jax.storage.hashes import check_files, read_hashes, write_hashes
from msflow_jax.workdir import open_workdir

KEPT = Path(__file__).resolve().parents[1] / "fixtures" / "workdirs"


@pytest.mark.parametrize("name", ["latent", "coupling", "segment"])
def test_a_staged_workdir_holds_the_same_model(name, tmp_path):
    with tarfile.open(KEPT / f"{name}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    flow, folder = open_workdir(tmp_path / name), tmp_path / "staged"
    folder.mkdir()
    publishing.stage(flow, folder)
    files = write_hashes(folder)
    assert read_hashes(folder / "msflow.json") == files
    check_files(folder, files)
    given = open_workdir(folder)
    assert jax.tree.all(jax.tree.map(np.array_equal, flow.params, given.params))
    assert (given.step, given.classes) == (flow.step, flow.classes)
    assert given.calibration.thresholds == flow.calibration.thresholds
    assert not any("/state/" in file or file.endswith(".csv") for file in files)


def test_paths_are_shortened_and_nothing_else():
    found = publishing._config(
        {
            "data": {"root": "/home/me/patients", "name": "folder"},
            "model": {"latent": {"autoencoder": "ct=/home/me/vae,t1w=patches"}, "steps": [1, 2]},
            "teacher": "C:\\runs\\teacher",
        }
    )
    assert found == {
        "data": {"root": "", "name": "folder"},
        "model": {"latent": {"autoencoder": "ct=vae,t1w=patches"}, "steps": [1, 2]},
        "teacher": "teacher",
    }


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
