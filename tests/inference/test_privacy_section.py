"""What an evaluation gives the measures of what a model gives away."""

from unittest.mock import MagicMock

import numpy as np

from msflow_jax.data import Split
from msflow_jax.inference import privacy_section
from msflow_jax.inference.privacy_section import Privacy


def split(labels, subject):
    images = np.asarray(labels, np.uint8)[:, None, None, None] + np.zeros((1, 4, 4, 1), np.uint8)
    names = tuple(f"{subject}{i}" for i in range(len(labels)))
    return Split.of_images(images, np.asarray(labels, np.int32), names, groups=names)


def test_training_images_are_compared_in_the_class_mix_of_the_validation_split(monkeypatch):
    given = {}
    for name in ("membership", "neighbour_ratios"):
        monkeypatch.setattr(
            privacy_section, name, lambda *args, name=name: given.update({name: args}) or {}
        )
    monkeypatch.setattr(privacy_section, "crops", lambda model, images, seed: images)
    train, val = split([0] * 90 + [1] * 9 + [2], "t"), split([0] * 6 + [1] * 6 + [2] * 3, "v")
    run = MagicMock(
        splits=MagicMock(train=train), classes=("a", "b", "c"), samples=(train.images[:4],) * 2
    )
    run.sample.seed = 0
    run.labelled.return_value = val
    run.raw.return_value.uncertainty = {"flow_error": val.labels.astype(float)}
    run.flow.classify.side_effect = lambda images, **_: MagicMock(
        uncertainty={"flow_error": images[:, 0, 0, 0].astype(float)}
    )
    block, _ = Privacy()(run)
    own, others, groups = given["membership"]
    assert (
        np.bincount(own.astype(int)).tolist()
        == np.bincount(others.astype(int)).tolist()
        == [6, 6, 1]
    )
    assert [one[0] for one in groups] == ["t"] * 13 + ["v"] * 13
    _, known, held_out, *_, subjects = given["neighbour_ratios"]
    for images in (known, held_out):
        assert np.bincount(images[:, 0, 0, 0]).tolist() == [6, 6, 1]
    assert [len(one) for one in subjects] == [13, 13]
    assert block["few"] == privacy_section.too_few({2: (1, 3)}, run.classes)
