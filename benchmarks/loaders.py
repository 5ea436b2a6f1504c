"""Where training images come from and what it costs: device, grain with workers, a plain Python loop.

    python benchmarks/loaders.py --output benchmarks/results/loaders_cpu.json

PNG files of 224 x 224 are decoded and resized to 28 x 28. First every loader alone; then the same
training steps behind each of them, with the fraction of the time spent waiting for data.
"""

import argparse
import itertools
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

KINDS = ("device", "grain, 2 workers", "grain, 1 worker", "grain, threads", "Python loop")


def parse() -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--side", type=int, default=224, help="of the files")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=60, help="timed, after --warmup")
    parser.add_argument("--warmup", type=int, default=10)
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


def write_images(folder: Path, count: int, side: int) -> Path:
    """A manifest of smooth noise, which PNG can compress about as well as an X-ray."""
    from PIL import Image

    rng = np.random.default_rng(0)
    lines = ["path,label,split"]
    for i in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (28, 28), dtype=np.uint8))
        coarse.resize((side, side), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{i % 2},{'train' if i > 3 else ('val', 'test')[i // 2]}")
    (folder / "list.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "list.csv"


@contextmanager
def opened(kind: str, splits: Any, config: Any, mesh: Any, steps: int) -> Iterator[Any]:
    """The batch source of that kind."""
    from msflow_jax.data import in_memory
    from msflow_jax.data.streaming import Batches, Stream, read_ahead
    from msflow_jax.training.feed import DeviceBatches, HostBatches
    from msflow_jax.training.source import Source

    if kind == "device":
        train = in_memory(splits.train)
        yield DeviceBatches(Source(train.arrays, train.modalities), config, mesh)
        return
    stream, part = Stream(splits.train), (0, config.batch)
    batches = Batches(stream, steps, config.batch, part, config.seed, (), config.shift)
    if kind == "Python loop":
        each = (batches[i] for i in range(steps))
        yield HostBatches(each, stream.modalities, config.batch, mesh)
        return
    workers = {"grain, threads": 0, "grain, 1 worker": 1, "grain, 2 workers": 2}[kind]
    with read_ahead(batches, 0, workers) as iterator:
        yield HostBatches(iterator, stream.modalities, config.batch, mesh)


def alone(feed: Any, warmup: int, steps: int, batch: int) -> float:
    """Images per second that a loader gives when nothing else runs."""
    import jax

    for step in range(warmup):
        jax.block_until_ready(feed.take(step, 1)[0])
    start = time.perf_counter()
    for step in range(warmup, warmup + steps):
        jax.block_until_ready(feed.take(step, 1)[0])
    return steps * batch / (time.perf_counter() - start)


def training(feed: Any, run: Any, state: Any, warmup: int, steps: int, batch: int) -> dict:
    """Images per second of training behind a loader, and the fraction of the time it waited."""
    import jax

    waited, begin = 0.0, 0.0
    for step in range(warmup + steps):
        if step == warmup:
            waited, begin = 0.0, time.perf_counter()
        start = time.perf_counter()
        brought, _ = feed.take(step, 1)
        waited += time.perf_counter() - start
        state, metrics = run(state, feed.data, brought)
        jax.block_until_ready(metrics)
    seconds = time.perf_counter() - begin
    return {"images_per_second": steps * batch / seconds, "data_wait": waited / seconds}


def main() -> None:
    """Measures and prints a table."""
    from msflow_jax.parallel.startup import use_cores

    options = parse()
    use_cores(options.batch)
    import jax

    from msflow_jax import data
    from msflow_jax.config import default_config
    from msflow_jax.parallel.sharding import make_mesh
    from msflow_jax.symmetric.family import FAMILY
    from msflow_jax.symmetric.parts import SymmetricParts
    from msflow_jax.symmetric.recipes import cpu
    from msflow_jax.training.optimiser import make_optimiser
    from msflow_jax.training.step import create_state, make_steps

    config = cpu(default_config())
    config.train.batch = options.batch
    mesh, steps = make_mesh(), options.warmup + options.steps
    found: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        source = data.default_config("manifest")
        root = write_images(Path(folder), options.images, options.side)
        source.update({"root": str(root), "side": 28, "loader": "grain"})
        splits = data.load(source)
        model = FAMILY.build(config, splits.info, SymmetricParts())
        initial = model.init(jax.random.key(0))
        optimiser, _ = make_optimiser(config.train, steps)
        for kind in KINDS:
            with opened(kind, splits, config.train, mesh, steps) as feed:
                found[kind]["alone"] = alone(feed, options.warmup, options.steps, options.batch)
        for kind in KINDS:
            with opened(kind, splits, config.train, mesh, steps) as feed:
                state = create_state(initial, optimiser, mesh, "replicated")
                run = jax.jit(
                    make_steps(model.loss, optimiser, feed.batch, seed=0, ema=0.99),
                    donate_argnums=0,
                )
                found[kind] |= training(
                    feed, run, state, options.warmup, options.steps, options.batch
                )
    device = found["device"]["images_per_second"]
    print("| images from | alone, images/s | training, images/s | of device | waiting |")
    print("|---|--:|--:|--:|--:|")
    for kind, row in found.items():
        row["of_device"] = row["images_per_second"] / device
        print(
            f"| {kind} | {row['alone']:,.0f} | {row['images_per_second']:.1f} | "
            f"{row['of_device']:.2f} | {100 * row['data_wait']:.1f} % |"
        )
    if options.output:
        record = {
            "command": " ".join(itertools.chain(["python"], sys.argv)),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "jax": jax.__version__,
            "settings": {k: str(v) for k, v in vars(options).items() if k != "output"},
            "found": found,
        }
        options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
