"""Each verb and each model: what a workdir cannot do is refused by its name, before anything else."""

from pathlib import Path

import numpy as np
import pytest

from msflow_jax.config import default_config
from msflow_jax.data import Info
from msflow_jax.families import VERBS, get_family, verbs_of
from msflow_jax.inference.flow import Flow
from msflow_jax.symmetric.parts import SymmetricParts
from tests.coupling.tiny_flows import plain_flow
from tests.toy.family import ToyModel

INFO = Info("x", ("a", "b"), 1, 8, "binary-class", "", "", "", (), ("inside", "outside"))


def symmetric(task):
    config = default_config()
    config.model.task = task
    return get_family("symmetric").build(config, INFO, SymmetricParts())


MODELS = {
    "classes": (symmetric("classify"), ("classify", "generate")),
    "maps": (symmetric("segment"), ("segment",)),
    "likelihood": (plain_flow(shape=(8, 8, 1)), ("classify", "generate", "explain")),
    "toy": (ToyModel(("a", "b"), (8, 8, 1)), ("classify",)),
}
WORDS = {
    ("maps", "classify"): "one class per pixel, not one per image",
    ("maps", "generate"): "label maps",
    ("classes", "segment"): "one class per image, not one per pixel",
    ("classes", "explain"): "no likelihood to explain",
    ("classes", "translate"): "it is of one modality",
    ("likelihood", "report"): "it knows no reports",
    ("likelihood", "answer"): "it was taught no questions",
}
X = np.zeros((1, 8, 8, 1), np.uint8)
CALLS = {
    "classify": lambda flow: flow.classify(X),
    "segment": lambda flow: flow.segment(X),
    "generate": lambda flow: flow.generate("a", 1),
    "explain": lambda flow: flow.explain(X, [0], [1]),
    "translate": lambda flow: flow.translate({"t1w": X}, "ct"),
    "report": lambda flow: flow.report({"xray": X}),
    "answer": lambda flow: flow.answer({"image_0": X}),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", MODELS)
def test_every_verb_of_every_model(name, verb):
    model, known = MODELS[name]
    assert verbs_of(model) == known
    flow = Flow(
        Path("runs/w"), default_config(), INFO, None, SymmetricParts(), model, params=None, step=0
    )
    if verb in known:
        flow.require(verb)
        return
    for call in (lambda flow: flow.require(verb), CALLS[verb]):
        with pytest.raises(ValueError, match=f"runs/w cannot {verb}.*this one can") as error:
            call(flow)
        assert WORDS.get((name, verb), "") in str(error.value)
