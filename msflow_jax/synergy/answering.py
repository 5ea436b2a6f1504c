"""Questions from files to a model's arrays, and its logits to what is said."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from msflow_jax.synergy import phrases
from msflow_jax.synergy.instances import IDENTIFICATION, INSTRUCTION, LETTERS, SELECTION, SLOTS
from msflow_jax.synergy.jsonl import Line
from msflow_jax.synergy.scoring import names_in

_OPTION = re.compile(rf"\b([{LETTERS}]): ")
# By which logits a question of a task is answered directly.
DIRECT = {SELECTION: "selection", IDENTIFICATION: "name", INSTRUCTION: "instruction"}


def task_of(line: Line) -> int:
    """Which task a line is: by its reply, and by how many images it shows.

    Raises:
        ValueError: it is none of the three; names the line.
    """
    count = len(line.images)
    if names_in(line.reply) and count == len(LETTERS):
        return IDENTIFICATION
    if count == SLOTS:
        return SELECTION
    if count == 2:
        return INSTRUCTION
    raise ValueError(
        f"line {line.id}: {count} images and the reply {line.reply!r} are no selection (5 images), "
        "identification (4, and names) or instruction (2)"
    )


def arrays_of(
    lines: Sequence[Line],
    read: Callable[[Sequence[Path]], np.ndarray],
    encode: Callable[..., np.ndarray],
) -> dict[str, np.ndarray]:
    """The arrays of lines as a model's ``answer`` takes them.

    Args:
        lines: of a file.
        read: images uint8 ``[N, *shape]`` of files, as the model takes them.
        encode: of the tokeniser.

    Raises:
        ValueError: a line of no task, or an image that does not fit.
    """
    tasks = [task_of(line) for line in lines]
    files = sorted({file for line in lines for file in line.images})
    images = read(files)
    at = {file: i for i, file in enumerate(files)}
    used = np.zeros((len(lines), SLOTS), np.int32)
    slots = np.zeros((SLOTS, len(lines), *images.shape[1:]), np.uint8)
    for i, (line, task) in enumerate(zip(lines, tasks, strict=True)):
        first = 1 if task == IDENTIFICATION else 0  # which has no reference
        for k, file in enumerate(line.images, start=first):
            slots[k, i], used[i, k] = images[at[file]], 1
    options = [text for line in lines for text in options_of(line.prompt)]
    rows = encode(options, "the options")
    count = max(1, int(np.flatnonzero(rows.any(axis=0)).max()) + 1)
    answers = [LETTERS.find(line.reply) for line in lines]
    return {
        **{f"image_{k}": slots[k] for k in range(SLOTS)},
        "modality": used,
        "prompt": encode([line.prompt for line in lines], "the questions"),
        "options": rows[:, :count].reshape(len(lines), -1),
        "task": np.array(tasks, np.int32),
        "answer": np.maximum(np.array(answers, np.int32), 0),
        "asked": np.zeros(len(lines), np.int32),
    }


def options_of(prompt: str) -> tuple[str, ...]:
    """The four options of a question; where it names none, those of panels."""
    parts = _OPTION.split(prompt)
    if tuple(parts[1::2]) != tuple(LETTERS):
        return phrases.PANELS
    return tuple(
        part.strip() or panel for part, panel in zip(parts[2::2], phrases.PANELS, strict=True)
    )


def replies(
    arrays: Mapping[str, np.ndarray],
    logits: Mapping[str, np.ndarray],
    words: Sequence[str],
    form: str,
) -> tuple[list[str], np.ndarray]:
    """What is said to each question, and how sure that is.

    Args:
        arrays: of :func:`arrays_of`.
        logits: of the model.
        words: what its modalities are called, in order.
        form: ``direct``, or ``letter``: read off the expert.

    Returns:
        A letter, or the names of four panels; and the probability of that ``[N]``, of panels the mean.
    """
    said, sure = [], np.zeros(len(arrays["task"]))
    for i, task in enumerate(arrays["task"].tolist()):
        if task == IDENTIFICATION:
            chances = _softmax(logits["name" if form == "direct" else "panel"][i, 1:])
            said.append(phrases.names_line([words[k] for k in chances.argmax(axis=-1)]))
            sure[i] = chances.max(axis=-1).mean()
        else:
            chances = _softmax(logits[DIRECT[task] if form == "direct" else "letter"][i])
            said.append(LETTERS[int(chances.argmax())])
            sure[i] = chances.max()
    return said, sure


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
