"""Several processes train as one, and a run may go on with another number of them."""

import os
import re
import signal

import numpy as np
import pytest

from msflow_jax.parallel.startup import join_processes
from msflow_jax.training.records import read_records
from tests.training.launch import finish, kill_after, start, start_pair, wait_for

SLOW = {"pause": 1.0, "sharding": "fsdp"}


@pytest.mark.parametrize("first", ["two processes", "one process"])
def test_a_killed_run_goes_on_with_other_processes(first, tmp_path, undisturbed):
    def processes(kind, changes):
        if kind == "two processes":
            return start_pair(4, tmp_path, changes)
        return [start(8, tmp_path, changes)]

    # The first run reads its images through a worker of each process, the second has them on the device.
    kill_after(processes(first, {**SLOW, "workers": 1}), tmp_path / "checkpoints" / "4")
    assert not (tmp_path / "checkpoints" / "12").exists()
    second = {"two processes": "one process", "one process": "two processes"}[first]
    finish(processes(second, {"sharding": "replicated"}))
    assert_same_losses(tmp_path, undisturbed[1])


def assert_same_losses(*workdirs):
    found = [[row["loss"] for row in read_records(w) if "loss" in row] for w in workdirs]
    np.testing.assert_allclose(*found, rtol=1e-4)


def test_sigterm_to_one_process_stops_all_at_one_step(tmp_path, undisturbed):
    pair = start_pair(1, tmp_path, {"pause": 3.0, "eval_every": 2})
    wait_for(pair, tmp_path / "checkpoints" / "2")
    pair[1].send_signal(signal.SIGTERM)
    told = finish(pair)
    assert all("repeat the command to go on" in line for line in told)
    (saved,) = {int(re.search(r"SIGTERM after step (\d+) of 12", line)[1]) for line in told}
    assert saved < 12 and (tmp_path / "checkpoints" / str(saved)).is_dir()
    finish([start(2, tmp_path, {})])
    assert_same_losses(tmp_path, undisturbed[1])


def test_a_signal_to_the_whole_group_finds_its_readers_alive(tmp_path, undisturbed):
    process = start(1, tmp_path, {"pause": 2.0, "eval_every": 2, "workers": 2})
    wait_for([process], tmp_path / "checkpoints" / "2")
    os.killpg(process.pid, signal.SIGTERM)
    (told,) = finish([process])
    assert "stopped by SIGTERM after step" in told
    finish([start(1, tmp_path, {"workers": 1})])
    assert_same_losses(tmp_path, undisturbed[1])


def test_processes_without_an_address_are_an_error():
    for given in ("here", "host:1", "host:1,a,2", "host:1,0"):
        with pytest.raises(ValueError, match="takes 'auto' or HOST:PORT,INDEX,COUNT, got"):
            join_processes(given)
    assert not join_processes(None)
