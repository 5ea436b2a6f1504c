"""What an evaluation cannot use is refused: names that are taken, features where nothing is drawn."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from msflow_jax.inference.evaluated import read_outside, requested_settings


@pytest.mark.parametrize("name", ["reference images", "train", "test", "noise"])
def test_a_name_that_is_taken_is_refused(name, tmp_path):
    (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match=f"--outside: '{name}' would name two sets of images"):
        read_outside(None, [str(tmp_path / name)])


def test_features_where_nothing_is_drawn_are_refused():
    flow, sections = SimpleNamespace(path="w"), [SimpleNamespace(name="understanding")]
    words = "--features=radimagenet compares .* of w .*it has understanding.: leave it out"
    with pytest.raises(ValueError, match=words):
        requested_settings(flow, sections, "", (), Path("radimagenet"), ())
