"""Checkpoints: bit-equal, the right ones kept, damage named, nothing invented."""

import shutil
import sys
import warnings
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from msflow_jax.storage.checkpoints import Checkpoints
from msflow_jax.training.step import TrainState
from tests.training.tiny_training import restore, save


def make_state(step, shape=(3, 2)):
    rng = np.random.default_rng(step)
    params = {"layer": {"kernel": jnp.asarray(rng.normal(size=shape), jnp.float32)}}
    optimiser = optax.adamw(1e-3)
    _, opt_state = optimiser.update(params, optimiser.init(params), params)
    ema = jax.tree.map(lambda a: 0.9 * a, params)
    return TrainState(jnp.asarray(step, jnp.int32), params, ema, opt_state)


def fill(folder, scores, **settings):
    """Save steps 1, 2, ... with these values of val_auc (None: no validation)."""
    with Checkpoints(folder, **settings) as checkpoints:
        for step, score in enumerate(scores, start=1):
            save(checkpoints, make_state(step), {} if score is None else {"val_auc": score})
            checkpoints.wait()
    return folder


def damage(folder):
    for file in folder.rglob("*"):
        if file.is_file():
            file.write_bytes(b"")


def test_save_and_restore_are_bit_equal(tmp_path):
    state = make_state(7)
    with Checkpoints(tmp_path / "c") as checkpoints:
        save(checkpoints, state, {})
    with Checkpoints(tmp_path / "c") as checkpoints:
        back = restore(checkpoints, make_state(0))
        step, params = checkpoints.restore_params()
    assert step == 7
    jax.tree.map(np.testing.assert_array_equal, back, state)
    jax.tree.map(np.testing.assert_array_equal, params, state.ema)


def test_saving_is_done_before_the_arrays_change(tmp_path):
    """Saves run behind training, whose next step overwrites the state's memory."""
    change = jax.jit(lambda s: jax.tree.map(lambda a: 0 * a, s), donate_argnums=0)
    state = make_state(1, (512, 512))
    kept = jax.tree.map(lambda a: np.array(a, copy=True), state)
    with Checkpoints(tmp_path / "c") as checkpoints:
        save(checkpoints, state, {})
        change(state)
        checkpoints.wait()
        back = restore(checkpoints, make_state(0, (512, 512)))
    jax.tree.map(np.testing.assert_array_equal, back, kept)


@pytest.mark.parametrize(
    "select, scores, best",
    [
        ("val_auc", (0.5, 0.9, 0.6, 0.7, 0.8), 2),
        ("-val_auc", (0.5, 0.1, 0.6, 0.7, 0.8), 2),
        ("val_auc", (0.5, 0.9, 0.9, 0.7, 0.8), 3),  # the newer of equals
    ],
)
def test_the_newest_two_and_the_best_are_kept(tmp_path, select, scores, best):
    folder = fill(tmp_path / "c", scores, keep=2, select=select)
    with Checkpoints(folder, select=select, read_only=True) as checkpoints:
        assert set(checkpoints.steps()) >= {best, 4, 5} and 1 not in checkpoints.steps()
        assert checkpoints.best() == best
        assert checkpoints.metrics(best)["val_auc"] == scores[best - 1]
        assert checkpoints.restore_params()[0] == best
        assert checkpoints.restore_params(4)[0] == 4


def test_without_validation_the_newest_is_used(tmp_path):
    folder = fill(tmp_path / "c", (None, None, None))
    with Checkpoints(folder, read_only=True) as checkpoints:
        assert checkpoints.restore_params()[0] == 3


def test_a_damaged_newest_is_named_and_the_one_before_used(tmp_path):
    folder = fill(tmp_path / "c", (0.5, 0.6, 0.7))
    damage(folder / "3" / "state")
    with (
        Checkpoints(folder) as checkpoints,
        pytest.warns(UserWarning, match=r"c/3 .* moved to 3.damaged"),
        pytest.warns(UserWarning, match=r"c/3 cannot be read"),
    ):
        back = restore(checkpoints, make_state(0))
        assert back.step == 2
        # The damaged one is out of the way, so that the run can save its step again.
        save(checkpoints, make_state(3), {"val_auc": 0.9})
        checkpoints.wait()
        assert restore(checkpoints, make_state(0)).step == 3
    assert len(list(folder.glob("3.damaged-*"))) == 1


def test_damaged_metrics(tmp_path):
    folder = fill(tmp_path / "c", (0.5, 0.6))
    damage(folder / "2" / "metrics")
    with pytest.raises(ValueError, match=r"c/2 cannot be read.*metrics.*remove that folder"):
        Checkpoints(folder, read_only=True)
    with pytest.warns(UserWarning, match=r"c/2 is no whole checkpoint"):
        checkpoints = Checkpoints(folder)
    with checkpoints:
        assert restore(checkpoints, make_state(0)).step == 1


def test_an_older_one_whose_metrics_are_damaged_is_not_deleted(tmp_path):
    """Of a deletion that was cut short the parameters are gone; here they are whole."""
    folder = fill(tmp_path / "c", (0.9, 0.5, 0.6), keep=3)
    damage(folder / "1" / "metrics")
    shutil.rmtree(folder / "2" / "ema")
    with pytest.warns(UserWarning, match=r"c/1 is no whole checkpoint: moved to 1.damaged"):
        checkpoints = Checkpoints(folder)
    with checkpoints:
        assert checkpoints.steps() == [3]
    assert sorted(path.name.split("-")[0] for path in folder.iterdir()) == ["1.damaged", "3"]


def test_damaged_parameters_are_never_replaced_by_others(tmp_path):
    folder = fill(tmp_path / "c", (0.5, 0.6))
    damage(folder / "2" / "ema")
    with (
        Checkpoints(folder, read_only=True) as checkpoints,
        pytest.raises(ValueError, match=r"c/2 cannot be read.*restore it from a copy"),
    ):
        checkpoints.restore_params()


def test_what_cannot_be_read_is_told_once_and_short(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    fill(tmp_path / "c", [0.5])
    damage(tmp_path / "c" / "1" / "ema" / "d")
    reading = Checkpoints(tmp_path / "c", read_only=True)
    with pytest.raises(ValueError, match="cannot be read") as error, reading as checkpoints:
        checkpoints.restore_params()
    assert len(str(error.value)) < 400 + len(str(tmp_path))
    late = [RuntimeError("Event loop is closed"), RuntimeError("something else")]
    for one in late:  # as from threads that go on
        sys.unraisablehook(SimpleNamespace(exc_value=one))
    assert [one.exc_value for one in told] == late[1:]


def test_an_empty_folder_with_a_number_is_ignored(tmp_path):
    folder = tmp_path / "c"
    (folder / "9").mkdir(parents=True)
    with Checkpoints(folder, read_only=True) as checkpoints:
        assert checkpoints.steps() == [] and checkpoints.best() is None
    with pytest.warns(UserWarning, match=r"c/9 is no whole checkpoint"):
        fill(folder, (0.5, 0.6))  # orbax alone would skip every step up to 9
    with Checkpoints(folder) as checkpoints:
        assert checkpoints.steps() == [1, 2]
        assert restore(checkpoints, make_state(0)).step == 2


def test_a_deletion_that_was_cut_short_is_finished(tmp_path):
    folder = fill(tmp_path / "c", (0.5, 0.6, 0.7), keep=3)
    shutil.rmtree(folder / "1" / "ema")  # older than the newest whole one: half deleted
    shutil.copytree(folder / "2", folder / "deleted" / "2")  # renamed, and the run was killed
    shutil.rmtree(folder / "3" / "ema")  # the newest: not whole
    with pytest.warns(UserWarning) as told, Checkpoints(folder, keep=3) as checkpoints:
        assert checkpoints.steps() == [2]
    assert ["c/3 is no whole checkpoint" in str(w.message) for w in told] == [True]
    assert {path.name.split("-")[0] for path in folder.iterdir()} == {"2", "3.damaged"}


def test_without_checkpoints_there_are_no_parameters(tmp_path):
    with Checkpoints(tmp_path / "c") as checkpoints:
        assert restore(checkpoints, make_state(0)) is None
        with pytest.raises(FileNotFoundError, match="no checkpoint in .*train first"):
            checkpoints.restore_params()
    folder = fill(tmp_path / "d", (0.5,))
    with (
        Checkpoints(folder, read_only=True) as checkpoints,
        pytest.raises(FileNotFoundError, match="no checkpoint of step 8"),
    ):
        checkpoints.restore_params(8)


def test_a_changed_architecture_is_refused(tmp_path):
    folder = fill(tmp_path / "c", (0.5, 0.6))
    with warnings.catch_warnings(), Checkpoints(folder) as checkpoints:
        warnings.simplefilter("ignore")
        with pytest.raises(
            ValueError, match=r"network changed.* was float32\[3,2\], is float32\[4,2\]"
        ):
            restore(checkpoints, make_state(0, shape=(4, 2)))
        assert checkpoints.steps() == [1, 2]  # and none is set aside


def test_a_step_that_exists_is_left_alone(tmp_path):
    folder = fill(tmp_path / "c", (0.5,))
    with Checkpoints(folder) as checkpoints:
        save(checkpoints, make_state(1), {"val_auc": 0.9})
        checkpoints.wait()
        assert checkpoints.metrics(1) == {"val_auc": 0.5}


def test_parameters_alone(tmp_path):
    params = make_state(0).params
    with Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save_params(params)
    with Checkpoints(tmp_path / "c", read_only=True) as checkpoints:
        step, back = checkpoints.restore_params()
    assert step == 0
    jax.tree.map(np.testing.assert_array_equal, back, params)
