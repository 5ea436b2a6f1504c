"""Sums up evaluated workdirs: mean and standard deviation over training seeds, as Markdown and JSON.

    python benchmarks/summarise_runs.py runs/retina_* --output benchmarks/results/pixel_cpu.json

Workdirs whose configurations differ only in the seed make one row.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

REJECTED = 0.2  # fraction of the least certain test images left out


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdirs", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, help="write the numbers to this JSON file")
    return parser.parse_args(arguments)


def training_minutes(workdir: Path, batch: int) -> float:
    """Minutes spent in training steps (compilation and validation apart), from metrics.jsonl."""
    from msflow_jax.training.records import read_records

    rows = read_records(workdir)
    seconds, last = 0.0, 0
    for row in rows:
        if "images_per_second" in row:
            seconds += (row["step"] - last) * batch / row["images_per_second"]
            last = row["step"]
    return seconds / 60


def read(workdir: Path) -> tuple[str, dict[str, Any], dict[str, float]]:
    """What tells the runs of a row apart from others, the run's setting and its numbers."""
    from msflow_jax.storage import evaluations

    config = json.loads((workdir / "config.json").read_text(encoding="utf-8"))
    found = evaluations.read(workdir, evaluations.standing(workdir))
    manifest = json.loads((workdir / "manifest.json").read_text(encoding="utf-8"))
    classified, generated = found["classification"], found["generation"]
    curve = classified["rejection"]["distance"]
    rejected = curve["accuracy"][curve["rejected"].index(REJECTED)]
    train = config["train"]
    numbers = {
        "auc_probability": 100 * classified["auc_probability"],
        "auc_distance": 100 * classified["auc_distance"],
        "accuracy": 100 * classified["accuracy"],
        "balanced_accuracy": 100 * classified["balanced_accuracy"],
        "accuracy_of_certain": 100 * rejected,
        "ece": 100 * classified["ece"],
        "aurc": 100 * curve["aurc"],
        "recognised": 100 * generated["recognition_overall"]["generated"],
        "recognised_real": 100 * generated["recognition_overall"]["real"],
        "frechet": generated["comparison"]["generated"]["frechet"],
        "frechet_real": generated["comparison"]["real"]["frechet"],
        "precision": generated["comparison"]["generated"]["precision"],
        "recall": generated["comparison"]["generated"]["recall"],
        "coverage": generated["comparison"]["generated"]["coverage"],
        "training_minutes": training_minutes(workdir, train["batch"]),
    }
    if classified["draws"]["count"] > 1:
        numbers["draw_sd_accuracy"] = 100 * classified["draws"]["accuracy"]["sd"]
    if coupling := found.get("family") == "coupling":
        numbers["ece_before"] = 100 * found["calibration"]["ece_before"]
        likelihood = found["likelihood"]
        for one in likelihood["per_set"]:
            numbers[f"bits_{one['name']}"] = one["mean"]
        for one in likelihood.get("detection", []):
            for score in ("likelihood", "typicality"):
                numbers[f"auroc_{score}_{one['name']}"] = 100 * one[f"auroc_{score}"]
    setting = {
        "data": config["data"]["name"],
        "data_md5": found["data"]["md5"],
        "code": "(coupling flow)" if coupling else config["model"]["code"]["scheme"],
        "prior": found["settings"]["classify"].get("prior", "natural"),
        "steps": train["steps"],
        "batch": train["batch"],
        "classification_fraction": config["model"].get("time", {}).get("classification_fraction"),
        "discriminative_weight": config["model"].get("discriminative_weight"),
        "ema": train["ema"],
        "split": found["split"],
        "git": manifest["git"],
        "device": manifest["device"],
        "packages": manifest["packages"],
        "python": manifest["python"],
    }
    del train["seed"], config["data"]["root"]
    return (
        # Another split or other data are no further seed of a row.
        json.dumps([config, *(setting[k] for k in ("prior", "split", "data_md5"))], sort_keys=True),
        setting,
        {"seed": manifest["seed"], **numbers},
    )


def summarise(workdirs: list[Path]) -> list[dict[str, Any]]:
    """One entry for each configuration: its setting, the runs, mean and sd over the seeds."""
    groups: dict[str, dict[str, Any]] = {}
    for workdir in workdirs:
        key, setting, numbers = read(workdir)
        groups.setdefault(key, {"setting": setting, "runs": []})["runs"].append(numbers)
    for group in groups.values():
        group["runs"].sort(key=lambda run: run["seed"])
        names = [name for name in group["runs"][0] if name != "seed"]
        group["mean"] = {n: statistics.mean(run[n] for run in group["runs"]) for n in names}
        if len(group["runs"]) > 1:
            group["sd"] = {n: statistics.stdev(run[n] for run in group["runs"]) for n in names}
    return list(groups.values())


def table(groups: list[dict[str, Any]]) -> str:
    """The Markdown table."""
    columns = {
        "auc_probability": "AUC",
        "accuracy": "accuracy",
        "draw_sd_accuracy": "its sd over noise draws",
        "accuracy_of_certain": "accuracy of the 80 % most certain",
        "ece": "ECE",
        "recognised": "drawn and recognised",
        "training_minutes": "minutes",
    }
    alone = ("training_minutes", "draw_sd_accuracy")  # spreads that have no spread of interest
    lines = [
        "| data | code | class prior | steps | seeds | " + " | ".join(columns.values()) + " |",
        "|---" * (5 + len(columns)) + "|",
    ]
    for group in groups:
        setting, mean, sd = group["setting"], group["mean"], group.get("sd", {})
        cells = [
            f"{mean[n]:.1f}" + (f" ± {sd[n]:.1f}" if n in sd and n not in alone else "")
            if n in mean
            else ""
            for n in columns
        ]
        head = [setting[name] for name in ("data", "code", "prior", "steps")]
        head = [*map(str, head), str(len(group["runs"]))]
        lines.append("| " + " | ".join(head + cells) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Prints the table, writes the numbers."""
    options = parse(arguments)
    groups = summarise(options.workdirs)
    print(table(groups))
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(groups, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
