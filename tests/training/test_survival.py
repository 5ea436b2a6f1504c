"""What ends a run from outside loses nothing: signals, damage, a full disk, a second run."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import warnings

import jax
import numpy as np
import pytest

from msflow_jax.storage.checkpoints import Checkpoints
from msflow_jax.storage.lock import locked
from msflow_jax.training import Preempted, Stopped, fit
from msflow_jax.training.preemption import Preemption
from msflow_jax.training.records import read_records
from msflow_jax.training.source import Source
from tests.storage.test_checkpoints import fill, make_state
from tests.training import tiny_training
from tests.training.tiny_training import assert_equal, make_stage, restore, save

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals and limits")


@pytest.mark.parametrize("number, name, status", [(15, "SIGTERM", 0), (2, "Ctrl-C", 130)])
def test_a_signal_saves_and_the_run_goes_on(tmp_path, undisturbed, number, name, status):
    def validate(params):
        os.kill(os.getpid(), number)
        return {"val_auc": 0.5}

    before = signal.getsignal(number)
    with pytest.raises(Preempted, match=f"by {name} after step 5 of 12, which is saved") as stopped:
        tiny_training.train(tmp_path, eval_every=5, validate=validate)
    assert stopped.value.status == status
    assert signal.getsignal(number) is before and signal.set_wakeup_fd(-1) == -1
    with Checkpoints(tmp_path / "checkpoints", read_only=True) as checkpoints:
        assert checkpoints.steps() == [5]
    assert_equal(tiny_training.train(tmp_path), undisturbed[0])


def test_a_signal_in_the_last_validation_ends_the_command_too(tmp_path, undisturbed):
    """Else the evaluation of the test split would begin, which takes much longer than a step."""

    def validate(params):
        os.kill(os.getpid(), signal.SIGTERM)
        return {"val_auc": 0.5}

    with pytest.raises(Preempted, match="after step 12 of 12, which is saved"):
        tiny_training.train(tmp_path, eval_every=12, validate=validate)
    with Checkpoints(tmp_path / "checkpoints", read_only=True) as checkpoints:
        assert checkpoints.metrics(12)["val_auc"] == 0.5
    assert_equal(tiny_training.train(tmp_path), undisturbed[0])


def test_the_second_interrupt_ends_at_once(tmp_path):
    code = """
import ctypes, signal
from msflow_jax.training.preemption import Preemption
with Preemption() as preemption:
    print("ready", flush=True)
    wait = ctypes.CDLL(None).pause
    while True:
        wait()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)  # the first only asks
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr.read().strip() == (
            "stopped at once by the second Ctrl-C: the last checkpoint is kept"
        )
    finally:
        process.kill()
        process.communicate()


def test_what_is_ignored_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _ignore()
    finally:
        signal.signal(signal.SIGINT, before)


def _ignore():
    with Preemption() as preemption:
        os.kill(os.getpid(), signal.SIGINT)
        assert not preemption.requested()
        os.kill(os.getpid(), signal.SIGTERM)
        assert preemption.requested() and preemption.status == 0


def test_sigkill_at_any_moment(tmp_path, undisturbed):
    """Killed whenever it likes, the run ends where an undisturbed one does, bit for bit."""
    rng = np.random.default_rng(0)
    command = [sys.executable, tiny_training.__file__, str(tmp_path), json.dumps({"eval_every": 1})]
    for _ in range(3):
        seen = len(read_records(tmp_path))
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 120
        while len(read_records(tmp_path)) <= seen and time.monotonic() < end:
            time.sleep(0.01)  # it has begun to train
        time.sleep(rng.uniform(0, 0.2))
        process.kill()
        process.wait()
    assert read_records(tmp_path)
    assert_equal(tiny_training.train(tmp_path, eval_every=1), undisturbed[0])


def test_no_damage_to_a_file_goes_unseen(tmp_path):
    """Each file of the newest checkpoint in turn, cut short or with one byte flipped."""
    whole = fill(tmp_path / "whole", (0.5, 0.6), keep=2)
    files = sorted(p.relative_to(whole) for p in (whole / "2").rglob("*") if p.is_file())
    assert len(files) > 5
    skipped = []
    for file in files:
        for change in (lambda b: b[: len(b) // 2], flip_middle):
            folder = tmp_path / "copy"
            shutil.copytree(whole, folder)
            (folder / file).write_bytes(change((folder / file).read_bytes()))
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                step, state = newest(folder)
            told = any("/2 " in str(w.message) for w in warned)
            if step == 2:
                assert_equal(state, make_state(2))  # harmless
            else:
                assert step == 1 and told, file
                assert_equal(state, make_state(1))
                skipped.append(file)
            shutil.rmtree(folder)
    assert {file.parts[1] for file in skipped} >= {"ema", "state", "metrics", "digests"}


def flip_middle(content):
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :] if content else b"x"


def newest(folder):
    """Step and state that training would go on from."""
    with Checkpoints(folder) as checkpoints:
        state = restore(checkpoints, make_state(0))
    return int(state.step), state


@pytest.fixture
def no_room():
    """Files cannot grow beyond 20 kB, as if the disk were full."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill_disk(full=True):
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000 if full else old[0], old[1]))

    yield fill_disk
    fill_disk(False)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_told_and_the_last_good_one_kept(tmp_path, no_room):
    size = (300, 300)
    with Checkpoints(tmp_path / "c") as checkpoints:
        save(checkpoints, make_state(1, size), {})
        assert checkpoints.wait()
        no_room()
        save(checkpoints, make_state(2, size), {})
        with pytest.warns(UserWarning, match="could not be saved .* last good one is step 1"):
            assert not checkpoints.wait()
        no_room(False)
        save(checkpoints, make_state(3, size), {})
        assert checkpoints.wait() and checkpoints.steps() == [1, 3]
        assert restore(checkpoints, make_state(0, size)).step == 3
        no_room()
        save(checkpoints, make_state(4, size), {})
        with pytest.warns(UserWarning, match="last good one is step 3"):
            assert not checkpoints.wait()
    assert {p.name for p in (tmp_path / "c").iterdir()} == {"1", "3"}  # no leftovers fill the disk


class Wide:
    """A model too large for the disk."""

    def init(self, key):
        return {"weights": jax.random.normal(key, (100, 100))}

    def loss(self, params, batch, key, *, train):
        return (params["weights"] ** 2).mean() + 0 * batch["image"].mean(), {}


def test_a_run_on_a_full_disk_reaches_its_end_and_says_so(tmp_path, no_room):
    config = tiny_training.make_config()
    source = Source.of_arrays(tiny_training.make_arrays())
    no_room()
    with (
        pytest.raises(Stopped, match="last state of the run could not be saved"),
        pytest.warns(UserWarning, match="last good one is none"),
    ):
        fit(make_stage(Wide(), source, config), tmp_path, progress=False)
    assert [row["step"] for row in read_records(tmp_path)][-1] == 12


def test_a_second_run_on_a_workdir_is_refused(tmp_path):
    code = "import sys, pathlib, time; from msflow_jax.storage.lock import locked\n"
    code += "with locked(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(ValueError, match=rf"in use by process {holder.pid} on .*--workdir"),
            locked(tmp_path),
        ):
            pass
    finally:
        holder.kill()
        holder.wait()
    with locked(tmp_path):  # the lock of a killed process is free
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
