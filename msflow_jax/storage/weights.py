"""A folder of weights to use: facts in a JSON file, and the parameters in a checkpoint beside it."""

import json
from pathlib import Path
from typing import Any

from msflow_jax.storage.atomic import new_folder

Params = Any


def save(folder: Path, file: str, facts: dict[str, Any], params: Params) -> None:
    """Writes a new folder atomically.

    Args:
        folder: folder to make; may exist if it is empty.
        file: name of the file for the facts.
        facts: JSON.
        params: tree of arrays.

    Raises:
        ValueError: the folder is not empty.
        OSError: the folder cannot be written.
    """
    from msflow_jax.storage.checkpoints import Checkpoints

    with new_folder(folder) as new:
        (new / file).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        with Checkpoints(new / "checkpoints") as checkpoints:
            checkpoints.save_params(params)
            if not checkpoints.wait():
                raise OSError(
                    f"{folder} could not be written, and nothing is left of it: see above"
                )


def read_facts(folder: Path, file: str, what: str, tool: str) -> dict[str, Any]:
    """The facts of a folder that :func:`save` wrote.

    Args:
        folder: folder to read.
        file: name of the file.
        what: what the folder should hold, and ``tool`` what makes one, for errors.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged.
    """
    path = Path(folder) / file
    if not path.is_file():
        raise FileNotFoundError(
            f"no {what} in {folder} ({file} is missing): convert one with {tool}"
        )
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): convert the weights again") from error
    if not isinstance(facts, dict):
        raise ValueError(f"{path} is damaged (no JSON object): convert the weights again")
    return facts


def load_params(folder: Path) -> Params:
    """The parameters of a folder that :func:`save` wrote.

    Raises:
        FileNotFoundError: there are no weights.
        ValueError: the weights are damaged.
    """
    from msflow_jax.storage.checkpoints import Checkpoints

    with Checkpoints(Path(folder) / "checkpoints", read_only=True) as checkpoints:
        return checkpoints.restore_params()[1]
