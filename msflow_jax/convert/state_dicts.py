"""Reads PyTorch state dicts into numpy without running anything that a file may carry."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ml_dtypes
import numpy as np

from msflow_jax.convert.shards import TORCH_SUFFIXES, listed, unfit, weight_files
from msflow_jax.convert.torch_files import check_archive, read_torch
from msflow_jax.storage.content import describe_file, printable

_TYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2,
    "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz, "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
    "F8_E8M0": ml_dtypes.float8_e8m0fnu, "BOOL": np.bool_,
    "I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64,
    "U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "U64": np.uint64,
}  # fmt: skip


def read_state_dict(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads tensors by name from safetensors or, by torch's weights-only loader, torch files.

    The content decides which it is, not the suffix. Mappings in mappings are joined by dots
    (``{"ema": {"conv.weight": ...}}`` gives ``ema.conv.weight``), without wrappers in which everything
    lies, such as Lightning's ``state_dict``. Entries that are no tensors are left out.

    Args:
        path: file of the weights; index of shards; or folder with one of them (``weight_files``).

    Returns:
        Arrays by name, at least one; all floating types become float32, integers and booleans stay.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file, if it is truncated or no state dict, would run code on loading, or
            holds tensors that no array can be, or other ones than its index says.
        ImportError: if a torch file is read without torch.
    """
    state: dict[str, np.ndarray] = {}
    for file, names in weight_files(path).items():
        found = _read_file(file)
        if names is not None and (wrong := sorted(set(names) ^ set(found))):
            there = "lacks" if wrong[0] in names else "holds"
            raise ValueError(
                f"{file}: {there} {listed(wrong)}, against {Path(path).name}: fetch both again"
            )
        state |= found
    return state


@contextmanager
def of_file(path: str | os.PathLike[str]) -> Iterator[None]:
    """Puts a file's name before every ValueError from within."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read_file(path: Path) -> dict[str, np.ndarray]:
    content, suffix = describe_file(path), path.suffix.lower()
    unknown = content == "bytes of no known kind"
    if content == "a safetensors file" or (suffix == ".safetensors" and unknown):
        return _read_safetensors(path)
    if content.startswith("a Python pickle"):
        return read_torch(path)
    if content == "a zip archive":
        check_archive(path)
        return read_torch(path)
    if suffix in TORCH_SUFFIXES and unknown:
        raise ValueError(f"{path}: not a whole torch file; fetch it again")
    raise ValueError(
        f"{path}: unknown weights format: it holds {content}; expected safetensors or a torch file "
        f"({', '.join(TORCH_SUFFIXES)})"
    )


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as checked:  # the header, against the size of the file
            tied = checked.metadata() or {}
    except (SafetensorError, ValueError, KeyError, OSError) as error:
        raise ValueError(
            f"{path}: not a whole safetensors file ({printable(str(error))}); fetch it again"
        ) from error
    with path.open("rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(start - 8), object_pairs_hook=list)
        if twice := [name for name, n in Counter(name for name, _ in header).items() if n > 1]:
            raise ValueError(f"{path}: two tensors called {listed(twice)}; save it again")
        out = {}
        for name, pairs in header:
            if name == "__metadata__":
                continue
            facts = dict(pairs)
            if facts["dtype"] not in _TYPES:
                raise unfit(path, name, f"is of type {facts['dtype']}")
            begin, end = facts["data_offsets"]
            file.seek(start + begin)
            array = np.frombuffer(file.read(end - begin), _TYPES[facts["dtype"]])
            out[name] = _plain(array.reshape(facts["shape"]))
    # Of tensors that share their numbers safetensors keeps one, and the others' names beside it.
    out |= {name: out[kept] for name, kept in tied.items() if kept in out and name not in out}
    if not out:
        raise ValueError(f"{path}: holds no tensors; fetch it again")
    return out


def _plain(array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # beyond float32: infinite, which no network takes
        return array if array.dtype.kind in "iub" else array.astype(np.float32)
