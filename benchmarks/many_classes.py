"""More than ten classes: codes against each other on phantoms of 12 and 24 classes.

    python benchmarks/many_classes.py --runs=runs/many_classes --seeds 0 1 2

Classes are contrasts times grades of lesions (``data.phantoms.task``), and the network is the
quickstart's. Measured on validation images at the checkpoint that training chose by their AUC; a run
that is there is not made again.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from common import best_validation, call, keep

TASKS = {"contrast_half": 12, "contrast_grade": 24}
CODES = ("palette", "grey", "simplex")
METRICS = ("val_auc", "val_accuracy", "val_nll")


def parse() -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True, help="folder of the workdirs")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=tuple(TASKS))
    parser.add_argument("--codes", nargs="+", default=list(CODES), choices=CODES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--output", help="JSON file for the figures")
    return parser.parse_args()


def run(o: argparse.Namespace, task: str, code: str, seed: int) -> dict[str, float]:
    """The validation of one run, at the step whose AUC is best."""
    workdir = o.runs / f"{task}_{code}_{o.steps}_{seed}"
    call(
        "train", "--config=configs/quickstart.py", f"--workdir={workdir}", "--no-evaluate",
        f"--config.data.phantoms.task={task}", f"--config.model.code.scheme={code}",
        f"--config.train.steps={o.steps}", f"--config.train.seed={seed}",
    )  # fmt: skip
    best = best_validation(workdir, METRICS[0])
    return {name: best[name] for name in (*METRICS, "step")}


def main() -> None:
    """The command."""
    o = parse()
    record: dict[str, Any] = {"steps": o.steps, "seeds": o.seeds, "tasks": {}}
    for task in o.tasks:
        for code in o.codes:
            found = [run(o, task, code, seed) for seed in o.seeds]
            record["tasks"].setdefault(task, {})[code] = found
            shown = []
            for name in METRICS:
                values = [one[name] for one in found]
                shown.append(
                    f"{name} {np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"
                )
            print(f"{TASKS[task]} classes, {code}: {', '.join(shown)}")
    keep(record, o.output)


if __name__ == "__main__":
    main()
