"""What a data-parallel training step computes and moves on 8, 64 and 512 chips: counted, not timed.

    python benchmarks/scaling.py --output benchmarks/results/scaling.json

Parameters and state come from ``jax.eval_shape``, operations from the cost analysis of the lowered step,
collectives from the step compiled for eight simulated devices. Times follow from the chips' published
peaks by the formulas of docs/scaling.md.
"""

import argparse
import dataclasses
import json
import math
import os
import re
from pathlib import Path
from typing import Any

DEVICES = 8
CHIPS = (8, 64, 512)
UTILISATION = 0.4  # of the peak that a good training step reaches


@dataclasses.dataclass(frozen=True)
class Chip:
    """Published figures: bf16 operations per second, bytes of memory, bytes per second one way.

    ``near`` connects up to ``island`` chips, ``far`` (a chip's fraction of it) the islands.
    """

    name: str
    peak: float
    memory: float
    near: float
    island: int
    far: float


HARDWARE = (
    Chip("H100 SXM", 989e12, 80e9, 450e9, 8, 50e9),  # NVLink 4, 400 Gb/s InfiniBand a GPU
    Chip(
        "TPU v5e", 197e12, 16e9, 100e9, 256, 6.25e9
    ),  # ICI 1.6 Tb/s both ways, data centre network
    Chip("TPU v5p", 459e12, 95e9, 300e9, 8960, 6.25e9),  # ICI 4.8 Tb/s both ways
)


def networks() -> dict[str, tuple[Any, int]]:
    """The published LatMSF network and a 1 B transformer, each with its images a chip."""
    import jax.numpy as jnp

    from msflow_jax.nets import DiT, UNet

    unet = UNet(
        channels=8, width=128, multipliers=(1, 2, 2, 2), blocks=2, attention=(2,),
        head_channels=64, groups=32, dtype=jnp.bfloat16,
    )  # fmt: skip
    dit = DiT(channels=8, patch=2, width=1536, depth=24, heads=24, dtype=jnp.bfloat16, remat=True)
    return {"LatMSF UNet": (unet, 32), "DiT-1B": (dit, 16)}


def lowered(net: Any, images: int, strategy: str) -> tuple[Any, Any]:
    """The training step of a network on 32 x 32 x 8 latents, lowered; and its state's shapes."""
    import jax
    import jax.numpy as jnp

    from msflow_jax.config import default_config
    from msflow_jax.data.batches import to_float
    from msflow_jax.parallel.sharding import make_mesh, replicated, shard_tree, split_batch
    from msflow_jax.training.optimiser import make_optimiser
    from msflow_jax.training.step import TrainState, make_steps

    def loss(params, batch, key, *, train):
        """Velocity matching on the joined channels."""
        z = batch["image"]
        noise = jax.random.normal(key, z.shape)
        u = jax.random.uniform(key, z.shape[:1])
        state = z + u[:, None, None, None] * (noise - z)
        return jnp.mean((net.apply({"params": params}, state, u) - noise + z) ** 2), {}

    optimiser, _ = make_optimiser(default_config().train, 1000)
    latents = jax.ShapeDtypeStruct((1, images, 32, 32, 8), jnp.uint8)
    inputs = jax.ShapeDtypeStruct((1, 32, 32, 8), jnp.float32)
    times = jax.ShapeDtypeStruct((1,), jnp.float32)

    def fresh(key, x, u):
        params = net.init(key, x, u)["params"]
        return TrainState(jnp.zeros((), jnp.int32), params, params, optimiser.init(params))

    state = jax.eval_shape(fresh, jax.random.key(0), inputs, times)
    mesh = make_mesh()
    shardings = shard_tree(state, mesh, strategy)

    def to_batch(_, one):
        return {"image": to_float(one["image"])}

    steps = make_steps(loss, optimiser, to_batch, seed=0, ema=0.999)
    run = jax.jit(
        steps,
        in_shardings=(shardings, None, split_batch(mesh, axis=1)),
        out_shardings=(shardings, replicated(mesh)),
        donate_argnums=0,
    )
    return run.lower(state, (), {"image": latents}), state


def collectives(text: str) -> dict[str, int]:
    """Bytes of the results of each kind of collective in a compiled program."""
    sizes = {"f32": 4, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "pred": 1, "u8": 1, "s8": 1}
    kinds = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"
    found: dict[str, int] = {}
    for line in text.splitlines():
        match = re.search(rf"= (.*?) ({kinds})(?:-start)?\(", line)
        if not match:
            continue
        for kind, shape in re.findall(r"(\w+)\[([\d,]*)\]", match[1]):
            if kind in sizes:
                count = math.prod(int(n) for n in shape.split(",") if n)
                found[match[2]] = found.get(match[2], 0) + sizes[kind] * count
    return found


def count(name: str, compiled: bool) -> dict[str, Any]:
    """Parameters, operations an image, and what the compiled step moves."""
    import jax

    net, images = networks()[name]
    one, state = lowered(net, DEVICES, "replicated")
    parameters = sum(a.size for a in jax.tree.leaves(state.params))
    record: dict[str, Any] = {
        "network": name,
        "parameters": parameters,
        "images_a_chip": images,
        "operations_an_image": one.cost_analysis()["flops"] / DEVICES,
        "state_bytes": sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(state)),
    }
    if compiled:
        small = net.clone(depth=2) if name == "DiT-1B" else net  # every block moves the same
        record["compiled"] = {
            strategy: check(small, strategy) for strategy in ("replicated", "fsdp")
        }
    return record


def check(net: Any, strategy: str) -> dict[str, Any]:
    """Bytes of the collectives of the compiled step, beside the bytes of the parameters."""
    import jax

    step, state = lowered(net, DEVICES, strategy)
    moved = collectives(step.compile().as_text())
    return {"parameter_bytes": sum(4 * a.size for a in jax.tree.leaves(state.params)), **moved}


def project(record: dict[str, Any], chip: Chip, chips: int) -> dict[str, Any]:
    """Times of a step by the formulas of docs/scaling.md."""
    parameters, images = record["parameters"], record["images_a_chip"]
    compute = images * record["operations_an_image"] / (UTILISATION * chip.peak)
    share = (chips - 1) / chips
    out: dict[str, Any] = {"network": record["network"], "chip": chip.name, "chips": chips}
    out |= {"global_batch": images * chips, "compute_ms": 1e3 * compute}
    for strategy, passes, held in (
        ("replicated", 2, record["state_bytes"] + 4 * parameters),
        ("fsdp", 3, (record["state_bytes"] + 4 * parameters) / chips),
    ):
        moved = passes * share * 4 * parameters
        moving = moved / chip.near
        if chips > chip.island:  # of what an island has summed, each chip carries its share
            moving += moved / chip.island / chip.far
        out[f"{strategy}_gib_moved"] = moved / 2**30
        out[f"{strategy}_ms_moving"] = 1e3 * moving
        out[f"{strategy}_efficiency_least"] = compute / (compute + moving)
        out[f"{strategy}_efficiency_most"] = compute / max(compute, moving)
        out[f"{strategy}_state_gib"] = held / 2**30
        out[f"{strategy}_fits"] = held < 0.8 * chip.memory
    return out


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown, one line per network, chip and number of chips."""
    lines = [
        "| network | chip | chips | batch | computing, ms | replicated: GiB, ms moved, efficiency, "
        "state GiB | fsdp: GiB, ms moved, efficiency, state GiB |",
        "|---|---|--:|--:|--:|---|---|",
    ]
    for row in rows:
        cells = [row["network"], row["chip"], str(row["chips"]), f"{row['global_batch']:,}"]
        cells.append(f"{row['compute_ms']:.1f}")
        for s in ("replicated", "fsdp"):
            low, high = row[f"{s}_efficiency_least"], row[f"{s}_efficiency_most"]
            fits = "" if row[f"{s}_fits"] else " (does not fit)"
            cells.append(
                f"{row[f'{s}_gib_moved']:.2f}, {row[f'{s}_ms_moving']:.1f}, "
                f"{100 * low:.0f} to {100 * high:.0f} %, {row[f'{s}_state_gib']:.2f}{fits}"
            )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Count, project, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="write the numbers to this JSON file")
    parser.add_argument("--no-compile", action="store_true", help="leave out the compiled check")
    options = parser.parse_args()
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={DEVICES}"
    os.environ["JAX_PLATFORMS"] = "cpu"
    counted = [count(name, not options.no_compile) for name in networks()]
    for record in counted:
        print(json.dumps(record, indent=1))
    rows = [project(r, chip, n) for r in counted for chip in HARDWARE for n in CHIPS]
    print(table(rows))
    if options.output:
        record = {"utilisation": UTILISATION, "counted": counted, "projected": rows}
        options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
