"""Trains recipes of volumes with several seeds, compares them on the validation split, tests one, once.

    python benchmarks/volume_runs.py --root=FOLDER --runs=runs/adrenal --recipes plain transformer
    python benchmarks/volume_runs.py --root=FOLDER --runs=runs/adrenal --test=plain --output=FILE.json

The first command trains and compares, and never opens the test split. It may be stopped and given again:
finished runs are not trained again, others go on. The validation split of AdrenalMNIST3D has 98 volumes,
22 of them of the rarer class: differences of AUC below 0.03 between recipes say nothing, so take the one
that costs less.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

from common import call

# What is compared: overrides of configs/volume_adrenal.py:cpu by name.
RECIPES: dict[str, list[str]] = {
    "plain": [],
    "whole": [
        *("model.resize=0", "model.net.width=8", "model.net.multipliers=(1,2,4,8)"),
        *("model.net.attention=(8,)", "train.steps=1000"),
    ],
    "transformer": [
        *("model.resize=0", "model.net.name=dit", "model.net.patch=4", "model.net.depth=4"),
        *("model.net.width=128", "model.net.head_channels=32", "train.batch=32"),
        "train.steps=1000",
    ],
    "label": ["model.image_weight=0.4"],
    "unbalanced": ["train.balanced=False"],
    "still": ["train.flips=False", "train.shift=0"],
    "longer": ["train.steps=2000"],
    "classify": ["model.time.classification_fraction=0.75"],
}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="configs/volume_adrenal.py:cpu")
    parser.add_argument("--root", required=True, help="folder of the data")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the workdirs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--recipes", nargs="+", default=["plain"], choices=sorted(RECIPES))
    parser.add_argument(
        "--test", choices=sorted(RECIPES), help="recipe to evaluate on the test split"
    )
    parser.add_argument("--output", type=Path, help="JSON file for the numbers of the test split")
    return parser.parse_args(arguments)


def train(o: argparse.Namespace, recipe: str, seed: int) -> Path:
    """A trained workdir with its evaluation of the validation split."""
    workdir = o.runs / f"{recipe}_{seed}"
    overrides = [f"--config.{one}" for one in (*RECIPES[recipe], f"train.seed={seed}")]
    overrides += [f"--config.data.root={o.root}"]
    call("train", f"--config={o.config}", f"--workdir={workdir}", "--no-evaluate", *overrides)
    if not (workdir / "evaluations" / "val").is_dir():
        call("evaluate", f"--workdir={workdir}", "--split=val")
    return workdir


def scores(workdir: Path, name: str) -> dict[str, float]:
    """Scores of a kept evaluation, in per cent."""
    file = workdir / "evaluations" / name / "evaluation.json"
    found = json.loads(file.read_text(encoding="utf-8"))["classification"]
    names = ("auc_probability", "balanced_accuracy", "accuracy", "majority_accuracy")
    return {key: 100 * found[key] for key in names}


def table(rows: dict[str, list[dict[str, float]]]) -> str:
    """Mean and standard deviation over seeds of each recipe."""
    lines = []
    for name, runs in rows.items():
        cells = []
        for key in runs[0]:
            values = [run[key] for run in runs]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(f"{key} {statistics.mean(values):.1f} +- {spread:.1f}")
        lines.append(f"{name} ({len(runs)} seeds): {', '.join(cells)}")
    return "\n".join(lines)


def main() -> None:
    """The command."""
    o = parse()
    if not o.test:
        rows = {r: [scores(train(o, r, s), "val") for s in o.seeds] for r in o.recipes}
        print(f"validation split:\n{table(rows)}")
        return
    workdirs = [o.runs / f"{o.test}_{seed}" for seed in o.seeds]
    for workdir in workdirs:
        if (workdir / "evaluations" / "test").is_dir():
            sys.exit(f"{workdir} was tested before: its figures stand")
    for workdir in workdirs:
        call("evaluate", f"--workdir={workdir}", "--split=test", "--adopt")
    print(f"test split:\n{table({o.test: [scores(w, 'test') for w in workdirs]})}")
    if o.output:
        found = {w.name: scores(w, "test") for w in workdirs}
        o.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
