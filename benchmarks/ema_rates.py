"""Compares rates of the moving average of the parameters within one training run.

    python benchmarks/ema_rates.py --config=configs/pixel_retina.py:cpu --config.data.root=FOLDER \\
        --output benchmarks/results/ema_retina.json

The raw parameters do not depend on the rate, so one run serves all rates, and what differs is the
rate alone. Only the validation split is read.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from msflow_jax.config import load_config
from msflow_jax.parallel.startup import start_jax

RATES = (0.0, 0.7, 0.9, 0.99, 0.999)  # 0: the raw parameters; 0.7 as published


def measure(config: Any) -> dict[str, list[dict[str, float]]]:
    """Validation metrics of every rate at every evaluation, by rate."""
    import jax
    import jax.numpy as jnp

    from msflow_jax import data
    from msflow_jax.data.batches import to_float
    from msflow_jax.families import get_family
    from msflow_jax.inference.validation import make_validation
    from msflow_jax.parallel.sharding import make_mesh, replicated, split_batch
    from msflow_jax.progress import bar
    from msflow_jax.training.feed import DeviceBatches
    from msflow_jax.training.optimiser import make_optimiser, update_ema
    from msflow_jax.training.source import source_of
    from msflow_jax.training.stage import total_steps
    from msflow_jax.training.step import create_state, make_steps

    splits, train = data.load(config.data), config.train
    family = get_family(config.model.family)
    model = family.build(config, splits.info, family.prepare(config, splits))
    steps = total_steps(train, len(splits.train))
    optimiser, _ = make_optimiser(train, steps)
    mesh = make_mesh()
    batches = DeviceBatches(source_of(splits.train, "device", 0, splits.info.flips), train, mesh)
    whole, part = replicated(mesh), split_batch(mesh, axis=1)
    run = jax.jit(
        make_steps(model.loss, optimiser, batches.batch, seed=train.seed, ema=0.0),
        in_shardings=(whole, whole, part),
        donate_argnums=0,
    )
    held_out = {"image": to_float(splits.val.images), "label": jnp.asarray(splits.val.labels)}

    @jax.jit
    def losses(params: Any) -> dict[str, jax.Array]:
        return model.loss(params, held_out, jax.random.key(0), train=False)[1]

    @jax.jit
    def track(averages: dict[str, Any], params: Any, step: jax.Array) -> dict[str, Any]:
        return {r: update_ema(a, params, float(r), step) for r, a in averages.items()}

    validate = make_validation(model, splits.val.images, splits.val.labels, config)
    initial = model.init(jax.random.key(train.seed))
    state = create_state(initial, optimiser, mesh, "replicated")
    averages = {str(r): jax.tree.map(jnp.copy, state.params) for r in RATES}
    found: dict[str, list[dict[str, float]]] = {str(r): [] for r in RATES}
    with bar("training", steps) as advance:
        for step in range(steps):
            state, _ = run(state, batches.data, batches.take(step, 1)[0])
            averages = track(averages, state.params, jnp.asarray(step))
            advance(1)
            if (step + 1) % train.eval_every == 0 or step + 1 == steps:
                for rate, params in averages.items():
                    values = {k: float(v) for k, v in losses(params).items()}
                    found[rate].append({"step": step + 1, **validate(params), **values})
    return found


def table(found: dict[str, list[dict[str, float]]]) -> str:
    """Metrics at the end of the run, a line a rate."""
    names = [n for n in next(iter(found.values()))[-1] if n != "step"]
    lines = ["rate    " + "".join(f"{n:>14}" for n in names)]
    for rate, rows in found.items():
        lines.append(f"{rate:<8}" + "".join(f"{rows[-1][n]:>14.4f}" for n in names))
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Runs the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    options, rest = parser.parse_known_args(arguments)
    config = load_config(rest)
    start_jax(config.train.batch)
    found = measure(config)
    print(table(found))
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        record = {"command": " ".join(["python", *sys.argv]), "config": config.to_dict()}
        options.output.write_text(
            json.dumps({**record, "validation": found}, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
