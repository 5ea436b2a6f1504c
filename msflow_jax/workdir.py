"""A workdir: the unit that a user keeps. After training no flag repeats the architecture."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from msflow_jax.data import Info, check_same
from msflow_jax.families import get_family
from msflow_jax.inference.calibration import Calibration, read_calibration
from msflow_jax.inference.flow import Flow
from msflow_jax.inference.record import circumstances
from msflow_jax.inference.stored import FORMAT, SAYS_NOTHING, check_made, read
from msflow_jax.progress import doing
from msflow_jax.storage import checkpoints, earlier, facts
from msflow_jax.storage.digests import differences, layouts
from msflow_jax.storage.jsons import read_object, write_json
from msflow_jax.storage.places import expand
from msflow_jax.storage.revision import SOURCE, revision
from msflow_jax.training import continuing
from msflow_jax.training.continuing import check_length
from msflow_jax.training.sequence import read_digested, read_drawing, saved_stages, unreached_stages

__all__ = [
    "create", "describe_length", "has_checkpoint", "keep_as_begun", "keep_length", "made_with",
    "open_workdir", "plain", "read", "refuse_difference", "refuse_other_run", "take_params",
]  # fmt: skip


def create(
    path: Path, config: ConfigDict, info: Info, extra: Mapping[str, Any] | None = None
) -> None:
    """Write ``config.json`` and ``manifest.json``; a workdir with checkpoints must hold the same run.

    Args:
        path: path of the workdir; made when missing. What a fresh run finds there of evaluations of an
            earlier one is set aside, with a warning.
        config: whole configuration of the run.
        info: what the data are.
        extra: further entries of the manifest, for instance where converted weights came from.

    Raises:
        ValueError: the workdir belongs to another configuration or other data, which is named.
    """
    path = Path(path)
    # A run that failed before its first checkpoint has nothing to go on from and is replaced.
    version, kept = FORMAT, {}
    if has_checkpoint(path):
        old_info = refuse_other_run(path, config)
        check_same(old_info, info)
        info = old_info  # nothing is rewritten under a checkpoint
        before = read_object(path / "manifest.json")
        version = FORMAT if before.get("format") == FORMAT else SAYS_NOTHING
        kept = before  # such as where converted weights came from
    elif aside := earlier.set_aside(path):
        warnings.warn(
            f"{path}: its evaluations are of checkpoints that are gone: they and the report are kept in "
            f"{aside}, and nothing of them is applied to this run",
            stacklevel=2,
        )
    write_json(path / "config.json", config.to_dict())
    made = {
        "format": version, **circumstances(), "seed": config.train.seed, "git": revision(SOURCE),
        "data": info.to_dict(),
    }  # fmt: skip
    write_json(path / "manifest.json", {**kept, **made, **(extra or {})})


def refuse_other_run(path: Path, config: ConfigDict) -> Info:
    """Facts of the data of a workdir with checkpoints, if a run of this configuration may go on there.

    Raises:
        ValueError: the workdir belongs to another configuration (what differs is named).
    """
    old, info = read(path)
    check_made(path, old, info)
    check_length(old.train, config.train, sum(info.counts), path)
    if len(saved_stages(path)) > 1:
        refuse_difference(path, _length(old), _length(config), "train")
    then, now = old.to_dict(), config.to_dict()
    for part in (then, now):
        part["train"] = {k: v for k, v in part["train"].items() if k not in _length(config)}
        del part["sample"]["batch"]
    for name in ("data", "model", "train", "sample"):
        refuse_difference(path, then[name], now[name], name)
    return info


def keep_as_begun(path: Path, config: ConfigDict) -> None:
    """Settings that there were not when a run began keep, in ``config``, what stands for that."""
    began = read_object(path / "config.json")
    if "calibrate_every" not in began.get("train", {}):
        config.train.calibrate_every = read(path)[0].train.calibrate_every


def keep_length(path: Path, config: ConfigDict) -> None:
    """Of a workdir with checkpoints, its steps and epochs are put into ``config``."""
    if has_checkpoint(path):
        config.train.update(_length(read(path)[0]))


def _length(config: ConfigDict) -> dict[str, Any]:
    return {"steps": config.train.steps, "epochs": config.train.epochs}


def describe_length(path: Path, config: ConfigDict) -> str:
    """One line where a run of a workdir with checkpoints is made longer; else empty."""
    old, info = read(path)
    reached = max((int(step.name) for step in facts.steps(path)), default=0)
    return continuing.describe_length(old.train, config.train, sum(info.counts), reached)


def take_params(path: Path, model: Any, parts: Any = None, config: Any = None) -> continuing.Taken:
    """The parameters of another workdir that fit a model, see :func:`continuing.take`.

    Warns of what gives them another meaning in a run of these parts and this configuration.

    Raises:
        FileNotFoundError: no workdir, or no checkpoint in it.
        ValueError: none of its parameters fits.
    """
    import jax

    flow = open_workdir(path, calibrated=False)
    if config is not None:
        continuing.warn_of_others(path, flow.config, config, flow.parts, parts)
    here = tuple(getattr(model, "classes", flow.classes))
    if here != tuple(flow.classes):
        warnings.warn(
            f"{path} knows the classes {', '.join(flow.classes)}, this run {', '.join(here)}: they are "
            "taken over by their numbers, not by their names, until training has changed that",
            stacklevel=2,
        )
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    own = {name: leaf for name, leaf in flow.params.items() if name not in flow.parts.params}
    return continuing.take(str(path), flow.step, own, shapes)


# What may change when a run goes on: where the data lie, how the loop reports and keeps, the devices,
# and whether what is found wrong of the data is an error or a line.
_FREE = {
    "root", "download", "steps_per_dispatch", "log_every", "keep", "profile", "writers", "mesh",
    "sharding", "cache", "workers", "loader", "md5", "duplicates", "outside", "shared_subjects",
}  # fmt: skip


def refuse_difference(
    path: Path, old: dict, new: dict, where: str = "", flag: str = "--workdir"
) -> None:
    """Check that a run goes on with the settings it began with.

    Args:
        path: folder of the run.
        old: settings that it began with.
        new: settings that it is to go on with.
        where: name of the part they belong to, for the message.
        flag: flag of the command that names another folder, for the message.

    Raises:
        ValueError: they differ in more than where data lie, what is reported or which devices are used.
    """
    for key in sorted(set(old) | set(new)):
        a, b, name = old.get(key), new.get(key), f"{where}.{key}" if where else key
        if key in _FREE:
            continue
        if isinstance(a, dict) and isinstance(b, dict):
            refuse_difference(path, a, b, name, flag)
        elif plain(a) != plain(b):
            raise ValueError(
                f"{path} holds a run with {name}={a}, not {b}: use another {flag}, "
                "or repeat the command with the old value to go on"
            )


def plain(value: Any) -> Any:
    """A value of a configuration as JSON has it: a tuple is a list."""
    return list(value) if isinstance(value, tuple) else value


def made_with(path: Path) -> dict[str, Any]:
    """What is kept with each checkpoint of a workdir, so that its files cannot say otherwise later."""
    found = read_object(path / "manifest.json")
    config = read_object(path / "config.json")
    parts = facts.digests(path, (*get_family(config["model"]["family"]).files, facts.TEACHER))
    return {"format": found["format"], "config": config, "data": found["data"], "parts": parts}


def has_checkpoint(path: Path) -> bool:
    """Whether a workdir holds a checkpoint, of any stage: without one it has nothing to go on from."""
    return any(checkpoints.exist(folder) for folder in (path, *path.glob("stages/*")))


@doing("opening the model")
def open_workdir(path: str | Path, stage: str = "", *, calibrated: bool = True) -> Flow:
    """The model of a workdir with the parameters of its best checkpoint; nothing is written.

    Args:
        path: path of the workdir; ``~`` is the home folder.
        stage: name of a training stage, whose parameters are used instead of the last one's.
        calibrated: whether what the standing evaluation learned is read too.

    Raises:
        FileNotFoundError: no workdir, or no checkpoint in it.
        ValueError: the parameters are not those of the model in config.json, or there is no such stage.
    """
    import jax

    path = expand(path)
    config, info = read(path)
    if not has_checkpoint(path):
        raise FileNotFoundError(
            f"no checkpoint in {path / 'checkpoints'}: train first, or check --workdir"
        )
    family = get_family(config.model.family)
    if not stage and (missing := unreached_stages(path)):
        raise FileNotFoundError(
            f"{path}: training has not reached its stage {missing[0]!r}: repeat the train command to go "
            "on, or evaluate what is there with --stage=NAME"
        )
    check_made(path, config, info)
    step, params, digest = read_digested(path, config.train.select, stage or None)
    parts = family.load(config, info, path)
    model = family.build(config, info, parts)
    shapes, there = layouts(jax.eval_shape(model.init, jax.random.key(0))), layouts(params)
    if stage:  # the stages behind it are not there
        shapes = {name: layout for name, layout in shapes.items() if name in there}
    if wrong := differences(there, shapes):
        raise ValueError(
            f"{path}: the checkpoint of step {step} is not of the network in config.json ({wrong[0]}): "
            "restore config.json from a copy"
        )
    calibration = Calibration(reason=f"no evaluation of the stage {stage!r}")
    if "classify" not in config.sample:
        calibration = Calibration(reason="this model does not classify")
    elif calibrated and not stage:
        configured = config.sample.classify.to_dict()
        calibration = read_calibration(path, step, configured, digest=digest)
    if calibrated and calibration.of_other_step:
        warnings.warn(
            f"{path}: {calibration.reason}: nothing that it learned is applied, evaluate again for "
            "thresholds and a temperature that belong to them",
            stacklevel=2,
        )
    drawing = read_drawing(path, config.train.select, step, stage or None)
    joined = {**params, **parts.params}
    return Flow(
        path, config, info, family, parts, model, joined, step, calibration, drawing, digest
    )
