"""Compares the translations of trained workdirs slice by slice: PSNR of the others minus the first's.

    python benchmarks/compare_translations.py runs/medm2g/main_0 runs/medm2g/one_token_0 --name=val

Every workdir needs an evaluation of that name, of the same examples; routes that a workdir lacks are
named. Intervals are over subjects.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from common import keep

ONE_DRAW, MEAN = "one draw", "mean of"  # the rows of a model's own drawings


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=Path, help="workdir")
    parser.add_argument("others", type=Path, nargs="+", help="workdirs")
    parser.add_argument("--name", default="val", help="of the evaluations")
    parser.add_argument("--output", help="write the numbers to this JSON file")
    return parser.parse_args(arguments)


def read(workdir: Path, name: str) -> dict[str, dict[str, Any]]:
    """PSNR of every slice by route and row ``[N]``; and what identifies them."""
    from msflow_jax.storage import evaluations

    folder = evaluations.place(workdir, name)
    found = json.loads((folder / evaluations.FILE).read_text(encoding="utf-8"))
    with np.load(folder / evaluations.ARRAYS, allow_pickle=False) as stored:
        arrays = dict(stored)
    routes = {}
    for one in found["translation"]["routes"]:
        source, target = one["source"], one["target"]
        route, key = f"{source}-{target}", f"translation_{source}_{target}"
        if f"{key}_psnr" not in arrays:
            raise ValueError(f"{folder} is of an earlier version: evaluate {workdir} again")
        routes[route] = {
            "psnr": dict(zip(one["rows"], arrays[f"{key}_psnr"], strict=True)),
            "subject": arrays[f"{key}_subject"], "truth": arrays[f"{key}_truth"],
        }  # fmt: skip
    return routes


def compare(first: dict[str, Any], other: dict[str, Any], what: str) -> dict[str, Any]:
    """Mean differences of a route's slices, with 95 % of the values of resampled subjects."""
    from msflow_jax.evaluation.translation import summary

    if not all(np.array_equal(first[key], other[key]) for key in ("subject", "truth")):
        raise ValueError(f"{what}: other examples; evaluate both with the same settings")
    mine, theirs = ({k: v for k, v in one["psnr"].items() if k == ONE_DRAW or k.startswith(MEAN)}
                    for one in (first, other))  # fmt: skip
    if set(mine) != set(theirs):
        raise ValueError(f"{what}: {sorted(theirs)}, not {sorted(mine)}")
    gaps = {row: theirs[row] - mine[row] for row in mine}
    return summary(gaps, first["subject"].tolist())


def main() -> None:
    """The command."""
    o = parse()
    first, record = read(o.first, o.name), {}
    for workdir in o.others:
        other = read(workdir, o.name)
        if not set(first) & set(other):
            raise ValueError(f"{workdir} and {o.first} have no route in common")
        if lacking := [route for route in first if route not in other]:
            print(f"{workdir.name} has no {', '.join(lacking)}")
        record[workdir.name] = {
            route: compare(first[route], other[route], f"{workdir.name}, {route}")
            for route in first if route in other
        }  # fmt: skip
        for route, rows in record[workdir.name].items():
            for row, one in rows.items():
                low, high = one["interval"] or (float("nan"),) * 2  # too few subjects
                words = f"{one['value']:+.2f} ({low:+.2f} to {high:+.2f})"
                print(f"{workdir.name} {route} {row}: {words}")
    keep({"first": o.first.name, "name": o.name, "minus the first": record}, o.output)


if __name__ == "__main__":
    main()
