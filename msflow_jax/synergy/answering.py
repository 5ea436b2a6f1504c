"""Questions from files to a model's arrays, and its logits to what is said."""

from __future__ import annotations

import itertools
import textwrap
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from msflow_jax.evaluation.scaling import apply_temperature
from msflow_jax.storage.text import listed
from msflow_jax.synergy import phrases
from msflow_jax.synergy.instances import (
    IDENTIFICATION,
    INSTRUCTION,
    LETTERS,
    SELECTION,
    SLOTS,
    TASKS,
)
from msflow_jax.synergy.jsonl import Line
from msflow_jax.synergy.scoring import names_in

_SHOWN = 120  # letters of a text in a message
QUESTION = len(TASKS)  # on a single image, in words: a control's
# Of each task what its images are, in their order.
SHOWN = MappingProxyType({
    TASKS[SELECTION]: phrases.PLACES, TASKS[IDENTIFICATION]: phrases.PLACES[1:],
    TASKS[INSTRUCTION]: phrases.PLACES[:2],
})  # fmt: skip
# Of each task the two forms of an answer: by vectors, and by the expert.
FORMS = {
    SELECTION: ("selection", "letter"), IDENTIFICATION: ("name", "panel"),
    INSTRUCTION: ("instruction", "letter"), QUESTION: ("question", "letter"),
}  # fmt: skip


def task_of(line: Line) -> int:
    """Which of ``TASKS`` a line is, or ``QUESTION``.

    Raises:
        ValueError: it is none of these; names the line.
    """
    count, worded = len(line.images), phrases.options_of(line.prompt) is not None
    if not worded and phrases.states_otherwise(line.prompt):
        raise ValueError(
            f"line {line.id} states its options in another form or order ({_short(line.prompt)!r}): "
            "write them as 'A: ... B: ... C: ... D: ...'"
        )
    if names_in(line.reply):
        if count == len(LETTERS):
            return IDENTIFICATION
    elif worded and count in (2, len(LETTERS), SLOTS):
        return INSTRUCTION if count == 2 and line.pair else QUESTION
    elif count == SLOTS:
        return SELECTION
    raise ValueError(
        f"line {line.id}: {count} images and the reply {line.reply!r} are no selection (5 images), "
        "identification (4, names as the reply), instruction (2, a pair, and options A: to D:), or "
        "question on one of the images (options A: to D:)"
    )


def question_on(
    task: str, files: Sequence[Path], words: Mapping[str, str], target: str = "", routes: str = ""
) -> Line:
    """A question on images in the first of its phrasings, whose answer is not known.

    Args:
        task: one of ``SHOWN``.
        files: its images, in the order of ``SHOWN``.
        words: what the model's modalities are called, by name.
        target: of a selection, the modality that is looked for.
        routes: of an instruction, four routes such as ``t1w-ct`` with commas between, which its options
            describe; empty: the first ones, each with its reverse.

    Returns:
        The question; its reply is any of the right form.

    Raises:
        ValueError: another number of images, an unknown target, or no four routes.
    """
    if len(files) != len(SHOWN[task]):
        raise ValueError(
            f"{task} is asked of {len(SHOWN[task])} images ({listed(SHOWN[task])}), not {len(files)}"
        )
    shown = tuple(files)
    if task == TASKS[SELECTION]:
        if target not in words:
            said = f"unknown target {target!r}" if target else "target is missing"
            raise ValueError(f"{said}: choose one of {', '.join(words)}")
        return Line(task, shown, phrases.SELECTION[0].format(target=words[target]), LETTERS[0])
    if task == TASKS[IDENTIFICATION]:
        reply = phrases.names_line([next(iter(words.values()))] * len(LETTERS))
        return Line(task, shown, phrases.IDENTIFICATION[0], reply)
    known = {f"{a}-{b}": (a, b) for pair in itertools.combinations(words, 2)
             for a, b in (pair, pair[::-1])}  # fmt: skip
    chosen = [one.strip() for one in routes.split(",") if one.strip()] or [*known][: len(LETTERS)]
    if len(set(chosen)) != len(LETTERS) or len(chosen) != len(LETTERS) or set(chosen) - set(known):
        raise ValueError(
            f"an instruction needs four different routes as its options, got {listed(chosen)}: this "
            f"model has {', '.join(known)}"
        )
    texts = [
        phrases.DESCRIPTIONS[0].format(source=words[a], target=words[b])
        for a, b in map(known.__getitem__, chosen)
    ]
    prompt = phrases.asked(phrases.INSTRUCTION[0], texts)
    return Line(task, shown, prompt, LETTERS[0], known[chosen[0]])


def options_in(line: Line) -> tuple[str, ...]:
    """What the four letters of a question mean."""
    return phrases.options_of(line.prompt) or phrases.PANELS


def arrays_of(
    lines: Sequence[Line],
    read: Callable[[Sequence[Path]], np.ndarray],
    encode: Callable[..., np.ndarray],
    words: Sequence[str],
) -> dict[str, np.ndarray]:
    """The arrays of lines as a model's ``answer`` takes them; ``task`` as :func:`task_of` says.

    Options are padded as in training, whatever else is asked: see :func:`phrases.option_length`. Longer
    ones are named in a warning, and so are five images of which another thing than a selection is asked.

    Args:
        lines: of a file.
        read: images uint8 ``[N, *shape]`` of files, as the model takes them.
        encode: of the tokeniser.
        words: what the model's modalities are called in texts.

    Raises:
        ValueError: a line of no task, or an image that does not fit.
    """
    tasks = [task_of(line) for line in lines]
    _warn_of_others(lines, tasks, words)
    files = sorted({file for line in lines for file in line.images})
    images = read(files)
    at = {file: i for i, file in enumerate(files)}
    used = np.zeros((len(lines), SLOTS), np.int32)
    slots = np.zeros((SLOTS, len(lines), *images.shape[1:]), np.uint8)
    for i, line in enumerate(lines):
        first = 1 if len(line.images) == len(LETTERS) else 0  # panels without a reference
        for k, file in enumerate(line.images, start=first):
            slots[k, i], used[i, k] = images[at[file]], 1
    options = [text for line in lines for text in options_in(line)]
    rows = encode(options, "the options")
    count = phrases.option_length(encode, words)
    if longer := [text for text, row in zip(options, rows, strict=True) if row[count:].any()]:
        warnings.warn(
            f"{len(longer)} options are longer than any that training had ({_short(longer[0])!r} for "
            "one): what is made of them means little",
            stacklevel=3,
        )
        count = int(np.flatnonzero(rows.any(axis=0)).max()) + 1
    return {
        **{f"image_{k}": slots[k] for k in range(SLOTS)},
        "modality": used,
        "prompt": encode([line.prompt for line in lines], "the questions"),
        "options": rows[:, :count].reshape(len(lines), -1),
        "task": np.array(tasks, np.int32),
        "answer": np.array([max(0, LETTERS.find(line.reply)) for line in lines], np.int32),
        "asked": np.zeros(len(lines), np.int32),
    }


def warn_of_pairs(lines: Sequence[Line], modalities: Mapping[str, Any]) -> None:
    """Warns of pairs of modalities that a model has not, neither by name nor by ``word``."""
    known = {*modalities, *(one.word for one in modalities.values())}
    if odd := [x for x in lines if x.pair and set(x.pair) - known]:
        warnings.warn(
            f"line {odd[0].id} is of the pair {'->'.join(odd[0].pair or ())} ({len(odd)} such lines): "
            f"this model has {', '.join(modalities)} and was never taught another",
            stacklevel=4,
        )


def _short(text: str) -> str:
    """As much of a text as a message has room for."""
    return textwrap.shorten(text, _SHOWN, placeholder=" ...")


def _warn_of_others(lines: Sequence[Line], tasks: Sequence[int], words: Sequence[str]) -> None:
    """Warns of what five images make a selection, and what does not read as one."""
    both = zip(lines, tasks, strict=True)
    if odd := [x for x, task in both if task == SELECTION and not phrases.selects(x.prompt, words)]:
        warnings.warn(
            f"line {odd[0].id} asks {_short(odd[0].prompt)!r} of five images ({len(odd)} such lines): "
            "it is answered as a selection, which of A to D is the slice of the reference image, "
            "whatever was meant; a selection names the reference image and a modality, a question on "
            "one image has options A: to D:",
            stacklevel=4,
        )


def replies(
    lines: Sequence[Line], arrays: Mapping[str, np.ndarray], logits: Mapping[str, np.ndarray],
    model: Any, form: str, temperatures: Mapping[str, float],
) -> list[dict[str, Any]]:  # fmt: skip
    """What is said to each question.

    Args:
        lines: of a file.
        arrays: of :func:`arrays_of`.
        logits: of the model.
        model: the model.
        form: ``direct``, or ``letter``: read off the expert.
        temperatures: by ``TASK/FORM`` as an evaluation has fitted them; 1 where there is none.

    Returns:
        ``answer``, a letter or the names of four panels; ``probability`` of it, of panels the mean;
        ``probability_A`` to ``probability_D`` of letters; of ``panels`` those of every modality each.

    Raises:
        ValueError: a question on one image that shall be answered directly, or a reply that names an
            unknown modality.
    """
    rows: list[dict[str, Any]] = []
    for i, (line, task) in enumerate(zip(lines, arrays["task"].tolist(), strict=True)):
        if task == QUESTION and form == "direct":
            raise ValueError(
                f"line {line.id} asks of one image, and does not say which in numbers: answer it with "
                "--form=letter"
            )
        if foreign := sorted(set(names_in(line.reply).values()) - set(model.words)):
            raise ValueError(
                f"line {line.id} names {foreign[0]!r}; this model knows {listed(model.words)}"
            )
        chosen = FORMS[task][form == "letter"]
        known = TASKS[task] if task < len(TASKS) else "question"
        of = logits[chosen][i, 1:] if task == IDENTIFICATION else logits[chosen][i][None]
        chances = apply_temperature(of, temperatures.get(f"{known}/{chosen}", 1.0))
        best = chances.argmax(axis=-1)
        row: dict[str, Any] = {"probability": float(chances.max(axis=-1).mean())}
        if task == IDENTIFICATION:
            row["answer"] = phrases.names_line([model.words[k] for k in best])
            row["panels"] = chances.tolist()
        else:
            row["answer"] = LETTERS[int(best[0])]
            row |= {f"probability_{a}": float(p) for a, p in zip(LETTERS, chances[0], strict=True)}
        rows.append(row)
    return rows
