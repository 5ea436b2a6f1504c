"""A table of series goes with the table of images that it was of, and no other table does."""

from types import SimpleNamespace

import pytest

from msflow_jax.commands.classify import _errors_kept, _of_volumes, _write_series
from msflow_jax.data.sources.grey.values import NoneSound

SERIES = "name,label,class,p_a,slices,spread,agree,subject,evaluation\nv,0,a,1,2,0,1,,\n"
NO_SERIES = SimpleNamespace(series=(), subjects=())
FOUND = SimpleNamespace(probability=None, prediction=())


def test_only_a_table_of_series_is_removed(tmp_path, capsys):
    other, old = tmp_path / "scan.series.csv", tmp_path / "p.series.csv"
    other.write_text("name,label,class,p_a,uncertainty_distance\nc.png,0,a,1,0.1\n")
    old.write_text(SERIES)
    assert _of_volumes(old) and not _of_volumes(other)
    for file in (other, old):
        _write_series(file, FOUND, NO_SERIES, "")
    assert other.exists() and not old.exists()
    assert "p.series.csv is removed" in capsys.readouterr().err


def test_nothing_that_could_be_read_leaves_no_series_of_before(tmp_path, capsys):
    (tmp_path / "p.series.csv").write_text(SERIES)
    none = NoneSound("none")
    none.broken = {"b.nii": "damaged"}
    with pytest.raises(NoneSound), _errors_kept(tmp_path / "p.csv"):
        raise none
    assert not (tmp_path / "p.series.csv").exists() and (tmp_path / "p.csv").exists()
    assert "p.series.csv is removed" in capsys.readouterr().err
