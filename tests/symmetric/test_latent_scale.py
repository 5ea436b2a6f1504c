"""Latents of another spread than the noise are named before a flow is trained on them."""

import dataclasses

import numpy as np
import pytest

from msflow_jax.config import default_config
from msflow_jax.data import Info, Split
from msflow_jax.latent import autoencoder, kept
from msflow_jax.symmetric.parts import prepare

INFO = Info(
    name="x", classes=("a", "b"), channels=1, side=8, task="binary-class", licence="", md5="",
    source="tests", flips=(),
)  # fmt: skip
IMAGES = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1), np.uint8)
TRAIN = Split.of_images(IMAGES, np.arange(16, dtype=np.int32) % 2, [f"{i}" for i in range(16)])


def prepared(folder, factor, **latent):
    one = kept.fit(IMAGES, 8, 4, 4)
    scaled = dataclasses.replace(one.autoencoder, scale=one.autoencoder.scale * factor)
    autoencoder.save(folder, scaled, one.weights, {})
    config = default_config("symmetric").model
    with config.unlocked():
        config.latent.update(autoencoder=str(folder), batch=8, **latent)
        config.code.scheme = "grey"
    return prepare(config, INFO, TRAIN)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_a_scale_that_is_far_off_is_one_line(factor, tmp_path):
    with pytest.warns(UserWarning, match="deviation of .*latent.precondition=True") as found:
        prepared(tmp_path / "far", factor)
    assert len(found) == 1 and str(tmp_path / "far") in str(found[0].message)


def test_none_of_a_usual_one_or_with_preconditioning(tmp_path, recwarn):
    prepared(tmp_path / "near", 1.0)
    assert prepared(tmp_path / "far", 1e3, precondition=True).std
    assert not recwarn
