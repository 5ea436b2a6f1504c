"""Trains MedM2G's phantom configuration and what it is compared with, several seeds each, and tabulates.

    python benchmarks/medm2g_runs.py --runs=runs/medm2g --arms main one_token --seeds 0 1 2
    python benchmarks/medm2g_runs.py --runs=runs/medm2g --arms main one_token --split=test --output=FILE

The first command trains, and measures on the validation split; it may be stopped and given again. The
second opens the test split, once. Arms of one modality fewer are trained on the same subjects.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from common import call

CONFIG = "configs/medm2g_phantom.py"
_NO_CONTROLS = (
    "model.regression.routes=()", "model.segmenter.modalities=()", "model.decoder.sources=()",
)  # fmt: skip
_MR = ("model.modalities=('ct','t1w','t2w','pdw','flair')", "model.links=('t1w+t2w+pdw+flair-ct',)")


def single(a: str, b: str, routes: str) -> list[str]:
    """Two modalities alone."""
    found = [f"model.modalities=('{a}','{b}')", f"model.links=('{a}-{b}',)", *_NO_CONTROLS]
    return [*found, f"sample.evaluate.routes=({routes})"]


# Overrides of the configuration by the name of the arm.
ARMS: dict[str, list[str]] = {
    "main": [],
    # What the paper says: one guide for all partners of a modality.
    "shared_guides": ["model.shared_guides=True", *_NO_CONTROLS],
    # Tokens of a context: 1 as in the public base code, 4 x 4; as configured there are 8 x 8.
    "one_token": ["model.context.side=1", *_NO_CONTROLS],
    "sixteen_tokens": ["model.context.side=4", *_NO_CONTROLS],
    # The visual-invariant term.
    "no_invariance": ["model.align.invariance=0.0", *_NO_CONTROLS],
    "some_invariance": ["model.align.invariance=1.0", *_NO_CONTROLS],
    "little_invariance": ["model.align.invariance=0.1", *_NO_CONTROLS],
    # All links at once.
    "joint": ["model.curriculum=joint", *_NO_CONTROLS],
    # CT and MR alone, without the text that they attach to.
    "mr_and_ct": [*_MR, *_NO_CONTROLS],
    # Every task alone.
    "t1w_t2w": single("t1w", "t2w", "'t1w-t2w','t2w-t1w'"),
    "t1w_flair": single("t1w", "flair", "'t1w-flair',"),
    "pdw_flair": single("pdw", "flair", "'pdw-flair',"),
    "t1w_ct": single("t1w", "ct", "'t1w-ct','ct-t1w'"),
    "xray_report": single("xray", "report", ""),
    # Routes that are emergent elsewhere, trained on subjects who have both, or everything.
    "xray_ct": [*single("xray", "ct", "'xray-ct','ct-xray'"), "data.phantoms.withhold=none"],
    "xray_t1w": [*single("xray", "t1w", "'xray-t1w',"), "data.phantoms.withhold=none"],
    "direct": [
        "data.phantoms.withhold=none", "model.shared_subjects=True", *_NO_CONTROLS,
        "model.links=('xray+ct+t1w+t2w+pdw+flair-report',)",
    ],
}  # fmt: skip


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True, help="folder of the workdirs")
    parser.add_argument("--arms", nargs="+", default=["main"], choices=sorted(ARMS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--split", default="val", choices=("val", "test"))
    parser.add_argument("--overrides", nargs="*", default=[], help="of all arms, as train.steps=9")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    return parser.parse_args(arguments)


def run(o: argparse.Namespace, arm: str, seed: int) -> dict[str, Any]:
    """The evaluation of one seed of an arm, trained where it is not."""
    workdir = o.runs / f"{arm}_{seed}"
    overrides = [*ARMS[arm], *o.overrides, f"train.seed={seed}"]
    call("train", f"--config={CONFIG}", f"--workdir={workdir}", "--no-evaluate",
         *(f"--config.{one}" for one in overrides))  # fmt: skip
    kept = workdir / "evaluations" / o.split / "evaluation.json"
    if not kept.exists():
        call("evaluate", f"--workdir={workdir}", f"--split={o.split}")
    return json.loads(kept.read_text(encoding="utf-8"))


def figures(found: dict[str, Any]) -> dict[str, float]:
    """The figures of an evaluation by a short name."""
    rows: dict[str, Any] = {}
    for route in found.get("translation", {}).get("routes", ()):
        name = f"{route['source']}-{route['target']}"
        for method, row in route["rows"].items():
            for key in ("psnr", "ssim", "frechet"):
                rows[f"{key} {name} {method}"] = row.get(key, {}).get("value")
        for method, row in route.get("anatomy", {}).get("rows", {}).items():
            rows[f"dice {name} {method}"] = row["dice"]["mean"]["value"]
            for key in ("recall", "precision"):
                if "lesions" in row:
                    rows[f"lesions {key} {name} {method}"] = row["lesions"][key]["value"]
        for level, share in (route["spread"].get("coverage_normal") or {}).items():
            rows[f"coverage {level} {name}"] = share
        rows[f"auroc of spread {name}"] = route["spread"].get("auroc")
    for route in found.get("partners", {}).get("routes", ()):
        name = f"{route['source']}-{route['target']}"
        rows[f"influence {name}"] = route["influence"]
        rows |= {f"gain {name} {key}": one["value"] for key, one in route["gain"].items()}
    for pair in found.get("retrieval", {}).get("pairs", ()):
        for way in ("forward", "backward"):
            one, name = pair[way], " ".join(pair["pair"])
            rows[f"recall_1 over chance {name} {way}"] = one["recall_1"]["value"] / one["chance"]
            rows[f"auroc of pairs {name} {way}"] = one["auroc"]["value"]
    for route in found.get("texts", {}).get("routes", ()):
        for method, row in route["rows"].items():
            rows[f"facts f1 {route['source']} {method}"] = row["f1"]["value"]
    for one in found.get("facts", {}).get("modalities", ()):
        for method, row in one["rows"].items():
            rows[f"facts shown {one['modality']} {method}"] = next(iter(row.values()))["value"]
    for name, one in found.get("generation", {}).get("modalities", {}).items():
        for kind, row in one["comparison"].items():
            rows[f"frechet {name} {kind}"] = row["frechet"]
    return {key: value for key, value in rows.items() if value is not None}


def main() -> None:
    """The command."""
    o = parse()
    found: dict[str, Any] = {}
    for arm in o.arms:
        runs = [figures(run(o, arm, seed)) for seed in o.seeds]
        found[arm] = {}
        print(f"{arm}, {o.split} split, {len(runs)} seeds:")
        for key in runs[0]:
            values = [one[key] for one in runs if key in one]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            found[arm][key] = {"seeds": values, "mean": statistics.mean(values), "sd": spread}
            print(f"  {key}: {statistics.mean(values):.3f} +- {spread:.3f}", flush=True)
    if o.output:
        o.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
