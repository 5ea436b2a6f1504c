"""A cohort through the commands: what is refused before anything is written."""

import numpy as np

from tests.data.sources.cohorts import cohort, save, table, volume


def test_grids_and_modalities_are_refused_before_a_workdir_is_made(command, tmp_path):
    """``--resample`` brings the grids together; then a model of one image asks for one."""
    rows = cohort(tmp_path, xray=None)
    larger = volume(4, (6, 8, 8), np.int16, -1024, 1500)
    rows[4]["ct"] = save(tmp_path / "other.nii.gz", larger, spacing=(3, 1, 1))
    call = (
        "train", "--config=configs/cohort_volumes.py:cpu", f"--workdir={tmp_path / 'w'}",
        f"--config.data.root={table(tmp_path, rows)}", "--config.data.side=0",
    )  # fmt: skip
    out = command(*call)
    assert out.status == 2 and "t1_4.nii.gz and" in out.err and "data.resample=True" in out.err
    out = command(*call, "--resample")
    assert out.status == 2 and not (tmp_path / "w").exists()
    assert "has t1w, ct, and this model is of one image: choose one with --config" in out.err
