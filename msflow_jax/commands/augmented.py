"""What ``generate --augment`` does: a training set of real and drawn images with a manifest."""

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from msflow_jax.commands.joint import RECORD


def add_flags(flags: argparse.ArgumentParser) -> None:
    """The flags that ask for a training set."""
    flags.add_argument(
        "--augment", action="store_true", help="write a training set of real and drawn images"
    )
    words = (
        "with --augment: every class gets as many training images as the largest (--count: more)"
    )
    flags.add_argument("--balance", action="store_true", help=words)
    flags.add_argument("--root", default="", help="with --augment: where the data lie now")


def check_flags(
    augment: bool, balance: bool, root: str, wanted: Sequence[Any], file_format: str
) -> None:
    """Raises a ValueError for flags that do not go together; ``wanted``: texts, modalities."""
    if augment and (any(wanted) or file_format not in ("", "png")):
        raise ValueError(
            "--augment draws images of classes as PNG: leave out texts, modalities and --format"
        )
    if not augment and (balance or root):
        raise ValueError(f"--{'balance' if balance else 'root'} goes with --augment")


def warn_of_drawings(flow: Any, needed: bool = False, classes: Collection[str] = ()) -> list[str]:
    """Print, of several processes on the first, what the standing evaluation warns of in drawn images.

    Args:
        flow: opened workdir.
        needed: whether there being no evaluation is to be warned of too.
        classes: names of those that are drawn; empty: all.

    Returns:
        The warnings.
    """
    from msflow_jax.inference.standing_drawings import warnings_of_drawings
    from msflow_jax.parallel.startup import is_first

    texts = warnings_of_drawings(flow.path, needed, classes)
    for text in texts if is_first() else ():
        print(f"warning: {text}", file=sys.stderr)
    return texts


def augment(
    flow: Any,
    output: Path,
    *,
    count: int,
    labels: Sequence[str] = (),
    balance: bool = False,
    root: str = "",
    seed: int,
    requested: Mapping[str, Any],
) -> None:
    """Draw images of every class, and write them with the real ones. Of several processes one writes.

    Args:
        flow: opened workdir of a model that draws pictures of classes.
        output: folder to write.
        count: images that are drawn of each class; with ``balance`` beside what it lacks.
        labels: names or numbers of the classes that are drawn; empty: all.
        balance: whether all classes get as many training images as the largest.
        root: where the data lie, if no longer where the configuration says.
        seed: seed of the noise.
        requested: settings of the model's ``generate``; 0 or empty: as configured.

    Raises:
        ValueError: a model of volumes, of crops or of several modalities, data that are not the run's,
            or nothing to draw.
    """
    import numpy as np

    from msflow_jax.inference import augmented
    from msflow_jax.inference.evaluated import run_splits
    from msflow_jax.parallel.batched import Interrupted
    from msflow_jax.parallel.startup import is_first
    from msflow_jax.storage.atomic import new_folder
    from msflow_jax.storage.jsons import write_json

    if flow.info.dims != 2:
        raise ValueError(f"--augment writes pictures, and the model of {flow.path} draws volumes")
    flow.info.require_image()
    window = tuple(getattr(flow.model, "window", ()))
    if window and window != tuple(flow.info.sides):  # said before hours of drawing
        _refuse_pieces(flow, window)
    chosen = flow.model.numbers(labels) if labels else ()
    splits = run_splits(flow, root)
    counts = np.bincount(splits.train.labels, minlength=len(flow.classes))
    drawn = augmented.counts_to_draw(counts, count, balance, chosen)
    numbers = np.repeat(np.arange(len(drawn), dtype=np.int32), drawn)
    try:
        images = flow.generate(numbers.tolist(), seed=seed, description="generating", **requested)
    except Interrupted as stop:
        done = f"{stop.count} of {len(numbers)} images"
        raise KeyboardInterrupt(
            f"stopped by Ctrl-C after {done}: nothing was written, a part would be another training set"
        ) from stop
    if images.shape[1:] != flow.info.shape:
        _refuse_pieces(flow, images.shape[1:-1])
    if not is_first():
        return
    names = [flow.classes[k] for k in np.flatnonzero(drawn)]
    warned = warn_of_drawings(flow, needed=True, classes=names)
    record = {"workdir": str(flow.path), "step": flow.drawing_step, "seed": seed}
    with new_folder(output, replace=True) as folder:
        found = augmented.write_training_set(folder, splits, images, numbers)
        record |= {**flow.settings("generate", requested), "augmented": found, "warnings": warned}
        write_json(folder / RECORD, {**record, "classes": list(flow.classes)})
    _tell(flow, output, found)


def _tell(flow: Any, output: Path, found: Mapping[str, list[int]]) -> None:
    """Prints what was written, and how to train on it."""
    from msflow_jax.data.sources.grey.written import NAME
    from msflow_jax.inference import augmented

    words = zip(flow.classes, found["train"], found[augmented.DRAWN], strict=True)
    print("training: " + ", ".join(f"{c} {real} real and {new} drawn" for c, real, new in words))
    print(
        f"validation and test: {sum(found['val'])} and {sum(found['test'])} real images, as they were"
    )
    if (output / NAME).is_file():
        stand_for = flow.info.intensity().describe()
        print(
            f"{output / NAME}: grey levels are {stand_for}; a model trained on the set knows it, and "
            "how files became pictures"
        )
    print(f"msflow train --config=own_images --config.data.root={output / augmented.TABLE}")
    if flow.info.task == "ordinal-regression":
        print(
            f"warning: that the classes are grades ({', '.join(flow.classes)}) a table does not tell: "
            "read from it they are sorted by name, and nothing is measured of their order",
            file=sys.stderr,
        )


def _refuse_pieces(flow: Any, space: Sequence[int]) -> NoReturn:
    raise ValueError(
        f"--augment: the model of {flow.path} draws pieces of {tuple(space)} pixels, and its images "
        f"have {flow.info.sides}: train without --config.train.crop"
    )
