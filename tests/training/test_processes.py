"""Several processes train as one, and a run may go on with another number of them."""

import numpy as np
import pytest
from launch import finish, kill_after, start, start_pair

from experiments.common import join_processes
from msflow_jax.training.records import read_records

SLOW = {"pause": 1.0, "sharding": "fsdp"}


@pytest.mark.parametrize("first", ["two processes", "one process"])
def test_a_killed_run_goes_on_with_other_processes(first, tmp_path, undisturbed):
    def processes(kind, changes):
        if kind == "two processes":
            return start_pair(4, tmp_path, changes)
        return [start(8, tmp_path, changes)]

    kill_after(processes(first, SLOW), tmp_path / "checkpoints" / "4")
    assert not (tmp_path / "checkpoints" / "12").exists()
    second = {"two processes": "one process", "one process": "two processes"}[first]
    finish(processes(second, {"sharding": "replicated"}))
    losses, expected = (
        [row["loss"] for row in read_records(w) if "loss" in row]
        for w in (tmp_path, undisturbed[1])
    )
    np.testing.assert_allclose(losses, expected, rtol=1e-4)


def test_processes_without_an_address_are_an_error():
    for given in ("here", "host:1", "host:1,a,2", "host:1,0"):
        with pytest.raises(ValueError, match="takes 'auto' or HOST:PORT,INDEX,COUNT, got"):
            join_processes(given)
    assert not join_processes(None)
