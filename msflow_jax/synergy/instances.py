"""An understanding instance: a question with its images (arXiv 2605.08724), before it becomes arrays."""

from dataclasses import dataclass

from msflow_jax.synergy.phrases import LETTERS as LETTERS
from msflow_jax.synergy.pool import CANDIDATES

TASKS = ("selection", "identification", "instruction")  # CTS, MI, TIA of the paper
SELECTION, IDENTIFICATION, INSTRUCTION = range(len(TASKS))
SHARES = (0.468, 0.150, 0.381)  # of the paper's instances, which add up to 0.999
ARMS = (
    "aligned", "questions", "permuted", "easy", *(f"no_{task}" for task in TASKS),
)  # fmt: skip
SLOTS = 1 + CANDIDATES  # images of an instance at most: the reference and panels A to D
NO_ROUTE = (-1, -1)
Route = tuple[int, int]  # source and target, by their numbers among the names


@dataclass(frozen=True)
class Instance:
    """One question with its images.

    Attributes:
        task: which of ``TASKS``; in the arm ``questions`` the one whose images and place it takes.
        rows: position in the split of the example in each of ``SLOTS`` slots, -1: an empty slot.
        modality: which of the names each slot shows, -1: an empty slot.
        prompt: the question, with its options where these are words.
        options: what the four letters mean.
        answer: which of ``LETTERS`` is right; 0 of an identification, where the modality of every panel
            is asked for.
        asked: the slot that a question on one image is about.
    """

    task: int
    rows: tuple[int, ...]
    modality: tuple[int, ...]
    prompt: str
    options: tuple[str, ...]
    answer: int
    asked: int = 0
