"""Start `tiny_training` in processes of their own."""

import json
import os
import socket
import subprocess
import sys
import time

import numpy as np

from msflow_jax.training.records import read_records
from tests.training import tiny_training


def start(devices, workdir, changes, distributed=None):
    """A process with that many devices, in a process group of its own."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    flags += " --xla_backend_optimization_level=0"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, tiny_training.__file__, str(workdir), json.dumps(changes)]
    return subprocess.Popen(
        command + ([distributed] if distributed else []),
        env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def start_pair(devices, workdir, changes):
    """Two processes with that many devices each, which find each other on this machine."""
    return [start(devices, workdir, changes, one) for one in two_places()]


def two_places():
    """What two processes are given to find each other on this machine."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    return [f"localhost:{port},{i},2" for i in (0, 1)]


def finish(processes):
    """Wait for all of them to end well; what each wrote to stderr."""
    told = [process.communicate(timeout=200)[1] for process in processes]
    for process, errors in zip(processes, told, strict=True):
        assert process.returncode == 0, errors[-3000:]
    return told


def wait_for(processes, path):
    """Until a file or folder is there."""
    end = time.monotonic() + 150
    while not path.exists():
        dead = [p for p in processes if p.poll() is not None]
        assert not dead and time.monotonic() < end, dead and dead[0].stderr.read()[-3000:]
        time.sleep(0.01)


def kill_after(processes, path):
    """SIGKILL once a file or folder is there."""
    wait_for(processes, path)
    for process in processes:
        process.kill()
        process.communicate()


def assert_same_losses(*workdirs):
    """Of two runs, step by step."""
    found = [[row["loss"] for row in read_records(w) if "loss" in row] for w in workdirs]
    assert len(found[0]) == tiny_training.make_config().steps
    np.testing.assert_allclose(*found, rtol=1e-4)
