"""Parts of a job: the same results in the same order, whatever does them."""

import functools
import os
import time

import pytest

from msflow_jax.storage.jobs import Engine, run_parts


def square(number, *, offset=0):
    time.sleep(0.05 * (number == 0))  # the first one ends last
    if number == 13:
        raise ValueError("part 13 cannot be done")
    return {"value": number**2 + offset, "process": os.getpid()}


# Several processes of Beam find a function only in an installed module: tested with packs.
ENGINES = [Engine(), Engine(workers=2), Engine("beam")]


def available(engine):
    if engine.name == "beam":
        pytest.importorskip("apache_beam")
    return engine


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_results_are_in_the_order_of_the_parts(engine):
    counted = []
    found = run_parts(
        functools.partial(square, offset=1), list(range(5)), available(engine), counted.append
    )
    assert [f["value"] for f in found] == [1, 2, 5, 10, 17] and sum(counted) == 5
    if engine == Engine(workers=2):
        assert os.getpid() not in {f["process"] for f in found}


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_what_a_part_raises_arrives_as_its_line(engine):
    with pytest.raises(ValueError, match="^part 13 cannot be done$"):
        run_parts(square, [1, 13, 2], available(engine))


def test_an_unknown_engine_is_refused():
    with pytest.raises(ValueError, match="unknown engine 'ray': choose one of processes, beam"):
        run_parts(square, [1], Engine("ray"))
