"""How many examples stand at the time of classification, whatever the parts of a batch."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.symmetric.times import TimeDistribution


def counts(fraction, batch, draws=400):
    time = TimeDistribution(classification_fraction=fraction)
    sample = jax.jit(jax.vmap(lambda key: time.sample(key, batch)))
    u, classified = sample(jax.random.split(jax.random.key(0), draws))
    assert np.all(np.asarray(u)[np.asarray(classified)] == 1)
    return np.asarray(classified).sum(axis=1)


@pytest.mark.parametrize("batch", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("fraction", [0.3, 0.5, 0.75])
def test_parts_of_any_size_hold_the_share(fraction, batch):
    """With three quarters a part of one was all classification, with a half none of it."""
    found = counts(fraction, batch)
    # The rest of a count is 0 or 1, whose mean over so many draws has this deviation at most.
    assert abs(found.mean() / batch - fraction) < 4 * 0.5 / np.sqrt(len(found)) / batch


@settings(max_examples=15)
@given(st.floats(0, 1), st.integers(1, 12))
def test_a_count_is_rounded_up_or_down(fraction, batch):
    found = counts(fraction, batch, 20)
    assert np.all(np.abs(found - fraction * batch) < 1 + 1e-5)


@pytest.mark.parametrize(
    ("fraction", "batch"), [(0.5, 8), (0.3, 10), (0.7, 10), (0.0, 5), (1.0, 3)]
)
def test_a_whole_count_is_left_to_no_chance(fraction, batch):
    np.testing.assert_array_equal(counts(fraction, batch), round(fraction * batch))
