"""The layout of a coupling flow: words to stages, and what is fixed in the steps of each."""

import re
from dataclasses import dataclass

import numpy as np

from msflow_jax.coupling.mixing import channel_order

# "half" hides nothing: the conditioner is given half of the channels, see bijections.HalvesCoupling.
MASKS = ("checkerboard", "channel", "foreground", "half")
# MAGIC-Flow's, with the widths of its conditioners' three stages.
PUBLISHED = (
    "foreground:1/16,16,32 checkerboard:1/16,16,32 checkerboard:3/16,32,32 "
    "squeeze channel:1/16,32,32 channel:2/16,32,64 split checkerboard:2/16,32,64 "
    "checkerboard:1/16,64,64 squeeze channel:3/32,64,64 split checkerboard:3/32,64,128 "
    "squeeze channel:3/64,64,128 split checkerboard:2/64,128,128 checkerboard:2/128,256,256"
)


@dataclass(frozen=True)
class Stage:
    """What happens at one place of a layout.

    Attributes:
        kind: ``squeeze``, ``split``, ``end``, or the mask of the steps.
        steps: how many steps of equal shape; 0 for the others.
        first: number of the first step in the whole flow; odd steps turn their mask.
        shape: shape ``[*space, C]`` that comes in.
        widths: widths of the conditioners' stages; empty: as the flow's conditioner has them.
    """

    kind: str
    steps: int
    first: int
    shape: tuple[int, ...]
    widths: tuple[int, ...] = ()


def parse(layout: str, shape: tuple[int, ...]) -> tuple[Stage, ...]:
    """The stages of a layout such as ``"checkerboard:4 squeeze channel:3 split checkerboard:4"``.

    Args:
        layout: words ``squeeze``, ``split`` and ``MASK:STEPS``, or ``MASK:STEPS/WIDTH,WIDTH,WIDTH`` for
            steps whose conditioners have widths of their own.
        shape: shape ``(*space, C)`` of the images.

    Returns:
        The stages in order; the last is ``end``.

    Raises:
        ValueError: an unknown word, or a shape that cannot be squeezed or split where it should be.
    """
    stages, count = [], 0
    for word in layout.split():
        found = re.fullmatch(rf"({'|'.join(MASKS)}):([1-9]\d*)(?:/(\d+(?:,\d+)*))?", word)
        steps = int(found[2]) if found else 0
        if not found and word not in ("squeeze", "split"):
            raise ValueError(
                f"unknown word {word!r} in the layout: squeeze, split, or one of {', '.join(MASKS)} "
                "with its steps, such as channel:3"
            )
        widths = tuple(map(int, found[3].split(","))) if found and found[3] else ()
        stages.append(Stage(found[1] if found else word, steps, count, shape, widths))
        count += steps
        *space, channels = shape
        if word == "squeeze":
            if any(side % 2 for side in space):
                factor = 2 ** layout.split().count("squeeze")
                raise ValueError(
                    f"{tuple(space)} cannot be squeezed: its sides must be even. With this layout "
                    f"{factor} must divide each side of the images: bring them to such sides, or "
                    "squeeze less often"
                )
            shape = (*(side // 2 for side in space), channels * 2 ** len(space))
        if word == "split":
            if channels < 2:
                raise ValueError("a single channel cannot be split: squeeze first")
            shape = (*space, channels // 2)
    if not count:
        raise ValueError("the layout has no steps")
    return (*stages, Stage("end", 0, count, shape))


def orders(stage: Stage) -> np.ndarray:
    """The permutations that a stage's steps begin with, ``[steps, C]``."""
    numbers = range(stage.first, stage.first + stage.steps)
    return np.stack([channel_order(i, stage.shape[-1]) for i in numbers])
