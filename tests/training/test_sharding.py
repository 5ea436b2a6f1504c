"""Four devices do what one does, and what they leave can be used on one."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny_training

from msflow_jax.training.checkpoints import Checkpoints
from msflow_jax.training.records import read_records

pytestmark = pytest.mark.skipif(jax.device_count() > 1, reason="compares with one device")


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """Workdir of the same run on four devices: the device count is fixed when a process starts."""
    workdir = tmp_path_factory.mktemp("four")
    script = Path(tiny_training.__file__)
    flags = "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    cache = jax.config.jax_compilation_cache_dir
    done = subprocess.run(
        [sys.executable, str(script), str(workdir)],
        env={**environment, "JAX_COMPILATION_CACHE_DIR": cache or ""},
        capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return workdir


def test_training_agrees(four, undisturbed):
    state, folder = undisturbed
    one, several = ([row["loss"] for row in read_records(w)] for w in (folder, four))
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
