"""From the stored values of a DICOM object to what they mean.

The order is that of the standard: padding is found on stored values; rescale or modality table; where
it is asked for, a window; MONOCHROME1 is turned last. No window of a header is applied on its own:
values go through the intensity map of the data set, the same for every image; in CT they are Hounsfield
units.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import tee
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.data.sources.dicom.meaning import Meaning
from msflow_jax.storage.archives import Explained


def to_values(
    stored: Sequence[np.ndarray], rules: Sequence[Meaning], path: Path, table: Any = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Brings stored values to what they mean.

    Integers stay integers where slope and intercept are such: int16, or int32 where that is too small.

    Args:
        stored: a frame ``[H, W, C]`` each.
        rules: how each frame is read.
        path: for errors.
        table: the object with a modality table, or None.

    Returns:
        ``[F, H, W, C]``, and where there is no value ``[F, H, W]`` or None.

    Raises:
        ValueError: values that are not finite.
    """
    missing = _missing(stored, rules)
    if table is not None:
        values, low, high = _through_table(stored, table, path)
    else:
        values = _rescale(stored, rules)
        low, high = _limits(rules)
    if values.dtype.kind == "f":
        known = values if missing is None else values[~missing]
        if known.size and not (np.isfinite(known.min()) and np.isfinite(known.max())):
            raise Explained(
                f"{path} holds values that are not finite (NaN or infinite): replace them"
            )
    if rules[0].inverted:
        values = _inverted(values, low + high)
    return values, missing


def _missing(stored: Sequence[np.ndarray], rules: Sequence[Meaning]) -> np.ndarray | None:
    if not any(rule.padding for rule in rules):
        return None
    masks = []
    for frame, rule in zip(stored, rules, strict=True):
        ends = rule.padding
        if ends is None:
            masks.append(np.zeros(frame.shape[:-1], bool))
            continue
        if frame.dtype.kind in "iu":
            # Of a signed value written as an unsigned one the bits are the same.
            ends = tuple(np.asarray(ends, np.int64).astype(frame.dtype).tolist())
        masks.append(((frame >= min(ends)) & (frame <= max(ends)))[..., 0])
    whole = np.stack(masks)
    return whole if whole.any() else None


def _rescale(stored: Sequence[np.ndarray], rules: Sequence[Meaning]) -> np.ndarray:
    first = rules[0]
    if all(rule.plain for rule in rules):
        values = np.stack(stored)
        if values.dtype.kind == "f":
            return values.astype(np.float32)
        if first.bits > 8 or first.signed:
            return values.astype(np.int16) if values.dtype == np.int8 else values
        top = 2**first.bits - 1  # the file states its range, which becomes 0..255
        if first.colour or first.bits == 8:
            return values if values.dtype == np.uint8 else values.astype(np.uint8)
        return np.rint(values.clip(0, top) * (255 / top)).astype(np.uint8)
    exact = all(rule.slope % 1 == 0 and rule.intercept % 1 == 0 for rule in rules)
    dtype = _integers(stored, rules) if exact and stored[0].dtype.kind != "f" else None
    out = np.empty((len(stored), *stored[0].shape), dtype or np.float32)
    for target, frame, rule in zip(out, stored, rules, strict=True):
        if dtype is not None:
            target[:] = frame.astype(np.int64) * int(rule.slope) + int(rule.intercept)
        else:
            target[:] = frame.astype(np.float64) * rule.slope + rule.intercept
    return out


def _integers(stored: Sequence[np.ndarray], rules: Sequence[Meaning]) -> Any:
    """The type of integers that holds all results, or None."""
    return _type_for(
        int(end) * int(rule.slope) + int(rule.intercept)
        for frame, rule in zip(stored, rules, strict=True)
        for end in (frame.min(), frame.max())
    )


def _type_for(ends: Iterable[int]) -> Any:
    """int16, or the wider type of integers that holds all of these; None if there is none."""
    low, high = (f(values) for f, values in zip((min, max), tee(ends), strict=True))
    for dtype in (np.int16, np.int32, np.uint32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return dtype
    return None


def _inverted(values: np.ndarray, ends: float) -> np.ndarray:
    """What is white becomes black: the sum of the smallest and largest possible value, less these."""
    if values.dtype.kind == "f":
        return (ends - values.astype(np.float64)).astype(np.float32)
    turned = int(ends) - values.astype(np.int64)
    limits = np.iinfo(values.dtype)
    low, high = int(turned.min()), int(turned.max())
    fits = limits.min <= low and high <= limits.max
    return turned.astype(values.dtype if fits else _type_for((low, high)) or np.float32)


def _limits(rules: Sequence[Meaning]) -> tuple[float, float]:
    """What the smallest and largest value that could be stored stand for, over all frames."""
    ends = []
    for rule in rules:
        bits = max(rule.bits, 8) if rule.plain else rule.bits
        low = -(2 ** (bits - 1)) if rule.signed else 0
        ends += [end * rule.slope + rule.intercept for end in (low, low + 2**bits - 1)]
    return min(ends), max(ends)


def _through_table(
    stored: Sequence[np.ndarray], table: Any, path: Path
) -> tuple[np.ndarray, float, float]:
    from pydicom.pixels import apply_modality_lut

    try:
        values = apply_modality_lut(np.stack(stored), table)
        bits = int(table.ModalityLUTSequence[0].LUTDescriptor[2])
    except Exception:
        raise Explained(f"{path} is damaged: its modality table cannot be read") from None
    return values, 0, 2**bits - 1
