"""Train a model, evaluate it on the test split once, and write the report. Resumes by itself.

python -m experiments.train --config=configs/quickstart.py
python -m experiments.train --config=configs/pixel_retina.py:cpu --config.data.root=DIR
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msflow_jax.commands.common import add_distributed, parser, path, run
from msflow_jax.storage.places import expand, resolved


def default_workdir(config: str, data: str = "") -> Path:
    """``runs/NAME[-ARGUMENT][-DATA]`` for ``configs/NAME.py[:ARGUMENT]`` on own images at DATA."""
    from msflow_jax.storage.text import file_stem

    stem, _, argument = Path(config).name.partition(":")
    images = file_stem(resolved(expand(data)).stem) if data else ""
    return Path("runs") / "-".join(filter(None, (stem.removesuffix(".py"), argument, images)))


def fit_to_data(
    config, given: Sequence[str], small: bool | None = None, workdir: Path | None = None
) -> None:
    """Completes ``configs/own_images.py`` by a look at the images and the machine; others stay.

    Args:
        config: a whole configuration; changed.
        given: dotted keys that the user has chosen, which stay.
        small: whether the size for CPU cores is chosen; None: by the machine, or as ``:cpu`` says.
        workdir: of the run; where it has begun, it keeps its length.
    """
    import jax

    from msflow_jax.config import leaves
    from msflow_jax.data.sources.listings import own
    from msflow_jax.families import get_family
    from msflow_jax.parallel.startup import describe_machine
    from msflow_jax.workdir import keep_length

    if not own.is_own(config.data.name):
        return
    facts, machine = own.look(config.data), describe_machine()
    small = (machine.cpu or config.data.name.endswith(":cpu")) if small is None else small
    settings = get_family(config.model.family).fit_to(facts, small=small, memory=machine.memory)
    known = dict(leaves(config.to_dict()))
    kept = {*given} - {"data.name"}
    if "train.epochs" in given:  # which steps would overrule
        kept |= {"train.steps"}
    chosen = {key: value for key, value in settings.items() if key in known and key not in kept}
    config.update_from_flattened_dict(chosen)
    if workdir and not {"train.steps", "train.epochs"} & {*given}:
        keep_length(workdir, config)
    if jax.process_index() == 0:
        print(facts.describe())
        print(own.describe_choice(facts, dict(leaves(config.to_dict())), machine.name))


def train(config, workdir: Path, encode_only: bool = False) -> None:
    """See :func:`_train`; too little memory is a line that names the settings that take less."""
    from msflow_jax.training.memory import remedies_named

    with remedies_named(config):
        _train(config, workdir, encode_only)


def _train(config, workdir: Path, encode_only: bool) -> None:
    """Prepare or load the parts, build, train every stage: leaves a workdir for every other command.

    With ``encode_only`` training and validation images are encoded of a latent model, no more.

    Raises:
        ValueError: ``encode_only`` for a model of pixels.
    """
    import jax
    from jax.experimental import multihost_utils

    from msflow_jax import data, teachers
    from msflow_jax import workdir as workdirs
    from msflow_jax.config import check_config
    from msflow_jax.data.begun import load_again
    from msflow_jax.data.splitting import choosing
    from msflow_jax.families import get_family, verbs_of
    from msflow_jax.paired.tokens import check_library
    from msflow_jax.progress import doing
    from msflow_jax.storage.atomic import check_writable
    from msflow_jax.storage.lock import locked
    from msflow_jax.storage.outputs import check_run
    from msflow_jax.storage.text import write_csv
    from msflow_jax.training import continuing, run_stages
    from msflow_jax.training.sequence import unreached_stages

    check_config(config)
    check_library(config.model)  # before the data are read
    family, resumed = get_family(config.model.family), workdirs.has_checkpoint(workdir)
    if resumed:
        check_writable(workdir)
        workdirs.keep_as_begun(workdir, config)
    else:
        check_run(workdir)
    then = workdirs.refuse_other_run(workdir, config) if resumed else None
    teacher = None if resumed else teachers.open_teacher(config)
    table = workdir / "splits.csv"
    splits = load_again(config.data, then, table) if then else data.load(config.data)
    if teacher:
        splits = data.as_trained(splits, teacher.flow.info, teacher.flow.path / table.name)
    info = _agreed(config, splits.info)
    with doing("preparing the model"):
        parts = teachers.parts(teacher, family, config, splits, workdir if resumed else None)
        model = family.build(config, info, parts)
    every = config.train.calibrate_every if "classify" in verbs_of(model) else 0
    if encode_only:
        _check_encoding(config, parts)
        family.stages(config, choosing(splits, every), parts, model)
        return
    taken, first = None, jax.process_index() == 0
    if config.train.init and (not resumed or unreached_stages(workdir)):
        taken = _taken(expand(config.train.init), workdir, model, parts, config)
    with locked(workdir) if first else contextlib.nullcontext():
        if first:
            if line := workdirs.describe_length(workdir, config) if resumed else str(taken or ""):
                print(line)
            extra = {"started_from": taken.to_dict()} if taken and not resumed else {}
            workdirs.create(workdir, config, info, extra)
            if not resumed:
                parts.save(workdir)
                teachers.forget(workdir)
            if teacher:
                teacher.keep(workdir)
            if not (resumed and table.exists()):
                write_csv(table, data.table_with_pixels(splits))
            print(describe(splits, every))
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("workdir")
        with doing("preparing the training"):
            stages = family.stages(config, choosing(splits, every), parts, model)
            if taken:
                stages = continuing.begin_with(taken, stages, workdir)
            stages = teacher.classifying(stages) if teacher else stages
        given = teachers.read_teacher(workdir)
        run_stages(stages, workdir, params=given, made=workdirs.made_with(workdir))


def _agreed(config: Any, info: Any) -> Any:
    """The facts on the data, if all processes have read the same, by the same configuration."""
    from msflow_jax.parallel.agreement import check_agreement

    found = repr((info.classes, info.identity))
    check_agreement(settings=repr(config.to_dict()), images_or_labels=found)
    return info


def _check_encoding(config: Any, parts: Any) -> None:
    if not parts.params:
        raise ValueError("--encode-only is for latent models: this one sees the images")
    if "cache" not in config.model.latent:
        raise ValueError("--encode-only: this family encodes images while it trains")


def _taken(source: Path, workdir: Path, model: Any, parts: Any, config: Any) -> Any:
    """What a run starts from.

    Raises:
        ValueError: it is the run itself.
    """
    from msflow_jax.workdir import take_params

    if resolved(source) == resolved(workdir):
        raise ValueError(f"--config.train.init={source} is this run's own --workdir: name another")
    return take_params(source, model, parts, config)


def describe(splits, every: int) -> str:
    """One line on the data, and one where too few of them calibrate sets (``calibrate_every``)."""
    from msflow_jax.inference.sets import few_cases

    info = splits.info
    line = (
        f"{info.name}: {len(splits.train)} training, {len(splits.val)} validation, "
        f"{len(splits.test)} test images of {' x '.join(map(str, info.shape))}, "
        f"{len(info.classes)} classes"
    )
    return "\n".join(filter(None, (line, few_cases(splits.val, every))))


def after_training(config, workdir: Path, evaluated: bool, where: str = "") -> None:
    """Evaluate on the test split, or say on the first process how and ``where`` that is done next."""
    from msflow_jax.commands.evaluate import evaluate
    from msflow_jax.parallel.startup import is_first

    if not evaluated:
        if is_first():
            print(f"saved: {workdir}; next{where}: msflow evaluate --workdir={workdir}")
        return
    drawn = [key for key in ("per_class", "count") if key in config.sample.get("generate", {})]
    less = "".join(f", --config.sample.generate.{key}=0 generated images" for key in drawn)
    words = "trained; next the evaluation on the test split: --no-evaluate leaves it out"
    print(f"{words}{less}", flush=True)
    evaluate(workdir, split="test")


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument(
        "--config", required=True, metavar="FILE[:ARGUMENT]",
        help="a file under configs/; --config.a.b=v changes a value",
    )  # fmt: skip
    flags.add_argument("--workdir", type=path, help="where to keep the run (default: runs/NAME)")
    flags.add_argument("--profile", action="store_true", help="trace a few steps to W/profile")
    flags.add_argument(
        "--encode-only", action="store_true", help="of a latent model: fill its cache, then stop"
    )
    flags.add_argument(
        "--resample", action="store_true",
        help="bring the volumes of an examination of a cohort onto one grid (data.resample)",
    )  # fmt: skip
    flags.add_argument("--no-evaluate", action="store_true", help="stop after training")
    add_distributed(flags)
    options, rest = flags.parse_known_args(arguments)
    flags.check_settings(rest)
    rest += ["--config.data.resample=True"] * options.resample

    from msflow_jax.progress import doing

    with doing("starting"):
        from msflow_jax import data
        from msflow_jax.config import load_config
        from msflow_jax.parallel.startup import start_jax

        config = load_config([f"--config={options.config}", *rest])
        config.train.profile |= options.profile
        together = start_jax(config.train.batch, options.distributed)
    root = config.data.root if data.of_user(config.data.name) else ""
    workdir = options.workdir or default_workdir(options.config, root)
    given = [a.split("=")[0].removeprefix("--config.") for a in rest]
    fit_to_data(config, given, workdir=workdir)
    train(config, workdir, options.encode_only)
    if options.encode_only:
        return
    where = " (on one machine, or on all with --distributed)" if together else ""
    after_training(config, workdir, not (together or options.no_evaluate), where)


if __name__ == "__main__":
    run(main)
