"""The section ``understanding``: how questions are answered, how surely, and what tokens hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from msflow_jax.data import Split, in_memory
from msflow_jax.inference.evaluation import Arrays, Block, Evaluation
from msflow_jax.paired.pairs import has
from msflow_jax.synergy.answering import FORMS, QUESTION
from msflow_jax.synergy.instances import IDENTIFICATION, LETTERS, TASKS

_PROBED = 600  # images of a split whose tokens are probed


@dataclass(frozen=True)
class Answers:
    """Accuracy of every task and pair, confusion, calibration, and a probe of content tokens.

    All arms are asked the aligned questions, in phrasings that training never saw; an arm that asks of
    single images is asked its own as well.

    Attributes:
        count: questions.
        name: name of the section.
    """

    count: int
    name: str = "understanding"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        arm = run.flow.config.model.tasks.arm
        chosen = in_memory(run.chosen)
        block: Block = {
            "questions": self.count, "tasks": {}, "step": run.flow.step,
            "taught": list(run.flow.model.taught),
        }  # fmt: skip
        try:
            block["tasks"] = self._asked(run, chosen, arm="aligned")
        except ValueError as error:
            # Such as two modalities, which leave too few routes to describe.
            block["left_out"] = f"Not all questions could be made: {error}."
            if run.flow.model.taught and arm != "questions":
                block["tasks"] = self._asked(run, chosen, arm=arm)
        if arm == "questions":
            block["tasks"] |= self._asked(run, chosen, arm=arm)
        block["probe"] = _probe(run, chosen)
        return block, {}

    def _asked(self, run: Evaluation, chosen: Split, arm: str) -> Block:
        """Every task of an arm that is asked at all, in both forms."""
        ask, config, seed = run.flow.parts.ask, run.flow.config, run.flow.config.train.seed
        asked = ask(config, chosen, self.count, arm=arm, held_out=True)
        # Other questions than those measured, of phrasings that training never saw either.
        val = in_memory(run.splits["val"])
        known = ask(config, val, self.count, arm=arm, held_out=True, seed=seed + 1)
        batches = [one.arrays() for one in (asked, known)]
        found = [
            run.flow.answer(batch, description=f"answering the {name} split")
            for batch, name in zip(batches, (run.split, "val"), strict=True)
        ]
        if arm == "questions":
            for batch in batches:
                batch["task"] = np.full_like(batch["task"], QUESTION)
        subjects = _subjects(chosen, asked)
        there = set(batches[0]["task"].tolist()) & set(batches[1]["task"].tolist())
        return {
            (TASKS[task] if task < len(TASKS) else "question"): {
                form: _form(form, batches, found, task, subjects, asked, run.split == "val")
                for form in FORMS[task]
            }
            for task in sorted(there)
        }


def _form(
    form: str, batches: Sequence[Mapping[str, np.ndarray]], found: Sequence[Mapping[str, np.ndarray]],
    task: int, subjects: np.ndarray, asked: Any, crossed: bool,
) -> Block:  # fmt: skip
    """Accuracy, by pair too, confusion and calibration of one form of a task's answers.

    ``crossed``: the questions measured are of the images that the temperature is fitted on. Then each
    is scaled by what was fitted on other subjects' answers.
    """
    from msflow_jax.evaluation.calibration import ece
    from msflow_jax.evaluation.scaling import apply_temperature, cross_fit, fit_scaling

    (labels, logits, rows), (val_labels, val_logits, _) = (
        _of_task(batch, answers[form], task) for batch, answers in zip(batches, found, strict=True)
    )
    right = logits.argmax(axis=1) == labels
    block = _accuracy(right, subjects[rows])
    fitted = fit_scaling(val_labels, val_logits[None])
    scaling = cross_fit(labels, logits[None], subjects[rows]) if crossed else fitted
    block["calibration"] = {
        "temperature": fitted.temperature,
        "ece": ece(labels, apply_temperature(logits, 1.0)),
        "ece_calibrated": ece(labels, np.exp(scaling.apply(logits))),
    }
    kinds = logits.shape[1]
    confusion = np.zeros((kinds, kinds), int)
    np.add.at(confusion, (labels, logits.argmax(axis=1)), 1)
    block["confusion"] = confusion.tolist()
    block["names"] = list(asked.tasks.names if task == IDENTIFICATION else LETTERS)
    if task not in (IDENTIFICATION, QUESTION):
        names, route = asked.tasks.names, batches[0]["route"][rows]
        block["pairs"] = {
            f"{names[a - 1]}-{names[b - 1]}": float(right[(route == (a, b)).all(axis=1)].mean())
            for a, b in np.unique(route, axis=0)
        }
    return block


def _of_task(
    batch: Mapping[str, np.ndarray], logits: np.ndarray, task: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Answers ``[n]``, logits ``[n, K]`` and questions ``[n]`` of a task; of panels each is one."""
    rows = np.flatnonzero(batch["task"] == task)
    if task != IDENTIFICATION:
        return batch["answer"][rows], logits[rows], rows
    shown = batch["modality"][rows, 1:] - 1
    return (
        shown.ravel(),
        logits[rows, 1:].reshape(-1, logits.shape[-1]),
        np.repeat(rows, shown.shape[1]),
    )


def _accuracy(right: np.ndarray, subjects: np.ndarray) -> Block:
    from msflow_jax.evaluation.translation import summary

    found = summary({"accuracy": right.astype(float)}, subjects.tolist())
    return {**found, "count": len(right)}


def _subjects(split: Split, asked: Any) -> np.ndarray:
    """Of every question the subject of its first image ``[N]``."""
    rows = [
        next(row for row in asked.tasks.instance(i).rows if row >= 0) for i in range(len(asked))
    ]
    groups = split.names if split.groups is None else split.groups
    return np.array([groups[row] for row in rows])


def _probe(run: Evaluation, chosen: Split) -> Block:
    """How well a linear probe tells the modality from an image's content tokens: chance is best.

    Of an image the mean and the deviation of its tokens.
    """
    from msflow_jax.evaluation.probes import effective_rank, probe

    names = tuple(run.flow.model.modalities)
    sets = []
    for split in (in_memory(run.splits.train), chosen):
        features, labels, groups = [], [], []
        for k, name in enumerate(names):
            rows = np.flatnonzero(has(split, name))
            if not len(rows):  # a split may lack a modality
                continue
            rows = rows[
                np.linspace(0, len(rows) - 1, min(len(rows), _PROBED // len(names))).astype(int)
            ]
            tokens = run.flow.content(split.arrays[name][rows])
            features.append(np.concatenate([tokens.mean(axis=1), tokens.std(axis=1)], axis=1))
            labels += [k] * len(rows)
            groups += [row if split.groups is None else split.groups[row] for row in rows]
        sets.append((np.concatenate(features), np.array(labels), groups))
    (x, y, _), (x_test, y_test, groups) = sets
    found = probe(x, y, x_test, y_test, groups)
    return {"modality": found, "chance": 1 / len(names), "effective_rank": effective_rank(x_test)}
