"""Texts are padded as in training: neither what is asked beside them nor how they are given counts."""

from pathlib import Path

import jax
import numpy as np
import pytest

from msflow_jax.synergy.answering import arrays_of, question_on
from msflow_jax.synergy.jsonl import Line
from msflow_jax.synergy.phrases import word
from tests.synergy import tiny

WORDS = {name: word(name) for name in tiny.NAMES}
FILES = [Path(f"{i}.png") for i in range(5)]


def asked(*lines):
    images = np.zeros((5, tiny.SIDE, tiny.SIDE, 1), np.uint8)
    found = arrays_of(lines, lambda files: images[: len(files)], encode(), [*WORDS.values()])
    return found["options"].reshape(len(lines), 4, -1)


def encode():
    return tiny.parts().tokeniser.encode


def test_a_question_is_read_alike_alone_and_among_others():
    selection = question_on("selection", FILES, WORDS, tiny.NAMES[1])
    instruction = question_on("instruction", FILES[:2], WORDS)
    alone, among = asked(instruction)[0], asked(selection, instruction)[1]
    np.testing.assert_array_equal(alone, among)
    assert asked(selection).shape[2] == alone.shape[1]


def test_options_have_the_length_of_training():
    trained = tiny.parts().ask(tiny.config(), tiny.splits().train, 4).arrays()["options"]
    assert asked(question_on("instruction", FILES[:2], WORDS)).shape[2] * 4 == trained.shape[1]


def test_longer_options_are_named():
    line = question_on("instruction", FILES[:2], WORDS)
    option = "turn " + "T1 " * 12 + "into CT"
    longer = line.prompt.replace("A: ", f"A: {option} or ")
    with pytest.warns(UserWarning, match="1 options are longer than any .*T1 T1"):
        asked(Line(**{**vars(line), "prompt": longer}))


def test_the_usual_instruction_draws_what_none_draws():
    source, target = tiny.NAMES[:2]
    model = tiny.model()
    text = f"turn {WORDS[source]} into {WORDS[target]}"
    rows = model.routes[source, target]
    numbers = tiny.parts().instruct(text, source, target)
    assert numbers == rows[0][: len(numbers)] and len(numbers) < len(rows[0])

    @jax.jit
    def drawn(params, x):
        def draw(**given):
            return model.translate(params, {source: x}, jax.random.key(1), target=target, **given)

        return draw(), draw(instruction=numbers)

    np.testing.assert_array_equal(*drawn(tiny.params(), tiny.images()))
