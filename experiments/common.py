"""What the commands share: one-line errors, flags, and the way from a workdir to a model."""

import argparse
import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

# ImportError: an optional package that is not there; its message says how to get it.
EXPECTED_ERRORS = (ValueError, OSError, FloatingPointError, ImportError)


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with the flags of every command."""
    out = argparse.ArgumentParser(description=description)
    out.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return out


def run(main: Callable[[Sequence[str]], Any]) -> None:
    """Run a command: what a user can mend is one line on stderr and exit status 2.

    A training that SIGTERM stopped has saved everything: a line, and exit status 0.
    """
    try:
        main(sys.argv[1:])
    except Exception as error:
        from msflow_jax.training.loop import Preempted, Stopped  # here: `--help` loads no JAX

        if isinstance(error, Preempted):
            print(error, file=sys.stderr)
            return
        if "--debug" in sys.argv or not isinstance(error, (*EXPECTED_ERRORS, Stopped)):
            raise
        message = " ".join(str(error).split())
        print(f"error: {message} (--debug shows the traceback)", file=sys.stderr)
        sys.exit(2)


def start_jax(batch: int = 0, distributed: str | None = None) -> bool:
    """Compilation cache, other processes, cores, before JAX runs; True if there are other processes."""
    use_cache()
    if join_processes(distributed):
        return True
    use_cores(batch)
    return False


def use_cache() -> None:
    """Keep what JAX compiles in the user's cache folder, unless JAX was told where, or not to."""
    import jax

    from msflow_jax.atomic import user_cache

    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(user_cache("compiled")))


def use_cores(batch: int = 0) -> None:
    """Let JAX see the processor's cores as devices, as many (up to 8) as divide the batch.

    XLA runs a convolution on one core of a CPU device, so the cores are used by sharding the batch over
    them: 1.4 times the images a second on two cores. Without effect on accelerators, where the user
    has chosen a number of devices, and once JAX is running.
    """
    import jax

    chosen = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if chosen or "JAX_NUM_CPU_DEVICES" in os.environ:
        return
    affinity = getattr(os, "sched_getaffinity", None)
    cores = min(len(affinity(0)) if affinity else os.cpu_count() or 1, 8)
    devices = max(n for n in range(1, cores + 1) if batch % n == 0)
    with contextlib.suppress(RuntimeError):  # JAX is running already
        jax.config.update("jax_num_cpu_devices", devices)


def join_processes(given: str | None) -> bool:
    """Let the processes of one training find each other by `jax.distributed`; True if there are any.

    Args:
      given: ``auto`` (Cloud TPU pods, SLURM and Open MPI tell JAX what it must know) or
        ``HOST:PORT,INDEX,COUNT``: the coordinator's address, this process's number, and how many there
        are. None: as JAX_COORDINATOR_ADDRESS, JAX_PROCESS_ID and JAX_NUM_PROCESSES say, if they are set.

    Raises:
      ValueError: neither of these, or JAX cannot find the other processes.
    """
    import jax

    names = ("JAX_COORDINATOR_ADDRESS", "JAX_PROCESS_ID", "JAX_NUM_PROCESSES")
    if given is None and names[0] in os.environ:
        given = ",".join(os.environ.get(name, "") for name in names)
    if given is None:
        return False
    settings: dict[str, Any] = {}
    if given != "auto":
        address, *numbers = given.split(",")
        if ":" not in address or len(numbers) != 2 or not all(n.isdecimal() for n in numbers):
            raise ValueError(f"--distributed takes 'auto' or HOST:PORT,INDEX,COUNT, got {given!r}")
        settings = dict(coordinator_address=address, process_id=int(numbers[0]))
        settings["num_processes"] = int(numbers[1])
    try:
        jax.distributed.initialize(**settings)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"the processes did not find each other ({reason}): check {given!r}"
        ) from error
    return True


@dataclasses.dataclass(frozen=True)
class Trained:
    """A workdir opened for use."""

    path: Path
    config: ConfigDict
    info: Any
    model: Any
    params: Any
    step: int


def open_workdir(path: str | Path) -> Trained:
    """The model of a workdir with the parameters of its best checkpoint.

    Raises:
      FileNotFoundError: no workdir, or no checkpoint in it.
      ValueError: the parameters are not those of the model in config.json.
    """
    import jax

    from msflow_jax import workdir
    from msflow_jax.build import build
    from msflow_jax.parts import Parts, prepare
    from msflow_jax.symmetric import LatentFlow
    from msflow_jax.training.checkpoints import Checkpoints
    from msflow_jax.training.digests import differences, layouts

    path = Path(path)
    config, info = workdir.read(path)
    folder = path / "checkpoints"
    if not folder.is_dir():
        raise FileNotFoundError(f"no checkpoint in {folder}: train first, or check --workdir")
    with Checkpoints(folder, select=config.train.select, read_only=True) as checkpoints:
        step, params = checkpoints.restore_params()
    parts = prepare(config.model, info, path)
    model = build(config.model, info, parts)
    if wrong := differences(layouts(params), layouts(model.init(jax.random.key(0)))):
        raise ValueError(
            f"{path}: the checkpoint of step {step} is not of the network in config.json ({wrong[0]}): "
            "restore config.json from a copy"
        )
    if isinstance(model, LatentFlow):
        assert isinstance(parts, Parts)
        params = model.join(params, parts.params)
    return Trained(path, config, info, model, params, step)
