"""Which files hold a network's weights: one, the shards of an index, or what lies in a folder."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msflow_jax.storage.content import printable
from msflow_jax.storage.jsons import read_object
from msflow_jax.storage.text import first_of

TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")
SUFFIXES = (".safetensors", *TORCH_SUFFIXES)
INDEX = ".index.json"

_STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")
_SHOWN = 5
_LONGEST = 120


def weight_files(path: str | os.PathLike[str]) -> dict[Path, list[str] | None]:
    """The files behind a name that a user gives, each with the tensors that it must hold.

    Args:
        path: file of weights; index of shards (``model.safetensors.index.json``); or folder with one of
            them, such as diffusers writes. Upper and lower case of suffixes are the same.

    Returns:
        For every file the names of its tensors as the index has them, None where there is no index.

    Raises:
        FileNotFoundError: no such file, or a shard is missing.
        ValueError: a folder with none or with several of them, or an index that is damaged or names
            files outside its folder.
    """
    path = Path(path)
    if path.is_dir():
        path = _in_folder(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such weights file")
    if path.name.lower().endswith(INDEX):
        return dict(_shards(path))
    shard = re.search(r"-\d+-of-(\d+)\.", path.name)
    if shard and int(shard[1]) > 1:
        raise ValueError(f"{path}: one of {int(shard[1])} shards: give the {INDEX[1:]} beside it")
    return {path: None}


def unfit(path: Path, name: str, words: str) -> ValueError:
    """The error about a tensor that no array of parameters can be."""
    return ValueError(
        f"{path}: the tensor {listed([name])} {words}; save the weights as plain float32 tensors"
    )


def listed(names: Sequence[Any]) -> str:
    """The first names of many, safe to print and not too long."""
    return first_of([printable(str(name))[:_LONGEST] for name in names], _SHOWN)


def _in_folder(folder: Path) -> Path:
    """The weights in a folder: those by the usual names first, else the only ones."""
    here = {p.name.lower(): p for p in sorted(folder.iterdir()) if p.is_file()}
    for suffix in (".safetensors", ".bin"):
        for stem in _STEMS:
            for name in (stem + suffix, stem + suffix + INDEX):
                if name in here:
                    return here[name]
    found = [p for name, p in here.items() if name.endswith(SUFFIXES)]
    if len(found) == 1:
        return found[0]
    if found:
        names = listed([p.name for p in found])
        raise ValueError(f"{folder}: a folder of {len(found)} weights files: name one of {names}")
    inner = [p.name for p in sorted(folder.iterdir()) if p.is_dir()]
    below = [name for name in inner if any(map(_is_weights, (folder / name).iterdir()))]
    which = f"; there are some in {listed(below)} below it" if below else ""
    raise ValueError(f"{folder}: a folder without weights ({', '.join(SUFFIXES)}){which}")


def _is_weights(path: Path) -> bool:
    return path.name.lower().endswith((*SUFFIXES, INDEX))


def _shards(path: Path) -> dict[Path, list[str]]:
    """Names by file, as an index has them."""
    found = read_object(path, "fetch the index again")
    names = found.get("weight_map")
    if not isinstance(names, dict) or not names:
        raise ValueError(f"{path}: no index of shards: weight_map is no object of names and files")
    out: dict[Path, list[str]] = {}
    for name, file in names.items():
        # A name alone: an index may not lead anywhere else.
        if (
            not isinstance(file, str)
            or not file
            or file != os.path.basename(file.replace("\\", "/"))
        ):
            raise ValueError(
                f"{path}: weight_map[{name!r}] names {file!r}, no file beside the index"
            )
        if file.lower().endswith(INDEX):
            raise ValueError(f"{path}: weight_map[{name!r}] names {file!r}, an index itself")
        out.setdefault(path.parent / file, []).append(name)
    if missing := [file.name for file in out if not file.is_file()]:
        raise FileNotFoundError(
            f"{path}: {len(missing)} of {len(out)} shards are missing: {listed(missing)}; "
            "fetch them into the same folder"
        )
    return out
