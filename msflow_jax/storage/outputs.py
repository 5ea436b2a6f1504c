"""What a command is to write, checked before its work: never onto an input or onto something else."""

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from msflow_jax.storage.atomic import check_writable, staging, tell_made
from msflow_jax.storage.jsons import read_object
from msflow_jax.storage.places import resolved
from msflow_jax.storage.text import first_of

_NAMED = 3  # files named in a message


def check_file(
    path: Path,
    ours: Callable[[Path], bool],
    inputs: Iterable[Path] = (),
    overwrite: bool = False,
    told: bool = False,
) -> Path:
    """Refuses a file that must not or cannot be written.

    A file that an earlier call wrote may be replaced, and an empty one.

    Args:
        path: file to be written.
        ours: whether a file there is of the kind that is written, by its content.
        inputs: files and folders that are read: what lies there is never replaced by another kind.
        overwrite: whether a file of another kind may be replaced.
        told: whether no line is printed where the file's folder is not there yet.

    Returns:
        The file itself, where ``path`` is a link to it.

    Raises:
        ValueError: a folder, a device, an input, or a file of another kind.
        OSError: the place cannot be written.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder: name a file, such as {path / 'output.csv'}")
    path = resolved(path) if path.is_symlink() else path
    if path.exists():
        if not path.is_file():
            raise ValueError(f"{path} is no plain file: name another --output")
        mine = ours(path)
        for given in inputs:
            if _same(path, given) or (not mine and resolved(given) in resolved(path).parents):
                raise ValueError(
                    f"{path} is read by this command and would be overwritten: name another --output"
                )
        if not (mine or overwrite or path.stat().st_size == 0):
            raise ValueError(
                f"{path} exists and is not what this command writes: name another --output, or add "
                "--overwrite to replace it"
            )
    check_writable(path.parent)
    if not told:
        tell_made(path.parent)
    return path


def check_folder(
    folder: Path,
    written: Callable[[Path], Sequence[str] | None],
    inputs: Iterable[Path] = (),
    overwrite: bool = False,
    told: bool = False,
) -> Path:
    """Refuses a folder that must not or cannot be written.

    A folder that holds exactly what an earlier call wrote may be replaced, and an empty one.

    Args:
        folder: folder to be written.
        written: names of the files that an earlier call left in a folder, by the record there; None
            where there is no record.
        inputs: files and folders that are read, which must not lie in the folder.
        overwrite: whether a folder with such a record is replaced whatever else is in it. One without
            is never replaced.
        told: whether no line is printed where the folder that holds it is not there yet.

    Returns:
        The folder itself, where ``folder`` is a link to it.

    Raises:
        ValueError: a file, a folder that holds an input, or one that holds something else.
        OSError: the place cannot be written.
    """
    folder = resolved(folder) if folder.is_symlink() else folder
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file: name a folder")
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if there:
        whole = resolved(folder)
        if any(whole in (resolved(given), *resolved(given).parents) for given in inputs):
            raise ValueError(
                f"{folder} is read by this command and would be replaced: name another --output"
            )
        names = written(folder)
        if names is None:
            raise ValueError(
                f"{folder} holds what this command did not write ({first_of(there, _NAMED)}): name a "
                "new folder"
            )
        if (others := sorted(set(there) - set(names))) and not overwrite:
            raise ValueError(
                f"{folder} holds more than an earlier call wrote ({first_of(others, _NAMED)}): name a "
                "new folder, or add --overwrite to remove all of it"
            )
    check_writable(staging(folder))
    if not told:
        tell_made(folder.parent)
    return folder


def refuse_within(output: Path, images: Path) -> None:
    """Refuses a folder of pictures or volumes within the one that they are made of.

    A folder is read with its sub-folders: the next call would take what this one wrote for images.

    Args:
        output: folder to be written.
        images: what is read; a single file refuses nothing.

    Raises:
        ValueError: ``output`` lies in the folder ``images``.
    """
    if images.is_dir() and resolved(images) in (resolved(output), *resolved(output).parents):
        raise ValueError(
            f"{output} lies within {images}, which is read with its sub-folders: the next call would "
            "take what this one writes for images; give an --output beside it"
        )


def check_run(workdir: Path) -> None:
    """Refuses a workdir in which a fresh run would write over what is not of a run.

    Raises:
        ValueError: a ``config.json`` or ``manifest.json`` of something else.
        OSError: the place cannot be written.
    """
    for name, keys in _OF_A_RUN.items():
        if (file := workdir / name).exists() and not _has_keys(file, keys):
            raise ValueError(f"{file} is no file of a training run: name another --workdir")
    check_writable(workdir)
    tell_made(workdir.parent)


_OF_A_RUN = {"config.json": ("data", "model", "train"), "manifest.json": ("msflow_jax", "data")}


def _has_keys(file: Path, keys: Iterable[str]) -> bool:
    try:
        return set(keys) <= set(read_object(file))
    except (OSError, ValueError):
        return False


def check_both(
    check: Callable[..., Path],
    output: Path,
    known: Callable[[Path], Any],
    inputs: Iterable[Path],
    overwrite: bool,
    told: bool = False,
) -> tuple[Path, Path]:
    """An output, and where what Ctrl-C left of it goes.

    Args:
        check: :func:`check_file` or :func:`check_folder`, which both must pass.
        output: file or folder to be written.
        known: second argument of ``check``.
        inputs: files and folders that are read.
        overwrite, told: last arguments of ``check``.
    """
    inputs = list(inputs)
    output = check(output, known, inputs, overwrite, told)
    return output, check(partial_of(output), known, inputs, overwrite, True)


def partial_of(output: Path) -> Path:
    """Where what Ctrl-C left of a file or a folder goes: beside it, or in it if it is all there is."""
    whole = resolved(output)
    if output.is_dir() and not os.access(whole.parent, os.W_OK):
        return output
    name = f"{whole.name}.partial"
    return output.with_name(name) if output.name else whole.with_name(name)


def remove_partial(
    output: Path, partial: Path, written: Callable[[Path], Sequence[str] | None]
) -> None:
    """Removes the folder that an earlier Ctrl-C left, once the whole one is there.

    Args:
        output, partial: as :func:`check_both` gives them.
        written: as :func:`check_folder` takes it: a folder without its record stays.
    """
    if partial != output and partial.is_dir() and written(partial) is not None:
        shutil.rmtree(partial)


def _same(path: Path, given: Path) -> bool:
    return given.exists() and os.path.samefile(path, given)
