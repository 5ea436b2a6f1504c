"""What is said of questions that mean nothing to a model."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from msflow_jax.synergy.answering import QUESTION
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
