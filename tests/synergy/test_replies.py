"""What is said of questions that mean nothing to a model."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from msflow_jax.synergy import phrases
from msflow_jax.synergy.answering import QUESTION, arrays_of, warn_of_pairs
from msflow_jax.synergy.instances import SELECTION
from msflow_jax.synergy.jsonl import Line
from msflow_jax.synergy.parts import Questions

FILES = tuple(Path(f"{i}.png") for i in range(5))
LOGITS = {"selection": np.zeros((1, 4)), "letter": np.array([[0.0, 0.1, 0.0, 0.0]])}


def said(task, form, *taught):
    asked = Questions([Line("1", FILES, "Which?", "A")], {"task": np.array([task])})
    return asked.replies(LOGITS, SimpleNamespace(taught=taught, words=("T1",)), form, {})


@pytest.mark.parametrize(
    ("task", "form", "name"),
    [
        (SELECTION, "direct", "selection"), (SELECTION, "letter", "selection"),
        (QUESTION, "letter", "question"),
    ],
)  # fmt: skip
def test_what_was_never_taught_is_named_in_both_forms(task, form, name, recwarn):
    with pytest.warns(UserWarning, match=f"never taught {name}: what it says there means nothing"):
        said(task, form)
    recwarn.clear()
    (row,) = said(task, form, name)
    assert not recwarn and row["answer"] == ("A" if form == "direct" else "B")


def asked(prompt):
    return arrays_of(
        [Line("7", FILES, prompt, "A")], lambda files: np.zeros((len(files), 4, 4, 1), np.uint8),
        lambda texts, what="": np.ones((len(texts), 3), np.int32), ("T1", "CT"),
    )  # fmt: skip


@pytest.mark.parametrize(
    "prompt",
    [
        *(one.format(target="CT") for one in phrases.SELECTION),
        "Among A to D, which is the reference slice as a T1w scan?",
    ],
)
def test_a_selection_in_other_words_is_one(prompt, recwarn):
    assert asked(prompt)["task"].tolist() == [SELECTION] and not recwarn


@pytest.mark.parametrize(
    "prompt",
    [
        "Which quadrant of the reference image is the brightest? A) upper left B) upper right",
        "Is a lesion in image B, and in which half?", "Which CT shows a lesion?",
        "Which quadrant of the reference image, a CT, is the brightest?",
        "Is there a lesion in the reference image, which is T1?",
    ],
)  # fmt: skip
def test_another_question_on_five_images_is_named(prompt):
    with pytest.warns(UserWarning, match="line 7 asks .* it is answered as a selection") as found:
        asked(prompt)
    assert len(found) == 1 and prompt in str(found[0].message)


@pytest.mark.parametrize(
    "options",
    [
        "A) left B) right C) both D) none", "(a) left (b) right (c) both (d) none",
        "B: right A: left C: both D: none", "a: left b: right c: both d: none",
        "A:left B:right C:both D:none", "A. left B. right C. both D. none",
    ],
)  # fmt: skip
def test_options_in_another_form_or_order_are_refused(options):
    with pytest.raises(ValueError, match=r"line 7 states its options in another form .*'A: "):
        asked(f"Where does the reference image show CT values? {options}")


@pytest.mark.parametrize(
    "prompt",
    ["Which is the reference image in CT? (A) (B) (C) (D)", "Which of A, B, C and D is it?"],
)
@pytest.mark.filterwarnings("ignore:line 7 asks")
def test_letters_without_words_are_no_options(prompt):
    assert asked(prompt)["task"].tolist() == [SELECTION]


def test_a_message_has_no_room_for_a_whole_text():
    with pytest.warns(UserWarning, match="line 7 asks 'what what") as found:
        asked("what " * 900)
    assert len(str(found[0].message)) < 500


def test_a_pair_of_other_modalities_is_named(recwarn):
    known = {"t1w": SimpleNamespace(word="T1"), "ct": SimpleNamespace(word="CT")}

    def line(*pair):
        return Line("7", FILES, "Which?", "A", pair or None)

    warn_of_pairs([line("t1w", "ct"), line("T1", "CT"), line()], known)
    assert not recwarn
    with pytest.warns(
        UserWarning, match="line 7 is of the pair pet->ct .1 such.*has t1w, ct and was never"
    ):
        warn_of_pairs([line("pet", "ct"), line()], known)
