"""What is answered to questions on images, as ``msflow answer`` says it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.inference.answered import (
    MODALITY,
    eight_bits,
    read_pictures,
    replies_to,
    require_modalities,
)
from msflow_jax.inference.flow import Flow
from msflow_jax.serving.answers import Answer, Asked, padded
from msflow_jax.serving.parameters import warn_of_other_tasks
from msflow_jax.serving.pictures import addresses
from msflow_jax.serving.uploads import as_needed, lying_together, read_upload, refuse_many


def answer(flow: Flow, asked: Asked) -> Answer:
    """Which modality images show, or what is said to a question on several."""
    given = asked.given
    files = asked.files or ((given["name"], asked.content),)
    known = (MODALITY, *flow.parts.asks)
    if given["task"] not in known:
        raise ValueError(f"unknown task {given['task']!r}: choose one of {', '.join(known)}")
    warn_of_other_tasks("answer", given)
    if given["task"] == MODALITY:
        return _modalities(flow, files, given["resize"])
    return _replied(flow, files, given)


def _modalities(flow: Flow, files: Sequence[tuple[str, bytes]], resize: bool) -> Answer:
    require_modalities(flow)
    info, found = eight_bits(flow), []
    for name, content in files:
        found.append(read_upload(content, name, info, resize))
        refuse_many(sum(len(seen.images) for seen, _ in found), name)
    images = np.concatenate([seen.images for seen, _ in found])
    names = [name for seen, _ in found for name in seen.names]
    chances = flow.identify(padded(images))[: len(images)]
    rows = [
        {"name": name, "picture": picture, **_likeliest(tuple(flow.model.modalities), row)}
        for name, picture, row in zip(names, addresses(images), chances.tolist(), strict=True)
    ]
    return {
        "task": MODALITY,
        "images": rows,
        "warnings": [line for _, one in found for line in one],
    }


def _replied(flow: Flow, files: Sequence[tuple[str, bytes]], given: Mapping[str, Any]) -> Answer:
    shown: dict[Path, np.ndarray] = {}
    with lying_together(files) as paths:

        def read(resized: bool) -> Any:
            def pictures(some: Sequence[Path]) -> np.ndarray:
                found = read_pictures(flow, some, resize=resized)
                shown.update(zip(some, found, strict=True))
                return found

            words = given["target"], given["options"]
            return flow.parts.ask_of(given["task"], paths, pictures, flow.model, *words)

        asked, lines = as_needed(read, given["resize"], paths[0].parent)
    (said,) = replies_to(flow, asked, given["form"])
    (line,), (meant,) = asked.lines, asked.options
    pictures = addresses(np.stack([shown[path] for path in paths]))
    rows: list[Answer] = [
        {"name": name, "place": place, "picture": picture}
        for (name, _), place, picture in zip(
            files, flow.parts.asks[given["task"]], pictures, strict=True
        )
    ]
    for row, chances in zip(rows, said.get("panels", ()), strict=False):
        row.update(_likeliest(flow.model.words, chances))
    options = [
        {"letter": letter, "words": words, "probability": said[f"probability_{letter}"]}
        for letter, words in zip("ABCD", meant, strict=True)
        if f"probability_{letter}" in said
    ]
    return {
        "task": given["task"], "question": line.prompt, "answer": said["answer"],
        "probability": said["probability"], "options": options, "images": rows, "warnings": lines,
    }  # fmt: skip


def _likeliest(names: Sequence[str], chances: Sequence[float]) -> Answer:
    """A modality, and the probability of each."""
    return {
        "modality": names[int(np.argmax(chances))],
        "probability": dict(zip(names, map(float, chances), strict=True)),
    }
