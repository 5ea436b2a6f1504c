"""Classify images with a doubt attached: label, probabilities, uncertainties, abstention, to a CSV.

    python -m experiments.classify --workdir=runs/quickstart --images=PATH --output=predictions.csv

PATH is an image, a folder (read with its sub-folders), or an .npz (FILE.npz:test for a MedMNIST split).
"""

import argparse
import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.common import open_workdir, parser, run
from msflow_jax.storage.atomic import write_atomically


def evaluated(workdir: Path) -> dict[str, Any]:
    """The workdir's evaluation; empty where there is none."""
    path = workdir / "evaluation.json"
    return json.loads(path.read_text()) if path.exists() else {}


def threshold_of(evaluation: dict[str, Any], measure: str, coverage: float) -> float | None:
    """The uncertainty above which to abstain so that this share of the validation split is kept.

    None without an evaluation.

    Raises:
      ValueError: coverage outside (0, 1], or an unknown measure.
    """
    import numpy as np

    if not 0 < coverage <= 1:
        raise ValueError(f"--coverage must lie in (0, 1], got {coverage}")
    table = evaluation.get("abstain")
    if not table:
        return None
    if measure not in table:
        known = ", ".join(k for k in table if k != "coverage")
        raise ValueError(f"unknown uncertainty {measure!r}: the evaluation has {known}")
    return float(np.interp(coverage, table["coverage"], table[measure]))


def classify(
    workdir: Path,
    images: str,
    output: Path,
    *,
    draws: int = 0,
    steps: int = 0,
    coverage: float = 0.8,
    measure: str = "distance",
    resize: bool = False,
) -> list[dict[str, Any]]:
    """Classify and write the CSV; returns its rows.

    Args:
      workdir: of a trained model.
      images: an image, a folder, or an .npz.
      output: the CSV to write.
      draws: noise draws, 0 as configured.
      steps: solver steps, 0 as configured.
      coverage: share of the validation split that would be kept; the rest abstains.
      measure: uncertainty that decides (``distance`` is the published one).
      resize: bring images of another size to the model's.
    """
    from msflow_jax import data
    from msflow_jax.inference.runners import configured_classifier

    trained = open_workdir(workdir)
    evaluation = evaluated(workdir)
    threshold = threshold_of(evaluation, measure, coverage)
    pixels, names = data.read_images(images, trained.info, resize=resize)
    sample = trained.config.sample.unlock()
    # The prior of the last evaluation, whose thresholds decide.
    last = evaluation.get("settings", {}).get("classify", {})
    sample.classify.prior = last.get("prior", sample.classify.prior)
    # A likelihood's probabilities are far too sure of themselves until an evaluation calibrates them.
    temperature = evaluation.get("calibration", {}).get("temperature", 1.0)
    asked = {"draws": draws, "steps": steps}
    run_model = configured_classifier(trained.model, trained.info, sample, temperature, asked)
    reading = run_model(trained.params, pixels, "classifying")
    doubts = reading.uncertainty
    if measure not in doubts:
        raise ValueError(f"unknown uncertainty {measure!r}: choose one of {', '.join(doubts)}")
    predicted, p = reading.prediction, reading.probability
    rows = []
    for i, name in enumerate(names):
        k = int(predicted[i])
        row: dict[str, Any] = {"name": name, "label": k, "class": trained.model.classes[k]}
        row |= {f"p_{c}": f"{p[i, j]:.6f}" for j, c in enumerate(trained.model.classes)}
        row |= {f"uncertainty_{m}": f"{d[i]:.6f}" for m, d in doubts.items()}
        if reading.log_likelihood is not None:
            row["log_likelihood"] = f"{reading.log_likelihood[i]:.3f}"
        row["abstain"] = "" if threshold is None else int(doubts[measure][i] > threshold)
        rows.append(row)
    write_csv(output, rows)
    abstained = sum(row["abstain"] == 1 for row in rows)
    note = "no evaluation in the workdir, so no abstention" if threshold is None else (
        f"abstained on {abstained}"
    )  # fmt: skip
    print(f"{len(rows)} images, {note}: {output}")
    return rows


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write, whole or not at all."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())


def main(arguments: Sequence[str]) -> None:
    """The command."""
    from msflow_jax.parallel.startup import start_jax

    flags = parser(__doc__ or "")
    flags.formatter_class = argparse.RawDescriptionHelpFormatter
    flags.add_argument("--workdir", required=True, type=Path)
    flags.add_argument("--images", required=True, help="an image, a folder or an .npz")
    flags.add_argument("--output", default=Path("predictions.csv"), type=Path)
    flags.add_argument("--draws", type=int, default=0, help="noise draws (default: as configured)")
    flags.add_argument("--steps", type=int, default=0, help="solver steps (default: as configured)")
    flags.add_argument("--coverage", type=float, default=0.8, help="share of cases to answer")
    flags.add_argument("--measure", default="distance", help="uncertainty that decides to abstain")
    flags.add_argument("--resize", action="store_true", help="resize images to the model's side")
    o = flags.parse_args(arguments)
    start_jax()
    classify(
        o.workdir, o.images, o.output, draws=o.draws, steps=o.steps, coverage=o.coverage,
        measure=o.measure, resize=o.resize,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
