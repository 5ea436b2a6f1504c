"""Scores of what was said to instances, by the rules of the public evaluation (arXiv 2605.08724)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Protocol

from msflow_jax.synergy.instances import LETTERS

OTHER = "OTHER"  # what holds no letter
_LETTER = re.compile(rf"\b[{LETTERS}]\b", re.I)
_OBJECT = re.compile(r"\{[^{}]*\}")


class Asked(Protocol):
    """What is known of an instance: what is to be said, and its source and target."""

    @property
    def reply(self) -> str: ...

    @property
    def pair(self) -> tuple[str, str] | None: ...


def letter_in(output: str) -> str:
    """The last letter A to D that stands alone in an output, in either case; ``OTHER`` if none does."""
    found = _LETTER.findall(output)
    return found[-1].upper() if found else OTHER


def names_in(output: str) -> dict[str, str]:
    """The name of each panel in the last JSON object of an output; {} where there is none such."""
    for text in reversed(_OBJECT.findall(output)):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if found and all(k in tuple(LETTERS) and isinstance(v, str) for k, v in found.items()):
            return found
    return {}


def score(asked: Sequence[Asked], outputs: Sequence[str]) -> dict[str, Any]:
    """Accuracies of outputs.

    Args:
        asked: what is known of the instances.
        outputs: what was said to each.

    Returns:
        JSON types. Of instances that ask for a letter: ``count``, ``accuracy``, ``pairs`` (both by
        ``source->target``), and ``confusion``, a count for each right letter (rows) and each of A to D
        and ``OTHER``. Of those that ask for names: ``panels``, with ``count`` and ``accuracy`` of single
        panels and ``all_right``, the share of lines without an error. An accuracy of nothing is None.

    Raises:
        ValueError: another number of outputs.
    """
    if len(asked) != len(outputs):
        raise ValueError(f"{len(asked)} instances and {len(outputs)} outputs: one each is needed")
    confusion = {right: dict.fromkeys((*LETTERS, OTHER), 0) for right in LETTERS}
    pairs: dict[str, list[bool]] = {}
    letters: list[bool] = []
    lines: list[list[bool]] = []
    for one, output in zip(asked, outputs, strict=True):
        if names := names_in(one.reply):
            said = names_in(output)
            lines.append([_same(said.get(k, ""), name) for k, name in names.items()])
            continue
        said_letter = letter_in(output)
        confusion[one.reply][said_letter] += 1
        letters.append(said_letter == one.reply)
        if one.pair is not None:
            pairs.setdefault("->".join(one.pair), []).append(letters[-1])
    return {
        **_share(letters),
        "pairs": {name: _share(pairs[name]) for name in sorted(pairs)},
        "confusion": confusion,
        "panels": {
            **_share([panel for line in lines for panel in line]),
            "all_right": _share([all(line) for line in lines])["accuracy"],
        },
    }


def _share(right: Sequence[bool]) -> dict[str, Any]:
    return {"count": len(right), "accuracy": sum(right) / len(right) if right else None}


def _same(said: str, name: str) -> bool:
    return said.strip().casefold() == name.strip().casefold()
