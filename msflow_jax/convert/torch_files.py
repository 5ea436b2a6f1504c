"""Torch files by torch's weights-only loader: tensors by name, and nothing else."""

import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.convert.shards import listed, unfit
from msflow_jax.storage.content import printable

_LEVELS = 8  # of mappings in mappings
_ENTRIES = 1_000_000
_STRETCHED = 1 << 28  # numbers of a tensor that its file does not hold


def check_archive(path: Path) -> None:
    """Raises a ValueError for a zip archive that is no state dict of torch."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise ValueError(
            f"{path}: truncated or not a torch file ({printable(str(error))}); fetch it again"
        ) from error
    names = [entry.filename for entry in entries]
    if any(name.endswith(".npy") for name in names):
        raise ValueError(f"{path}: unknown weights format: it holds a NumPy archive (.npz)")
    if any("/code/" in name or name.endswith("/constants.pkl") for name in names):
        raise ValueError(
            f"{path}: a TorchScript program; save torch.save(model.state_dict(), ...) instead"
        )
    if not any(name.endswith("data.pkl") for name in names):
        raise ValueError(
            f"{path}: unknown weights format: it holds a zip archive, not of torch; unpack it first"
        )
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError(f"{path}: a torch file that was compressed again; unpack and re-save it")


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """Tensors of a torch file by name, see ``read_state_dict``.

    Raises:
        ValueError: the file is damaged, holds something else, or would run code on loading.
        ImportError: torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"{path}: reading it needs torch: pip install 'msflow_jax[torch]', "
            "or convert it to .safetensors"
        ) from error

    try:
        # Open, since torch.load decides by the suffix of a path.
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")  # of torch about itself
            loaded = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a broken or hostile file raises inside torch
        # torch's own words advise to switch its guard off: only the name of what it met is kept.
        met = re.search(r"(?:GLOBAL|Unsupported class|global) ([\w.]+\.[\w.]+)", str(error))
        what = f" ({met[1]})" if met else ""
        raise ValueError(
            f"{path}: damaged, or holds more than tensors{what}: torch's weights-only loader refused "
            "it, and nothing in it was run; fetch it again, or save torch.save(model.state_dict(), ...)"
        ) from error
    if not isinstance(loaded, Mapping):
        raise ValueError(
            f"{path}: holds {type(loaded).__name__}, not a state dict of named tensors"
        )
    tensors, in_lists = _flat(loaded, torch, path)
    words = listed([f"{name} ({n} tensors in a list)" for name, n in in_lists.items()])
    if not tensors:
        found = f", such as {listed(list(loaded))}" if loaded else ""
        found = f"; {words}: a list names none, save a state dict" if in_lists else found
        raise ValueError(f"{path}: not a state dict: no tensors in {len(loaded)} entries{found}")
    if in_lists:
        warnings.warn(f"{path}: not used: {words}: a list does not name its tensors", stacklevel=2)
    return {name: _array(path, name, tensor, torch) for name, tensor in tensors.items()}


def _flat(tree: Mapping[Any, Any], torch: Any, path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """Tensors of mappings in mappings by dotted name, without wrappers in which everything lies.

    With it the lists that hold tensors, by dotted name, and how many. Such is the average of torch_ema.
    """
    out: dict[tuple[str, ...], Any] = {}
    in_lists: dict[str, int] = {}
    seen = 0

    def walk(node: Mapping[Any, Any], above: tuple[str, ...]) -> None:
        nonlocal seen
        seen += len(node)
        if len(above) > _LEVELS or seen > _ENTRIES:
            where = printable(".".join(above)[:80])
            raise ValueError(f"{path}: too many or too deep mappings, at {where!r}: no state dict")
        for key, value in node.items():
            here = (*above, str(key))
            if isinstance(value, torch.Tensor):
                if not isinstance(key, str | int):
                    raise ValueError(f"{path}: a tensor's name is {type(key).__name__}, no text")
                if here in out:
                    raise ValueError(f"{path}: two tensors called {listed(['.'.join(here)])}")
                out[here] = value
            elif isinstance(value, Mapping):
                walk(value, here)
            elif found := _in_list(value, torch):
                in_lists[".".join(here)] = found

    walk(tree, ())
    while out and min(map(len, out)) > 1 and len({key[0] for key in out}) == 1:
        out = {key[1:]: value for key, value in out.items()}
    if twice := [name for name, n in Counter(map(".".join, out)).items() if n > 1]:
        raise ValueError(f"{path}: two tensors called {listed(twice)}")
    return {".".join(key): value for key, value in out.items()}, in_lists


def _in_list(node: Any, torch: Any) -> int:
    """Tensors somewhere in a list; of a huge one, those among its first entries."""
    found, seen, rest = 0, 0, [node]
    while rest and seen < _ENTRIES:
        one = rest.pop()
        seen += 1
        if isinstance(one, torch.Tensor):
            found += 1
        elif isinstance(one, Mapping | list | tuple):
            inner = one.values() if isinstance(one, Mapping) else one
            rest.extend(islice(inner, max(0, _ENTRIES - seen - len(rest))))
    return found


def _array(path: Path, name: str, tensor: Any, torch: Any) -> np.ndarray:
    for fault, words in (
        (tensor.is_meta, "has no numbers (it lies on the device 'meta')"),
        (tensor.is_quantized, "is quantised"),
        (tensor.is_complex(), "is complex"),
    ):
        if fault:
            raise unfit(path, name, words)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tensor, strided = tensor.detach(), tensor.layout == torch.strided
            held = tensor.untyped_storage().nbytes() if strided else 0
            if tensor.numel() > max(_STRETCHED, held):
                raise ValueError(f"its {tensor.numel()} numbers are more than the file holds")
            dense = tensor if strided else tensor.to_dense()
            if dense.is_floating_point():
                dense = dense.to(torch.float32)
            return dense.resolve_neg().contiguous().numpy()
    except Exception as error:  # types and layouts that torch itself cannot bring to numpy
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise unfit(path, name, f"({tensor.dtype}) cannot be read ({reason})") from error
