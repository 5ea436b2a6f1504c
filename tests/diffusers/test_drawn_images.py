"""Drawn images of every modality beside those of training."""

import dataclasses
from types import SimpleNamespace

import pytest

from msflow_jax.diffusers.generation_section import Generation
from msflow_jax.evaluation import generation
from msflow_jax.inference.evaluation import Evaluation
from msflow_jax.inference.flow import Flow
from tests.diffusers import tiny


def test_training_images_are_not_looked_for_mirrored(monkeypatch, tmp_path):
    """Registered images are not flipped, whatever the data allow of one modality."""
    given = {}

    def stop(*images, **settings):
        given.update(settings)
        raise KeyError

    def draw(self, names, *, sources, **_):
        return SimpleNamespace(images={name: next(iter(sources.values())) for name in names})

    monkeypatch.setattr(generation, "evaluate_generation", stop)
    monkeypatch.setattr(Flow, "generate_modalities", draw)
    (model, parts), data = tiny.model(), tiny.splits()
    info = dataclasses.replace(data.info, flips=("horizontal",))
    flow = Flow(tmp_path, tiny.config(), info, None, parts, model, tiny.params(), 0)
    monkeypatch.setattr(Evaluation, "features_of", lambda *_: None)
    with pytest.raises(KeyError):
        Generation(4)(Evaluation(flow, data, "test"))
    assert not given.get("flips")
