"""What instances say: questions, descriptions of routes in several phrasings, and all that can occur.

The paper has pools of phrasings that are not published (arXiv 2605.08724); these are ours. Of each pool
the last quarter, at least one, is kept from training: of the descriptions two.
"""

import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

LETTERS = "ABCD"
PANELS = tuple(f"image {letter}" for letter in LETTERS)
PLACES = ("the reference image", *PANELS)  # what the slots are called

DESCRIPTIONS = (
    "turn {source} into {target}",
    "make the {target} image out of the {source} image",
    "translate the slice from {source} to {target}",
    "given {source}, draw {target}",
    "obtain {target} by changing {source}",
    "replace the look of {source} by that of {target}",
    "predict what a {source} slice looks like in {target}",
    "{target} is wanted, {source} is there",
)
SELECTION = (
    "Which image shows the slice of the reference image in {target}?",
    "Find the {target} image that lies where the reference image lies.",
    "The reference image is to be seen in {target}: which image is it?",
    "Which of the four is the same slice as the reference image, but {target}?",
)
IDENTIFICATION = (
    "Name the modality of image A, image B, image C and image D.",
    "Which modality does each of image A, image B, image C and image D have?",
    "Say of image A, image B, image C and image D how each was taken.",
)
INSTRUCTION = (
    "Which instruction leads from the reference image to image A?",
    "What was done to the reference image to get image A?",
    "Choose the words that describe the way from the reference image to image A.",
)
# Questions on one image alone: their phrasings, and their four options in order.
LEVEL, QUADRANT, SIDE, SIZE = "level", "quadrant", "side", "size"
QUESTIONS = {
    LEVEL: (
        "In which quarter of its volume does {place} lie?",
        "Of the slices of its volume, where is {place}?",
        "Which part of its volume is {place} from?",
    ),
    QUADRANT: (
        "Which quadrant of {place} is the brightest?",
        "Where is {place} brighter than elsewhere?",
        "In which corner does {place} have most light?",
    ),
    SIDE: (
        "In which half of {place} is there a lesion?",
        "On which side does {place} show a lesion?",
        "Is a lesion in {place}, and in which half?",
    ),
    SIZE: (
        "How large is what {place} shows of lesions?",
        "How much lesion is there in {place}?",
        "Of what size are the lesions in {place}?",
    ),
}
OPTIONS = {
    LEVEL: ("first quarter", "second quarter", "third quarter", "last quarter"),
    QUADRANT: ("upper left", "upper right", "lower left", "lower right"),
    SIDE: ("no lesion", "left half", "right half", "both halves"),
    SIZE: ("no lesion", "small", "medium", "large"),
}
_OPTION = re.compile(rf"\b([{LETTERS}]): ")
# Options stated in another way, such as `A)`, `(b)` and `D:` without a blank.
_OTHERWISE = re.compile(rf"(?<![\w(\[])[(\[]?([{LETTERS}])[)\].:]", re.I)
# What a question on one image is about, and no selection.
_OF_ONE = re.compile(
    r"\b(?:quarter|quadrant|corner|half|halves|lesion|bright|dark|light|large|small)", re.I
)
# What modalities are called where nothing else is said.
WORDS = {
    "t1w": "T1", "t1": "T1", "t1ce": "T1ce", "t2w": "T2", "t2": "T2", "pdw": "PD", "pd": "PD",
    "flair": "FLAIR", "t1ir": "T1-IR", "stir": "STIR", "ct": "CT", "cbct": "CBCT", "pet": "PET",
    "mr": "MR", "xray": "X-ray",
}  # fmt: skip
# How tokens are counted to find the longest text: a word, a digit, a sign.
_PIECES = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*|\d|[^\w\s]|_")


def word(name: str) -> str:
    """What a modality is called in texts: as in ``WORDS``, or else by its name."""
    return WORDS.get(name, name)


def selects(prompt: str, words: Sequence[str]) -> bool:
    """Whether a prompt has what all of ``SELECTION`` have: the reference, and the name of a modality.

    ``T1w`` and ``MRI`` name T1 and MR as well. What asks of lesions, of the brightest quadrant or of
    another thing that one image shows is none, whatever it names.
    """
    said = prompt.casefold()
    return (
        "reference" in said
        and not _OF_ONE.search(said)
        and any(re.search(rf"(?<!\w){re.escape(one.casefold())}", said) for one in words)
    )


def choose(pool: Sequence[str], held_out: bool, rng: np.random.Generator) -> str:
    """One phrasing of a pool, of those in training or of those kept from it."""
    kept = max(1, len(pool) // 4)
    some = pool[-kept:] if held_out else pool[:-kept]
    return some[int(rng.integers(len(some)))]


def asked(question: str, options: Sequence[str]) -> str:
    """The question with its four options: ``... A: ... B: ... C: ... D: ...``."""
    lines = [f"{letter}: {option}" for letter, option in zip(LETTERS, options, strict=True)]
    return " ".join([question, *lines])


def options_of(prompt: str) -> tuple[str, ...] | None:
    """The four options that a question states after ``A: `` to ``D: ``; None where it states none."""
    parts = _OPTION.split(prompt)
    if tuple(parts[1::2]) != tuple(LETTERS) or not all(part.strip() for part in parts[2::2]):
        return None
    return tuple(part.strip() for part in parts[2::2])


def states_otherwise(prompt: str) -> bool:
    """Whether a question seems to state four options that :func:`options_of` does not read."""
    parts = _OTHERWISE.split(prompt)
    every = sorted(letter.upper() for letter in parts[1::2]) == list(LETTERS)
    return every and all(part.strip() for part in parts[2::2])


def names_line(names: Sequence[str]) -> str:
    """The names of four panels as one line of JSON: ``{"A": "T1", ...}``."""
    return json.dumps(dict(zip(LETTERS, names, strict=True)), ensure_ascii=False)


def descriptions(words: Sequence[str]) -> list[str]:
    """Every description of every route between modalities that are called so."""
    routes = itertools.permutations(words, 2)
    return [text.format(source=a, target=b) for a, b in routes for text in DESCRIPTIONS]


def instructions(source: str, target: str) -> list[str]:
    """The descriptions of a route that training knows, by the words of its ends."""
    kept = max(1, len(DESCRIPTIONS) // 4)
    return [text.format(source=source, target=target) for text in DESCRIPTIONS[:-kept]]


def all_options(words: Sequence[str]) -> list[str]:
    """Every text that can be an option."""
    single = [option for options in OPTIONS.values() for option in options]
    return list(dict.fromkeys([*PANELS, *single, *descriptions(words)]))


def option_length(encode: Callable[..., np.ndarray], words: Sequence[str]) -> int:
    """Tokens of the longest text that can be an option, to which all are padded.

    Where the padding ends the text is read, so that another length would be another reading.
    """
    rows = encode(all_options(words), "the options")
    return int(np.flatnonzero(rows.any(axis=0)).max()) + 1


def all_prompts(words: Sequence[str]) -> list[str]:
    """Every question, with options that are at least as long as any that it can have."""
    longest = sorted(descriptions(words), key=lambda text: -len(_PIECES.findall(text)))[:4]
    prompts = [text.format(target=name) for name in words for text in SELECTION]
    prompts += [*IDENTIFICATION, *(asked(text, longest) for text in INSTRUCTION)]
    for kind, pool in QUESTIONS.items():
        prompts += [asked(text.format(place=p), OPTIONS[kind]) for text in pool for p in PLACES]
    return prompts


def texts(words: Mapping[str, str]) -> tuple[str, ...]:
    """All that instances can say, in every arm: for ``Tokeniser.fit``, always in the same order.

    A tokeniser that is fitted to them with ``margin=1.0`` cuts no prompt, and has no row longer than
    the longest one needs.

    Args:
        words: what each modality is called.
    """
    called = [*words.values()]
    four = sorted(called, key=lambda name: -len(_PIECES.findall(name)))[:1] * len(LETTERS)
    line = names_line(four)
    found = [*all_prompts(called), *all_options(called), *called, *LETTERS, line]
    return tuple(dict.fromkeys(found))
