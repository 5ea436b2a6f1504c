"""What the conditioner of a coupling sees: masks of 0 and 1 over the entries of an image."""

import numpy as np

from msflow_jax.coupling.layout import Stage


def masks(stage: Stage, picture: np.ndarray | None) -> np.ndarray:
    """Masks of a stage's steps, ``[steps, *space, C]``; ``picture`` ``[*space]`` for those of that name.

    Those of steps ``half`` are empty, ``[steps, 0]``.

    Raises:
      ValueError: a picture that is missing or of another shape, or channels that cannot be parted so.
    """
    *space, channels = stage.shape
    if stage.kind == "half":
        if channels % 2:
            raise ValueError(f"{channels} channels have no halves: squeeze first")
        return np.zeros((stage.steps, 0), np.float32)
    turned = [bool((stage.first + i) % 2) for i in range(stage.steps)]
    if stage.kind == "picture":
        if picture is None:
            raise ValueError("the layout has steps 'picture', but there is no picture")
        if list(picture.shape) != space:
            raise ValueError(
                f"the picture that serves as mask is {picture.shape}, where the layout needs "
                f"{tuple(space)}"
            )
        return np.stack([picture_mask(picture, channels, t) for t in turned])
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


def picture_mask(picture: np.ndarray, channels: int, turned: bool) -> np.ndarray:
    """Mask ``[*space, C]`` of a picture ``[*space]``: 1 where it is not 0.

    Raises:
      ValueError: a picture that is all 0 or all 1 parts nothing.
    """
    inside = np.asarray(picture) != 0
    if inside.all() or not inside.any():
        raise ValueError("a picture that serves as mask must have entries of 0 and others")
    return np.repeat((inside != turned)[..., None], channels, axis=-1).astype(np.float32)
