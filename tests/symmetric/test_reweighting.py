"""Other class frequencies where what is read lies outside the simplex, as most read-outs do."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.symmetric.codes import Code


def read(raw, weights):
    """Of label pictures whose mean has these weights of the classes, which may be below 0."""
    code = Code("simplex", raw.shape[1])
    pictures = jnp.asarray(raw @ code.table, jnp.float32)[:, None, None, :]
    pictures = jnp.broadcast_to(pictures, (len(raw), 2, 2, code.channels))
    plain, moved = jax.jit(lambda x, w: (code.read(x), code.read(x, w)))(pictures, weights)
    return plain, moved


def bayes(p, weights):
    return p * weights / (p * weights).sum(axis=1, keepdims=True)


def test_a_class_that_the_frequencies_favour_wins():
    weights = np.array([1.0, 2.0, 1.0], np.float32)
    (_, before, _), (distances, after, _) = read(np.array([[0.9, 0.5, -0.4]]), weights)
    np.testing.assert_allclose(before, [[9 / 14, 5 / 14, 0]], atol=1e-5)
    np.testing.assert_allclose(after, [[9 / 19, 10 / 19, 0]], atol=1e-5)
    assert distances.argmin() == 1


@settings(max_examples=20)
@given(st.integers(2, 9), st.integers(0, 100))
def test_it_is_bayes_rule_on_the_probabilities_that_are_reported(classes, seed):
    rng = np.random.default_rng(seed)
    raw = rng.dirichlet(np.ones(classes), 20) + rng.normal(0, 0.3, (20, classes))
    raw += (1 - raw.sum(axis=1, keepdims=True)) / classes
    weights = rng.uniform(0.2, 5, classes).astype(np.float32)
    (_, before, _), (distances, after, _) = read(raw, weights)
    np.testing.assert_allclose(after, bayes(np.asarray(before), weights), atol=2e-5)
    best = np.take_along_axis(np.asarray(after), np.asarray(distances).argmin(1)[:, None], 1)
    np.testing.assert_allclose(best[:, 0], np.asarray(after).max(1), atol=2e-5)
