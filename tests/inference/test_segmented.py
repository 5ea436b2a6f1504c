"""What is written and answered of a segmentation whose image was cut off."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from msflow_jax.data.sources.restored import Restored
from msflow_jax.data.sources.restoring import Segmentable
from msflow_jax.inference.segmented import write_segmented
from msflow_jax.serving.masks import _row


@pytest.mark.parametrize(("shown", "mean"), [(2, 0.25), (4, 0.25), (0, None)])
def test_the_mean_uncertainty_is_of_what_the_model_was_shown(tmp_path, shown, mean):
    """What a crop cut off counted as 1, so that a wide image was half uncertain."""
    unseen = np.arange(4)[None].repeat(4, 0) >= shown
    uncertainty, maps = np.where(unseen, 1, 0.25).astype(np.float32), np.zeros((4, 4), np.uint8)
    own = Restored(maps[..., None], maps, uncertainty, unseen)
    one = Segmentable("wide.png", slice(0, 1), lambda *_: own)
    found = SimpleNamespace(maps=maps[None], uncertainty=uncertainty[None])
    (row,) = write_segmented(tmp_path, found, [one], ("a", "b"), {})
    assert row["mean_uncertainty"] == ("" if mean is None else f"{mean:.4f}")
    assert row["unseen_share"] == f"{1 - shown / 4:.4f}"
    answer = _row(one, own, SimpleNamespace(classes=("a", "b")), Path("wide.png"))
    assert (answer["mean_uncertainty"], answer["unseen_share"]) == (mean, 1 - shown / 4)
