"""`segment` on the tissue maps of head phantoms: the same field, a label picture per pixel."""

import jax
import numpy as np

from msflow_jax import data
from msflow_jax.config import default_config
from msflow_jax.evaluation.segmentation import evaluate_segmentation
from msflow_jax.inference.runners import make_generator
from msflow_jax.inference.segmenting import make_segmenter
from msflow_jax.symmetric.family import FAMILY
from msflow_jax.symmetric.parts import SymmetricParts
from msflow_jax.symmetric.recipes import cpu
from msflow_jax.training import fit


def test_tissues_of_phantoms_are_segmented(tmp_path):
    config = cpu(default_config())
    config.data.side = 16
    config.data.phantoms.update(subjects=60, slices=3)
    config.model.task = "segment"
    config.model.net.update(width=8, multipliers=(1, 2), groups=4, attention=(), head_channels=16)
    config.train.update(steps=150, batch=16, learning_rate=3e-3, eval_every=150, shift=0)
    splits = data.load(config.data)
    parts = SymmetricParts()
    model = FAMILY.build(config, splits.info, parts)
    assert model.classes == splits.info.map_classes
    config.train.select = "val_dice"
    (stage,) = FAMILY.stages(config, splits, parts, model)
    state = fit(stage, tmp_path, progress=False)

    segment = make_segmenter(model, seed=0, draws=2)
    maps = segment(state.ema, splits.test.images).maps
    found = evaluate_segmentation(splits.test.maps, maps, model.classes)
    commonest = np.bincount(splits.train.maps.ravel()).argmax()
    constant = evaluate_segmentation(
        splits.test.maps, np.full_like(splits.test.maps, commonest), model.classes
    )
    assert found["accuracy"] > constant["accuracy"] + 0.15
    assert found["mean_dice"] > constant["mean_dice"] + 0.25
    drawn = make_generator(model, seed=0, steps=2)(state.ema, splits.test.maps[:3].astype(np.int32))
    assert (
        drawn.shape == splits.test.images[:3].shape and jax.tree.leaves(drawn)[0].dtype == np.uint8
    )
