"""Four devices do what one does, and what they leave can be used on one."""

import jax
import numpy as np
import pytest

from msflow_jax.storage.checkpoints import Checkpoints
from msflow_jax.training.records import read_records
from tests.training import tiny_training
from tests.training.launch import finish, start

pytestmark = pytest.mark.skipif(jax.device_count() > 1, reason="compares with one device")


def run_on(devices, workdir, **changes):
    """The run of `tiny_training` in a process of its own: its device count is fixed when it starts."""
    finish([start(devices, workdir, changes)])


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """Workdir of the run on four devices."""
    workdir = tmp_path_factory.mktemp("four")
    run_on(4, workdir)
    return workdir


@pytest.mark.parametrize(
    "strategy, mesh",
    [
        ("replicated", {"data": -1, "model": 1}),
        ("fsdp", {"data": -1, "model": 1}),
        ("tensor", {"data": 4, "model": 2}),
    ],
)
def test_every_strategy_follows_one_trajectory(strategy, mesh, one_long, tmp_path):
    run_on(8, tmp_path, **LONG, sharding=strategy, mesh=mesh)
    losses = [row["loss"] for row in read_records(tmp_path) if "loss" in row]
    assert len(losses) == LONG["steps"]
    np.testing.assert_allclose(losses, one_long, rtol=1e-4)


LONG = {"steps": 40, "eval_every": 40, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def one_long(tmp_path_factory):
    """Losses of the same run on one device."""
    workdir = tmp_path_factory.mktemp("one")
    tiny_training.train(workdir, **LONG)
    return [row["loss"] for row in read_records(workdir) if "loss" in row]


def test_training_agrees(four, undisturbed):
    state, folder = undisturbed
    one, several = (
        [row["loss"] for row in read_records(w) if "loss" in row] for w in (folder, four)
    )
    np.testing.assert_allclose(several, one, rtol=1e-4)
    with Checkpoints(four / "checkpoints", read_only=True) as checkpoints:
        step, params = checkpoints.restore_params()  # saved from devices that are not here
    assert step == 12
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), params, state.ema)


def test_training_goes_on_with_another_number_of_devices(four, undisturbed):
    state = tiny_training.train(four)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4),
        state.params,
        undisturbed[0].params,
    )


def test_a_padded_odd_set_is_read_alike(four, undisturbed):
    one, several = tiny_training.distances(undisturbed[0].ema), np.load(four / "distances.npy")
    assert one.shape == (1, 7, 3)
    np.testing.assert_allclose(several, one, atol=1e-4)
