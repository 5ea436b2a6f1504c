"""Reports of phantoms: facts in words, from several phrasings of each statement, and back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache

import numpy as np

from msflow_jax.data.phantoms.facts import LOBES, NONE, SIDES, SIZES, VENTRICLES, Facts
from msflow_jax.data.phantoms.subjects import GRADES

_WORDS = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve",
)  # fmt: skip
_NO_GRADE = "no relevant"  # disease, of the grade ``none``: there may be a lesion or two

# Of each statement several phrasings; a field stands for what ``_says`` makes of the facts. Each
# phrasing is a sentence, and no two with different facts are the same text (``parse`` would find both).
TEMPLATES = {
    "lesions": (
        "There are {lesions} in the white matter.",
        "The white matter shows {lesions}.",
        "White matter with {lesions}.",
        "We count {lesions}.",
        "In the white matter {lesions} can be seen.",
        "In total {lesions} in the white matter of the brain.",
    ),
    "side": (
        "Changes lie in {side}.",
        "The findings are in {side}.",
        "Affected: {side}.",
        "Involvement of {side}.",
        "The white matter is altered in {side}.",
        "Foci are seen in {side}.",
    ),
    "size": (
        "The largest lesion is {size}, {largest} mm across.",
        "The largest one measures {largest} mm and is {size}.",
        "Largest diameter {largest} mm ({size}).",
        "The biggest focus is {size} with {largest} mm.",
        "A {size} lesion of {largest} mm is the largest.",
        "Maximum size {largest} mm, which is {size}.",
    ),
    "place": (
        "The largest lies {place}.",
        "It is found {place}.",
        "Its place is {place}.",
        "This one is situated {place}.",
        "We see the largest {place}.",
        "The biggest focus sits {place}.",
    ),
    "ventricles": (
        "The ventricles are {ventricles}.",
        "{Ventricles} ventricles.",
        "The ventricular system is {ventricles}.",
        "Width of the ventricles: {ventricles}.",
        "The lateral ventricles appear {ventricles}.",
        "We find {ventricles} ventricles.",
    ),
    "skull": (
        "The skull is {breadth} mm wide and {skull} mm thick.",
        "Skull: breadth {breadth} mm, thickness {skull} mm.",
        "The vault is {skull} mm thick and {breadth} mm broad.",
        "The bone of the vault measures {skull} mm, the head {breadth} mm from side to side.",
        "Breadth of the skull {breadth} mm, its bone {skull} mm.",
        "A skull of {breadth} mm in breadth with a vault of {skull} mm.",
    ),
    "grade": (
        "Impression: {grade} disease.",
        "In summary there is {grade} disease.",
        "Overall {grade} disease of the white matter.",
        "This is {grade} white-matter disease.",
        "Conclusion: {grade} white-matter disease.",
        "The findings mean {grade} disease.",
    ),
}
_OF_LESIONS = ("side", "size", "place")  # said only where there is one


def write(facts: Facts, rng: np.random.Generator) -> str:
    """A report: one phrasing of each statement, drawn at random; see ``parse`` for the way back."""
    said = _says(facts)
    chosen = {name: rng.integers(len(phrasings)) for name, phrasings in TEMPLATES.items()}
    return " ".join(
        TEMPLATES[name][k].format(**said)
        for name, k in chosen.items()
        if facts.lesions or name not in _OF_LESIONS
    )


def parse(text: str) -> Facts:
    """The facts that a report states, whatever its phrasings and the order of its sentences.

    Raises:
        ValueError: a sentence that is no phrasing, a statement that is missing, stated twice or
            contradicts another one.
    """
    found: dict[str, str] = {}
    for sentence in re.findall(r"[^.]+\.", text):
        readings = list(_readings(sentence.strip()))
        if len(readings) != 1:
            raise ValueError(f"{len(readings)} readings of the sentence {sentence.strip()!r}")
        if twice := set(readings[0]) & set(found):
            raise ValueError(f"{', '.join(sorted(twice))} stated twice in {text!r}")
        found |= readings[0]
    try:
        facts = _understood(found)
    except KeyError as error:
        raise ValueError(f"nothing on {error} in {text!r}") from error
    if found != {key: _says(facts)[key] for key in found}:
        raise ValueError(f"statements that contradict each other in {text!r}")
    return facts


def stated(text: str) -> dict[str, str]:
    """What a text states, field by field, as far as it can be understood; nothing is refused.

    Args:
        text: a report of anyone's, for instance a drawn one.

    Returns:
        The words of each field of ``TEMPLATES`` whose sentence is one of the phrasings; of a statement
        that is made twice the first.
    """
    found: dict[str, str] = {}
    for sentence in re.findall(r"[^.]+\.", text):
        readings = list(_readings(sentence.strip()))
        if len(readings) == 1:
            found = {**readings[0], **found}
    return found


def _says(facts: Facts) -> dict[str, str]:
    """What stands in the fields of the phrasings."""
    count = facts.lesions
    number = _WORDS[count] if count < len(_WORDS) else str(count)
    return {
        "lesions": f"{number} lesion" if count == 1 else f"{number} lesions",
        "side": _sides()[facts.side],
        "size": facts.size,
        "largest": str(facts.largest),
        "place": _places()[facts.largest_side, facts.largest_lobe],
        "ventricles": facts.ventricles,
        "Ventricles": facts.ventricles.capitalize(),
        "skull": str(facts.skull),
        "breadth": str(facts.breadth),
        "grade": _NO_GRADE if facts.grade == NONE else facts.grade,
    }


def _understood(found: dict[str, str]) -> Facts:
    """Facts of the fields' texts.

    Raises:
        KeyError: a field is missing.
    """
    number = found["lesions"].split()[0]
    count = _WORDS.index(number) if number in _WORDS else int(number)
    if count and "size" not in found:
        raise KeyError("size")
    side, place = NONE, (NONE, NONE)
    if count:
        side = {text: key for key, text in _sides().items()}[found["side"]]
        place = {text: key for key, text in _places().items()}[found["place"]]
    return Facts(
        lesions=count,
        largest=int(found["largest"]) if count else 0,
        side=side,
        largest_side=place[0],
        largest_lobe=place[1],
        grade=NONE if found["grade"] == _NO_GRADE else found["grade"],
        ventricles=found["ventricles"],
        skull=int(found["skull"]),
        breadth=int(found["breadth"]),
    )


def _sides() -> dict[str, str]:
    words = {side: f"the {side} hemisphere" for side in SIDES[:2]}
    return {**words, "both": "both hemispheres", NONE: ""}


def _places() -> dict[tuple[str, str], str]:
    lobes = [lobe for lobe in LOBES if lobe != "deep"]
    words = {(s, lobe): f"in the {s} {lobe} lobe" for s in SIDES[:2] for lobe in lobes}
    deep = {(side, "deep"): f"deep in the {side} hemisphere" for side in SIDES[:2]}
    return {**words, **deep, (NONE, NONE): ""}


def _readings(sentence: str) -> Iterator[dict[str, str]]:
    """What a sentence may mean: the texts of the fields of each phrasing that it matches."""
    seen = []
    for pattern in _patterns():
        if (match := pattern.fullmatch(sentence)) and match.groupdict() not in seen:
            seen.append({key.lower(): text.lower() for key, text in match.groupdict().items()})
            yield seen[-1]


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    number = r"\d+"
    fields = {
        "lesions": rf"(?:{'|'.join(_WORDS)}|{number}) lesions?",
        "side": "|".join(filter(None, _sides().values())),
        "size": "|".join(SIZES),
        "largest": number,
        "place": "|".join(filter(None, _places().values())),
        "ventricles": "|".join(VENTRICLES),
        "Ventricles": "|".join(name.capitalize() for name in VENTRICLES),
        "skull": number,
        "breadth": number,
        "grade": "|".join((_NO_GRADE, *GRADES[1:])),
    }
    made = []
    for phrasings in TEMPLATES.values():
        for text in phrasings:
            parts = re.split(r"\{(\w+)\}", text)
            made.append(
                re.compile(
                    "".join(
                        f"(?P<{part}>{fields[part]})" if i % 2 else re.escape(part)
                        for i, part in enumerate(parts)
                    )
                )
            )
    return tuple(made)


def columns(facts: Facts) -> dict[str, int | str]:
    """The facts as the columns of a table or of ``Split.truth``: ``fact_lesions`` and so on."""
    return {f"fact_{name}": value for name, value in asdict(facts).items()}
