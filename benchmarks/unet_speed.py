"""Times a UNet's training step and one-step classification in JAX and PyTorch on one CPU, or GPU.

    python benchmarks/unet_speed.py --output benchmarks/results/unet_speed.json
    python benchmarks/unet_speed.py --device=cuda --dtype=bfloat16 --output ...

The two take turns within every round, in one process with equal thread counts, so that a busy
machine slows both. CPU time stands beside wall time for the same reason. Compilation is timed
apart. On a GPU both multiply float32 arrays in tf32, or compute in bfloat16.
"""

import argparse
import platform
import statistics
import sys
import time
from typing import Any

from common import Run, device_name, keep, limit_threads, measure, torch_device

CHANNELS, SIDE, LABELS, WIDTH = 6, 32, 3, 64


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8, help="timed runs of each (default 8)")
    parser.add_argument("--train-batch", type=int, default=32)
    parser.add_argument("--classify-batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--width", type=int, default=WIDTH, help="base width (64 as published)")
    parser.add_argument("--side", type=int, default=SIDE)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--output", help="write the measurements to this JSON file")
    return parser.parse_args(arguments)


def jax_runs(options: argparse.Namespace) -> tuple[dict[str, Run], dict[str, float]]:
    """Compiled training step and classification in JAX, and the seconds each took to compile."""
    import jax
    import jax.numpy as jnp
    import optax

    from msflow_jax.nets import UNet, init_params
    from msflow_jax.parallel.sharding import make_mesh, replicated, split_batch

    net = UNet(channels=CHANNELS, width=options.width, dtype=jnp.dtype(options.dtype))
    shape = (options.train_batch, options.side, options.side, CHANNELS)
    key = jax.random.key(0)
    x = jax.random.normal(key, shape, jnp.float32)
    u = jax.random.uniform(key, shape[:1], jnp.float32)
    params = init_params(net, key, x, u)
    optimiser = optax.adamw(4e-4, weight_decay=0.0)

    def loss(params: Any, x: jax.Array, noise: jax.Array, u: jax.Array) -> jax.Array:
        w = u[:, None, None, None]
        velocity = net.apply({"params": params}, (1 - w) * noise + w * x, u)
        return jnp.mean((velocity - (x - noise)) ** 2)

    def step(state: Any, x: jax.Array, noise: jax.Array, u: jax.Array) -> tuple[Any, jax.Array]:
        params, moments = state
        value, gradient = jax.value_and_grad(loss)(params, x, noise, u)
        updates, moments = optimiser.update(gradient, moments, params)
        return (optax.apply_updates(params, updates), moments), value

    def classify(params: Any, image: jax.Array, noise: jax.Array) -> jax.Array:
        joined = jnp.concatenate([image, noise], axis=-1)
        velocity = net.apply({"params": params}, joined, jnp.ones(image.shape[:1]))
        return noise - velocity[..., -LABELS:]

    # As the commands do: the batch is sharded over the cores, each of them a device of JAX.
    mesh = make_mesh()
    whole, sharded = replicated(mesh), split_batch(mesh)
    x, u = jax.device_put((x, u), sharded)
    noise = jax.device_put(x[::-1], sharded)
    fresh = jax.device_put(jax.tree.map(jnp.copy, params), whole)
    state = jax.device_put((params, optimiser.init(params)), whole)
    many = (options.classify_batch, options.side, options.side, CHANNELS - LABELS)
    image = jax.random.normal(key, many, jnp.float32)
    label_noise = jax.random.normal(key, (*many[:3], LABELS), jnp.float32)
    image, label_noise = jax.device_put((image, label_noise), sharded)
    start = time.perf_counter()
    train = jax.jit(step, donate_argnums=0).lower(state, x, noise, u).compile()
    middle = time.perf_counter()
    read = jax.jit(classify).lower(fresh, image, label_noise).compile()
    compile_s = {"train": middle - start, "classify": time.perf_counter() - middle}
    holder = [state]

    def run_train() -> None:
        holder[0], value = train(holder[0], x, noise, u)
        jax.block_until_ready((holder[0], value))

    return {
        "train": run_train,
        "classify": lambda: jax.block_until_ready(read(fresh, image, label_noise)),
    }, compile_s


def torch_runs(options: argparse.Namespace) -> dict[str, Run]:
    """The same two in PyTorch, channels_last."""
    import torch
    from torch_unet import UNet

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    gpu = torch_device(options.device)
    mixed = torch.autocast(options.device, torch.bfloat16, enabled=options.dtype == "bfloat16")

    def images(batch: int, channels: int) -> torch.Tensor:
        image = torch.randn(batch, channels, options.side, options.side)
        return image.to(memory_format=torch.channels_last)

    net = UNet(CHANNELS, options.width).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), lr=4e-4, weight_decay=0.0)
    x, noise = images(options.train_batch, CHANNELS), images(options.train_batch, CHANNELS)
    u = torch.rand(options.train_batch)
    image = images(options.classify_batch, CHANNELS - LABELS)
    label_noise = images(options.classify_batch, LABELS)
    ones = torch.ones(options.classify_batch)

    def train() -> None:
        w = u[:, None, None, None]
        with mixed:
            velocity = net((1 - w) * noise + w * x, u)
        optimiser.zero_grad(set_to_none=True)
        ((velocity - (x - noise)) ** 2).mean().backward()
        optimiser.step()
        gpu()

    def classify() -> None:
        with torch.inference_mode(), mixed:
            velocity = net(torch.cat([image, label_noise], dim=1), ones)
            label_noise - velocity[:, -LABELS:]
        gpu()

    return {"train": train, "classify": classify}


def summary(times: list[tuple[float, float]], batch: int) -> dict[str, float]:
    """Smallest and median milliseconds, median CPU milliseconds, images per second at the smallest."""
    wall = [1e3 * w for w, _ in times]
    return {
        "min_ms": min(wall),
        "median_ms": statistics.median(wall),
        "cpu_ms": 1e3 * statistics.median(c for _, c in times),
        "images_per_s": 1e3 * batch / min(wall),
    }


def table(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """Text table; a ratio below 1 means that JAX took less time."""
    head = f"{'task':<10}{'library':<9}{'min ms':>9}{'median ms':>11}{'CPU ms':>9}{'images/s':>10}"
    lines = [head]
    for task, by_library in results.items():
        for library, r in by_library.items():
            lines.append(
                f"{task:<10}{library:<9}{r['min_ms']:>9.1f}{r['median_ms']:>11.1f}{r['cpu_ms']:>9.1f}"
                f"{r['images_per_s']:>10.1f}"
            )
        if len(by_library) == 2:
            ours, theirs = by_library["jax"], by_library["torch"]
            ratios = [ours[k] / theirs[k] for k in ("min_ms", "median_ms", "cpu_ms")]
            lines.append(
                f"{task:<10}{'ratio':<9}{ratios[0]:>9.2f}{ratios[1]:>11.2f}{ratios[2]:>9.2f}"
            )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark."""
    options = parse(arguments)
    if options.device == "cpu":
        limit_threads(options.threads)
    import jax
    import torch

    jax.config.update("jax_num_cpu_devices", options.threads)
    ours, compile_s = jax_runs(options)
    theirs = torch_runs(options)
    runs = {
        f"{task} {library}": by_library[task]
        for task in ("train", "classify")
        for library, by_library in (("jax", ours), ("torch", theirs))
    }
    times = measure(runs, options.rounds)
    batches = {"train": options.train_batch, "classify": options.classify_batch}
    results = {
        task: {lib: summary(times[f"{task} {lib}"], batch) for lib in ("jax", "torch")}
        for task, batch in batches.items()
    }
    print(table(results))
    print("compile s:", ", ".join(f"{task} {seconds:.1f}" for task, seconds in compile_s.items()))
    record = {
        "command": " ".join(["python", *sys.argv]),
        "device": device_name(options.device),
        "versions": {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "torch": torch.__version__,
        },
        "options": {k: v for k, v in vars(options).items() if k != "output"},
        "compile_s": compile_s,
        "results": results,
    }
    keep(record, options.output)


if __name__ == "__main__":
    main()
