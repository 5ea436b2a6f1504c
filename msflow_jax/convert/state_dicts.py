"""Reads PyTorch state dicts into numpy without running anything that a file may carry."""

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")


def read_state_dict(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads tensors by name from ``.safetensors`` or, by torch's weights-only loader, a torch file.

    Torch files end in ``.pt``, ``.pth``, ``.bin`` or ``.ckpt``. A file that keeps its tensors under
    the key ``state_dict`` (Lightning) is unwrapped.

    Args:
        path: file of the weights.

    Returns:
        Arrays by name; half precision (float16, bfloat16) and float64 become float32, other types
        stay.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is truncated, is not a state dict, or would run code on loading.
        ImportError: if a torch file is read without torch.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such weights file")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in TORCH_SUFFIXES:
        return _read_torch(path)
    raise ValueError(
        f"{path}: unknown weights format {path.suffix!r}; expected .safetensors or one of "
        f"{', '.join(TORCH_SUFFIXES)}"
    )


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    import ml_dtypes  # noqa: F401  (registers bfloat16 with numpy for safetensors)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path}: not a whole safetensors file ({error}); fetch it again"
        ) from error
    return {name: _plain(array) for name, array in tensors.items()}


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"{path}: reading it needs torch: pip install 'msflow_jax[torch]', "
            "or convert it to .safetensors"
        ) from error

    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path}: damaged, or holds more than tensors (torch's weights-only loader refused it; "
            "nothing in it was run); save it again as torch.save(model.state_dict(), ...)"
        ) from error
    except (RuntimeError, EOFError, OSError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path}: truncated or not a torch file ({error}); fetch it again"
        ) from error
    if isinstance(loaded, Mapping) and isinstance(loaded.get("state_dict"), Mapping):
        loaded = loaded["state_dict"]
    return {name: _plain_tensor(value, torch) for name, value in _checked(loaded, torch, path)}


def _checked(loaded: Any, torch: Any, path: Path) -> list[tuple[str, Any]]:
    if not isinstance(loaded, Mapping) or not loaded:
        raise ValueError(
            f"{path}: holds {type(loaded).__name__}, not a state dict of named tensors"
        )
    wrong = [name for name, value in loaded.items() if not isinstance(value, torch.Tensor)]
    if wrong:
        raise ValueError(
            f"{path}: not a plain state dict, {wrong[:3]} of {len(loaded)} entries are no tensors; "
            "save the network's state_dict() alone"
        )
    return list(loaded.items())


def _plain_tensor(tensor: Any, torch: Any) -> np.ndarray:
    if tensor.is_floating_point():
        tensor = tensor.to(torch.float32)
    return tensor.detach().contiguous().numpy()


def _plain(array: np.ndarray) -> np.ndarray:
    # ml_dtypes' bfloat16 is of kind 'V' to numpy.
    return array.astype(np.float32) if array.dtype.kind in "fV" else array
