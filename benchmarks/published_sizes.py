"""Training, classifying and drawing at the published sizes on one accelerator.

    python benchmarks/published_sizes.py --peak 989e12 --systems MSF --output FILE.json

MSF (32 x 32 pixels, width 64), LatMSF (224 pixels in the 32 x 32 x 4 latents of Stable Diffusion's
autoencoder, width 128) and MAGIC-Flow (184 x 184, 24 steps of two passes), with random weights. Training
is the library's own step (``training/step.py``) on batches that lie on the device: products in float32,
in tf32 (the default on NVIDIA), in bfloat16, with blocks recomputed, several steps per dispatch.
Classification and drawing are timed from an image on the device to its posterior or pixels, float32 with
tf32 products, and in bfloat16. One program after the other is compiled, timed and kept; the compiler
says the memory. ``--profile`` adds the kernels that dominate a step.

Not yet run on a GPU to its end: a training step takes 30 to 50 s to compile on an H200, where three of
LatMSF's were timed and one of MSF's. ``--tasks verbs`` leaves training out.
"""

import argparse
import dataclasses
import gzip
import json
import platform
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import keep, measure
from latent_speed import make_model

GIB = 2**30
# Of a training step: products of float32 arrays, compute dtype, recomputation, steps per dispatch.
MODES: dict[str, tuple[str, str, bool, int]] = {
    "float32": ("float32", "float32", False, 1),
    "tf32": ("default", "float32", False, 1),
    "tf32, 10 at once": ("default", "float32", False, 10),
    "bfloat16": ("default", "bfloat16", False, 1),
    "bfloat16, 10 at once": ("default", "bfloat16", False, 10),
    "bfloat16, recomputed": ("default", "bfloat16", True, 1),
}
TASKS = ("train", "verbs")  # verbs: classification and drawing
BATCHES = {"MSF": 64, "LatMSF": 64, "MAGIC-Flow": 8}
LARGE = {"MSF": 256, "LatMSF": 64, "MAGIC-Flow": 16}  # of classification


@dataclasses.dataclass
class Program:
    """What is compiled and timed; ``images`` are those of a call."""

    system: str
    task: str
    mode: str
    images: int
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    precision: str = "default"
    donate: tuple[int, ...] = ()
    compiled: Any = None
    row: dict[str, Any] = dataclasses.field(default_factory=dict)

    def prepare(self) -> None:
        """Lowers and compiles."""
        with jax.default_matmul_precision(self.precision):
            traced = jax.jit(self.function, donate_argnums=self.donate).trace(*self.arguments)
            # Of a program for NVIDIA's chips nothing counts operations before it is compiled.
            cost = traced.lower(lowering_platforms=("cpu",)).cost_analysis() or {}
            lowered = traced.lower()
        start = time.perf_counter()
        self.compiled = lowered.compile()
        needs = self.compiled.memory_analysis()
        self.row = {
            "system": self.system, "task": self.task, "mode": self.mode, "images": self.images,
            "compile_s": time.perf_counter() - start, "flops": float(cost.get("flops", 0)),
            "gib": (needs.argument_size_in_bytes + needs.temp_size_in_bytes) / GIB,
        }  # fmt: skip


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", nargs="+", default=list(BATCHES), choices=list(BATCHES))
    parser.add_argument("--modes", nargs="+", default=list(MODES), choices=list(MODES))
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--rounds", type=int, default=20, help="timed runs of each (default 20)")
    parser.add_argument(
        "--peak", type=float, default=0.0, help="bf16 operations a second of the chip"
    )
    parser.add_argument("--profile", action="store_true", help="add the kernels of a training step")
    parser.add_argument("--output", help="write the measurements to this JSON file")
    return parser.parse_args(arguments)


def build(system: str) -> tuple[Any, Any]:
    """The published model of this system with random weights, on the device."""
    from msflow_jax.config import default_config
    from msflow_jax.coupling.family import FAMILY as COUPLING
    from msflow_jax.coupling.family import conditioner_settings
    from msflow_jax.coupling.recipes import magic
    from msflow_jax.data.base import own_info
    from msflow_jax.symmetric.family import FAMILY as SYMMETRIC
    from msflow_jax.symmetric.parts import SymmetricParts

    if system == "LatMSF":
        return make_model("published")
    if system == "MSF":
        config, family, parts = default_config("symmetric"), SYMMETRIC, SymmetricParts()
        config.model.resize, shape = 32, (28, 28, 3)
    else:
        from msflow_jax.coupling.parts import CouplingParts

        inside = np.zeros((184, 184), bool)
        inside[32:-32, 32:-32] = True
        config, family, parts = magic(default_config("coupling")), COUPLING, CouplingParts(inside)
        config.model.conditioner = conditioner_settings("generation")
        shape = (184, 184, 1)
    classes = tuple("01234")
    info = own_info(classes, shape, name="random", licence="", md5="", source="")
    model = family.build(config, info, parts)
    return model, jax.device_put({**model.init(jax.random.key(1)), **parts.params})


def in_mode(model: Any, dtype: str, remat: bool) -> Any:
    """The model with its network, or its conditioners, computing in a dtype; maybe recomputed."""
    if hasattr(model, "net"):
        net = model.net.clone(dtype=jnp.dtype(dtype), remat=remat)
        return dataclasses.replace(model, net=net)
    return dataclasses.replace(model, remat=remat) if dtype == "float32" else None


def trainings(system: str, model: Any, params: Any, modes: list[str]) -> Iterator[Program]:
    """A training step in every mode that the model has."""
    from msflow_jax.config import default_config
    from msflow_jax.latent.codec import KEY
    from msflow_jax.training.optimiser import make_optimiser
    from msflow_jax.training.step import fresh_state, make_steps

    family = "symmetric" if hasattr(model, "net") else "coupling"
    optimiser, _ = make_optimiser(default_config(family).train, 1000)
    frozen = {name: leaf for name, leaf in params.items() if name == KEY}
    own = {name: leaf for name, leaf in params.items() if name != KEY}
    batch, key = BATCHES[system], jax.random.key(0)
    space = model.codec.inner if system == "LatMSF" else shape_of(model)
    data = {"image": jax.random.uniform(key, (batch, *space), minval=-1, maxval=1)}
    data["label"] = jnp.arange(batch) % 5
    if system == "LatMSF":
        data["deviation"] = jnp.zeros_like(data["image"])
    for mode in modes:
        precision, dtype, remat, at_once = MODES[mode]
        chosen = in_mode(model, dtype, remat)
        if chosen is None:
            continue
        steps = make_steps(chosen.loss, optimiser, lambda data, plan: data, seed=0, ema=0.99)
        state, plan = fresh_state(own, optimiser), jnp.zeros((at_once, batch), jnp.int32)
        given = (state, data, plan, frozen)
        yield Program(system, "train", mode, batch * at_once, steps, given, precision, (0,))


def shape_of(model: Any) -> tuple[int, ...]:
    """Shape of an image before the codec."""
    return tuple(model.codec.shape if hasattr(model, "codec") else model.shape)


def verbs(system: str, model: Any, params: Any) -> Iterator[Program]:
    """Classification of one image and of many, and drawing of one."""
    key = jax.random.key(0)
    for dtype in ("float32", "bfloat16"):
        chosen = in_mode(model, dtype, False)
        if chosen is None:
            continue
        mode = "tf32" if dtype == "float32" else dtype

        def classify(params: Any, images: jax.Array, key: jax.Array, chosen: Any = chosen):
            return chosen.classify(params, images, key).probabilities

        for batch in (1, LARGE[system]):
            grey = jax.random.randint(key, (batch, *shape_of(model)), 0, 256)
            images = grey / 127.5 - 1
            given = (params, images, key)
            yield Program(system, "classify", mode, batch, classify, given)
        labels = jnp.zeros(1, jnp.int32)
        for steps in (25, 4, 1) if hasattr(model, "net") else (0,):
            more = {"steps": steps} if steps else {}

            def generate(
                params: Any, labels: Any, key: Any, chosen: Any = chosen, more: Any = more
            ):
                return chosen.generate(params, labels, key, **more)

            name = f"draw, {steps} steps" if steps else "draw"
            yield Program(system, name, mode, 1, generate, (params, labels, key))


def timed(program: Program, rounds: int) -> dict[str, Any]:
    """The row with its times; the state of a training step is handed on."""
    given = list(program.arguments)
    if program.donate:  # the state is used up: other programs start from the same parameters
        given[0] = jax.tree.map(jnp.copy, given[0])

    def run() -> None:
        out = jax.block_until_ready(program.compiled(*given))
        if program.donate:
            given[0] = out[0]

    times = [wall for wall, _ in measure({"": run}, rounds)[""]]
    ms = 1e3 * statistics.median(times)
    row = program.row | {"median_ms": ms, "min_ms": 1e3 * min(times)}
    row["images_per_s"] = 1e3 * program.images / ms
    return row


def shares(rows: list[dict[str, Any]], peak: float) -> None:
    """Share of the chip's peak: operations of one plain step, recomputed ones not counted."""
    plain = {r["system"]: r["flops"] for r in rows if r["task"] == "train" and r["mode"] == "tf32"}
    for row in rows:
        if row["task"] == "train" and peak and row["system"] in plain:
            per_image = plain[row["system"]] / BATCHES[row["system"]]
            row["share_of_peak"] = per_image * row["images_per_s"] / peak


def kernels(program: Program, count: int = 12) -> list[tuple[str, float]]:
    """Milliseconds of a call by kernel, the longest first, from a trace of five calls."""
    state = jax.tree.map(jnp.copy, program.arguments[0])
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder, create_perfetto_trace=True):
            for _ in range(5):
                state, _ = jax.block_until_ready(program.compiled(state, *program.arguments[1:]))
        file = next(Path(folder).rglob("perfetto_trace.json.gz"))
        events = json.loads(gzip.decompress(file.read_bytes()))["traceEvents"]
    threads = {
        (e["pid"], e["tid"]): e["args"]["name"] for e in events if e.get("name") == "thread_name"
    }
    spent: Counter[str] = Counter()
    for event in events:
        where = threads.get((event.get("pid"), event.get("tid")), "")
        if event.get("ph") == "X" and where.startswith("Stream"):
            spent[event["name"]] += event["dur"] / 5e3
    return spent.most_common(count)


def table(rows: list[dict[str, Any]]) -> str:
    """Text table."""
    lines = [f"{'system':<11}{'task':<15}{'mode':<22}{'images':>7}{'median ms':>11}{'images/s':>10}"
             f"{'GiB':>8}{'compile s':>11}{'peak':>7}"]  # fmt: skip
    for r in rows:
        share = f"{r['share_of_peak']:>7.1%}" if "share_of_peak" in r else ""
        lines.append(
            f"{r['system']:<11}{r['task']:<15}{r['mode']:<22}{r['images']:>7}{r['median_ms']:>11.2f}"
            f"{r['images_per_s']:>10.1f}{r['gib']:>8.2f}{r['compile_s']:>11.1f}{share}"
        )
    return "\n".join(lines)


def main() -> None:
    """Runs the benchmark, program by program, and keeps what is there after each."""
    options = parse()
    record: dict[str, Any] = {
        "command": " ".join(["python", *sys.argv]),
        "device": jax.devices()[0].device_kind,
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
        "peak": options.peak, "rows": [], "failed": {}, "kernels_ms": {},
    }  # fmt: skip
    for system in options.systems:
        model, params = build(system)
        programs = []
        if "train" in options.tasks:
            programs += trainings(system, model, params, options.modes)
        if "verbs" in options.tasks:
            programs += verbs(system, model, params)
        failed = record["failed"].setdefault(system, [])
        for program in programs:
            if wrong := attempt(program):
                failed.append(wrong)
            else:
                record["rows"].append(timed(program, options.rounds))
                shares(record["rows"], options.peak)
                print(table(record["rows"][-1:]), flush=True)
            keep(record, options.output)
        if options.profile:
            found = [p for p in programs if p.row and (p.task, p.mode) == ("train", "bfloat16")]
            record["kernels_ms"][system] = [entry for p in found for entry in kernels(p)]
            print(
                *(f"{ms:8.3f} ms  {name[:90]}" for name, ms in record["kernels_ms"][system]),
                sep="\n",
            )
            keep(record, options.output)


def attempt(program: Program) -> str:
    """Compiles; the error's last line where that fails, which must not cost the other rows."""
    try:
        program.prepare()
    except Exception as error:
        failed = str(error).strip().splitlines()[-1][:300]
        print(f"{program.system}, {program.task}, {program.mode}: {failed}", flush=True)
        return failed
    return ""


if __name__ == "__main__":
    main()
