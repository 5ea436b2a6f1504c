"""What a row of a run says: means over every step since the row before."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.training import fit
from msflow_jax.training.bar import TrainingBar
from msflow_jax.training.records import read_records
from msflow_jax.training.source import Source
from tests.training.tiny_training import make_stage


class Noisy:
    """A loss that is mostly noise, a part that few steps score, and one that none does."""

    def __init__(self, scored=lambda done, key: jax.random.bernoulli(key, 0.3)):
        self.scored = scored

    def init(self, key):
        return {"slope": jnp.ones(())}

    def loss(self, params, batch, key, *, train, progress):
        value = (params["slope"] - jax.random.normal(key)) ** 2
        rare = jnp.where(self.scored(progress, key), 7.0, jnp.nan)
        return value, {"loss_twice": 2 * value, "loss_rare": rare, "loss_never": jnp.nan * value}


def rows(arrays, config, folder, model=None, **settings):
    """The rows of a run's training by step."""
    folder.mkdir(exist_ok=True)
    fit(
        make_stage(model or Noisy(), Source.of_arrays(arrays), config, **settings),
        folder, progress=False,
    )  # fmt: skip
    return {row["step"]: row for row in read_records(folder) if "loss" in row}


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_row_has_means_of_all_steps_since_the_last_one(arrays, train_config, tmp_path, at_once):
    every = rows(arrays, train_config, tmp_path / "every")
    train_config.update(log_every=5, steps_per_dispatch=at_once)
    found = rows(arrays, train_config, tmp_path / "some")
    assert list(found) == [5, 10, 12] and list(every) == list(range(1, 13))
    for last, (step, row) in zip((0, 5, 10), found.items(), strict=True):
        for name in ("loss", "loss_twice", "gradient_norm"):
            alone = [every[i][name] for i in range(last + 1, step + 1)]
            assert row[name] == pytest.approx(np.mean(alone), rel=1e-5)
            assert np.ptp(alone) > 0.1


def test_without_rows_the_bar_shows_the_last_steps(arrays, train_config, tmp_path, monkeypatch):
    every, shown = rows(arrays, train_config, tmp_path / "every"), {}

    def tick(self, step, row, due=False):
        shown.setdefault(step, row["loss"])

    monkeypatch.setattr(TrainingBar, "tick", tick)
    train_config.log_every = 0
    (tmp_path / "none").mkdir()
    fit(make_stage(Noisy(), Source.of_arrays(arrays), train_config), tmp_path / "none")
    assert shown[12] == pytest.approx(every[12]["loss"], rel=1e-5)


def test_a_resumed_run_has_means_since_then(arrays, train_config, tmp_path):
    every = rows(arrays, train_config, tmp_path / "every")
    train_config.log_every = 6
    stopped = []

    def validate(params):
        stopped.append(len(stopped))
        if stopped == [0, 1]:
            raise KeyError
        return {"val_auc": 0.5}

    with pytest.raises(KeyError):
        rows(arrays, train_config, tmp_path / "some", validate=validate)
    found = rows(arrays, train_config, tmp_path / "some", validate=validate)
    assert list(found) == [6, 12]  # from step 4 on
    assert found[6]["loss"] == pytest.approx(np.mean([every[i]["loss"] for i in (5, 6)]), rel=1e-5)
    alone = [every[i]["loss"] for i in range(7, 13)]
    assert found[12]["loss"] == pytest.approx(np.mean(alone), rel=1e-5)


def test_steps_that_score_nothing_of_a_part_do_not_count(arrays, train_config, tmp_path):
    """The run goes on, and a row whose steps all scored nothing says nothing of that part."""
    train_config.update(log_every=4)
    late = Noisy(lambda done, key: done > 0.5)  # steps 8 to 12
    found = rows(arrays, train_config, tmp_path, late)
    assert [row.get("loss_rare") for row in found.values()] == [None, 7, 7]
    assert all("loss_never" not in row and np.isfinite(row["loss"]) for row in found.values())
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()


@pytest.mark.parametrize("parts", [1, 2, 8])
def test_parts_of_a_batch_that_score_nothing_do_not_count(arrays, train_config, tmp_path, parts):
    train_config.accumulate = parts
    found = [row.get("loss_rare") for row in rows(arrays, train_config, tmp_path).values()]
    assert set(found) <= {7, None} and 7 in found
    assert found.count(None) < (2 if parts == 8 else 12)
