"""Evaluate a workdir on a split: evaluation.json, evaluation.npz and report/index.html.

python -m experiments.evaluate --workdir=runs/quickstart --split=test --draws=8
python -m experiments.evaluate --workdir=runs/magic_pneumonia --outside=retinamnist.npz:test
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.common import parser, path, run

# How many training images are read for comparison, if they do not lie in memory anyway.
_MAX_READ = 20_000
_PRINTED = ("accuracy", "balanced_accuracy", "auc_probability", "auc_distance", "ece", "mean_dice")


def evaluate(
    workdir: Path,
    split: str = "test",
    root: str = "",
    draws: int = 0,
    steps: int = 0,
    prior: str = "",
    temperature: float = 0.0,
    outside: Sequence[str] = (),
    features: Path | None = None,
    stage: str = "",
    by: Sequence[str] = (),
) -> dict[str, Any]:
    """Measure the best checkpoint on a split, write the results, build the report.

    Args:
        workdir: workdir of a trained model.
        split: ``val`` or ``test``; the official test split is for the end.
        root: where the data lie, if no longer where the configuration says.
        draws: noise draws of the classification, 0 as configured.
        steps: solver steps of the classification, 0 as configured.
        prior: prior of the classes, ``natural`` (as trained) or ``uniform``; empty as configured.
        temperature: standard deviation of the latents of generated images, 0 as configured.
        outside: images of another kind (a folder, an .npz), which a likelihood should find unlikely.
        features: folder of ``tools/convert_features.py``, for further distances of the generated images.
        stage: training stage whose parameters are measured; empty: the last.
        by: columns of the data, such as ``site``, whose values make subgroups.

    Raises:
        ValueError: the data there are not the ones that the model was trained on, a setting that the
            model has not, or ``outside`` for a model without a likelihood.
    """
    from msflow_jax import data
    from msflow_jax.inference.evaluation import Evaluation, evaluate_sections
    from msflow_jax.inference.record import run_record
    from msflow_jax.reports import build_report
    from msflow_jax.storage.atomic import check_writable, write_npz
    from msflow_jax.workdir import open_workdir, write_json

    check_writable(workdir)
    flow = open_workdir(workdir, stage, calibrated=False)
    change_settings(flow, root, draws=draws, steps=steps, prior=prior, temperature=temperature)
    config = flow.config
    sections = flow.family.sections(config, stage)
    names = [section.name for section in sections]
    if outside and "likelihood" not in names:
        raise ValueError(f"--outside needs a likelihood, which the model of {workdir} has not")
    others = read_outside(flow, outside)
    splits = data.as_trained(data.load(config.data), flow.info, workdir / "splits.csv")
    record = run_record(flow, splits)  # of all training images
    train = data.in_memory(splits.train, _MAX_READ, config.sample.seed)
    splits = dataclasses.replace(splits, train=train)
    run = Evaluation(flow, splits, split, others, features, by)
    blocks, arrays = evaluate_sections(run, sections)
    found: dict[str, Any] = {
        "split": split,
        "sections": names,
        **record,
        "settings": {
            **config.sample.to_dict(),
            "step": flow.step,
            "training_images_compared": len(train),
        },
        **({"learned": dataclasses.asdict(run.calibration)} if run.classified else {}),
        **blocks,
    }
    write_json(workdir / "evaluation.json", found)
    write_npz(workdir / "evaluation.npz", **arrays)
    print_summary(found, build_report(workdir))
    return found


def change_settings(
    flow: Any, root: str, *, draws: int, steps: int, prior: str, temperature: float
) -> None:
    """Writes what the user requested into the configuration of an opened workdir.

    Raises:
        ValueError: a setting that the model has not.
    """
    from msflow_jax.families import choose_settings

    config = flow.config.unlock()
    config.data.root = root or config.data.root
    if prior and "prior" not in config.sample.classify:
        raise ValueError("this model knows no class prior: leave out --prior")
    if prior:
        config.sample.classify.prior = prior
    requested: dict[str, Mapping[str, Any]] = {
        "classify": {"draws": draws, "steps": steps},
        "generate": {"temperature": temperature},
    }
    for verb, changes in requested.items():
        if any(changes.values()):
            config.sample[verb].update(choose_settings(flow.model, verb, {}, changes))


def read_outside(flow: Any, paths: Sequence[str]) -> dict[str, Any]:
    """Images of another kind by the last part of their path, at the model's side and channels."""
    from msflow_jax import data

    names = [Path(path).name for path in paths]
    for name in names:
        if names.count(name) > 1 or name in ("train", "val", "test"):
            raise ValueError(
                f"--outside: {name!r} would name two sets of images: give each a name of its own"
            )
    return {
        name: data.read_images(path, flow.info, resize=True)[0]
        for name, path in zip(names, paths, strict=True)
    }


def print_summary(found: Mapping[str, Any], report: Path) -> None:
    """The headline numbers of every section that has some, what they hide, and where the report is."""
    from msflow_jax.reports.alarms import warnings_of
    from msflow_jax.reports.results import Results

    for section in found["sections"]:
        for name in _PRINTED:
            if (value := found[section].get(name)) is not None:
                print(f"{found['split']} {name:18s} {value:.4f}")
        for row in found[section].get("per_set", ()):
            print(f"{row['name']}: {row['mean']:.3f} bits per dimension")
    for text in warnings_of(Results(name="", evaluation=dict(found))):
        print(f"warning: {text}")
    print(f"report: {report}")


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("--workdir", required=True, type=path)
    flags.add_argument("--split", default="test", choices=("train", "val", "test"))
    flags.add_argument("--root", default="", help="where the data lie now")
    flags.add_argument("--draws", type=int, default=0, help="noise draws of the classification")
    flags.add_argument("--steps", type=int, default=0, help="solver steps of the classification")
    flags.add_argument(
        "--prior", default="", choices=("natural", "uniform"), help="prior of the classes"
    )
    flags.add_argument(
        "--temperature", type=float, default=0.0,
        help="standard deviation of the latents when images are drawn, for models with a likelihood",
    )  # fmt: skip
    flags.add_argument(
        "--outside", action="append", default=[], metavar="PATH",
        help="images of another kind, for a model with a likelihood to find unlikely; repeatable",
    )  # fmt: skip
    flags.add_argument(
        "--features", type=path,
        help="folder of tools/convert_features.py: distances by its features",
    )  # fmt: skip
    flags.add_argument("--stage", default="", help="training stage to measure (default: the last)")
    flags.add_argument(
        "--by", action="append", default=[], metavar="COLUMN",
        help="scores of the images of each value of a column of the data, such as site; repeatable",
    )  # fmt: skip
    o = flags.parse_args(arguments)

    from msflow_jax.parallel.startup import start_jax

    start_jax()
    evaluate(
        o.workdir, o.split, o.root, o.draws, o.steps, o.prior, o.temperature, o.outside, o.features,
        o.stage, o.by,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
