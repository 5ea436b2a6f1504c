"""Every bijection of the table by its laws: inverse, log-determinant against the Jacobian, messages."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.coupling import bijections as bi
from msflow_jax.coupling.masks import channel_mask, checkerboard, foreground_mask
from msflow_jax.coupling.mixing import PLU, ActNorm, Dense, channel_order
from msflow_jax.coupling.reshaping import Squeeze
from msflow_jax.evaluation.likelihood import bits_per_dimension
from tests.coupling.table import BIJECTIONS
from tests.coupling.tiny_flows import move

EACH = settings(max_examples=12)


@cache
def verbs(name, dims, channels=3):
    """The case, fresh parameters, and the jitted maps."""
    case = BIJECTIONS[name](dims, channels)
    fresh = case.bijection.init(jax.random.key(0))
    return case, fresh, jax.jit(case.bijection.forward), jax.jit(case.bijection.inverse)


def entries(case, seed):
    """Two images in (-1, 1)."""
    drawn = np.random.default_rng(seed).uniform(-0.95, 0.95, (2, *case.shape))
    return jnp.asarray(drawn, jnp.float32)


def spread(log_det, like):
    """Log-determinant of each entry, however it is carried."""
    assert log_det.shape in ((), like.shape)
    return jnp.broadcast_to(log_det, like.shape)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", BIJECTIONS)
@EACH
@given(seed=st.integers(0, 1000), channels=st.integers(2, 3))
def test_there_and_back_with_opposite_log_determinants(name, dims, seed, channels):
    case, fresh, forward, inverse = verbs(name, dims, channels)
    params, x = move(fresh, seed, case.shake), entries(case, seed)
    z, log_det = forward(params, x, case.context)
    assert z.size == x.size and not (z.shape == x.shape and np.allclose(z, x))
    back, opposite = inverse(params, z, case.context)
    np.testing.assert_allclose(back, x, atol=1e-5)
    if log_det.shape:
        np.testing.assert_allclose(spread(opposite, z), -spread(log_det, z), atol=1e-4)
    else:  # the same at every entry
        np.testing.assert_allclose(opposite, -log_det, atol=1e-5)
    start, _ = inverse(params, x.reshape(z.shape), case.context)
    again, _ = forward(params, start, case.context)
    np.testing.assert_allclose(again, x.reshape(z.shape), atol=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("way", ["forward", "inverse"])
@pytest.mark.parametrize("name", BIJECTIONS)
def test_log_determinants_are_those_of_the_jacobian(name, way, dims):
    case, fresh, *maps = verbs(name, dims)
    apply = maps[way == "inverse"]
    params, x = move(fresh, 1, case.shake), entries(case, 3)
    if way == "inverse":
        x = maps[0](params, x, case.context)[0]
    z, log_det = apply(params, x, case.context)
    found = spread(log_det, z).sum(axis=tuple(range(1, z.ndim)))

    @jax.jit
    @jax.jacobian
    def jacobian(a):  # one image leaves the other of the batch as it is
        return apply(params, jnp.stack([a, x[1]]), case.context)[0][0]

    matrix = np.asarray(jacobian(x[0]), np.float64).reshape(x[0].size, x[0].size)
    np.testing.assert_allclose(found[0], np.linalg.slogdet(matrix)[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", [name for name in BIJECTIONS if BIJECTIONS[name](2, 3).wrong])
def test_shapes_that_do_not_fit(name, dims):
    case, fresh, *_ = verbs(name, dims)
    with pytest.raises(ValueError, match=case.message):
        case.bijection.forward(fresh, jnp.zeros((2, *case.wrong)), case.context)
    if name != "squeeze":
        with pytest.raises(ValueError, match=case.message):
            case.bijection.inverse(fresh, jnp.zeros((2, *case.wrong)), case.context)


@pytest.mark.parametrize("name", ["checkerboard-1", "foreground-1", "turned", "half-1"])
def test_a_coupling_of_one_pass_leaves_what_it_sees(name):
    case, fresh, forward, _ = verbs(name, 2)
    params, x = move(fresh, 0, 0.3), entries(case, 0)
    half = channel_mask(case.shape[:-1], case.shape[-1], False)
    seen = np.broadcast_to(getattr(case.bijection, "mask", half), x.shape) == 1
    z, log_det = map(np.asarray, forward(params, x, case.context))
    np.testing.assert_array_equal(z[seen], x[seen])
    assert (log_det[seen] == 0).all() and (log_det[~seen] != 0).all()
    assert np.abs(log_det).max() <= 0.5


@pytest.mark.parametrize("name", ["checkerboard-2", "half-2"])
def test_a_coupling_of_two_passes_moves_every_entry(name):
    case, fresh, forward, _ = verbs(name, 2)
    x = entries(case, 0)
    assert (np.asarray(forward(move(fresh, 0, 0.3), x, case.context)[0]) != np.asarray(x)).all()


@pytest.mark.parametrize("kind", [bi.AffineCoupling, bi.HalvesCoupling])
def test_a_coupling_has_one_pass_or_two(kind):
    with pytest.raises(ValueError, match="1 or 2 passes, not 3"):
        kind(lambda *a: a, 0.5, 3).forward({}, jnp.zeros((1, 2, 2, 2)))


def test_actnorm_starts_from_the_data():
    rng, norm = np.random.default_rng(0), ActNorm(3)
    x = jnp.asarray(rng.normal(size=(50, 4, 2, 3)) * [1, 5, 0] + [0, 3, 2], jnp.float32)
    z, log_det = norm.forward(norm.fit(x), x)
    np.testing.assert_allclose(z.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(z.std((0, 1, 2)), [1, 1, 0], atol=1e-4)
    assert np.isfinite(log_det)


@pytest.mark.parametrize("kind", [PLU, Dense])
def test_a_fresh_mix_only_permutes(kind):
    x = jax.random.normal(jax.random.key(0), (2, 4, 2, 5))
    order = channel_order(3, 5)
    mixing = kind(order)
    z, log_det = mixing.forward(mixing.init(jax.random.key(0)), x)
    np.testing.assert_allclose(z, x[..., order], atol=1e-6)
    assert log_det == 0


@EACH
@given(space=st.lists(st.integers(1, 3), min_size=2, max_size=3), channels=st.integers(1, 3))
def test_squeezing_moves_entries_only(space, channels):
    sides = [2 * s for s in space]
    x = jnp.arange(2 * np.prod(sides) * channels).reshape(2, *sides, channels)
    z, _ = Squeeze().forward({}, x)
    assert z.shape == (2, *space, 2 ** len(space) * channels)
    np.testing.assert_array_equal(Squeeze().inverse({}, z)[0], x)
    corner = z[(0, *(0,) * len(space))]
    block = x[(0, *(slice(0, 2),) * len(space))]
    np.testing.assert_array_equal(corner, block.reshape(-1))


def test_what_cannot_be_unsqueezed():
    with pytest.raises(ValueError, match="6 channels are no squeezed ones: 4 must divide"):
        Squeeze().inverse({}, jnp.zeros((1, 2, 2, 6)))


def test_masks():
    board = checkerboard((2, 3), 2, False)
    np.testing.assert_array_equal(board[..., 0], [[0, 1, 0], [1, 0, 1]])
    np.testing.assert_array_equal(board[..., 1], 1 - board[..., 0])
    np.testing.assert_array_equal(checkerboard((2, 3), 2, True), 1 - board)
    np.testing.assert_array_equal(channel_mask((1,), 3, False)[0], [1, 0, 0])
    np.testing.assert_array_equal(channel_mask((1,), 3, True)[0], [0, 1, 1])
    with pytest.raises(ValueError, match="needs at least 2"):
        channel_mask((4, 4), 1, False)
    with pytest.raises(ValueError, match="must have entries of 0 and others"):
        foreground_mask(np.ones((4, 4)), 1, False)


def test_dequantised_images_come_back_and_have_a_density():
    v = jnp.asarray(np.random.default_rng(0).integers(0, 256, (2, 4, 4, 1)))
    x, log_det = bi.dequantise(v, jax.random.uniform(jax.random.key(0), v.shape))
    assert x.min() >= -1 and x.max() < 1
    np.testing.assert_array_equal(bi.quantise(x), v)
    # Uniform noise on 256 values is 8 bits for each entry, whatever the image.
    uniform = v.size // 2 * (jnp.log(0.5) + log_det)  # density 1/2 on [-1, 1)
    assert bits_per_dimension(uniform, v.size // 2) == pytest.approx(8, rel=1e-6)


def test_the_logit_is_finite_at_both_ends():
    x = jnp.linspace(-1, 1, 9)
    z, log_det = bi.Logit(0.05).forward({}, x)
    np.testing.assert_allclose(bi.Logit(0.05).inverse({}, z)[0], x, atol=1e-6)
    slopes = jax.vmap(jax.grad(lambda a: bi.Logit(0.05).forward({}, a)[0]))(x)
    np.testing.assert_allclose(log_det, jnp.log(slopes), rtol=1e-4)


def test_the_standard_normal_integrates_to_one():
    z = jnp.linspace(-8, 8, 4001)
    for mean, log_scale in ((0.0, 0.0), (0.5, -0.3)):
        density = jnp.exp(bi.normal_log_prob(z, mean, log_scale))
        assert jnp.sum(density) * (z[1] - z[0]) == pytest.approx(1, rel=1e-4)
