"""Before JAX runs: the compilation cache, other processes, the processor's cores."""

import contextlib
import os
from dataclasses import dataclass
from typing import Any

import jax

from msflow_jax.storage.machine import count_cores, physical_memory
from msflow_jax.storage.places import user_cache

_MEMORY = 8 << 30  # bytes, where the machine does not say


def start_jax(batch: int = 0, distributed: str | None = None) -> bool:
    """Compilation cache, other processes, cores, before JAX runs; True if there are other processes."""
    use_cache()
    if join_processes(distributed):
        return True
    use_cores(batch)
    return False


def is_first() -> bool:
    """Whether this is the process that writes, the first of several or the only one."""
    return jax.process_index() == 0


def use_cache() -> None:
    """Keep what JAX compiles where nobody else can write, unless JAX was told where, or not to."""
    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(user_cache("compiled")))


def use_cores(batch: int = 0) -> None:
    """Let JAX see the processor's cores as devices, as many (up to 8) as divide the batch.

    XLA runs a convolution on one core of a CPU device, so the cores are used by sharding the batch over
    them: 1.4 times the images per second on two cores. Without effect on accelerators, where the user
    has chosen a number of devices, and once JAX is running.
    """
    chosen = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if chosen or "JAX_NUM_CPU_DEVICES" in os.environ:
        return
    cores = min(count_cores(), 8)
    devices = max(n for n in range(1, cores + 1) if batch % n == 0)
    with contextlib.suppress(RuntimeError):  # JAX is running already
        jax.config.update("jax_num_cpu_devices", devices)


@dataclass(frozen=True)
class Machine:
    """What a run has to compute with: its name in words, whether only CPU cores, and its memory."""

    name: str
    cpu: bool
    memory: int  # bytes: of the first device, or of the computer


def describe_machine() -> Machine:
    """The machine of this process; starts JAX."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        stats = device.memory_stats() or {}
        name = f"{jax.device_count()} x {device.device_kind}"
        return Machine(name, False, int(stats.get("bytes_limit", _MEMORY)))
    return Machine(f"{count_cores()} CPU core(s)", True, physical_memory() or _MEMORY)


def join_processes(given: str | None) -> bool:
    """Let the processes of one training find each other by ``jax.distributed``; True if there are any.

    Args:
        given: ``auto`` (Cloud TPU pods, SLURM and Open MPI tell JAX what it must know) or
            ``HOST:PORT,INDEX,COUNT``: the coordinator's address, this process's number, and how
            many there are. None: as JAX_COORDINATOR_ADDRESS, JAX_PROCESS_ID and JAX_NUM_PROCESSES
            say, if they are set.

    Raises:
        ValueError: neither of these, or JAX cannot find the other processes.
    """
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
