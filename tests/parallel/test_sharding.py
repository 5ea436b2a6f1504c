"""Four devices do what one does, and what they leave can be used on one."""

import jax
import numpy as np
import pytest

from msflow_jax.storage.checkpoints import Checkpoints
from tests.training import tiny_training
from tests.training.launch import assert_same_losses, finish, start

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


@pytest.mark.parametrize("strategy, model", [("fsdp", 1), ("tensor", 2)])
def test_every_strategy_follows_one_trajectory(strategy, model, undisturbed, tmp_path):
    """That of one device; the default strategy, replicated, does so below."""
    run_on(4, tmp_path, sharding=strategy, mesh={"data": -1, "model": model})
    assert_same_losses(tmp_path, undisturbed[1])


def test_training_agrees(four, undisturbed):
    state, folder = undisturbed
    assert_same_losses(four, folder)
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
