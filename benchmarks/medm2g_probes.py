"""What the frozen encoders of trained MedM2G workdirs hold: linear probes and the effective rank.

    python benchmarks/medm2g_probes.py runs/invariance_* --output benchmarks/results/medm2g_probes.json

For every image modality the embeddings of its training images are probed for side, size class and
presence of lesions, and measured on the images of a split; the rank is that of their embeddings. For
phantom cohorts, whose facts are known. To compare weights of the visual-invariant term, train one
workdir with each (``--config.model.align.invariance``).
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from common import keep

FACTS = ("side", "size", "presence")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdirs", nargs="+", type=Path)
    parser.add_argument("--split", default="val", choices=("val", "test"))
    parser.add_argument("--stage", default="", help="that the encoders are of; default: the last")
    parser.add_argument("--output", help="write the numbers to this JSON file")
    return parser.parse_args(arguments)


def measure(workdir: Path, split: str, stage: str) -> dict[str, Any]:
    """Probes and rank of every image modality of a workdir."""
    from msflow_jax import data
    from msflow_jax.data.phantoms.facts import labels_of
    from msflow_jax.evaluation.probes import effective_rank, probe
    from msflow_jax.paired.pairs import has
    from msflow_jax.workdir import open_workdir

    flow = open_workdir(workdir, stage)
    splits = data.load(flow.config.data)
    found: dict[str, Any] = {"invariance": flow.config.model.align.invariance, "modalities": {}}
    for name, modality in flow.model.modalities.items():
        if modality.text:
            continue
        both = splits.train, getattr(splits, split)
        train, test = (one.take(np.flatnonzero(has(one, name))) for one in both)
        features = [flow.embed(name, one.arrays[name]) for one in (train, test)]
        known = [labels_of(one.truth, splits.train.truth) for one in (train, test)]
        found["modalities"][name] = {
            "effective_rank": effective_rank(features[1]), "dimensions": features[1].shape[1],
            **{
                fact: probe(features[0], known[0][fact], features[1], known[1][fact], test.groups)
                for fact in FACTS
            },
        }  # fmt: skip
    return found


def table(runs: dict[str, Any]) -> str:
    """Markdown: accuracies with intervals, in brackets that of the most frequent class."""
    lines = [
        "| run | invariance | modality | " + " | ".join(FACTS) + " | effective rank |",
        "|" + "---|" * (len(FACTS) + 4),
    ]
    for run, found in runs.items():
        for name, row in found["modalities"].items():
            cells = []
            for fact in FACTS:
                span = row[fact]["accuracy"]["interval"]
                width = f" {100 * span[0]:.1f} to {100 * span[1]:.1f}" if span else ""
                value = 100 * row[fact]["accuracy"]["value"]
                cells.append(f"{value:.1f}{width} ({100 * row[fact]['majority']:.1f})")
            rank = f"{row['effective_rank']:.1f} of {row['dimensions']}"
            lines.append(
                f"| {run} | {found['invariance']:g} | {name} | {' | '.join(cells)} | {rank} |"
            )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measures and prints."""
    given = parse(arguments)
    runs = {path.name: measure(path, given.split, given.stage) for path in given.workdirs}
    print(table(runs))
    keep({"split": given.split, "runs": runs}, given.output)


if __name__ == "__main__":
    main()
