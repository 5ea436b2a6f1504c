"""A workdir's config.json and manifest.json: read, and compared with what its checkpoints say."""

import difflib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from msflow_jax.config import check_config, default_config
from msflow_jax.data import Info
from msflow_jax.data import upgrade as upgrade_data
from msflow_jax.families import get_family
from msflow_jax.settings import leaves
from msflow_jax.storage import facts
from msflow_jax.storage.content import printable
from msflow_jax.storage.jsons import read_object
from msflow_jax.storage.parameters import Parameters, digest_of_stages, saved_digest
from msflow_jax.storage.text import first_of
from msflow_jax.training.sequence import saved_stages, steps_used
from msflow_jax.training.stage import stage_folder

# 1: the configuration was one union of all families' settings. Since 3 a checkpoint says what it was
# made with, see ``storage/facts.py``.
FORMAT = 3
SAYS_NOTHING = 2
_NEAR = 3  # workdirs in an error
_TEXTS: tuple[Any, Any] = (list, (str,))
# The type of each fact on the data, and of what a list of them holds.
_KINDS: dict[str, tuple[Any, Any]] = {
    **dict.fromkeys(("name", "task", "licence", "md5", "source", "fit"), (str, ())),
    **dict.fromkeys(("channels", "side"), (int, ())),
    **dict.fromkeys(("classes", "map_classes", "flips"), _TEXTS),
    "counts": (list, (int,)), "value_range": (list, (int, float)),
    "space": (list, (int,)), "spacing": (list, (int, float)),
    **dict.fromkeys(("modalities", "identity", "intensities", "volumes"), (dict, ())),
}  # fmt: skip


def read(path: Path) -> tuple[ConfigDict, Info]:
    """Configuration and data description of a workdir.

    Raises:
        FileNotFoundError: no workdir there.
        ValueError: a damaged file, an unknown family, or keys that this version does not know.
    """
    path = Path(path)
    for name in ("config.json", "manifest.json"):
        if not (path / name).is_file():
            raise FileNotFoundError(
                f"{path} is no workdir: {name} is missing. Train first{_meant(path)}"
            )
    stored, found = (read_object(path / name) for name in ("config.json", "manifest.json"))
    try:
        info = _read_info(found["data"])
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path / 'manifest.json'} is damaged ({_short(error)}): restore it from a copy"
        ) from error
    config, said = _config_of(stored, _format(path, found), path / "config.json")
    for line in said:
        warnings.warn(f"{path / 'config.json'}: {line}", stacklevel=2)
    return config, info


def parameters_used(path: Path) -> Parameters:
    """Step and digest of the parameters that a workdir is opened with; none are read.

    Without a checkpoint both are unknown.

    Raises:
        ValueError: as of :func:`read`; also a checkpoint that is damaged.
    """
    try:
        steps = steps_used(path, read(path)[0].train.select)
    except FileNotFoundError:
        return Parameters()
    found = {
        name: saved_digest(stage_folder(path, name) / "checkpoints" / str(step))
        for name, step in zip(saved_stages(path) or [""], steps, strict=False)
    }
    return Parameters(steps[-1], digest_of_stages(found))


def _meant(path: Path) -> str:
    """Workdirs in a folder, or beside one that is misspelt, as a question; empty where there is none."""
    try:
        inside = sorted(one.parent for one in path.glob("*/config.json"))
        beside = {one.parent.name: one.parent for one in path.parent.glob("*/config.json")}
    except OSError:
        return ""
    near = inside or [beside[name] for name in difflib.get_close_matches(path.name, beside)]
    return f", or is {first_of([str(one) for one in near], _NEAR)} meant?" if near else ""


def _short(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())


def _format(path: Path, found: Mapping[str, Any]) -> int:
    version = found.get("format", 1)
    if type(version) is not int or version < 1:
        raise ValueError(
            f"{path / 'manifest.json'} is damaged (format {version!r}): restore it from a copy"
        )
    if version > FORMAT:
        raise ValueError(f"{path} has format {version}: it was written by a newer version")
    return version


def _read_info(stored: Any) -> Info:
    """Facts on data from JSON, each of the type that it was written with.

    Raises:
        TypeError: one is of another type.
        ValueError: an unknown field, or one that is missing.
    """
    if not isinstance(stored, dict):
        raise TypeError(f"data is {type(stored).__name__}, not an object")
    for key, value in stored.items():
        kind, items = _KINDS.get(key, (object, (object,)))
        right = type(value) is kind if kind in (int, str) else isinstance(value, kind)
        if not right or (kind is list and not all(type(item) in items for item in value)):
            raise TypeError(f"data.{key} is {value!r}")
    return Info.from_dict(stored)


def check_made(path: Path, config: ConfigDict, info: Info) -> None:
    """Refuse a workdir whose config.json or manifest.json is not what its checkpoints were made with.

    Raises:
        ValueError: they differ (the first key that does is named), or a checkpoint says nothing.
    """
    version = _format(path, read_object(path / "manifest.json"))
    now = {"format": version, **facts.made_with(config.to_dict(), info.to_dict())}
    parts = facts.digests(path, (*get_family(config.model.family).files, facts.TEACHER))
    for folder in (path, *sorted(path.glob("stages/*"))):
        for step in facts.steps(folder):
            found = facts.read(step)
            if not (step / "ema").is_dir():  # removed meanwhile, by a training beside
                continue
            if found is None and version > SAYS_NOTHING:
                raise ValueError(
                    f"{step} does not say what it was made with ({facts.ITEM}/ in it is missing): "
                    "restore it from a copy"
                )
            if found is None:
                continue
            made = found["made"]
            try:
                then = _config_of(made["config"], made["format"], step / facts.ITEM)[0].to_dict()
                data = _read_info(made["data"]).to_dict()
                files = dict(made.get("parts", parts)).items()
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                raise ValueError(
                    f"{step / facts.ITEM} is damaged ({_short(error)}): restore it from a copy, or "
                    f"remove {step} to use the others"
                ) from error
            before = {"format": made["format"], **facts.made_with(then, data)}
            if wrong := facts.difference(before, now):
                raise ValueError(f"{path}: {wrong}: restore the file from a copy")
            if other := sorted({str(name) for name, _ in files ^ parts.items()}):
                raise ValueError(
                    f"{path / other[0]} is not the file that the checkpoint {step.name} was made with: "
                    "restore it from a copy"
                )


def _config_of(
    stored: dict[str, Any], version: int, source: Path
) -> tuple[ConfigDict, Sequence[str]]:
    """A configuration from JSON, over the defaults of its family and its networks.

    With it a line for each setting that a family has replaced, since it gave wrong results.

    Raises:
        ValueError: a value of another type, an unknown key, or a setting that does not exist.
    """
    try:
        return _from_stored(stored, version, source)
    except (AttributeError, LookupError, TypeError) as error:
        raise ValueError(
            f"{source} is damaged ({_short(error)}): restore it from a copy"
        ) from error
    except ValueError as error:
        if str(source) in str(error):
            raise
        raise ValueError(f"{source}: {_short(error)}") from error


def _from_stored(
    stored: dict[str, Any], version: int, source: Path
) -> tuple[ConfigDict, Sequence[str]]:
    name = stored.get("model", {}).get("family", "")
    family = get_family(name) if name else None
    if family and version == 1:
        stored = family.upgrade(stored)
    stored = {**stored, "data": upgrade_data(stored.get("data", {}))}
    config = default_config(name)
    with config.unlocked():
        if family:
            for key, value in leaves(stored):
                family.choose(config, key, value)
        # Runs of before chose by all of their validation images.
        config.train.calibrate_every = 0
        _update(config, stored, source)
        said = getattr(family, "restore", lambda _: ())(config)
    check_config(config)
    return config, said


def _update(config: ConfigDict, stored: dict[str, Any], source: Path, where: str = "") -> None:
    for key, value in stored.items():
        if key not in config:
            raise ValueError(
                f"{source}: unknown key {printable(where + key)}; was it written by a newer version?"
            )
        if isinstance(config[key], ConfigDict):
            _update(config[key], value, source, f"{where}{key}.")
            continue
        value = tuple(value) if isinstance(value, list) else value
        kinds = (int, float) if isinstance(config[key], float) else (type(config[key]),)
        if type(value) not in kinds:
            raise TypeError(f"{where}{key} is {value!r}")
        config[key] = value
