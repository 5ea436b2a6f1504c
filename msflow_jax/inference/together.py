"""Modalities that were drawn together, as files: a folder of images for each, a table of reports."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.data import Info
from msflow_jax.data.phantoms.reports import stated
from msflow_jax.inference.images import choose_format, describe_files, write_image
from msflow_jax.inference.modality_verbs import DrawnTogether
from msflow_jax.reports.figures import save_grid
from msflow_jax.storage.text import file_stem, write_csv

GRID = "grid.pdf"  # no picture file: the folder may be trained on
TABLE = "reports.csv"


def text_of(model: Any) -> str:
    """Name of the modality of text of a model of several modalities; empty where it knows none."""
    return next((name for name, one in model.modalities.items() if one.text), "")


def usual(model: Any, given: str = "") -> tuple[str, ...]:
    """What is drawn where nothing is named: of a text the images linked with it, or else all.

    Args:
        model: a model of several modalities.
        given: the modality that is known; empty: none, and all are drawn.
    """
    others = tuple(name for name in model.modalities if name != given)
    linked = tuple(name for name in others if given and model.linked(given, name))
    return linked or others


def routes(model: Any, names: Sequence[str]) -> dict[str, str]:
    """Whether each pair of modalities that look at each other was ``trained`` or is ``emergent``."""
    return {f"{a}-{b}": model.route_words(a, b) for a, b in combinations(names, 2)}


def formats(info: Info, names: Sequence[str], requested: str) -> dict[str, str]:
    """The format of the files of each image modality, see :func:`choose_format`.

    Pictures that are drawn beside volumes are PNG where NIfTI is asked for.
    """
    dims = {name: info.of_modality(name).dims for name in names}
    mixed = requested == "nifti" and 3 in dims.values()
    return {
        name: choose_format("" if mixed and of == 2 else requested, of) for name, of in dims.items()
    }


def write_together(
    folder: Path,
    drawn: DrawnTogether,
    info: Info,
    kinds: Mapping[str, str],
    texts: Sequence[str] = (),
) -> dict[str, Any]:
    """Writes the images, a grid of each modality, and reports with what they state.

    Args:
        folder: folder that is there.
        drawn: N examples.
        info: facts on the data of the model.
        kinds: format of the files by modality.
        texts: the N texts that they were drawn from; empty for none.

    Returns:
        What a record says of the files: ``files`` by modality, ``reports``, the name of their table or
        empty, and ``examples``, each with its index, its text and the names of its files.
    """
    every: list[Any] = [*drawn.images.values(), *drawn.texts.values()]
    count = len(every[0])
    examples: list[dict[str, Any]] = [{"index": i, "files": {}} for i in range(count)]
    for example, text in zip(examples, texts, strict=False):
        example["text"] = text
    described = {}
    for name, images in drawn.images.items():
        own, words = info.of_modality(name), f"{name}, by msflow_jax"
        described[name] = describe_files(own, kinds[name])
        place = folder / file_stem(name)
        place.mkdir()
        for example, image in zip(examples, images, strict=True):
            path = write_image(place / f"{example['index']:05d}", image, own, kinds[name], words)
            example["files"][name] = path.relative_to(folder).as_posix()
        zeros = np.zeros(len(images), int)
        save_grid(place / GRID, images, zeros, [name], spacing=own.spacing)
    for name, reports in drawn.texts.items():
        write_csv(folder / TABLE, report_rows(reports, drawn.log_probability[name]))
    return {"files": described, "reports": TABLE if drawn.texts else "", "examples": examples}


def report_rows(texts: Sequence[str], logs: np.ndarray) -> list[dict[str, Any]]:
    """A row for each report: index, text, log-probability of a token, and the facts that it states."""
    facts = [stated(text) for text in texts]
    fields = sorted({key for one in facts for key in one})
    return [
        {
            "index": i, "report": text, "log_probability": float(log),
            **{f"fact_{key}": one.get(key, "") for key in fields},
        }
        for i, (text, log, one) in enumerate(zip(texts, logs, facts, strict=True))
    ]  # fmt: skip
