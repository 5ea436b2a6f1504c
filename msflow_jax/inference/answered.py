"""What a model that understands says of images: which modality they show, and answers to questions."""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.data import Info
from msflow_jax.data.sources.images import read_listed
from msflow_jax.storage.evaluations import describe, names, parameters_of, read
from msflow_jax.storage.parameters import Parameters
from msflow_jax.storage.text import listed

MODALITY = "modality"  # what is asked where no question is: which one an image shows


def eight_bits(flow: Any) -> Info:
    """What images of any modality must be: as the model sees them, since a window is of one alone."""
    first = flow.info.of_modality(next(iter(flow.model.modalities)))
    return dataclasses.replace(first, intensities={}, value_range=())


def read_pictures(flow: Any, files: Sequence[Path], *, resize: bool = False) -> np.ndarray:
    """The pictures that questions show, uint8 ``[N, *shape]``.

    Raises:
        ValueError: a file that cannot be read or does not fit, or is not one picture.
    """
    named = [file.name for file in files]
    found, of = read_listed(files, named, eight_bits(flow), resize=resize)
    if of != list(range(len(files))):
        odd = next(i for i in range(len(files)) if of.count(i) != 1)
        raise ValueError(f"{files[odd]} is not one picture: a question shows pictures")
    return found.images


ANSWERS = "answers"  # of an evaluation that was given away: temperatures by TASK/FORM


def replies_to(flow: Any, asked: Any, form: str, description: str = "") -> list[dict[str, Any]]:
    """What is said to each question, at the temperatures of the standing evaluation, or of any.

    An evaluation of other parameters, or of a stage alone, says nothing on these: a warning says so
    where there is no other.

    Args:
        flow: opened workdir.
        asked: questions, as its parts read them.
        form: ``direct``, by comparing vectors, or ``letter``, read off the expert.
        description: words before a progress bar; none where empty.

    Raises:
        ValueError: a model that answers nothing, or a question that this form has no answer to.
    """
    found = flow.answer(asked.arrays, description=description)
    return asked.replies(found, flow.model, form, fitted(flow))


def fitted(flow: Any) -> dict[str, Any]:
    """The evaluation whose temperatures hold for the parameters of a flow; empty without one."""
    passed, now = [], Parameters.of(flow)
    for name in names(flow.path):
        found = read(flow.path, name)
        of = parameters_of(found)
        known = of.step is not None and not of.difference(now)
        if known and not describe(found)["stage"] and has_answers(found):
            return found
        passed.append(name)
    if passed:
        warnings.warn(
            f"{flow.path}: no evaluation is of step {flow.step} of this training and of all stages, "
            f"with answers ({listed(passed)}): their probabilities are not calibrated; evaluate again",
            stacklevel=3,
        )
    return {}


def has_answers(evaluation: Mapping[str, Any]) -> bool:
    """Whether an evaluation measured answers, or keeps their temperatures."""
    return "understanding" in evaluation or ANSWERS in evaluation


def temperatures(evaluation: Mapping[str, Any]) -> dict[str, float]:
    """What an evaluation has fitted to answers, by ``TASK/FORM``; empty without one.

    Of a model that was pushed these are all that is kept of its answers.
    """
    if ANSWERS in evaluation:
        return dict(evaluation[ANSWERS])
    tasks = (evaluation.get("understanding") or {}).get("tasks") or {}
    return {
        f"{task}/{name}": one["calibration"]["temperature"]
        for task, forms in tasks.items() for name, one in forms.items() if "calibration" in one
    }  # fmt: skip


def require_modalities(flow: Any) -> None:
    """Raises a ValueError where a model was never taught what modalities look like."""
    flow.require("answer")
    if "identification" not in flow.model.taught:
        raise ValueError("this model was never taught what modalities look like")
