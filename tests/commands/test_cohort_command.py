"""A cohort through the commands: what is refused before anything is written."""

import shlex
import sys

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.config import load_config
from tests.data.sources.cohort.cohorts import cohort, save, table, volume


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


def test_phantoms_are_written_and_the_command_that_is_printed_reads_them(
    command, tmp_path, monkeypatch
):
    pytest.importorskip("pydicom")
    monkeypatch.setenv("MSFLOW_JAX_PHANTOMS", "off")
    folder = tmp_path / "my phantoms"
    out = command("export_phantoms", folder, "--subjects=10", "--side=8")
    assert out.status == 0 and f"written: {folder / 'cohort.csv'}" in out.out
    (line,) = [one for one in out.out.splitlines() if one.startswith("use it: ")]
    program, name, *flags = shlex.split(line.removeprefix("use it: "))
    assert (program, name) == ("msflow", "train")
    splits = data.load(load_config(flags).data)
    assert len({*splits.train.groups, *splits.val.groups, *splits.test.groups}) == 10
    again = command("export_phantoms", folder, "--subjects=10")
    assert again.status == 2 and "exists and is not empty" in again.err


def test_phantoms_need_the_package_before_heads_are_made(command, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    out = command("export_phantoms", tmp_path / "new")
    assert out.status == 2 and "pip install 'msflow_jax[medical]'" in out.err
    assert not (tmp_path / "new").exists()
