"""What of a workdir others are given: what opening it needs, and nothing that tells of a patient.

Left out are names of files and subjects (``splits.csv``, predictions, most of an evaluation's arrays),
images, what training goes on from, commands and paths of this machine, and digests that are made of
names.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.evaluation.familiar import MEASURES, file_of
from msflow_jax.evaluation.outside import STAND_INS
from msflow_jax.inference.answered import ANSWERS, has_answers, temperatures
from msflow_jax.inference.flow import Flow
from msflow_jax.storage import evaluations, facts, weights
from msflow_jax.storage.jsons import digest_of, read_object, write_json
from msflow_jax.storage.parameters import Parameters
from msflow_jax.training.sequence import NOTE, checkpoints_to_use

ABSENT = (
    "optimiser state and other checkpoints, names of images and subjects, predictions, images, training "
    "curves, commands and paths"
)
_MANIFEST = ("format", "msflow_jax", "created", "packages", "seed", "git")
_RUN = ("parameters", "msflow_jax", "created", "packages")
# Sections that hold figures of a whole split; of others some hold texts, or names of sets of images.
_SECTIONS = (
    *("classification", "calibration", "sets", "abstain", "generation", "privacy"),
    *("segmentation", "likelihood", "translation"),
)
# Settings that may hold a slash and are no paths: words of a layout, a set of TFDS, a column, classes.
_NO_PATHS = ("layout", "name", "modality", "map_classes")
_NAMES = ("identity",)  # entries of facts: digests of names, labels and splits
# Entries of sections: values of a table's columns, and which training images are near.
_PRIVATE = ("subgroups", "nearest")
# Of checkpoints: what training goes on from, and notes of success, which name the place of writing.
_LEFT = shutil.ignore_patterns("state", "commit_success.txt")


def stage(flow: Flow, folder: Path, *, features: bool = True) -> dict[str, Any]:
    """Writes what is given away into an empty folder, which is a workdir again.

    Args:
        flow: the workdir, opened.
        folder: an empty folder.
        features: whether the features of training images, with which two measures of uncertainty
            compare, are given away too.

    Returns:
        The standing evaluation as it is given away, with its ``name``; empty where there is none.
    """
    workdir = flow.path
    for name in flow.family.files:
        _copy(workdir / name, folder / name)
    for path in folder.rglob("autoencoder.json"):  # which says what images it was fine-tuned on
        weights.write_facts(path, _without(read_object(path), _NAMES))
    _copy(workdir / NOTE, folder / NOTE)
    parts = facts.digests(folder, flow.family.files)
    for step in checkpoints_to_use(workdir, flow.config.train.select):
        _copy_checkpoint(step, folder / step.relative_to(workdir), parts)
    write_json(folder / "config.json", _config(read_object(workdir / "config.json")))
    manifest = read_object(workdir / "manifest.json")
    kept = {key: manifest[key] for key in _MANIFEST if key in manifest}
    write_json(folder / "manifest.json", {**kept, "data": _data(manifest["data"])})
    name = flow.calibration.name or evaluations.standing(workdir)
    if not name or flow.calibration.of_other_step:
        return {}
    found = evaluations.read(workdir, name)
    if evaluations.parameters_of(found).difference(Parameters.of(flow)):
        return {}
    # Of a model that learns nothing from one, such as of a segmentation, the figures go all the same.
    return _copy_evaluation(flow, folder, name, features)


def reported_difference(flow: Flow) -> str:
    """What tells the parameters of the report's first page from a model's, in words; empty for none."""
    name = evaluations.standing(flow.path) or next(iter(evaluations.names(flow.path)), "")
    return evaluations.difference(flow.path, name, Parameters.of(flow), "the model is")


def has_words(folder: Path) -> bool:
    """Whether a staged workdir holds words of the reports that it was trained on."""
    return any(folder.rglob("tokeniser.json"))


def _copy(source: Path, target: Path) -> None:
    """A file or a folder, links followed; nothing where it is not there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=_LEFT)
    elif source.is_file():
        shutil.copyfile(source, target)


def _copy_checkpoint(source: Path, target: Path, parts: Mapping[str, str]) -> None:
    """A checkpoint without what training goes on from, and with what it says of itself."""
    shutil.copytree(source, target, ignore=_LEFT)
    found = facts.read(source)
    if found is not None:
        made = dict(found["made"])
        made |= {"config": _config(made["config"]), "data": _data(made["data"])}
        made["parts"] = dict(parts)
        write_json(target / facts.ITEM / "metadata", {**found, "made": made})


def _data(found: Mapping[str, Any]) -> dict[str, Any]:
    """The facts on data without the place where they lie and without digests of names."""
    kept = {key: value for key, value in found.items() if key not in _NAMES}
    public = str(found.get("source", "")).startswith(("https://", "http://"))
    return kept if public else {**kept, "source": found.get("name", "")}


def _config(found: Any) -> Any:
    """A configuration in which a path is its last part, and the data lie nowhere."""
    if isinstance(found, dict):
        kept = {k: value if k in _NO_PATHS else _config(value) for k, value in found.items()}
        return {**kept, "root": ""} if "root" in kept else kept
    if isinstance(found, list):
        return [_config(value) for value in found]
    if not isinstance(found, str):
        return found
    if found.startswith(("/", "~", "\\\\")) or re.match(r"[A-Za-z]:[/\\]", found):
        # One path as a whole, whatever is in the names of its folders.
        return _last(found)
    if re.fullmatch(r"[\w-]+=[^,=]*(,[\w-]+=[^,=]*)*", found):  # "ct=/home/me/vae,t1w=patches"
        return _named(found)
    return _last(found)


def _last(place: str) -> str:
    """The last part of a path; of what is none all of it."""
    return re.split(r"[/\\]", place.rstrip("/\\"))[-1] if re.search(r"[/\\]", place) else place


def _named(text: str) -> str:
    """The same of ``ct=/home/me/a/vae,t1w=/home/me/b/vae``, in which two places stay two."""
    short: dict[str, str] = {}
    pieces = [piece.partition("=")[::2] for piece in text.split(",")]
    for _, place in pieces:
        last = _last(place)
        names = (last, *(f"{last}-{k}" for k in range(2, len(pieces) + 2)))
        if place not in short:
            short[place] = next(name for name in names if name not in short.values())
    return ",".join(f"{name}={short[place]}" for name, place in pieces)


def _without(found: Any, names: tuple[str, ...]) -> Any:
    if isinstance(found, dict):
        return {key: _without(v, names) for key, v in found.items() if key not in names}
    return found


def _unnamed(found: Any) -> Any:
    """The section on likelihoods, in which sets that somebody gave are not called as his folders."""
    if not isinstance(found, dict):
        return found
    given = [name for name in found.get("outside", ()) if name not in STAND_INS]
    names = {name: f"given set {i}" for i, name in enumerate(given, 1)}
    kept = dict(found)
    for key in ("sets", "outside"):
        kept[key] = [names.get(one, one) for one in found.get(key, ())]
    for key in ("per_set", "detection"):
        rows = found.get(key, ())
        kept[key] = [{**row, "name": names.get(row["name"], row["name"])} for row in rows]
    return kept


def _copy_evaluation(flow: Flow, folder: Path, name: str, features: bool) -> dict[str, Any]:
    """The standing evaluation: what it learned, and its figures."""
    found = evaluations.read(flow.path, name)
    sections = [one for one in found.get("sections") or found if one in _SECTIONS]
    known = flow.calibration.known
    learned = dict(found["learned"] if "learned" in found else flow.calibration.to_dict())
    bank = str(learned.get("familiar_digest", ""))
    if bank and not features:
        learned = _without_features(learned)
    settings = {k: v for k, v in found.get("settings", {}).items() if k in flow.config.sample}
    run = found.get("run", {})
    shown: dict[str, Any] = {
        **{key: found[key] for key in ("split", "family", "words", "counts") if key in found},
        "sections": sections, "data": _data(found.get("data", {})),
        "settings": {**settings, **_parameters(found, flow)},
        "run": {key: run[key] for key in _RUN if key in run},
        **{key: _without(found[key], _PRIVATE) for key in sections if key in found},
    }  # fmt: skip
    if "likelihood" in shown:
        shown["likelihood"] = _unnamed(shown["likelihood"])
    if known:
        shown["learned"] = learned
    if has_answers(found):
        shown[ANSWERS] = temperatures(found)
    place = evaluations.place(folder, name)
    write_json(place / evaluations.FILE, shown)
    if bank and features:
        original = evaluations.place(flow.path, name) / file_of(bank)
        _copy(original, place / original.name)
    evaluations.adopt(folder, name)
    return {**shown, "name": name}


def _parameters(found: Mapping[str, Any], flow: Flow) -> dict[str, Any]:
    """The parameters that figures are of; of an evaluation of before the step alone is known."""
    digest = evaluations.parameters_of(found).digest
    return {"step": flow.step} | ({"parameters": digest} if digest else {})


def _without_features(learned: Mapping[str, Any]) -> dict[str, Any]:
    """What was learned, without all that compares an image with features of training images."""
    kept = {key: value for key, value in learned.items() if key != "digest"}
    thresholds = {k: v for k, v in kept["thresholds"].items() if k not in MEASURES}
    kept |= {"thresholds": thresholds, "outside": {}, "familiar_digest": ""}
    return {**kept, "digest": digest_of(kept)}


def feature_count(flow: Flow) -> int:
    """Of how many training images the standing evaluation keeps features."""
    known = flow.calibration.familiar
    return 0 if known is None else len(np.asarray(known.bank))
