"""Where a workdir keeps its evaluations: by name, one of them the standing one.

``W/evaluations/NAME/`` holds ``evaluation.json``, ``evaluation.npz`` and ``predictions.csv``;
``W/evaluations/standing.json`` names the one that images are classified by. A workdir of before there
were names has its only evaluation in ``W`` itself: it stands, and moves into its folder with the next.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msflow_jax.settings import leaves
from msflow_jax.storage.jsons import read_object, write_json
from msflow_jax.storage.parameters import Parameters
from msflow_jax.storage.places import free

FILE, ARRAYS, TABLE = "evaluation.json", "evaluation.npz", "predictions.csv"
AGAIN = "evaluate the workdir again"
_LONGEST = 200
FOLDER, _STANDING, _OLD_NAME = "evaluations", "standing.json", "test"
# Settings that change no result, and those that only add to it.
_FREE, _ADDED = ("batch",), ("outside", "features", "by")


def check_name(name: str) -> str:
    """The name of an evaluation, which is also a folder's.

    Raises:
        ValueError: it is not made of letters, digits, ``-``, ``_`` and single dots, has more than 200
            bytes, or is ``index`` or ``standing.json``.
    """
    if not _is_name(name):
        raise ValueError(
            f"--name={name!r}: an evaluation is named by letters, digits, '-', '_' and '.', at most "
            f"{_LONGEST} bytes of them, not 'index' or {_STANDING!r}"
        )
    return name


def _is_name(name: str) -> bool:
    taken = name.lower() in ("index", _STANDING)  # report/index.html
    # NAME-stepN and NAME.html are files' names too, of which a file system takes 255 bytes.
    short = len(name.encode()) <= _LONGEST
    return bool(re.fullmatch(r"\w[\w-]*(\.[\w-]+)*", name)) and short and not taken


def place(workdir: Path, name: str) -> Path:
    """Folder of an evaluation, whether it is there or not."""
    return workdir if name == _old_name(workdir) else workdir / FOLDER / name


def names(workdir: Path) -> list[str]:
    """Names of the evaluations that are there, the standing one first, the others in order."""
    found = {path.parent.name for path in (workdir / FOLDER).glob(f"*/{FILE}")}
    if old := _old_name(workdir):
        found.add(old)
    first = _named(workdir)
    return sorted(found, key=lambda name: (name != first, name))


def standing(workdir: Path) -> str:
    """Name of the evaluation by which images are classified; empty where there is none.

    Raises:
        ValueError: the note about it is damaged, or names one that is not there.
    """
    name = _named(workdir)
    if name and not (place(workdir, name) / FILE).is_file():
        raise ValueError(
            f"{workdir / FOLDER / _STANDING} names the evaluation {name!r}, which is not there: choose "
            f"one by evaluate --adopt=NAME ({', '.join(names(workdir)) or 'none is left'}), or remove it"
        )
    return name


def _named(workdir: Path) -> str:
    path = workdir / FOLDER / _STANDING
    if not path.is_file():
        return _old_name(workdir)
    remedy = "remove it, and choose one by evaluate --adopt=NAME"
    name = read_object(path, remedy).get("name")
    if not (isinstance(name, str) and _is_name(name)):
        raise ValueError(f"{path} is damaged (the name is {name!r}): {remedy}")
    return name


def read(workdir: Path, name: str) -> dict[str, Any]:
    """The content of an evaluation.

    Raises:
        ValueError: there is no such evaluation (those that are there are named), or it is damaged.
    """
    path = place(workdir, check_name(name)) / FILE
    if not path.is_file():
        known = ", ".join(names(workdir)) or "none"
        raise ValueError(f"{workdir} has no evaluation {name!r}: it has {known}")
    return read_object(path, AGAIN)


def adopt(workdir: Path, name: str) -> None:
    """Make an evaluation the standing one.

    Raises:
        ValueError: there is no such evaluation, or it is of a stage, or of images from elsewhere.
    """
    made = describe(read(workdir, name))
    if made["stage"] or made["images_md5"]:
        what = f"the stage {made['stage']!r}" if made["stage"] else "images from elsewhere"
        raise ValueError(
            f"the evaluation {name!r} of {workdir} is of {what}: only one of a split and the whole "
            "model can stand"
        )
    _move_old(workdir)
    write_json(workdir / FOLDER / _STANDING, {"name": name})


def describe(found: Mapping[str, Any]) -> dict[str, Any]:
    """What an evaluation was made of, as far as its file says: two that agree in it are the same."""
    given = found.get("settings")
    settings = dict(given) if isinstance(given, dict) else {}
    for name in ("step", "parameters", "training_images_compared", "images", *_FREE):
        settings.pop(name, None)
    made = {key: settings.pop(key, "") for key in ("stage", "images_md5")}
    added = {key: _listed(settings.pop(key, [])) for key in _ADDED}
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in leaves(settings)}
    return {"split": found.get("split"), **made, **added, **plain}


def parameters_of(found: Mapping[str, Any]) -> Parameters:
    """The parameters that an evaluation is of, as far as its file says."""
    settings, learned = (
        part if isinstance(part := found.get(key), dict) else {} for key in ("settings", "learned")
    )
    # The step that stands with what is applied comes first: a digest tells of edits there.
    step = learned.get("step")
    step, digest = settings.get("step") if step is None else step, settings.get("parameters")
    return Parameters(
        step if isinstance(step, int) else None, digest if isinstance(digest, str) else ""
    )


def difference(workdir: Path, name: str, now: Parameters, these: str = "the parameters") -> str:
    """What tells the parameters of an evaluation from those that are used; empty where nothing does.

    Args:
        workdir: the workdir.
        name: of the evaluation; of none, and of a damaged one, nothing is told.
        now, these: see :meth:`Parameters.difference`.
    """
    found = _whole(workdir, name) if name else None
    return parameters_of(found or {}).difference(now, these)


def check_free(workdir: Path, name: str, made: Mapping[str, Any]) -> None:
    """Refuse a name under which another evaluation is kept.

    Args:
        workdir: the workdir.
        name: name of the evaluation that is to be made.
        made: what it will be made of, see :func:`describe`.

    Raises:
        ValueError: the name is taken by one with other settings; the first that differs is named.
    """
    found = _whole(workdir, name) if name in names(workdir) else None
    if found is None:  # or damaged: it is measured again
        return
    there = describe(found)
    for key in sorted(there.keys() & made.keys()):
        lost = key in _ADDED and set(map(str, there[key])) - set(map(str, made[key]))
        if lost or (key not in _ADDED and there[key] != made[key]):
            raise ValueError(
                f"{workdir} has an evaluation {name!r} with {key}={_shown(there[key])}, not "
                f"{_shown(made[key])}: give this one a name of its own (--name=...)"
            )


def make_room(workdir: Path, name: str, step: int | None, digest: str = "") -> str:
    """Keep an evaluation of other parameters under ``NAME-stepN`` before a new one takes its name.

    The file of a damaged one is set aside as ``evaluation.json.damaged``.

    Args:
        workdir: the workdir.
        name: name of the evaluation that is to be written.
        step, digest: of the parameters that it is of, see :class:`Parameters`.

    Returns:
        The name under which the one before is kept; empty where none had to be moved.
    """
    _move_old(workdir)
    folder = workdir / FOLDER / name
    if not (folder / FILE).is_file():
        return ""
    found = _whole(workdir, name)
    if found is None:
        (folder / FILE).replace(folder / f"{FILE}.damaged")
        return ""
    before = parameters_of(found)
    if not before.difference(Parameters(step, digest)):
        return ""
    kept = free(folder.with_name(f"{name}-step{before.step}"))
    folder.rename(kept)
    return kept.name


def _whole(workdir: Path, name: str) -> dict[str, Any] | None:
    """The content of an evaluation that is there; None where it is damaged."""
    try:
        return read(workdir, name)
    except ValueError:
        return None


def _old_name(workdir: Path) -> str:
    """Name of the evaluation of a workdir of before there were names; empty where there is none."""
    if not (workdir / FILE).is_file():
        return ""
    try:
        split = read_object(workdir / FILE).get("split")
    except ValueError:
        split = None
    name = split if split in ("train", "val") else _OLD_NAME
    return "" if (workdir / FOLDER / name / FILE).is_file() else name


def _move_old(workdir: Path) -> None:
    """The evaluation of a workdir of before there were names moves into a folder of its own."""
    name = _old_name(workdir)
    if not name:
        return
    folder, stood = workdir / FOLDER / name, _named(workdir)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(workdir / FOLDER / _STANDING, {"name": stood})
    for file in (ARRAYS, FILE):  # the one that is looked for last
        if (workdir / file).is_file():
            (workdir / file).replace(folder / file)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) else str(value)
