"""Distilled models beside their teachers: distances, recognition, AUC, and the time of a drawing.

    python -m experiments.distill --workdir=runs/quickstart --output=runs/quickstart-few
    python benchmarks/few_steps.py --runs runs/quickstart-few --split=test

Several runs are seeds of one experiment; ``--controls`` names, for each of them, a model that was
trained without distillation for as many steps as teacher and student together. Every way draws the same
labels from the same noise; Euler takes one evaluation of the network a step, Heun two. Times are of
whole drawings of one batch, the least of several rounds in which all ways take turns, compiled before.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import keep

from msflow_jax.streams import JUMP

# Solver and steps by name; of the teacher where it is no jump.
WAYS = {
    "1 jump": (JUMP, 1), "2 jumps": (JUMP, 2), "4 jumps": (JUMP, 4),
    "Euler 1": ("euler", 1), "Euler 2": ("euler", 2), "Euler 4": ("euler", 4),
    "Heun 1": ("heun", 1), "Heun 2": ("heun", 2), "Heun 4": ("heun", 4), "Euler 25": ("euler", 25),
}  # fmt: skip
CONTROLS = {"control, Euler 4": ("euler", 4), "control, Euler 25": ("euler", 25)}
REFERENCE = "Euler 25"
FIGURES = ("frechet", "precision", "recall", "recognised", "difference")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="distilled workdirs")
    parser.add_argument("--controls", type=Path, nargs="*", default=[], help="workdirs, one a run")
    parser.add_argument("--split", default="val", choices=("val", "test"))
    parser.add_argument(
        "--ways",
        nargs="+",
        default=list(WAYS),
        choices=list(WAYS),
        help="all, and of controls all theirs",
    )
    parser.add_argument("--per-class", type=int, default=256, help="drawings of each class")
    parser.add_argument("--rounds", type=int, default=5, help="timed drawings of each way")
    parser.add_argument("--output", help="JSON file for the figures")
    found = parser.parse_args(arguments)
    if found.controls and len(found.controls) != len(found.runs):
        parser.error(
            f"{len(found.controls)} controls for {len(found.runs)} runs: give one for each"
        )
    return found


def measure(
    path: Path, control: Path | None, names: Sequence[str], split: str, per_class: int, rounds: int
) -> dict[str, Any]:  # fmt: skip
    """Figures of every way of a distilled workdir and of its control, and the AUC of the models."""
    import jax

    from msflow_jax.evaluation.auc import probability_auc
    from msflow_jax.evaluation.features import train_feature_classifier
    from msflow_jax.evaluation.few_steps import compare_ways
    from msflow_jax.inference.evaluated import open_split
    from msflow_jax.inference.few_steps import walking
    from msflow_jax.inference.runners import make_classifier, make_generator
    from msflow_jax.symmetric.objective import taught
    from msflow_jax.workdir import open_workdir

    flow = open_workdir(path, calibrated=False)
    evaluation, _ = open_split(flow, split, (), None, ())
    splits, seed = evaluation.splits, flow.config.sample.seed
    teacher = walking(flow, taught)[:2]
    models = {True: (flow.model, flow.drawing_params), False: teacher}
    labels = np.tile(np.arange(len(flow.classes), dtype=np.int32), per_class)
    drawn, runs = {}, {}
    chosen_ways = {name: way for name, way in WAYS.items() if name in (*names, REFERENCE)}
    ways = [(name, *models[way[0] == JUMP], *way) for name, way in chosen_ways.items()]
    classifying = {"student": (flow.model, flow.params), "teacher": teacher}
    if control is not None:
        other = open_workdir(control, calibrated=False)
        ways += [(name, other.model, other.drawing_params, *way) for name, way in CONTROLS.items()]
        classifying["control"] = other.model, other.params
    for name, model, params, solver, steps in ways:
        run = make_generator(
            model, seed=seed, batch=flow.config.sample.batch, steps=steps, solver=solver
        )
        drawn[name] = run(params, labels)
        runs[name] = partial(run, params, labels[: flow.config.sample.batch])
    train, chosen = splits.train, splits[split]
    classifier = train_feature_classifier(train.images, train.labels, len(flow.classes), seed=seed)
    found = compare_ways(
        drawn, labels, (train.images, train.labels), (chosen.images, chosen.labels), classifier,
        reference=REFERENCE, seed=seed,
    )  # fmt: skip
    for name, seconds in least(runs, rounds).items():
        found["rows"][name]["milliseconds"] = (
            1000 * seconds / len(labels[: flow.config.sample.batch])
        )
    settings = {k: flow.config.sample.classify[k] for k in ("solver", "steps", "draws")}
    for name, (model, params) in classifying.items():
        run = make_classifier(model, seed=seed, batch=flow.config.sample.batch, **settings)
        found[f"auc {name}"] = probability_auc(
            chosen.labels, run(params, chosen.images).probability
        )
    return {**found, "steps": {"student": flow.drawing_step}, "device": str(jax.devices()[0])}


def least(runs: dict[str, Any], rounds: int) -> dict[str, float]:
    """Seconds of the quickest of several runs of each, which take turns."""
    import time

    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()  # numpy comes back: all is computed
            seconds[name].append(time.perf_counter() - start)
    return {name: min(found) for name, found in seconds.items()}


def main() -> None:
    """The command."""
    o = parse()
    pairs = zip(o.runs, o.controls or [None] * len(o.runs), strict=True)
    found = [measure(*pair, o.ways, o.split, o.per_class, o.rounds) for pair in pairs]
    print(f"{len(found)} runs, {o.split} split, {found[0]['samples']} drawings each")
    for name in found[0]["rows"]:
        rows = [one["rows"][name] for one in found]
        figures = (*FIGURES, "milliseconds")
        shown = {k: [row[k] for row in rows] for k in figures if rows[0].get(k) is not None}
        print(f"{name:17}", "  ".join(
            f"{k} {np.mean(v):.3g}" + (f" ({min(v):.3g} to {max(v):.3g})" if len(v) > 1 else "")
            for k, v in shown.items()
        ))  # fmt: skip
    for name in (key for key in found[0] if key.startswith("auc ")):
        print(name, ", ".join(f"{one[name]:.4f}" for one in found))
    keep({"split": o.split, "runs": [p.name for p in o.runs], "found": found}, o.output)


if __name__ == "__main__":
    main()
