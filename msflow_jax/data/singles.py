"""Examples of several modalities as single images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from msflow_jax.data.split import Split

MODALITY = "modality"  # the fact that says of which one an image is


def one_by_one(split: Split, names: Sequence[str]) -> Split:
    """The images of several modalities as images with a class each, those of a modality together.

    Args:
        split: examples with a label.
        names: modalities; those that are no images are left out.

    Returns:
        Images with the facts of their examples, and which modality each is of, ``modality``, where no
        other fact is called so.

    Raises:
        ValueError: no label, no image, or images of several shapes.
    """
    kinds = split.modalities
    names = [name for name in names if name in kinds and kinds[name].kind == "image"]
    shapes = {name: kinds[name].shape for name in names}
    if not names:
        raise ValueError(f"nothing to classify: of {', '.join(split.arrays)} none is an image")
    if len(set(shapes.values())) > 1:
        raise ValueError(f"images to be taken one by one must be of one shape, got {shapes}")
    there = {name: split.present.get(name, np.ones(len(split), bool)) for name in names}
    # Those of one example belong together, whether or not its subject is known.
    groups = np.array(split.groups or [str(i) for i in range(len(split))])
    parts = [split.take(np.flatnonzero(there[name])) for name in names]
    modality = np.repeat(names, [len(part) for part in parts])
    facts = {
        key: np.concatenate([(p.truth or {})[key] for p in parts]) for key in split.truth or {}
    }
    return Split(
        {
            "image": np.concatenate([p.arrays[n] for p, n in zip(parts, names, strict=True)]),
            "label": np.concatenate([part.labels for part in parts]),
        },
        tuple(f"{one} {name}" for p, name in zip(parts, names, strict=True) for one in p.names),
        tuple(subject for name in names for subject in groups[there[name]]),
        {MODALITY: modality, **facts},
    )
