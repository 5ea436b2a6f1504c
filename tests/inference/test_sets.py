"""Whether a validation split can calibrate conformal sets, said before training."""

import numpy as np
import pytest

from msflow_jax.data.split import Split
from msflow_jax.inference.sets import few_cases


@pytest.mark.parametrize(
    ("images", "every", "cases"), [(24, 4, 6), (24, 2, 0), (36, 4, 0), (24, 0, 0), (1, 4, 1)]
)
def test_too_few_cases_are_said_with_what_helps(images, every, cases):
    labels = np.zeros(images, np.int32)
    val = Split.of_images(
        np.zeros((images, 4, 4, 1), np.uint8), labels, tuple(map(str, range(images)))
    )
    line = few_cases(val, every)
    assert (f"{cases} of {images} validation images" in line) == bool(cases)
    assert ("calibrate_every=2" in line) == bool(cases)
