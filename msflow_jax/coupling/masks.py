"""What the conditioner of a coupling sees: masks of 0 and 1 over the entries of an image."""

import numpy as np

from msflow_jax.coupling.layout import Stage


def masks(stage: Stage, foreground: np.ndarray | None) -> np.ndarray:
    """Masks of a stage's steps, ``[steps, *space, C]``; of steps ``half`` empty, ``[steps, 0]``.

    Args:
        stage: a stage with steps.
        foreground: ``[*space]``, not 0 where the foreground is; for steps ``foreground``.

    Raises:
        ValueError: a foreground that is missing or of another shape, or channels that cannot be parted
            so.
    """
    *space, channels = stage.shape
    if stage.kind == "half":
        if channels % 2:
            raise ValueError(f"{channels} channels have no halves: squeeze first")
        return np.zeros((stage.steps, 0), np.float32)
    turned = [bool((stage.first + i) % 2) for i in range(stage.steps)]
    if stage.kind == "foreground":
        if foreground is None:
            raise ValueError(
                "the layout has steps 'foreground', but there is no foreground mask: give one, or take "
                "those steps out"
            )
        if list(foreground.shape) != space:
            raise ValueError(
                f"the foreground mask is {foreground.shape}, where the layout needs {tuple(space)}"
            )
        return np.stack([foreground_mask(foreground, channels, t) for t in turned])
    maker = {"checkerboard": checkerboard, "channel": channel_mask}[stage.kind]
    return np.stack([maker(tuple(space), channels, t) for t in turned])


def checkerboard(space: tuple[int, ...], channels: int, turned: bool) -> np.ndarray:
    """Mask ``[*space, C]`` of alternating entries; neighbouring channels alternate too."""
    parity = np.indices((*space, channels)).sum(axis=0) % 2
    return (parity == int(not turned)).astype(np.float32)


def channel_mask(space: tuple[int, ...], channels: int, turned: bool) -> np.ndarray:
    """Mask ``[*space, C]`` of the first half of the channels, or turned of the second.

    Raises:
        ValueError: a single channel has no halves.
    """
    if channels < 2:
        raise ValueError(
            "a mask of channels needs at least 2: use a checkerboard, or squeeze first"
        )
    first = (np.arange(channels) < channels // 2) != turned
    return np.broadcast_to(first, (*space, channels)).astype(np.float32)


def foreground_mask(foreground: np.ndarray, channels: int, turned: bool) -> np.ndarray:
    """Mask ``[*space, C]`` of a foreground ``[*space]``: 1 where that is not 0.

    Raises:
        ValueError: a foreground that is everywhere or nowhere parts nothing.
    """
    inside = np.asarray(foreground) != 0
    if inside.all() or not inside.any():
        raise ValueError("a foreground mask must have entries of 0 and others")
    return np.repeat((inside != turned)[..., None], channels, axis=-1).astype(np.float32)
