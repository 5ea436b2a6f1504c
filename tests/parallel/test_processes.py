"""Several processes train as one, and a run may go on with another number of them."""

import os
import re
import signal

import pytest

from msflow_jax.parallel.startup import join_processes
from tests.training.launch import (
    assert_same_losses,
    finish,
    kill_after,
    start,
    start_pair,
    wait_for,
)

# Workers read the images of a first run; the second has them on the device.
SLOW = {"pause": 1.0, "sharding": "fsdp", "workers": 1}


def test_a_killed_run_goes_on_with_several_processes(tmp_path, undisturbed):
    kill_after([start(4, tmp_path, SLOW)], tmp_path / "checkpoints" / "4")
    assert not (tmp_path / "checkpoints" / "12").exists()
    finish(start_pair(2, tmp_path, {}))
    assert_same_losses(tmp_path, undisturbed[1])


def test_sigterm_to_one_process_stops_all_at_one_step(tmp_path, undisturbed):
    """Also where one call makes several; one process goes on with what two have saved, each its part."""
    pair = start_pair(2, tmp_path, {**SLOW, "pause": 3.0, "eval_every": 2, "steps_per_dispatch": 2})
    wait_for(pair, tmp_path / "checkpoints" / "2")
    pair[1].send_signal(signal.SIGTERM)
    told = finish(pair)
    assert all("repeat the command to go on" in line for line in told)
    (saved,) = {int(re.search(r"SIGTERM after step (\d+) of 12", line)[1]) for line in told}
    assert saved < 12 and (tmp_path / "checkpoints" / str(saved)).is_dir()
    finish([start(4, tmp_path, {})])
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
