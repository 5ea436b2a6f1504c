"""Does accuracy in selection predict zero-shot drawing? Understanding of several lengths, then drawing.

    python benchmarks/synermedgen_lengths.py --runs=runs/synergy_lengths --seeds 0 1 2

Each length is a run of its own, whose rate of learning ends with it: such is a checkpoint that drawing
is built on. Prints accuracies and PSNR of each, and their rank correlation, over validation subjects.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from common import keep
from synermedgen_runs import FIRST, WAYS, place, run, understood
from synermedgen_runs import parse as parse_runs

SELECTION = "selection selection"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True, help="folder of the workdirs")
    parser.add_argument(
        "--lengths", type=float, nargs="+", default=[0.01, 0.03, 0.1, 0.25, 0.5],
        help="steps of understanding over train.steps",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--examples", type=int, default=64, help="slices of each route at most")
    parser.add_argument("--overrides", nargs="*", default=[], help="of all runs, as train.steps=9")
    parser.add_argument("--output", help="JSON file for the figures")
    return parser.parse_args(arguments)


def main() -> None:
    """The command."""
    from scipy.stats import spearmanr

    o = parse()
    rows: list[dict[str, Any]] = []
    for length in o.lengths:
        own = parse_runs([
            f"--runs={o.runs / f'length_{length:g}'}", f"--examples={o.examples}",
            f"--judge={o.runs}",
            "--overrides", f"model.lengths.understand={length}", *o.overrides,
        ])  # fmt: skip
        for seed in o.seeds:
            drawn = run(own, FIRST, seed)
            psnr = [np.mean(v) for k, v in drawn.items()
                    if k.startswith("psnr/") and k.endswith(f"/{WAYS[0]}")]  # fmt: skip
            accuracy = understood(place(own, FIRST, seed), own.split)[SELECTION]
            rows.append(
                dict(length=length, seed=seed, accuracy=accuracy, psnr=float(np.mean(psnr)))
            )
            print(f"{length:g} seed {seed}: accuracy {accuracy:.3f}, {rows[-1]['psnr']:.2f} dB")
    found = spearmanr([row["accuracy"] for row in rows], [row["psnr"] for row in rows])
    print(f"rank correlation {found.statistic:.2f} over {len(rows)} runs")
    keep({"rows": rows, "rank_correlation": float(found.statistic)}, o.output)


if __name__ == "__main__":
    main()
