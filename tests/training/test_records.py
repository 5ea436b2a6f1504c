"""Metrics as they come, wherever they go."""

import json
import sys
from types import SimpleNamespace

import pytest

from msflow_jax.training.records import Records, read_records


def test_records_survive_a_torn_line(tmp_path):
    with Records(tmp_path) as records:
        for step in (1, 2, 3):
            records.write(step, {"loss": step / 10})
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text()[:-5])
    assert [r["step"] for r in read_records(tmp_path)] == [1, 2]
    with Records(tmp_path, resume_step=1) as records:
        records.write(2, {"loss": 9})
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert found == [{"step": 1, "loss": 0.1}, {"step": 2, "loss": 9.0}]


def test_tensorboard(tmp_path):
    with Records(tmp_path, writers=("tensorboard",)) as records:
        records.write(1, {"loss": 0.5})
    assert list((tmp_path / "tensorboard").iterdir())


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_services_are_told_what_metrics_jsonl_is(name, tmp_path, monkeypatch):
    """Their own packages stand aside: what is told to them is written down instead."""
    told = []
    run = SimpleNamespace(
        log=lambda values, step: told.append((step, values)), finish=lambda: told.append("end")
    )
    modules = {
        "wandb": SimpleNamespace(init=lambda **settings: told.append(settings["name"]) or run),
        "mlflow": SimpleNamespace(
            start_run=lambda run_name: told.append(run_name),
            log_dict=lambda values, name: None,
            log_metrics=lambda values, step: told.append((step, values)),
            end_run=lambda: told.append("end"),
        ),
    }
    monkeypatch.setitem(sys.modules, name, modules[name])
    with Records(tmp_path, writers=(name,)) as records:
        records.write(3, {"loss": 0.5})
    assert told == [tmp_path.name, (3, {"loss": 0.5}), "end"]


def test_a_writer_that_is_not_installed_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ImportError, match="train.writers needs wandb, .* pip install wandb"):
        Records(tmp_path, writers=("wandb",))


def test_an_unknown_writer_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="unknown train.writers .'csv'.: choose of mlflow, tens"):
        Records(tmp_path, writers=("csv",))
