"""Reads what a workdir holds; a part that is missing or damaged is a remark, not a failure."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.reports import planes
from msflow_jax.storage import evaluations
from msflow_jax.storage.archives import read_npz
from msflow_jax.storage.jsons import read_object, read_rows

# Blocks of files without a list of sections, in the order of the page, and arrays that show them too.
_BLOCKS: dict[str, tuple[str, ...]] = {
    "classification": ("certain_images", "uncertain_images"),
    "likelihood": (),
    "explanation": ("explain_images",),
    "segmentation": (),
    "generation": ("samples", "nearest_generated"),
    "temperatures": ("temperature_samples",),
    "paths": ("generate_image", "classify_image"),
}
# Kinds of data of the user's own: their name is that of their table or folder.
_OWN = ("folder", "manifest", "masks", "cohort", "own", "arrayrecord")
_ROWS, _ORDER = "metrics.jsonl", "stages.json"
_WORDS = {
    "draw": "noise draw",
    "evidence": "negative log-likelihood",
    "neighbour": "neighbour distance",
}
_WORDS_OF_LIKELIHOODS = {"distance": "negative log-posterior", "draw": "dequantisation draw"}


@dataclass(frozen=True)
class Results:
    """The contents of a workdir, as far as there are any.

    Attributes:
        name: name of the workdir.
        config: config.json.
        manifest: manifest.json.
        evaluation: evaluation.json.
        rows: metrics.jsonl, one dict per line.
        stages: the same of every stage of a run in stages, by its name, in their order.
        arrays: evaluation.npz.
        problems: one sentence for each file that is there but could not be read.
        evaluation_name: name of the evaluation; empty where there is none.
        stands: whether images are classified by it, if they are by any.
        other: what tells its parameters from those of the run, where it is not applied; else empty.
        first: whether it is the one of ``index.html``: that which stands, or else the first.
    """

    name: str
    config: dict[str, Any] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    stages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    evaluation_name: str = ""
    stands: bool = True
    other: str = ""
    first: bool = False

    @property
    def data(self) -> dict[str, Any]:
        """Facts on the data set, from the evaluation or else from the manifest."""
        for source in (self.evaluation, self.manifest):
            if isinstance(source.get("data"), dict):
                return source["data"]
        return {}

    @property
    def family(self) -> str:
        """Name of the model's family, from the evaluation or else from the configuration."""
        model = self.config.get("model")
        configured = model.get("family") if isinstance(model, dict) else None
        return str(self.evaluation.get("family") or configured or "")

    @property
    def sections(self) -> list[str]:
        """Names of the evaluation's blocks in order; of an older file, those that are there."""
        named = self.evaluation.get("sections")
        if isinstance(named, list):
            return list(dict.fromkeys(str(name) for name in named))
        return [
            name
            for name, arrays in _BLOCKS.items()
            if self.part(name) or any(array in self.arrays for array in arrays)
        ]

    @property
    def classes(self) -> list[str]:
        """Class names, as many as any part of the results knows."""
        for source in (self.data, self.evaluation.get("classification") or {}):
            if source.get("classes"):
                return [str(name) for name in source["classes"]]
        return []

    @property
    def phantom(self) -> bool:
        """Whether the images are simulated."""
        return str(self.data.get("name", "")).lower().startswith("phantom")

    @property
    def title(self) -> str:
        """Name of the data set for a sentence."""
        return "the phantom data" if self.phantom else self.data_name or "the data set"

    @property
    def units(self) -> str:
        """What intervals are over: subjects where the split names them."""
        counts = self.evaluation.get("counts")
        for split in counts if isinstance(counts, list) else ():
            if split.get("split") == self.evaluation.get("split"):
                return "images" if split.get("subjects") is None else "subjects"
        return "images, or subjects where they are known"  # an evaluation of before did not count

    @property
    def data_name(self) -> str:
        """Name of the data set: of the user's own that of their table or folder; empty: not known."""
        name, source = (str(self.data.get(key) or "") for key in ("name", "source"))
        own = name.partition(":")[0] in _OWN and Path(source).name
        return own or name

    @property
    def modalities(self) -> list[str]:
        """The modalities that the model is of; empty of a model of one image."""
        model = self.config.get("model")
        found = model.get("modalities") if isinstance(model, dict) else None
        return [str(name) for name in found] if isinstance(found, list) else []

    @property
    def dims(self) -> int:
        """Axes of space of the images: 2, or 3 of volumes."""
        space = self.data.get("space")
        return len(space) if isinstance(space, list) and space else 2

    @property
    def spacing(self) -> tuple[float, ...]:
        """Size of a voxel in mm along each axis; empty where it is not known."""
        found = self.data.get("spacing")
        return tuple(found) if isinstance(found, list) else ()

    @property
    def planes(self) -> str:
        """What the pictures show of a volume, in words; empty where images are pictures."""
        return planes.caption(self.dims, self.spacing)

    def part(self, name: str) -> dict[str, Any]:
        """A block of evaluation.json, empty if it is not there."""
        found = self.evaluation.get(name)
        return found if isinstance(found, dict) else {}

    def word(self, key: str) -> str:
        """What the family calls a thing, such as ``distance``; by default the key itself in words."""
        words = self.evaluation.get("words")
        if not isinstance(words, dict):
            # Files without words: a model with likelihoods compares posteriors.
            words = _WORDS_OF_LIKELIHOODS if self.part("likelihood") else {}
        return str(words.get(key) or _WORDS.get(key) or key.replace("_", " "))

    def class_name(self, label: int) -> str:
        """Name of a class, or its number."""
        names = self.classes
        return names[label] if 0 <= label < len(names) else f"class {label}"


def read_results(workdir: Path, name: str = "") -> Results:
    """Reads the files of a workdir, each optional.

    Args:
        workdir: folder that training and evaluation wrote.
        name: name of the evaluation; empty: the one that stands, or else the first.

    Raises:
        FileNotFoundError: if the folder itself is not there.
    """
    workdir = Path(workdir)
    if not workdir.is_dir():
        raise FileNotFoundError(
            f"{workdir}: no such folder; pass the workdir that training or evaluation wrote."
        )
    problems: list[str] = []
    try:
        standing = evaluations.standing(workdir)
        name = name or standing or next(iter(evaluations.names(workdir)), "")
    except ValueError as error:
        standing = ""
        problems.append(str(error))
    folder = evaluations.place(workdir, name) if name else workdir
    return Results(
        name=workdir.resolve().name,
        config=_read_json(workdir / "config.json", problems),
        manifest=_read_json(workdir / "manifest.json", problems),
        evaluation=_read_json(folder / evaluations.FILE, problems),
        rows=_read_rows(workdir / _ROWS, _ROWS, problems),
        stages=_read_stages(workdir, problems),
        arrays=_read_arrays(folder / evaluations.ARRAYS, problems),
        problems=problems,
        evaluation_name=name,
        stands=name == standing,
    )


def _read_json(path: Path, problems: list[str]) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return read_object(path, "write it again")
    except (OSError, ValueError) as error:
        problems.append(f"{error}.".replace(str(path), path.name))
        return {}


def _read_rows(path: Path, name: str, problems: list[str]) -> list[dict[str, Any]]:
    rows, damaged = read_rows(path)
    if damaged:
        problems.append(f"{name}: {len(damaged)} unreadable line(s) were left out.")
    return rows


def _read_stages(workdir: Path, problems: list[str]) -> dict[str, list[dict[str, Any]]]:
    found = {}
    try:
        order = [name for name, _ in json.loads((workdir / _ORDER).read_bytes())]
    except (OSError, ValueError, TypeError):
        order = []
    there = sorted(path.parent.name for path in workdir.glob(f"stages/*/{_ROWS}"))
    for name in dict.fromkeys([*(one for one in order if one in there), *there]):
        path = workdir / "stages" / name / _ROWS
        if rows := _read_rows(path, f"stages/{name}/{_ROWS}", problems):
            found[name] = rows
    return found


def _read_arrays(path: Path, problems: list[str]) -> dict[str, np.ndarray]:
    if not path.exists():
        return {}
    try:
        return read_npz(path, None, "evaluate again")
    except (OSError, ValueError) as error:
        problems.append(f"{error}.".replace(str(path), path.name))
        return {}
