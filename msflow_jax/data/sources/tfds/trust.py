"""What a prepared TFDS data set may have imported: classes of TFDS, nothing else."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msflow_jax.storage.content import describe_file

_TRUSTED = "tensorflow_datasets."


def check_features(folder: Path) -> None:
    """Refuses a prepared data set that would have code imported which is not of TFDS.

    TFDS imports the module that ``features.json`` names for each feature: whoever wrote that file would
    choose what runs here.

    Args:
        folder: the data set's folder, with its configurations and versions at any depth.

    Raises:
        ValueError: for such a name, or a file that cannot be read.
    """
    # With and without a configuration's folder above the version's; links are followed, as TFDS does.
    depths = ("", "*/", "*/*/", "*/*/*/")
    for path in sorted(path for depth in depths for path in folder.glob(f"{depth}features.json")):
        try:
            names = list(_class_names(json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, RecursionError, OSError) as error:
            raise ValueError(
                f"{path} cannot be read ({error}; it holds {describe_file(path)}): prepare the data "
                "set again"
            ) from error
        if wrong := [name for name in names if not str(name).startswith(_TRUSTED)]:
            raise ValueError(
                f"{path} asks for the code {wrong[0]!r}, which is not of tensorflow_datasets: it is not "
                "imported; prepare the data set again"
            )


def _class_names(tree: Any) -> Iterator[Any]:
    """Names of classes anywhere in a ``features.json``, in its old and new spellings."""
    if isinstance(tree, str) and tree.lstrip().startswith(
        ("{", "[")
    ):  # an old file has JSON in texts
        with contextlib.suppress(ValueError):
            yield from _class_names(json.loads(tree))
    elif isinstance(tree, list):
        for value in tree:
            yield from _class_names(value)
    elif isinstance(tree, dict):
        yield from (tree[key] for key in ("pythonClassName", "python_class_name") if key in tree)
        if "content" in tree and "type" in tree:
            yield tree["type"]
        for value in tree.values():
            yield from _class_names(value)
