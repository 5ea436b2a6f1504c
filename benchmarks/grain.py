"""How noisy what models draw is, beside held-out real images: by run, solver and steps.

    python benchmarks/grain.py --runs runs/quickstart runs/longer --ways euler:25 heun:25 --picture F

All runs draw the same labels from the same noise. Of the power spectrum there is the distance over all
frequencies, and what is too much of the finest third (noise; below 0: blur), both in decibels; of
neighbouring pixels the distance of their differences, in grey levels. Distances of features are of a
small classifier, not FID.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from common import keep

SHOWN = 12  # drawings of each row of the picture


def parse() -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="of the same data")
    parser.add_argument(
        "--ways", nargs="+", default=["euler:25"], help="SOLVER:STEPS, as of msflow generate"
    )
    parser.add_argument("--split", default="val", choices=("val", "test"))
    parser.add_argument("--per-class", type=int, default=48, help="drawings of each class")
    parser.add_argument("--picture", type=Path, help="PNG: a row of real images, then one each")
    parser.add_argument("--output", help="JSON file for the figures")
    return parser.parse_args()


def fine(images: np.ndarray) -> float:
    """Power of the finest third of the frequencies of images, in decibels."""
    from msflow_jax.evaluation.grain import measure_grain

    power = measure_grain(images).power.mean(axis=0)
    return float(10 * np.log10(power[2 * len(power) // 3 :].mean()))


def main() -> None:
    """The command."""
    o = parse()

    from msflow_jax import data
    from msflow_jax.evaluation.features import train_feature_classifier
    from msflow_jax.evaluation.few_steps import compare_ways
    from msflow_jax.evaluation.generation import matched
    from msflow_jax.evaluation.grain import evaluate_grain
    from msflow_jax.inference.runners import make_generator
    from msflow_jax.reports.figures import save_grid
    from msflow_jax.workdir import open_workdir

    flows = [open_workdir(path, calibrated=False) for path in o.runs]
    first = flows[0]
    for flow in flows[1:]:
        if flow.config.data.to_dict() != first.config.data.to_dict():
            raise SystemExit(f"{flow.path} was trained on other data than {first.path}")
    splits, seed = data.load(first.config.data), first.config.sample.seed
    train, held_out = splits.train, splits[o.split]
    labels = np.repeat(np.arange(len(first.classes), dtype=np.int32), o.per_class)
    drawn: dict[str, Any] = {}
    for flow in flows:
        for way in o.ways:
            solver, steps = way.split(":")
            run = make_generator(flow.model, seed=seed, batch=64, solver=solver, steps=int(steps))
            name = f"{flow.path.name}, {way}"
            drawn[name] = run(flow.drawing_params, labels, name)
    classifier = train_feature_classifier(train.images, train.labels, len(first.classes), seed=seed)
    found = compare_ways(
        drawn, labels, (train.images, train.labels), (held_out.images, held_out.labels), classifier,
        reference=next(iter(drawn)), seed=seed,
    )  # fmt: skip
    a, b, c = matched(labels, held_out.labels, train.labels, np.random.default_rng(seed))
    real = held_out.images[b]
    sets = {"real": train.images[c], **{name: images[a] for name, images in drawn.items()}}
    grain = evaluate_grain(sets, real, "real", seed)
    usual = fine(real)
    for name, images in sets.items():
        row = found["rows"][name]
        row |= {**grain["sets"][name], "fine": fine(images) - usual}
        figures = ("spectrum", "fine", "differences", "frechet", "recognised")
        print(f"{name:34}", "  ".join(f"{key} {row[key]:6.2f}" for key in figures), flush=True)
    print("by chance", grain["chance"])
    if o.picture:
        # As many of each class, the same in each row.
        kept = np.linspace(0, len(labels) - 1, SHOWN).round().astype(int)
        order = np.argsort(held_out.labels, kind="stable")
        shown = order[np.linspace(0, len(order) - 1, SHOWN).round().astype(int)]
        rows = [held_out.images[shown], *(images[kept] for images in drawn.values())]
        save_grid(
            o.picture, np.concatenate(rows), np.repeat(np.arange(len(rows)), SHOWN),
            ["real", *drawn], per_row=SHOWN,
        )  # fmt: skip
    keep({"split": o.split, **found, "chance": grain["chance"]}, o.output)


if __name__ == "__main__":
    main()
