"""One thread does the work: in order, together, and never more than there is room for."""

import threading
from concurrent.futures import CancelledError

import pytest

from msflow_jax.serving.work import Closed, Full, Worker


class Gate:
    """Work that waits until it is let through, and remembers what came together."""

    def __init__(self, **limits):
        self.open, self.begun, self.batches = threading.Event(), threading.Event(), []
        self.worker = Worker(self._do, **{"together": 4, "waiting": 8, **limits})

    def _do(self, kind, asked):
        self.batches.append((kind, list(asked)))
        self.begun.set()
        assert self.open.wait(20)
        return [ValueError(one) if one == "bad" else one for one in asked]


@pytest.fixture
def gate():
    found = Gate()
    yield found
    found.open.set()
    assert found.worker.close(20)


def test_what_waits_is_joined_by_kind_and_in_order(gate):
    first = gate.worker.submit("a", 0)
    assert gate.begun.wait(20)
    later = [gate.worker.submit(kind, i) for i, kind in enumerate("ababaaa", start=1)]
    gate.open.set()
    assert first.result(20) == 0
    assert [one.result(20) for one in later] == [*range(1, 8)]
    assert gate.batches == [("a", [0]), ("a", [1, 3, 5, 6]), ("b", [2, 4]), ("a", [7])]


def test_an_error_is_of_its_own_request_alone(gate):
    gate.open.set()
    gate.begun.clear()
    futures = [gate.worker.submit("a", one) for one in ("good", "bad", "fine")]
    assert futures[0].result(20) == "good" and futures[2].result(20) == "fine"
    with pytest.raises(ValueError, match="bad"):
        futures[1].result(20)


def test_work_that_fails_fails_for_all_and_the_next_is_done():
    def do(kind, asked):
        if kind == "broken":
            raise FloatingPointError("not finite")
        return asked

    worker = Worker(do, together=4, waiting=4)
    with pytest.raises(FloatingPointError):
        worker.submit("broken", 1).result(20)
    assert worker.submit("whole", 2).result(20) == 2
    assert worker.alive and worker.close(20) and not worker.alive


@pytest.mark.parametrize("fault", [SystemExit("end"), KeyboardInterrupt(), []])
def test_nothing_ends_the_thread(fault):
    def do(kind, asked):
        if kind == "broken" and isinstance(fault, BaseException):
            raise fault
        return fault if kind == "broken" else asked

    worker = Worker(do, together=4, waiting=4, meanwhile=[lambda: 1 / 0])
    with pytest.raises((SystemExit, KeyboardInterrupt, RuntimeError)):
        worker.submit("broken", 1).result(20)
    assert worker.submit("whole", 2).result(20) == 2 and worker.close(20)


def test_what_finds_no_room_is_refused_and_what_was_given_up_is_left_out(gate):
    gate.worker.submit("a", 0)
    assert gate.begun.wait(20)
    waiting = [gate.worker.submit("a", i) for i in range(8)]
    with pytest.raises(Full):
        gate.worker.submit("a", 9)
    assert gate.worker.waiting == 8
    assert waiting[0].cancel()
    gate.open.set()
    assert waiting[7].result(20) == 7
    assert gate.batches[1] == ("a", [1, 2, 3, 4])
    with pytest.raises(CancelledError):
        waiting[0].result(20)


def test_an_end_does_what_waits_and_takes_no_more():
    gate = Gate()
    gate.worker.submit("a", 0)
    assert gate.begun.wait(20)
    last = gate.worker.submit("a", 1)
    assert not gate.worker.close(0.01)  # it still works
    with pytest.raises(Closed):
        gate.worker.submit("a", 2)
    gate.open.set()
    assert gate.worker.close(20) and last.result(0) == 1 and gate.worker.waiting == 0


def test_what_may_wait_is_done_while_nothing_waits():
    done, slow, begun = [], threading.Event(), threading.Event()

    def first():
        begun.set()
        assert slow.wait(20)
        done.append("first")

    def do(kind, asked):
        done.append(kind)
        return asked

    later = [first, lambda: done.append("second")]
    worker = Worker(do, together=1, waiting=4, meanwhile=later)
    assert begun.wait(20)
    future = worker.submit("asked", 1)
    slow.set()
    assert future.result(20) == 1 and worker.close(20)
    assert done[:2] == ["first", "asked"]  # a job goes before what may wait


@pytest.mark.parametrize("limits", [{"together": 0}, {"waiting": 0}])
def test_there_is_room_for_one(limits):
    with pytest.raises(ValueError, match="1 or more"):
        Gate(**limits)
