"""The configurations build: nothing is computed or allocated."""

import jax
import pytest

from msflow_jax.config import load_config
from msflow_jax.data import Info, Modality
from msflow_jax.diffusers.family import FAMILY
from msflow_jax.diffusers.parts import DiffusersParts
from msflow_jax.diffusers.tokens import Tokeniser

pytest.importorskip("tokenizers")


@pytest.mark.parametrize("name", ["medm2g_phantom", "medm2g_cohort"])
def test_it_builds_with_as_many_parameters_as_it_says(name):
    config = load_config([f"--config=configs/{name}.py"])
    side = config.data.side
    images = {
        m: Modality("image", (side, side, 1)) for m in ("xray", "ct", "t1w", "t2w", "pdw", "flair")
    }
    info = Info(
        config.data.name, ("a", "b"), 1, side, "binary-class", "", "", "", (),
        modalities={**images, "label": Modality("label", ())},
    )  # fmt: skip
    parts = DiffusersParts(Tokeniser.fit(["There is one lesion."]))
    model = FAMILY.build(config, info, parts)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    assert set(shapes["diffuser"]) == set(config.model.modalities)
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes["diffuser"]["t1w"]))
    assert 0.9e6 < count < 1.1e6 if name == "medm2g_phantom" else count > 2e7
