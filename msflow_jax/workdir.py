"""A workdir: the unit that a user keeps. After training no flag repeats the architecture."""

import json
import subprocess
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from msflow_jax.config import check_config, default_config, leaves
from msflow_jax.data import Info, check_same
from msflow_jax.data import upgrade as upgrade_data
from msflow_jax.families import get_family
from msflow_jax.inference.calibration import Calibration, read_calibration
from msflow_jax.inference.flow import Flow
from msflow_jax.inference.record import circumstances
from msflow_jax.storage import checkpoints
from msflow_jax.storage.atomic import write_atomically
from msflow_jax.storage.digests import differences, layouts
from msflow_jax.training.sequence import read_drawing, read_params, unreached_stages

ROOT = Path(__file__).parent
FORMAT = 2  # of the configuration; 1 was one union of all families' settings


def create(
    path: Path, config: ConfigDict, info: Info, extra: Mapping[str, Any] | None = None
) -> None:
    """Write ``config.json`` and ``manifest.json``; a workdir with checkpoints must hold the same run.

    Args:
        path: path of the workdir; made when missing.
        config: whole configuration of the run.
        info: what the data are.
        extra: further entries of the manifest, for instance where converted weights came from.

    Raises:
        ValueError: the workdir belongs to another configuration or other data, which is named.
    """
    path = Path(path)
    # A run that failed before its first checkpoint has nothing to go on from and is replaced.
    if has_checkpoint(path):
        old_info = refuse_other_run(path, config)
        check_same(old_info, info)
        info = old_info  # nothing is rewritten under a checkpoint
    write_json(path / "config.json", config.to_dict())
    write_json(path / "manifest.json", {**manifest(config, info), **(extra or {})})


def refuse_other_run(path: Path, config: ConfigDict) -> Info:
    """Facts of the data of a workdir with checkpoints, if a run of this configuration may go on there.

    Raises:
        ValueError: the workdir belongs to another configuration (what differs is named).
    """
    old, info = read(path)
    for part in ("data", "model", "train"):
        refuse_difference(path, old[part].to_dict(), config[part].to_dict(), part)
    return info


# What may change when a run goes on: where the data lie, how the loop reports and keeps, the devices.
_FREE = {
    "root", "download", "steps_per_dispatch", "log_every", "keep", "profile", "writers", "mesh",
    "sharding", "cache", "duplicates", "outside",
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
        elif _plain(a) != _plain(b):
            raise ValueError(
                f"{path} holds a run with {name}={a}, not {b}: use another {flag}, "
                "or repeat the command with the old value to go on"
            )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def read(path: Path) -> tuple[ConfigDict, Info]:
    """Configuration and data description of a workdir.

    Raises:
        FileNotFoundError: no workdir there.
        ValueError: a damaged file, an unknown family, or keys that this version does not know.
    """
    path = Path(path)
    for name in ("config.json", "manifest.json"):
        if not (path / name).is_file():
            raise FileNotFoundError(f"{path} is no workdir: {name} is missing. Train first")
    try:
        stored = json.loads((path / "config.json").read_text(encoding="utf-8"))
        facts = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        config = _from_stored(stored, facts.get("format", 1), path / "config.json")
        info = Info.from_dict(facts["data"])
    except (
        json.JSONDecodeError,
        UnicodeDecodeError,
        AttributeError,
        LookupError,
        TypeError,
    ) as error:
        raise ValueError(
            f"{path}: config.json or manifest.json is damaged ({error}); restore it from a copy"
        ) from error
    return config, info


def _from_stored(stored: dict[str, Any], version: int, source: Path) -> ConfigDict:
    """A configuration from JSON, over the defaults of its family and its networks."""
    if version > FORMAT:
        raise ValueError(f"{source} has format {version}: it was written by a newer version")
    name = stored.get("model", {}).get("family", "")
    family = get_family(name) if name else None
    if family and version < FORMAT:
        stored = family.upgrade(stored)
    stored = {**stored, "data": upgrade_data(stored.get("data", {}))}
    config = default_config(name)
    with config.unlocked():
        if family:
            for key, value in leaves(stored):
                family.choose(config, key, value)
        _update(config, stored, source)
    check_config(config)
    return config


def _update(config: ConfigDict, stored: dict[str, Any], source: Path, where: str = "") -> None:
    for key, value in stored.items():
        if key not in config:
            raise ValueError(
                f"{source}: unknown key {where}{key}; was it written by a newer version?"
            )
        if isinstance(config[key], ConfigDict):
            _update(config[key], value, source, f"{where}{key}.")
        else:
            config[key] = tuple(value) if isinstance(value, list) else value


def has_checkpoint(path: Path) -> bool:
    """Whether a workdir holds a checkpoint, of any stage: without one it has nothing to go on from."""
    return any(checkpoints.exist(folder) for folder in (path, *path.glob("stages/*")))


def open_workdir(path: str | Path, stage: str = "", *, calibrated: bool = True) -> Flow:
    """The model of a workdir with the parameters of its best checkpoint; nothing is written.

    Args:
        path: path of the workdir.
        stage: name of a training stage, whose parameters are used instead of the last one's.
        calibrated: whether what the last evaluation learned is read too.

    Raises:
        FileNotFoundError: no workdir, or no checkpoint in it.
        ValueError: the parameters are not those of the model in config.json, or there is no such stage.
    """
    import jax

    path = Path(path)
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
    step, params = read_params(path, config.train.select, stage or None)
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
    calibration = read_calibration(path) if calibrated else Calibration()
    if calibration.step not in (None, step):
        warnings.warn(
            f"{path}: its evaluation is of step {calibration.step}, the parameters are of step {step}: "
            "evaluate again for thresholds and a temperature that belong to them",
            stacklevel=2,
        )
    drawing = read_drawing(path, config.train.select, step, stage or None)
    joined = {**params, **parts.params}
    return Flow(path, config, info, family, parts, model, joined, step, calibration, drawing)


def manifest(config: ConfigDict, info: Info) -> dict[str, Any]:
    """Versions, device, data, seed and source revision of a run."""
    return {
        "format": FORMAT,
        **circumstances(),
        "seed": config.train.seed,
        "git": _git(),
        "data": info.to_dict(),
    }


def _git() -> str | None:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        out = subprocess.run(command, capture_output=True, text=True, timeout=10, cwd=ROOT)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return out.stdout.strip() or None


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically; a value that is not finite raises ValueError."""
    write_atomically(path, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode())
