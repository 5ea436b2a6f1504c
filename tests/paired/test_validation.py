"""A stage's loss on validation examples."""

import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from ml_collections import ConfigDict

from msflow_jax.paired import validation
from msflow_jax.paired.pairs import pair_source
from tests.paired.tiny import split


def test_a_batch_larger_than_what_is_measured(monkeypatch):
    monkeypatch.setattr(validation, "MEASURED", 4)
    source = pair_source(split(), ("ct",), None, "validation")

    def objective(params, batch, key, *, train):
        return jnp.zeros(()) + len(batch["ct"]), {}

    train = ConfigDict(dict(batch=6, seed=0))
    assert validation.loss_validation(objective, source, train)({}) == {"val_loss": 4.0}


def test_several_sets_make_one_batch():
    sources = {name: pair_source(split(), (name,), None, "validation") for name in ("ct", "xray")}

    def objective(params, batch, key, *, train):
        assert not train and set(batch) == {"ct", "xray"}
        return batch["ct"]["ct"].mean(), {"other": batch["xray"]["xray"].mean()}

    found = validation.loss_validation(objective, sources, ConfigDict(dict(batch=2, seed=0)))({})
    assert set(found) == {"val_loss", "val_other"} and found["val_loss"] != found["val_other"]


@given(st.integers(1, 600), st.integers(1, 40), st.integers(1, 9))
def test_rows_are_spread_over_examples_that_may_be_sorted(examples, batch, more):
    size = min(batch, examples, validation.MEASURED)
    measured = min(examples, validation.MEASURED)
    least = -(-measured // size)
    rows = validation.spread(examples, size, least)
    assert rows.shape == (least, size) and len(np.unique(rows)) == measured
    assert rows.min() == 0 and rows.max() == examples - 1
    for batch in rows[:, : measured // least]:  # each over all of them
        assert len(batch) < 2 or np.ptp(batch) >= (examples - 1) * (len(batch) - 1) / (
            len(batch) + 1
        )
    assert set(np.unique(validation.spread(examples, size, least + more))) == set(np.unique(rows))


def test_batches_without_a_kind_of_question_do_not_count_for_it():
    """Their mean is none, and was 0: accuracies of rare questions came out too low."""
    source = pair_source(split(), ("ct",), None, "validation")

    def objective(params, batch, key, *, train):
        level = batch["ct"].mean()
        asked = level > jnp.median(jnp.asarray(levels))
        return level, {"accuracy_rare": jnp.where(asked, 0.75, jnp.nan), "accuracy_none": jnp.nan}

    levels = [0.0]
    train = ConfigDict(dict(batch=1, seed=0))
    found = validation.loss_validation(objective, source, train)({})
    levels = [found["val_loss"]]
    found = validation.loss_validation(objective, source, train)({})
    assert found["val_accuracy_rare"] == 0.75 and "val_accuracy_none" not in found
    assert np.isfinite(found["val_loss"])


def test_a_loss_that_is_no_number_is_not_passed_over():
    source = pair_source(split(), ("ct",), None, "validation")

    def objective(params, batch, key, *, train):
        return jnp.where(batch["ct"].mean() < 0, 1.0, jnp.nan), {}

    found = validation.loss_validation(objective, source, ConfigDict(dict(batch=1, seed=0)))({})
    assert np.isnan(found["val_loss"])
