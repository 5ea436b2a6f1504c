"""Does understanding save pairs? Drawing from shares of them, with and without it, and a U-Net.

    python benchmarks/synermedgen_pairs.py --runs=runs/synergy_pairs --seeds 0 1 2
    python benchmarks/synermedgen_pairs.py --runs=runs/synergy_pairs --split=test

``full`` understands questions on all training subjects, then draws from the pairs of a share of them;
``same share`` has questions on that share alone; ``unprepared`` draws from the pairs alone, behind
encoders that learned nothing, equally large and for as many steps of drawing; with ``all learns`` these
learn from the pairs too. The U-Net of each route
(about as many parameters as all of a model) learns from the same pairs. Routes that are in no pair are
told apart. The first command measures on validation subjects, and may be stopped and given again.
"""

import argparse
from pathlib import Path
from typing import Any

import compare_translations
import numpy as np
from common import call, keep
from synermedgen_figures import CONFIG

from msflow_jax.evaluation.translation import summary

ARMS = {
    "full": "", "same share": "", "unprepared": "unprepared", "all learns": "unprepared",
}  # fmt: skip
NETWORK = "U-Net, L1"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True, help="folder of the workdirs")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=tuple(ARMS))
    parser.add_argument("--shares", type=float, nargs="+", default=[0.1, 0.3, 1.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--split", default="val", choices=("val", "test"))
    parser.add_argument("--overrides", nargs="*", default=[], help="of all runs, as train.steps=9")
    parser.add_argument("--output", help="JSON file for the figures")
    return parser.parse_args(arguments)


def run(o: argparse.Namespace, arm: str, share: float, seed: int) -> dict[str, np.ndarray]:
    """PSNR of every slice by route and method, and their subjects, of a run that is made if need be."""
    from msflow_jax.storage import evaluations

    workdir = o.runs / f"{arm.replace(' ', '_')}_{share:g}_{seed}"
    settings = [f"train.seed={seed}", f"model.pairs={share}", "model.segmenter.modalities=()"]
    if arm == "same share":
        settings.append(f"model.tasks.share={share}")
    if arm == "all learns":
        settings.append("model.frozen=False")
    if arm != "unprepared":  # the U-Nets of a share and seed are trained once
        settings.append("model.regression.routes=()")
    config = ":".join(filter(None, (CONFIG, ARMS[arm])))
    call("train", f"--config={config}", f"--workdir={workdir}", "--no-evaluate",
         *(f"--config.{one}" for one in (*settings, *o.overrides)))  # fmt: skip
    kept = evaluations.place(workdir, o.split) / evaluations.ARRAYS
    if not kept.exists():
        call("evaluate", f"--workdir={workdir}", f"--split={o.split}", f"--name={o.split}")
    return read(workdir, o.split)


def read(workdir: Path, name: str) -> dict[str, np.ndarray]:
    """``ROUTE/METHOD`` and ``ROUTE/subject`` ``[N]`` of an evaluation; ours is ``drawn``."""
    found = {}
    for route, one in compare_translations.read(workdir, name).items():
        for row, psnr in one["psnr"].items():
            found[f"{route}/{'drawn' if row.startswith(compare_translations.MEAN) else row}"] = psnr
        found[f"{route}/subject"] = one["subject"]
    return found


def mean(runs: list[dict[str, np.ndarray]], method: str, routes: list[str]) -> Any:
    """Mean over seeds of every slice of the routes ``[N]``."""
    return np.mean([np.concatenate([one[f"{r}/{method}"] for r in routes]) for one in runs], axis=0)


def main() -> None:
    """The command."""
    from msflow_jax.synergy.recipes import HELD_OUT

    o = parse()
    record: dict[str, Any] = {"split": o.split, "seeds": o.seeds, "shares": {}}
    for share in o.shares:
        runs = {arm: [run(o, arm, share, seed) for seed in o.seeds] for arm in o.arms}
        first = runs[o.arms[0]][0]
        every = sorted(key.split("/")[0] for key in first if key.endswith("/subject"))
        seen = [route for route in every if route not in HELD_OUT]
        methods = {(arm, "drawn") for arm in o.arms}
        methods |= {("unprepared", NETWORK)} if "unprepared" in o.arms else set()
        found: dict[str, Any] = {}
        for kind, routes in (("seen", seen), ("held out", [r for r in every if r in HELD_OUT])):
            subjects = np.concatenate([first[f"{route}/subject"] for route in routes]).tolist()
            values = {
                arm if method == "drawn" else method: mean(runs[arm], method, routes)
                for arm, method in sorted(methods)
                if all(f"{route}/{method}" in runs[arm][0] for route in routes)
            }
            lead = values[o.arms[0]]
            gaps = {f"{o.arms[0]} - {k}": lead - v for k, v in values.items() if k != o.arms[0]}
            found[kind] = summary({**values, **gaps}, subjects)
            for name, one in found[kind].items():
                low, high = one["interval"]
                print(f"{share:g} {kind} {name}: {one['value']:.2f} ({low:.2f} to {high:.2f})")
        record["shares"][f"{share:g}"] = found
    keep(record, o.output)


if __name__ == "__main__":
    main()
