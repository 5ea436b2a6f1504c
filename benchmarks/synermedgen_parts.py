"""Where the time of SynerMedGen's training steps goes: encoders, experts, and whole gradients.

    python benchmarks/synermedgen_parts.py --output benchmarks/results/synermedgen_parts_cpu.json

The phantom configuration with random parameters, on one batch of phantoms. Parts take turns, each warmed
up; compilation is not counted, nor are the optimiser and the moving average. ``forward`` is one pass,
``gradient`` a loss with the gradient of what its stage trains.
"""

import argparse
import platform
import statistics
import sys
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from common import device_name, keep, measure


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=10, help="timed calls of each part")
    parser.add_argument("--output", help="write the measurements to this JSON file")
    return parser.parse_args(arguments)


def gradient(objective: Any, params: Any, names: tuple[str, ...]) -> Any:
    """``(batch, key) -> gradients`` of the parts that a stage trains."""

    @jax.jit
    def found(params: Any, batch: Any, key: jax.Array) -> Any:
        def loss(trained: Any) -> jax.Array:
            return objective({**params, **trained}, batch, key, train=True)[0]

        return jax.grad(loss)({name: params[name] for name in names})

    return partial(found, params)


def make(batch: int) -> dict[str, Any]:
    """The parts by name, each a call that returns when all is computed."""
    from msflow_jax import data
    from msflow_jax.data.batches import to_loss
    from msflow_jax.synergy import objectives
    from msflow_jax.synergy.augmentation import Augmentation
    from msflow_jax.synergy.encoder import Seen
    from msflow_jax.synergy.family import FAMILY
    from msflow_jax.synergy.recipes import phantom
    from msflow_jax.synergy.settings import all_routes

    config = phantom()
    config.data.phantoms.subjects = 24
    config.model.update(dict(regression=dict(routes=()), segmenter=dict(modalities=())))
    splits = data.load(config.data)
    parts = FAMILY.prepare(config, splits)
    model: Any = FAMILY.build(config, splits.info, parts)
    params = model.init(jax.random.key(0))
    questions = parts.ask(config, splits.train, batch)
    asked = to_loss(questions.arrays(), questions.modalities)
    images = {name: splits.train.arrays[name][:batch] for name in model.modalities}
    shown = to_loss(images, {name: splits.train.modalities[name] for name in images})
    key, tasks = jax.random.key(1), config.model.tasks
    flat = jnp.concatenate([asked[f"image_{k}"] for k in range(5)])
    one = next(iter(shown.values()))
    prompt, ones = jnp.zeros((batch, 1), jnp.int32), jnp.ones(batch)
    see, remember = jax.jit(model.see), jax.jit(model.remember)
    draw = jax.jit(model.draw)
    seen: Seen = see(params, one)
    memory, at = remember(params, prompt, ones, seen)
    answer = jax.jit(model.answer, static_argnums=3)
    learn = partial(objectives.understand_objective, model, tasks.places, tasks.letters, tasks.arm)
    own = objectives.reconstruct_objective, model, (0.3, 0.1), config.model.named, Augmentation()
    pair = objectives.pair_objective, model, (0.1, 0.3, 0.3), Augmentation()
    calls = {
        "encoders, five images, forward": lambda: see(params, flat),
        "questions, a quarter read by the expert, forward":
            lambda: answer(params, asked, None, max(1, round(tasks.letters * batch))),
        "questions, all read by the expert, forward": lambda: answer(params, asked, None, batch),
        "understand, gradient": partial(
            gradient(learn, params, ("content", "look", "understanding")), asked, key
        ),
        "encoders, one image, forward": lambda: see(params, one),
        "understanding reads an image, forward": lambda: remember(params, prompt, ones, seen),
        "drawing, forward": lambda: draw(params, one, ones, memory, at),
        "reconstruct, gradient": partial(
            gradient(partial(*own), params, ("drawing",)), shown, key
        ),
        "generate, gradient": partial(
            gradient(partial(*pair, all_routes(config.model), True), params, ("drawing",)), shown, key
        ),
    }  # fmt: skip
    return {name: lambda run=run: jax.block_until_ready(run()) for name, run in calls.items()}


def main(arguments: list[str] | None = None) -> None:
    """Measures all parts, prints a table, keeps the record."""
    o = parse(arguments)
    cpu = jax.default_backend() == "cpu"
    times = measure(make(o.batch), o.rounds)
    rows = {
        name: {"median_ms": 1e3 * statistics.median(t for t, _ in each),
               "min_ms": 1e3 * min(t for t, _ in each)}
        for name, each in times.items()
    }  # fmt: skip
    for name, row in rows.items():
        print(f"{name:<50}{row['median_ms']:>9.1f} ms (least {row['min_ms']:.1f})")
    versions = {"python": platform.python_version(), "jax": jax.__version__}
    record = {
        "command": " ".join(["python", *sys.argv]),
        "device": device_name("cpu" if cpu else ""),
    }
    keep(
        {**record, "versions": versions, "batch": o.batch, "rounds": o.rounds, "parts": rows},
        o.output,
    )


if __name__ == "__main__":
    main()
