"""Times a coupling flow against FrEIA 0.2 and normflows 1.7.3 on one CPU or GPU, all in one process.

    python benchmarks/coupling_speed.py --output benchmarks/results/coupling_speed.json
    python benchmarks/coupling_speed.py --device=cuda --output ...

Training step, log-likelihood given one class and given all of them, and sampling, for two shapes. All
take turns within every round, with equal thread counts, so that a busy machine slows all; each gives
its cores back before the next begins. JAX uses the cores as the commands do, the batch sharded over
them; PyTorch within its operations. Compilation is timed apart. The peers are built in
``torch_flows.py``; for all classes they get the faster of two ways, a pass for each class or one pass
over a batch of all.
"""

import argparse
import dataclasses
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from common import Run, device_name, keep, limit_threads, measure, torch_device

Key = tuple[str, str]  # what is done, and by which library
SHAPES = ((32, 32, 3), (64, 64, 1))
CLASSES, WIDTH, STEPS, LEVELS = 10, 64, 8, 3
TASKS = ("train", "one class", "all classes", "sample")
PEERS = ("freia", "normflows", "normflows_film")
WAYS = ("all classes, passes", "all classes, one batch")
MEASURES = ("min_ms", "median_ms", "cpu_ms")
RATE = 1e-4
SPATIAL_BIAS = False  # the learned spatial bias, which the peers have not


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="timed runs of each (default 10)")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--output", help="write the measurements to this JSON file")
    return parser.parse_args(arguments)


@dataclasses.dataclass(frozen=True)
class Library:
    """What is timed of one library: runs by task, seconds to compile, parameters, operations."""

    runs: dict[str, Run]
    compile_s: dict[str, float]
    parameters: int
    gmac: float  # billions of multiplications of convolutions, of an image given one class


def ours(shape: tuple[int, int, int], batch: int) -> Library:
    """:class:`CouplingFlow`, the batch sharded over all devices."""
    import jax
    import jax.numpy as jnp
    import optax

    from msflow_jax.coupling.conditioners import Convolutional
    from msflow_jax.coupling.model import CouplingFlow
    from msflow_jax.parallel.sharding import make_mesh, replicated, split_batch

    level = f"squeeze half:{STEPS}"
    flow = CouplingFlow(
        Convolutional(CLASSES, WIDTH, spatial_bias=SPATIAL_BIAS), tuple(map(str, range(CLASSES))), shape,
        " split ".join([level] * LEVELS), passes=1,
    )  # fmt: skip
    mesh = make_mesh()
    whole, sharded = replicated(mesh), split_batch(mesh)
    key = jax.random.key(0)
    x = jax.device_put(jax.random.uniform(key, (batch, *shape), minval=-1), sharded)
    labels = jax.device_put(jnp.arange(batch) % CLASSES, sharded)
    params = jax.device_put(flow.init(key), whole)
    optimiser = optax.adam(RATE)

    def step(state: Any, x: jax.Array, labels: jax.Array) -> tuple[Any, jax.Array]:
        params, moments = state
        value, gradient = jax.value_and_grad(lambda p: -flow.log_prob(p, x, labels).mean())(params)
        updates, moments = optimiser.update(gradient, moments, params)
        return (optax.apply_updates(params, updates), moments), value

    state = jax.device_put(jax.tree.map(jnp.copy, (params, optimiser.init(params))), whole)
    programs = {
        "train": (jax.jit(step, donate_argnums=0), (state, x, labels)),
        "one class": (jax.jit(flow.log_prob), (params, x, labels)),
        "all classes": (jax.jit(flow.class_log_probs), (params, x)),
        "sample": (jax.jit(flow.generate), (params, labels, key)),
    }
    compile_s, compiled = {}, {}
    for task, (function, given) in programs.items():
        start = time.perf_counter()
        compiled[task] = function.lower(*given).compile()
        compile_s[task] = time.perf_counter() - start
    holder = [state]

    def train() -> None:
        holder[0], value = compiled["train"](holder[0], x, labels)
        jax.block_until_ready((holder[0], value))

    runs: dict[str, Run] = {"train": train}
    for task in TASKS[1:]:
        given = programs[task][1]
        runs[task] = lambda task=task, given=given: jax.block_until_ready(compiled[task](*given))
    return Library(runs, compile_s, count(jax.tree.leaves(params)), products(shape, labels=0))


def peer(kind: str, shape: tuple[int, int, int], batch: int, device: str) -> Library:
    """``freia``, ``normflows`` or ``normflows_film``, all as their users run them: eager, NCHW."""
    import torch
    from torch_flows import FreiaFlow, NormFlow

    torch.manual_seed(0)
    gpu = torch_device(device)
    height, width, channels = shape
    given = ((channels, height, width), CLASSES, WIDTH, STEPS, LEVELS)
    flow = FreiaFlow(*given) if kind == "freia" else NormFlow(*given, film=kind.endswith("film"))
    x = 2 * torch.rand(batch, channels, height, width) - 1
    labels = torch.arange(batch) % CLASSES
    every = torch.arange(CLASSES).repeat(batch)
    optimiser = torch.optim.Adam(flow.parameters(), lr=RATE)

    def train() -> None:
        optimiser.zero_grad(set_to_none=True)
        (-flow.log_prob(x, labels).mean()).backward()
        optimiser.step()
        gpu()

    def inference(function: Callable[[], Any]) -> Run:
        def run() -> None:
            with torch.inference_mode():
                function()
            gpu()

        return run

    runs = {
        "train": train,
        "one class": inference(lambda: flow.log_prob(x, labels)),
        "sample": inference(lambda: flow.sample(labels)),
    }
    if kind == "normflows":  # no comparison: what all classes have in common is all but the base
        runs["all classes, base alone"] = inference(lambda: flow.class_log_probs(x))
    else:
        runs[WAYS[0]] = inference(
            lambda: [flow.log_prob(x, torch.full((batch,), k)) for k in range(CLASSES)]
        )
        runs[WAYS[1]] = inference(lambda: flow.log_prob(x.repeat_interleave(CLASSES, dim=0), every))
    maps = CLASSES if kind == "freia" else 0
    parameters = [p for p in flow.parameters() if p.requires_grad]
    return Library(runs, {}, count(parameters), products(shape, labels=maps))


def count(arrays: list[Any]) -> int:
    """Entries of all arrays."""
    return sum(int(a.numel() if hasattr(a, "numel") else a.size) for a in arrays)


def products(shape: tuple[int, int, int], labels: int) -> float:
    """Billions of products in the couplings' convolutions, with so many channels of a label map."""
    height, width, channels = shape
    total = 0
    for _ in range(LEVELS):
        height, width, channels = height // 2, width // 2, 4 * channels
        half = channels // 2
        kernels = 9 * (half + labels) * WIDTH + WIDTH**2 + 9 * WIDTH * 2 * half
        total += STEPS * height * width * kernels
        channels = half
    return total / 1e9


def summary(times: list[tuple[float, float]]) -> dict[str, float]:
    """Least and median milliseconds a batch, and median CPU milliseconds."""
    wall = [1e3 * w for w, _ in times]
    cpu = 1e3 * statistics.median(c for _, c in times)
    return {"min_ms": min(wall), "median_ms": statistics.median(wall), "cpu_ms": cpu}


def compare(shape: tuple[int, int, int], options: argparse.Namespace) -> dict[str, Any]:
    """All rows of one shape."""
    libraries = {"msflow_jax": ours(shape, options.batch)}
    for kind in PEERS:
        libraries[kind] = peer(kind, shape, options.batch, options.device)
    runs = {
        (way, name): run for name, library in libraries.items() for way, run in library.runs.items()
    }
    runs = dict(sorted(runs.items()))  # the rows of a task side by side in time
    rows: dict[str, dict[str, Any]] = {}
    for (way, name), found in measure(runs, options.rounds).items():
        rows.setdefault(way, {})[name] = summary(found)
    return {
        "rows": rows,
        "speedup": {task: {m: speedup(rows, task, m) for m in MEASURES} for task in TASKS},
        "compile_s": libraries["msflow_jax"].compile_s,
        "parameters": {name: library.parameters for name, library in libraries.items()},
        "gmac": {name: library.gmac for name, library in libraries.items()},
    }


def speedup(rows: dict[str, dict[str, Any]], task: str, measure: str) -> dict[str, float]:
    """The peers' times over ours, each in its fastest way that lets the couplings know the class."""
    found: dict[str, float] = {}
    for way in {task, *WAYS} if task == "all classes" else {task}:
        for name, row in rows[way].items():
            if name in PEERS:
                found[name] = min(found.get(name, float("inf")), row[measure])
    return {name: value / rows[task]["msflow_jax"][measure] for name, value in found.items()}


def table(results: dict[str, Any]) -> str:
    """Text table: milliseconds a batch, and what the fastest peer takes over what we take."""
    lines = []
    for shape, result in results.items():
        lines.append(f"{shape:<28}{'library':<16}{'min ms':>9}{'median ms':>11}{'CPU ms':>9}")
        for way, row in result["rows"].items():
            for name, r in row.items():
                numbers = f"{r['min_ms']:>9.1f}{r['median_ms']:>11.1f}{r['cpu_ms']:>9.1f}"
                lines.append(f"{way:<28}{name:<16}{numbers}")
        for task, by_measure in result["speedup"].items():
            lowest = (f"{min(by_measure[m].values()):.2f}" for m in MEASURES)
            lines.append(f"{'fastest peer / ours, ' + task:<44}{next(lowest):>9}{next(lowest):>11}"
                         f"{next(lowest):>9}")  # fmt: skip
        for name in ("compile_s", "parameters", "gmac"):
            lines.append(f"{name}: " + ", ".join(f"{k} {v:.4g}" for k, v in result[name].items()))
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark."""
    options = parse(arguments)
    if options.device == "cpu":
        limit_threads(options.threads)
    warnings.filterwarnings("ignore", module="normflows|FrEIA")
    import jax
    import torch

    jax.config.update("jax_num_cpu_devices", options.threads)
    torch.set_num_threads(options.threads)
    load = os.getloadavg()[0]
    results = {"x".join(map(str, shape)): compare(shape, options) for shape in SHAPES}
    print(table(results))
    record = {
        "command": " ".join(["python", *sys.argv]),
        "device": device_name(options.device),
        "cores": "jax: batch sharded over one device a core; torch: threads within operations"
        if options.device == "cpu"
        else "",
        "load_before": load,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("jax", "torch", "FrEIA", "normflows")},
        "options": {k: v for k, v in vars(options).items() if k != "output"},
        "results": results,
    }
    keep(record, options.output)


if __name__ == "__main__":
    main()
