"""Trees of parameters in two parts, by patterns of whole paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msflow_jax.training import merge, split
from msflow_jax.training.stage import update

NAMES = st.sampled_from(["a", "b", "encoder", "kernel"])
TREES = st.recursive(
    st.integers(0, 9),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
).filter(lambda tree: isinstance(tree, dict) and tree)
PATTERNS = ["a/.*", ".*kernel", "encoder(/.*)?", ".*", "(?!a/).*", "b"]


@given(TREES, st.sampled_from(PATTERNS))
def test_merging_undoes_splitting(tree, pattern):
    try:
        trained, frozen = split(tree, pattern)
    except ValueError as error:
        assert "matches no parameter" in str(error)
        return
    assert merge(trained, frozen) == tree == merge(frozen or {}, trained)
    with pytest.raises(ValueError, match="both the trained and the frozen part have"):
        merge(trained, trained)
    if not frozen:
        assert trained is tree  # as it is, whatever it is made of
    assert update(tree, trained) == tree == update({}, tree)


def test_a_pattern_is_of_whole_paths():
    tree = {"encoder": {"a": 1, "b": {"c": 2}}, "decoder": {"a": 3}, "decoder2": {"a": 4}}
    assert split(tree, "decoder/.*") == (
        {"decoder": {"a": 3}},
        {"encoder": {"a": 1, "b": {"c": 2}}, "decoder2": {"a": 4}},
    )
    with pytest.raises(
        ValueError, match="'encoder' matches no parameter; .* decoder/a, decoder2/a"
    ):
        split(tree, "encoder")
    with pytest.raises(ValueError, match="no regular expression"):
        split(tree, "(")
    with pytest.raises(ValueError, match="encoder is a parameter and the folder of encoder/a"):
        update(tree, {"encoder": 1})
