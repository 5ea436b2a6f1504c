"""Sets of images from outside are called as nothing else of an evaluation is."""

import pytest

from msflow_jax.inference.evaluated import read_outside


@pytest.mark.parametrize("name", ["reference images", "train", "test", "noise"])
def test_a_name_that_is_taken_is_refused(name, tmp_path):
    (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match=f"--outside: '{name}' would name two sets of images"):
        read_outside(None, [str(tmp_path / name)])
