"""What the benchmarks have in common: taking turns, naming the processor, keeping the record."""

import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[[], None]


def measure(runs: dict[Any, Run], rounds: int) -> dict[Any, list[tuple[float, float]]]:
    """Wall and CPU seconds of every run, taken in turns after two warm-up rounds."""
    times: dict[Any, list[tuple[float, float]]] = {key: [] for key in runs}
    for number in range(rounds + 2):
        for key, run in runs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            if number >= 2:
                times[key].append((time.perf_counter() - wall, time.process_time() - cpu))
            # Idle workers of either library spin for a moment after a run: let them fall asleep.
            time.sleep(0.05)
    return times


def limit_threads(count: int) -> None:
    """Keeps this process on so many cores; for before the libraries load, which read the variable."""
    os.environ["OMP_NUM_THREADS"] = str(count)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def processor() -> str:
    """The processor's name where the system tells it, and how many cores this process may use."""
    cores = len(os.sched_getaffinity(0))
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
        return f"{names[0]} x {cores}"
    except (OSError, IndexError):
        return f"{platform.processor() or platform.machine()} x {cores}"


def device_name(device: str) -> str:
    """What a benchmark's ``--device`` is: the processor, or JAX's first device."""
    if device == "cpu":
        return processor()
    import jax

    return jax.devices()[0].device_kind


def torch_device(device: str) -> Run:
    """Makes PyTorch create its arrays there, products in tf32; returns what waits for the device."""
    import torch

    torch.set_default_device(device)
    torch.set_float32_matmul_precision("high" if device == "cuda" else "highest")
    return torch.cuda.synchronize if device == "cuda" else lambda: None


def keep(record: dict[str, Any], output: str | None) -> None:
    """Writes the record to a JSON file, if one is given; what is no number is null there."""
    if output:
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(_finite(record), indent=1, allow_nan=False)
        Path(output).write_text(text + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def best_validation(workdir: Path, metric: str = "val_auc") -> dict[str, float]:
    """The record of validation at the step that training chose by this metric."""
    from msflow_jax.storage.checkpoints import Checkpoints
    from msflow_jax.training.records import read_records

    with Checkpoints(workdir / "checkpoints", select=metric, read_only=True) as kept:
        step = kept.best()
    return next(row for row in read_records(workdir) if metric in row and row["step"] == step)


def call(module: str, *arguments: str) -> None:
    """One of the commands, in a process of its own."""
    subprocess.run([sys.executable, "-m", f"experiments.{module}", *arguments], check=True)
