"""Classify images with an uncertainty attached: class, probabilities, abstention, to a CSV.

    python -m experiments.classify --workdir=runs/quickstart --images=PATH --output=predictions.csv

PATH is an image, a folder (read with its sub-folders), or an .npz (FILE.npz:test for a MedMNIST split).
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.common import parser, run, write_csv


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
        workdir: workdir of a trained model.
        images: an image, a folder, or an .npz.
        output: the CSV to write.
        draws: noise draws, 0 as in the standing evaluation, or else as configured.
        steps: solver steps, likewise.
        coverage: fraction of the validation split that would be kept; the rest abstains.
        measure: uncertainty that decides (``distance`` is the published one).
        resize: whether images of another size are resized to the model's.
    """
    from msflow_jax import data
    from msflow_jax.inference.tables import prediction_rows
    from msflow_jax.workdir import open_workdir

    flow = open_workdir(workdir)
    flow.require("classify")
    threshold = flow.calibration.threshold(measure, coverage)
    pixels, names = data.read_images(images, flow.info, resize=resize)
    requested = {"draws": draws, "steps": steps}
    out = flow.classify(pixels, description="classifying", **requested)
    warn_of_other_settings(flow.calibration.settings, requested)
    abstains = flow.abstains(out, coverage=coverage, measure=measure)
    rows = prediction_rows(out, names, abstains, str(flow.calibration))
    write_csv(output, rows)
    note = f"{flow.calibration.reason}, so no abstention"
    if abstains is not None and threshold is not None:
        note = f"abstained on {int(abstains.sum())} by the evaluation {flow.calibration}"
    print(f"{len(rows)} images, {note}: {output}")
    return rows


def warn_of_other_settings(evaluated: Any, requested: dict[str, Any]) -> None:
    """A line on stderr where the thresholds were measured with other settings than requested."""
    for name, value in requested.items():
        if value and name in evaluated and evaluated[name] != value:
            print(
                f"warning: --{name}={value}, but the thresholds of abstention were measured with "
                f"{evaluated[name]}: evaluate --{name}={value} --name=NAME --adopt measures them so",
                file=sys.stderr,
            )


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("--workdir", required=True, type=Path)
    flags.add_argument("--images", required=True, help="an image, a folder or an .npz")
    flags.add_argument("--output", default=Path("predictions.csv"), type=Path)
    flags.add_argument("--draws", type=int, default=0, help="noise draws (default: as evaluated)")
    flags.add_argument("--steps", type=int, default=0, help="solver steps (default: as evaluated)")
    flags.add_argument("--coverage", type=float, default=0.8, help="fraction of images to classify")
    flags.add_argument("--measure", default="distance", help="uncertainty that decides to abstain")
    flags.add_argument("--resize", action="store_true", help="resize images to the model's side")
    o = flags.parse_args(arguments)

    from msflow_jax.parallel.startup import start_jax

    start_jax()
    classify(
        o.workdir, o.images, o.output, draws=o.draws, steps=o.steps, coverage=o.coverage,
        measure=o.measure, resize=o.resize,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
