"""Memory and time of a coupling flow's training step on volumes, by side and depth.

    python benchmarks/coupling_volumes.py --max-gib 20 --output benchmarks/results/coupling_volumes.json

Three backward passes: ``kept`` holds what every step leaves, ``recomputed`` what comes into each step
(``model.remat``; on CPU always so), ``inverted`` nothing of a step (``model.reversible``). Each row is a
process of its own: the memory that the compiled step says it needs (state of Adam and temporaries; any
size, nothing is allocated), and where that is at most ``--max-gib`` the peak measured and the time of a
step. At last, how far inverting the steps moves the gradient.
"""

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from typing import Any
from unittest import mock

from common import keep, processor

LEVELS, CLASSES, RATE = 3, 2, 1e-3
MODES = ("kept", "recomputed", "inverted")
GIB = 2**30


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[16, 24, 32, 48, 64, 96, 128])
    parser.add_argument("--steps", type=int, nargs="+", default=[4, 16], help="of each of 3 levels")
    parser.add_argument("--modes", nargs="+", default=MODES, choices=MODES)
    parser.add_argument("--width", type=int, default=32, help="channels of the conditioners")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3, help="timed steps of each")
    parser.add_argument("--max-gib", type=float, default=4.0, help="larger steps are only compiled")
    parser.add_argument("--error-side", type=int, default=16, help="of the gradients; 0: none")
    parser.add_argument("--output", help="write the measurements to this JSON file")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def make_flow(side: int, steps: int, width: int, mode: str) -> Any:
    """Glow's steps on three levels: halves, one pass, learned priors."""
    from msflow_jax.coupling.conditioners import Convolutional
    from msflow_jax.coupling.model import CouplingFlow

    layout = " split ".join([f"squeeze half:{steps}"] * LEVELS)
    return CouplingFlow(
        Convolutional(CLASSES, width), tuple(map(str, range(CLASSES))), (side, side, side, 1), layout,
        passes=1, split_prior="learned", remat=mode == "recomputed", reversible=mode == "inverted",
    )  # fmt: skip


def compiled_step(flow: Any, batch: int, mode: str) -> tuple[Any, Any, Any]:
    """A training step compiled for ``batch`` volumes, Adam's optimiser, the shapes of its state."""
    import jax
    import jax.numpy as jnp
    import optax

    optimiser, key = optax.adam(RATE), jax.random.key(0)

    def step(state: Any, images: Any, labels: Any) -> Any:
        params, moments = state
        given = {"image": images, "label": labels}
        (loss, _), gradient = jax.value_and_grad(flow.loss, has_aux=True)(params, given, key)
        updates, moments = optimiser.update(gradient, moments, params)
        return (optax.apply_updates(params, updates), moments), loss

    params = jax.eval_shape(flow.init, key)
    state = params, jax.eval_shape(optimiser.init, params)
    images = jax.ShapeDtypeStruct((batch, *flow.shape), jnp.float32)
    labels = jax.ShapeDtypeStruct((batch,), jnp.int32)
    # On CPU the library recomputes steps unasked.
    unasked = mock.patch.object(jax, "checkpoint", lambda function, **_: function)
    with unasked if mode == "kept" else contextlib.nullcontext():
        lowered = jax.jit(step, donate_argnums=0).lower(state, images, labels)
    return lowered.compile(), optimiser, state


def measure_one(side: int, steps: int, mode: str, options: argparse.Namespace) -> dict[str, Any]:
    """A row: what the compiler says, and what is measured where that fits."""
    import jax

    flow = make_flow(side, steps, options.width, mode)
    start = time.perf_counter()
    step, optimiser, (params, _) = compiled_step(flow, options.batch, mode)
    needs = step.memory_analysis()
    row: dict[str, Any] = {
        "side": side, "steps": steps * LEVELS, "mode": mode,
        "parameters": sum(a.size for a in jax.tree.leaves(params)),
        "compile_s": time.perf_counter() - start,
        "state_gib": needs.argument_size_in_bytes / GIB,
        "temporary_gib": needs.temp_size_in_bytes / GIB,
    }  # fmt: skip
    row["compiled_gib"] = row["state_gib"] + row["temporary_gib"]
    if row["compiled_gib"] <= options.max_gib:
        row |= run(flow, step, optimiser, options)
    return row


def run(flow: Any, step: Any, optimiser: Any, options: argparse.Namespace) -> dict[str, float]:
    """Peak memory and seconds of a step, on random volumes."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    before = reset_peak()
    params = flow.init(jax.random.key(0))
    grey = np.random.default_rng(0).integers(0, 256, (options.batch, *flow.shape))
    images = jnp.asarray(grey / 127.5 - 1, jnp.float32)
    labels = jnp.arange(options.batch) % CLASSES
    state, times = (params, optimiser.init(params)), []
    del params, grey
    for _ in range(options.rounds + 1):
        start = time.perf_counter()
        state, loss = step(state, images, labels)
        jax.block_until_ready((state, loss))
        times.append(time.perf_counter() - start)
    found = {"step_s": min(times[1:]), "peak_gib": peak(before)}
    return found | {"loss_bits": float(loss)}


def reset_peak() -> int:
    """Bytes of this process now; from here on its peak is counted anew, where Linux does so."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    return resident("VmRSS")


def resident(name: str) -> int:
    """Bytes that /proc/self/status gives under this name; 0 where there is no such file."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))
    return 0


def peak(before: int) -> float:
    """GiB of the device at most; of a CPU, of this process beyond ``before``."""
    import jax

    stats = jax.local_devices()[0].memory_stats()
    taken = stats["peak_bytes_in_use"] if stats else resident("VmHWM") - before
    return taken / GIB


def gradient_errors(options: argparse.Namespace) -> list[dict[str, float]]:
    """Distance of the gradients of inverted and of recomputed steps, over the latter's norm."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    rows, key = [], jax.random.key(0)
    for steps in options.steps:
        flow = make_flow(options.error_side, steps, options.width, "recomputed")
        rng = np.random.default_rng(0)
        params = jax.tree.map(
            lambda a, rng=rng: a + jnp.asarray(rng.normal(0, 0.03, a.shape), a.dtype),
            flow.init(key),
        )
        x = jnp.asarray(rng.integers(0, 256, (options.batch, *flow.shape)) / 127.5 - 1, jnp.float32)
        labels = jnp.zeros(options.batch, jnp.int32)
        params = jax.jit(flow.fit_actnorm)(params, x, labels)
        found = []
        for mode in ("recomputed", "inverted"):
            loss = make_flow(options.error_side, steps, options.width, mode).loss
            given = {"image": x, "label": labels}
            found.append(jax.jit(jax.grad(lambda p, f=loss, b=given: f(p, b, key)[0]))(params))
        apart = jax.tree.map(jnp.subtract, *found)
        error = float(optax.global_norm(apart) / optax.global_norm(found[0]))
        rows.append({"side": options.error_side, "steps": steps * LEVELS, "error": error})
    return rows


def table(rows: list[dict[str, Any]], errors: list[dict[str, float]]) -> str:
    """Text table: GiB and seconds."""
    lines = [f"{'side':>5}{'steps':>7}  {'backward':<12}{'M params':>9}{'state':>8}{'temp':>8}"
             f"{'peak':>9}{'s a step':>9}"]  # fmt: skip
    for r in rows:
        measured = (f"{r[k]:>9.3f}" if k in r else f"{'-':>9}" for k in ("peak_gib", "step_s"))
        lines.append(
            f"{r['side']:>5}{r['steps']:>7}  {r['mode']:<12}{r['parameters'] / 1e6:>9.2f}"
            f"{r['state_gib']:>8.3f}{r['temporary_gib']:>8.3f}" + "".join(measured)
        )
    lines += [
        f"gradient at {e['side']}^3, {e['steps']} steps: {e['error']:.1e} apart" for e in errors
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark."""
    options = parse(arguments)
    if options.one:
        side, steps, mode = json.loads(options.one)
        print(json.dumps(measure_one(side, steps, mode, options)))
        return
    rows, load = [], os.getloadavg()[0]
    given = [a for a in sys.argv[1:] if arguments is None]
    for side in options.sides:
        for steps in options.steps:
            for mode in options.modes:
                one = ["--one", json.dumps([side, steps, mode])]
                command = [sys.executable, __file__, *given, *one]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
                    print(f"{side}^3, {steps} steps, {mode}: {last}", flush=True)
                    continue
                rows.append(json.loads(done.stdout.splitlines()[-1]))
                print(table(rows[-1:], []).splitlines()[-1], flush=True)
    errors = gradient_errors(options) if options.error_side else []
    print(table(rows, errors))
    record = {
        "command": " ".join(["python", *sys.argv]),
        "device": processor(),
        "load_before": load,
        "versions": {"python": platform.python_version(), "jax": version("jax")},
        "options": {k: v for k, v in vars(options).items() if k not in ("output", "one")},
        "rows": rows,
        "gradient_errors": errors,
    }
    keep(record, options.output)


if __name__ == "__main__":
    main()
