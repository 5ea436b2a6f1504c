"""Independent parts of a job, done by this process, by several, or by an engine that has many machines.

A part is done by a plain function of its description, and its result is of JSON types: whatever runs
it, the results are the same and in the order of the parts. Large results are files that a part writes
itself.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shlex
import signal
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from msflow_jax.storage.atomic import write_atomically
from msflow_jax.storage.jsons import read_object

Work = Callable[[Any], Any]
ENGINES = ("processes", "beam")


class Engine(NamedTuple):
    """What does the parts of a job.

    Attributes:
        name: ``processes`` of this machine, or ``beam`` (Apache Beam, which has runners for clusters).
        workers: processes; below 2 this process does all.
        options: of Beam: its pipeline options, as on a command line: ``--runner=...``. All machines must
            see the same disk, under the same paths.
    """

    name: str = "processes"
    workers: int = 1
    options: str = ""


HERE = Engine()  # this process


def run_parts(
    work: Work, parts: Sequence[Any], engine: Engine, done: Callable[[int], Any] = int
) -> list[Any]:
    """The results of all parts, in their order.

    Args:
        work: a function of one part, found by its module (a plain function, or a ``functools.partial``
            of one); its result is of JSON types. It may be done twice, and at the same time as others.
        parts: what there is to do; each is handed to ``work``.
        engine: what does it.
        done: called with the number of parts that have been done since the last call.

    Raises:
        ValueError: an unknown engine; or what the first part in order raises of a ValueError or OSError,
            after all parts that had begun have ended.
        ImportError: the engine is not installed.
    """
    if engine.name not in ENGINES:
        raise ValueError(f"unknown engine {engine.name!r}: choose one of {', '.join(ENGINES)}")
    if engine.name == "beam":
        return _by_beam(work, parts, engine, done)
    if engine.workers < 2 or len(parts) < 2:
        found = []
        for part in parts:
            found.append(work(part))
            done(1)
        return found
    # Spawned, not forked: the parent may have threads, of JAX or of a progress bar.
    context = multiprocessing.get_context("spawn")
    workers = min(engine.workers, len(parts))
    with ProcessPoolExecutor(workers, context, initializer=_quiet) as pool:
        futures = [pool.submit(work, part) for part in parts]
        try:
            found = []
            for future in futures:
                found.append(future.result())
                done(1)
            return found
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _quiet() -> None:
    """Ctrl-C is for the process that was started, which ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _by_beam(
    work: Work, parts: Sequence[Any], engine: Engine, done: Callable[[int], Any]
) -> list[Any]:
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise ImportError(
            "the engine beam needs Apache Beam: pip install 'msflow_jax[beam]'"
        ) from error
    options = shlex.split(engine.options) or [
        "--runner=DirectRunner", f"--direct_num_workers={max(1, engine.workers)}",
        "--direct_running_mode=multi_processing" if engine.workers > 1 else
        "--direct_running_mode=in_memory",
    ]  # fmt: skip
    # Runners give nothing back but files: each part leaves its result in one.
    with tempfile.TemporaryDirectory(dir=os.environ.get("MSFLOW_JOBS")) as folder:
        with beam.Pipeline(options=PipelineOptions(options)) as pipeline:
            numbered = pipeline | beam.Create(list(enumerate(parts)))
            _ = (
                numbered
                | beam.Reshuffle()  # else one worker would take all
                | beam.Map(_leave_result, work=work, folder=folder)
            )
        found = [_result(Path(folder) / f"{i}.json") for i in range(len(parts))]
    done(len(parts))
    return found


def _leave_result(numbered: tuple[int, Any], work: Work, folder: str) -> None:
    number, part = numbered
    try:
        left = {"result": work(part)}
    except (ValueError, OSError) as error:  # an engine would bury it in a traceback of its own
        left = {"error": f"{error}"}
    write_atomically(Path(folder) / f"{number}.json", json.dumps(left).encode())


def _result(path: Path) -> Any:
    left = read_object(path, "repeat the command")
    if "error" in left:
        raise ValueError(left["error"])
    return left["result"]
