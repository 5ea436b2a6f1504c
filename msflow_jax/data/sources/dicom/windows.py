"""A window or a table of a DICOM header, where one is asked for: values to grey levels of a screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from msflow_jax.data.sources.dicom.headers import get, items
from msflow_jax.storage.archives import Explained

if TYPE_CHECKING:
    from pydicom import Dataset


def count_windows(found: Dataset) -> int:
    """How many views a header offers: windows, then tables."""
    group = items(found, "FrameVOILUTSequence", 1)[0]
    return len(_listed(get(group, "WindowCenter"))) + len(get(found, "VOILUTSequence") or [])


def _listed(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str | int | float) else list(value)


def windowed(values: np.ndarray, found: Dataset, index: int, path: Path) -> np.ndarray:
    """Applies a window or a table of the header.

    Args:
        values: ``[F, H, W, 1]`` after rescale.
        found: the object.
        index: which: windows come first, then tables.
        path: for errors.

    Returns:
        uint8 of the same shape, black as 0 where the object is MONOCHROME2.

    Raises:
        ValueError: there is none of that number, or it is damaged.
    """
    count = count_windows(found)
    if not 0 <= index < count:
        raise Explained(
            f"{path} has {count} windows in its header; window {index} is not one of them"
        )
    out = np.empty(values.shape, np.uint8)
    for frame, (target, group) in enumerate(
        zip(out, items(found, "FrameVOILUTSequence", len(values)), strict=True)
    ):
        centers, widths = (_listed(get(group, key)) for key in ("WindowCenter", "WindowWidth"))
        if index >= len(centers):
            target[:] = _view(values[frame], found, index - len(centers), path)
            continue
        try:
            center, width = float(centers[index]), float(widths[index])
        except (ValueError, IndexError):
            center = width = np.nan
        kind = str(get(group, "VOILUTFunction") or "LINEAR")
        target[:] = _through_window(values[frame].astype(np.float64), center, width, kind, path)
    return out


def _view(values: np.ndarray, found: Dataset, index: int, path: Path) -> np.ndarray:
    from pydicom.pixels import apply_voi

    try:
        bits = int(found.VOILUTSequence[index].LUTDescriptor[2])
        return np.rint(apply_voi(values, found, index) * (255 / (2**bits - 1)))
    except Exception:
        raise Explained(f"{path} is damaged: its VOI table cannot be read") from None


def _through_window(
    values: np.ndarray, center: float, width: float, kind: str, path: Path
) -> np.ndarray:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3, to 0..255."""
    from scipy.special import expit

    least = 1 if kind == "LINEAR" else 0
    if not (np.isfinite(center) and np.isfinite(width)) or width < least or width == 0:
        raise Explained(f"{path} is damaged: its window is no pair of numbers")
    if kind == "SIGMOID":
        return np.rint(255 * expit(4 * (values - center) / width))
    if kind == "LINEAR":
        if width == 1:
            return np.where(values > center - 0.5, 255, 0)
        center, width = center - 0.5, width - 1
    return np.rint(((values - center) / width + 0.5).clip(0, 1) * 255)
