"""Evaluate a workdir on a split, or on labelled images from elsewhere; report/index.html has them all.

python -m experiments.evaluate --workdir=runs/quickstart --split=test
python -m experiments.evaluate --workdir=runs/quickstart --split=val --draws=16 --name=val-16
python -m experiments.evaluate --workdir=runs/quickstart --images=FOLDER --name=siteB
python -m experiments.evaluate --workdir=runs/magic_pneumonia --outside=retinamnist.npz:test

W/evaluations/NAME/ keeps what was measured. One evaluation stands: images are classified with its
settings, prior, temperature and thresholds. The first one stands; --adopt changes that (--adopt=NAME
without measuring).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msflow_jax.commands.common import add_distributed, add_resize, named, parser, path, run, start
from msflow_jax.commands.numbers import fraction, whole
from msflow_jax.commands.standing import adopt_existing, report

# Sections that need no other split, for images from elsewhere.
_ELSEWHERE = ("classification", "abstain")


def evaluate(
    workdir: Path,
    split: str = "test",
    root: str = "",
    draws: int | None = None,
    steps: int | None = None,
    prior: str = "",
    temperature: float | None = None,
    likelihood: int | None = None,
    outside: Sequence[str] = (),
    features: Path | None = None,
    stage: str = "",
    by: Sequence[str] = (),
    *,
    name: str = "",
    images: str = "",
    modality: str = "",
    resize: bool | None = None,
    adopt: bool = False,
) -> dict[str, Any]:
    """Measure the best checkpoint, keep the results under a name, build the report.

    Args:
        workdir: workdir of a trained model.
        split: ``val`` or ``test``; the official test split is for the end.
        root: where the data lie, if no longer where the configuration says.
        draws, steps: noise draws and solver steps of the classification, None as configured.
        prior: prior of the classes, ``natural`` (as trained) or ``uniform``; empty as configured.
        temperature: standard deviation of the latents of generated images, None as configured.
        likelihood: of how many images of each kind a symmetric flow tells it, None as configured.
        outside: images of another kind (a folder, an .npz), which the uncertainties should tell.
        features: folder of ``msflow convert-features``, for further distances of the generated images.
        stage: training stage whose parameters are measured; empty: the last.
        by: columns of the data, such as ``site``, whose values make subgroups.
        name: of the evaluation; empty: that of the split (with ``stage``: ``SPLIT-STAGE``).
        images: labelled images from elsewhere instead of a split, measured as the standing evaluation.
        modality, resize: what they are of, if one of several; whether resized (None: as in training).
        adopt: whether it becomes the standing evaluation; the first one does anyway.

    Raises:
        ValueError: other data than the model was trained on, a setting that it has not, ``outside`` for
            one that does not classify, or a name under which an evaluation with other settings is kept.
    """
    from msflow_jax.inference import evaluated
    from msflow_jax.storage import evaluations
    from msflow_jax.storage.atomic import check_writable
    from msflow_jax.workdir import open_workdir

    check_writable(workdir)
    requested: Any = dict(
        draws=draws, steps=steps, prior=prior, temperature=temperature, likelihood=likelihood
    )
    other = (*requested.values(), outside, features, stage, adopt, root, split != "test")
    name = choose_name(name, split, stage, images, any(other), modality)
    flow = open_workdir(workdir, stage, calibrated=bool(images))
    standing = evaluations.standing(workdir)
    evaluated.change_settings(flow, root, **requested)
    sections = flow.family.sections(flow.config, stage)
    settings = evaluated.requested_settings(flow, sections, stage, outside, features, by)
    if images:
        run, record, own = evaluated.open_elsewhere(
            flow, name, images, modality, flow.resizes(resize), by
        )
        sections = [section for section in sections if section.name in _ELSEWHERE]
        settings |= {**flow.config.sample.to_dict(), **own}
    made = {"split": name if images else split, "settings": settings}
    evaluations.check_free(workdir, name, evaluations.describe(made))
    if not images:
        run, record = evaluated.open_split(flow, split, outside, features, by)
        settings["training_images_compared"] = len(run.splits.train)
    found = measure(workdir, name, run, sections, {**record, "settings": settings})
    report(flow, name, found, adopt=adopt or not (stage or images or standing))
    return found


def choose_name(
    name: str, split: str, stage: str, images: str, other: bool, modality: str = ""
) -> str:
    """The name of an evaluation: as given, or else after what is measured."""
    from msflow_jax.data.base import SPLITS
    from msflow_jax.storage.evaluations import check_name

    if modality and not images:
        raise ValueError(f"--modality={modality} says what --images are of: give both or neither")
    if images and other:
        raise ValueError(
            "--images is measured as the standing evaluation was: leave out --split, --root and others"
        )
    if images and (not name or name in SPLITS):
        raise ValueError(
            "--images needs a --name of its own for the evaluation: such as --name=siteB"
        )
    return check_name(name or "-".join(filter(None, (split, stage))))


def measure(
    workdir: Path, name: str, run: Any, sections: Sequence[Any], record: Mapping[str, Any]
) -> dict[str, Any]:
    """Runs the sections; the first process keeps the evaluation. One of other parameters is renamed."""
    from msflow_jax.evaluation.familiar import file_of
    from msflow_jax.inference.evaluation import evaluate_sections
    from msflow_jax.parallel.startup import is_first
    from msflow_jax.storage import evaluations
    from msflow_jax.storage.atomic import write_npz
    from msflow_jax.storage.jsons import write_json
    from msflow_jax.storage.text import write_csv

    blocks, arrays = evaluate_sections(run, sections)
    found = {"split": run.split, "sections": [one.name for one in sections], **record}
    found |= {"learned": run.calibration.to_dict()} if run.classified else {}
    found |= blocks
    if not is_first():
        return found
    if before := evaluations.make_room(workdir, name, *evaluations.parameters_of(found)):
        print(f"the evaluation {name!r} of other parameters is kept as {before!r}")
    folder = evaluations.place(workdir, name)
    folder.mkdir(parents=True, exist_ok=True)
    if "classification" in found:
        own = f"{name} (step {found['settings']['step']})"
        rows = run.predictions(found["settings"].get("standing", own))
        write_csv(folder / evaluations.TABLE, rows)
    write_npz(folder / evaluations.ARRAYS, **arrays)
    known = run.calibration.familiar if run.classified else None
    own = file_of(known.digest) if known else ""
    if known:
        write_npz(folder / own, **known.arrays())
    write_json(folder / evaluations.FILE, found)
    for old in folder.glob(file_of("*")):
        if old.name != own:
            old.unlink()
    return found


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("--workdir", required=True, type=path)
    flags.add_argument("--split", default="test", choices=("train", "val", "test"))
    flags.add_argument("--root", default="", help="where the data lie now")
    flags.add_argument("--draws", **whole(), help="noise draws of the classification")
    flags.add_argument("--steps", **whole(), help="solver steps of the classification")
    flags.add_argument(
        "--prior", default="", choices=("natural", "uniform"), help="prior of the classes"
    )
    flags.add_argument(
        "--temperature", **fraction("(0, inf)"),
        help="standard deviation of the latents when images are drawn, for models with a likelihood",
    )  # fmt: skip
    flags.add_argument(
        "--likelihood", **whole(), metavar="IMAGES",
        help="of a symmetric flow: for how many images of each kind; takes seconds for each",
    )  # fmt: skip
    flags.add_argument(
        "--outside", action="append", type=named, default=[], metavar="PATH",
        help="images of another kind, which the uncertainties should tell; repeatable",
    )  # fmt: skip
    flags.add_argument(
        "--features", type=path, help="folder of msflow convert-features: distances by its features",
    )  # fmt: skip
    flags.add_argument("--stage", default="", help="training stage to measure (default: the last)")
    flags.add_argument(
        "--by", action="append", default=[], metavar="COLUMN",
        help="scores of the images of each value of a column of the data, such as site; repeatable",
    )  # fmt: skip
    flags.add_argument("--name", default="", help="of the evaluation (default: that of the split)")
    flags.add_argument(
        "--images", type=named, metavar="PATH",
        help="labelled images from elsewhere: a folder with a sub-folder for each class, a CSV "
        "path,label[,patient], an .npz with images and labels; needs --name",
    )  # fmt: skip
    flags.add_argument("--modality", default="", help="of --images, for a model of several")
    add_resize(flags)
    flags.add_argument(
        "--adopt", nargs="?", const=True, default=False, metavar="NAME",
        help="classify by this evaluation from now on; with a NAME by one that is there",
    )  # fmt: skip
    add_distributed(flags)
    o = flags.parse_args(arguments)
    start(o.distributed)
    flags.refuse_without(o, "images", "modality", "resize")
    if isinstance(o.adopt, str):
        flags.refuse_beside(o, "--adopt=NAME", "workdir", "adopt", "distributed", "debug")
        return adopt_existing(o.workdir, o.adopt)
    evaluate(
        o.workdir, o.split, o.root, o.draws, o.steps, o.prior, o.temperature, o.likelihood, o.outside,
        o.features, o.stage, o.by, name=o.name, images=o.images or "", modality=o.modality,
        resize=o.resize, adopt=o.adopt,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
