"""A folder of weights to use: facts in a JSON file, and the parameters in a checkpoint beside it."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msflow_jax.storage.atomic import new_folder
from msflow_jax.storage.jsons import digest_of, read_object, write_json

Params = Any

REMEDY = "convert the weights again"
DIGEST = "sha256"  # of all other facts
LARGEST = 1 << 20  # channels, and whatever else a network counts
DEEPEST = 10  # levels of a network
DTYPES = ("float32", "bfloat16", "float16")


def save(folder: Path, file: str, facts: dict[str, Any], params: Params) -> None:
    """Writes a new folder atomically.

    Args:
        folder: folder to make; may exist if it is empty.
        file: name of the file for the facts.
        facts: JSON; their digest is written beside them.
        params: tree of arrays.

    Raises:
        ValueError: the folder is not empty.
        OSError: the folder cannot be written.
    """
    from msflow_jax.storage.checkpoints import Checkpoints

    with new_folder(folder) as new:
        write_facts(new / file, facts)
        with Checkpoints(new / "checkpoints") as checkpoints:
            checkpoints.save_params(params)
            if not checkpoints.wait():
                raise OSError(
                    f"{folder} could not be written, and nothing is left of it: see above"
                )


def write_facts(path: Path, facts: Mapping[str, Any]) -> None:
    """Writes the facts of a folder, with their digest in place of one that was there."""
    kept = {key: value for key, value in facts.items() if key != DIGEST}
    write_json(path, {**kept, DIGEST: digest_of(kept)})


def read_facts(folder: Path, file: str, what: str, tool: str) -> dict[str, Any]:
    """The facts of a folder that :func:`save` wrote.

    Args:
        folder: folder to read.
        file: name of the file.
        what: what the folder should hold, and ``tool`` what makes one, for errors.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or was changed since it was written.
    """
    path = Path(folder) / file
    if not path.is_file():
        raise FileNotFoundError(
            f"no {what} in {folder} ({file} is missing): convert one with {tool}"
        )
    facts = read_object(path, REMEDY)
    # Folders of before have none.
    if DIGEST in facts and facts.pop(DIGEST) != digest_of(facts):
        raise ValueError(f"{path} is damaged (changed since it was written): {REMEDY}")
    return facts


def check_keys(facts: Any, needed: set[str], where: str = "") -> None:
    """Raises a ValueError unless these are the keys of a JSON object."""
    if not isinstance(facts, dict):
        raise ValueError(f"{where or 'all of it'} is no object")
    for key in sorted(needed ^ facts.keys()):
        raise ValueError(f"{where}{'.' if where else ''}{key} is {_known(key, needed)}")


def _known(key: str, needed: set[str]) -> str:
    return "missing" if key in needed else "unknown"


def number(facts: Mapping[str, Any], key: str, low: float, high: float) -> float:
    """The number at a key of a JSON object.

    Raises:
        ValueError: it is none, or not from ``low`` to ``high``.
    """
    value = facts[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{key} is {value!r:.60}, no number from {low:g} to {high:g}")
    return float(value)


def module(kind: type, facts: Any, where: str = "network") -> Any:
    """A network of the settings in a JSON object: all that it has, of their types, in their ranges.

    Args:
        kind: flax module; integers among its settings are 1 to ``LARGEST``, tuples hold 1 to ``DEEPEST``
            of them.
        facts: what a file says.
        where: key of the object in the file, for errors.

    Raises:
        ValueError: naming the key that is missing, unknown or of another type or range.
    """
    fields = [f for f in dataclasses.fields(kind) if f.name not in ("parent", "name")]
    check_keys(facts, {f.name for f in fields}, where)
    settings = {}
    for field in fields:
        value, default = facts[field.name], field.default
        several = isinstance(default, tuple)
        if isinstance(default, bool):
            fits, words = isinstance(value, bool), "true or false"
        elif several or isinstance(default, int):
            entries = value if several and isinstance(value, list) else [value]
            fits = several == isinstance(value, list) and 0 < len(entries) <= DEEPEST
            fits = fits and all(type(n) is int and 1 <= n <= LARGEST for n in entries)
            words = f"{'a list of integers' if several else 'an integer'} from 1 to {LARGEST}"
            value = tuple(entries) if several else value
        else:
            fits, words = value in DTYPES, f"one of {', '.join(DTYPES)}"
        if not fits:
            raise ValueError(f"{where}.{field.name} is {value!r:.60}, not {words}")
        settings[field.name] = value
    return kind(**settings)


def load_params(folder: Path) -> Params:
    """The parameters of a folder that :func:`save` wrote.

    Raises:
        FileNotFoundError: there are no weights.
        ValueError: the weights are damaged.
    """
    from msflow_jax.storage.checkpoints import Checkpoints

    with Checkpoints(Path(folder) / "checkpoints", read_only=True) as checkpoints:
        return checkpoints.restore_params()[1]
