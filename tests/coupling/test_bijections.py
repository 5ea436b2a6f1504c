"""Every bijection by its laws: the inverse, the log-determinant against the Jacobian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.coupling import bijections as b

EACH = settings(max_examples=12, deadline=None)
SPACES = {2: (4, 2), 3: (2, 4, 2)}
PICTURE = {2: np.array([[0, 1], [1, 1], [0, 0], [1, 0]])}
PICTURE[3] = np.stack([PICTURE[2]] * 2)


def random(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(0, 0.5, shape), jnp.float32)


def conditioner(weights):
    """Mixes everything it sees of an image; not linear."""

    def apply(x, number):
        del number
        flat = jnp.tanh(x.reshape(len(x), -1) @ weights[0])
        return tuple((flat @ w).reshape(x.shape) for w in weights[1:])

    return apply


def bijection(name, dims, channels, seed):
    """``(forward, inverse)`` of one kind with random parameters."""
    space = SPACES[dims]
    size = int(np.prod(space)) * channels
    if name == "actnorm":
        params = {"mean": random(seed, channels), "log_scale": random(seed + 1, channels)}
        return lambda x: b.actnorm(params, x), lambda z: b.actnorm_inverse(params, z)
    if name == "plu":
        square = random(seed, channels, channels), random(seed + 1, channels, channels)
        params = dict(zip(("lower", "upper"), square, strict=True))
        params["log_diagonal"] = random(seed + 2, channels)
        order = b.channel_order(seed, channels)
        matrix, share = b.plu(params, order)
        inverse = b.plu_inverse(params, order)
        return lambda x: (b.mix(x, matrix), share), lambda z: b.mix(z, inverse)
    if name == "dense":
        params = {"matrix": random(seed, channels, channels) + 2 * jnp.eye(channels)}
        matrix, share = b.dense(params)
        inverse = b.dense_inverse(params)
        return lambda x: (b.mix(x, matrix), share), lambda z: b.mix(z, inverse)
    kind, passes = name.split("-")
    if kind == "half":
        net = conditioner([random(seed + i, size // 2, size // 2) / 3 for i in range(3)])
        told = (net, 0.5, int(passes))
        return lambda x: b.affine_halves(x, *told), lambda z: b.affine_halves_inverse(z, *told)
    mask = {
        "checkerboard": lambda: b.checkerboard(space, channels, bool(seed % 2)),
        "channel": lambda: b.channel_mask(space, channels, bool(seed % 2)),
        "picture": lambda: b.picture_mask(PICTURE[dims], channels, bool(seed % 2)),
    }[kind]()
    net = conditioner([random(seed + i, size, size) / 3 for i in range(3)])
    settings_ = (mask, net, 0.5, int(passes))
    return lambda x: b.affine(x, *settings_), lambda z: b.affine_inverse(z, *settings_)


KINDS = ["actnorm", "plu", "dense"]
KINDS += [f"{m}-{n}" for m in ("checkerboard", "channel", "picture", "half") for n in (1, 2)]


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", KINDS)
@EACH
@given(seed=st.integers(0, 1000), channels=st.integers(2, 3))
def test_inverse(name, dims, seed, channels):
    channels = 2 * channels if name.startswith("half") else channels
    forward, inverse = bijection(name, dims, channels, seed)
    x = random(seed + 9, 3, *SPACES[dims], channels)
    z, _ = forward(x)
    assert z.shape == x.shape and not np.allclose(z, x)
    np.testing.assert_allclose(inverse(z), x, atol=1e-5)
    np.testing.assert_allclose(forward(inverse(x))[0], x, atol=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", KINDS)
def test_shares_sum_to_the_jacobians_log_determinant(name, dims):
    forward, _ = bijection(name, dims, 2, 1)
    x = random(3, 2, *SPACES[dims], 2)
    _, share = forward(x)
    found = jnp.broadcast_to(share, x.shape).sum(axis=tuple(range(1, x.ndim)))
    for i in range(2):
        size = x[i].size
        jacobian = jax.jacobian(lambda a: forward(a[None])[0][0])(x[i]).reshape(size, size)
        np.testing.assert_allclose(found[i], np.linalg.slogdet(jacobian)[1], rtol=1e-4, atol=1e-4)


def test_a_coupling_of_one_pass_leaves_what_it_sees():
    mask = b.checkerboard((4, 2), 2, False)
    forward, _ = bijection("checkerboard-1", 2, 2, 0)
    x = random(0, 3, 4, 2, 2)
    z, share = forward(x)
    np.testing.assert_array_equal(z * mask, x * mask)
    assert (np.asarray(share) * mask == 0).all() and np.abs(share).max() <= 0.5
    moved = bijection("checkerboard-2", 2, 2, 0)[0](x)[0]
    assert (np.asarray(moved) != np.asarray(x)).all()
    with pytest.raises(ValueError, match="1 or 2 passes, not 3"):
        b.affine(x, mask, lambda a, i: (a, a), 0.5, 3)


def test_halves_move_what_the_conditioner_does_not_see():
    forward, _ = bijection("half-1", 2, 4, 0)
    x = random(0, 3, 4, 2, 4)
    z, share = forward(x)
    np.testing.assert_array_equal(z[..., :2], x[..., :2])
    assert (np.asarray(share)[..., :2] == 0).all() and (np.asarray(share)[..., 2:] != 0).all()
    moved = bijection("half-2", 2, 4, 0)[0](x)[0]
    assert (np.asarray(moved) != np.asarray(x)).all()
    with pytest.raises(ValueError, match="3 channels have no halves: squeeze first"):
        b.affine_halves(x[..., :3], lambda a, i: (a, a), 0.5)
    with pytest.raises(ValueError, match="1 or 2 passes, not 3"):
        b.affine_halves(x, lambda a, i: (a, a), 0.5, 3)


def test_actnorm_starts_from_the_data():
    x = random(0, 50, 4, 2, 3) * jnp.array([1.0, 5.0, 0.0]) + jnp.array([0.0, 3.0, 2.0])
    z, share = b.actnorm(b.actnorm_init(x), x)
    np.testing.assert_allclose(z.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(z.std((0, 1, 2)), [1, 1, 0], atol=1e-4)
    assert np.isfinite(share)


def test_a_fresh_mix_only_permutes():
    x = random(0, 2, 4, 2, 5)
    order = b.channel_order(3, 5)
    matrix, share = b.plu(b.plu_init(5), order)
    np.testing.assert_allclose(b.mix(x, matrix), x[..., order], atol=1e-6)
    assert share == 0


@EACH
@given(space=st.lists(st.integers(1, 3), min_size=2, max_size=3), channels=st.integers(1, 3))
def test_squeezing_moves_entries_only(space, channels):
    sides = [2 * s for s in space]
    x = jnp.arange(2 * np.prod(sides) * channels).reshape(2, *sides, channels)
    z = b.squeeze(x)
    assert z.shape == (2, *space, 2 ** len(space) * channels)
    np.testing.assert_array_equal(b.unsqueeze(z), x)
    corner = z[(0, *(0,) * len(space))]
    block = x[(0, *(slice(0, 2),) * len(space))]
    np.testing.assert_array_equal(corner, block.reshape(-1))


def test_what_cannot_be_squeezed():
    with pytest.raises(ValueError, match=r"only even sides can be squeezed, got \(4, 3\)"):
        b.squeeze(jnp.zeros((1, 4, 3, 1)))
    with pytest.raises(ValueError, match="6 channels are no squeezed ones: 4 must divide"):
        b.unsqueeze(jnp.zeros((1, 2, 2, 6)))


def test_masks():
    board = b.checkerboard((2, 3), 2, False)
    np.testing.assert_array_equal(board[..., 0], [[0, 1, 0], [1, 0, 1]])
    np.testing.assert_array_equal(board[..., 1], 1 - board[..., 0])
    np.testing.assert_array_equal(b.checkerboard((2, 3), 2, True), 1 - board)
    np.testing.assert_array_equal(b.channel_mask((1,), 3, False)[0], [1, 0, 0])
    np.testing.assert_array_equal(b.channel_mask((1,), 3, True)[0], [0, 1, 1])
    with pytest.raises(ValueError, match="needs at least 2"):
        b.channel_mask((4, 4), 1, False)
    with pytest.raises(ValueError, match="must have entries of 0 and others"):
        b.picture_mask(np.ones((4, 4)), 1, False)


def test_dequantised_images_come_back_and_have_a_density():
    v = jnp.asarray(np.random.default_rng(0).integers(0, 256, (2, 4, 4, 1)))
    x, share = b.dequantise(v, jax.random.uniform(jax.random.key(0), v.shape))
    assert x.min() >= -1 and x.max() < 1
    np.testing.assert_array_equal(b.quantise(x), v)
    # Uniform noise on 256 values is 8 bits for each entry, whatever the image.
    uniform = v.size // 2 * (jnp.log(0.5) + share)  # density 1/2 on [-1, 1)
    assert b.bits_per_dimension(uniform, v.size // 2) == pytest.approx(8, rel=1e-6)


def test_logit_and_its_share():
    x = jnp.linspace(-1, 1, 9)
    z, share = b.logit(x)
    np.testing.assert_allclose(b.logit_inverse(z), x, atol=1e-6)
    slopes = jax.vmap(jax.grad(lambda a: b.logit(a)[0]))(x)
    np.testing.assert_allclose(share, jnp.log(slopes), rtol=1e-4)


def test_the_standard_normal_integrates_to_one():
    z = jnp.linspace(-8, 8, 4001)
    for mean, log_scale in ((0.0, 0.0), (0.5, -0.3)):
        density = jnp.exp(b.normal_share(z, mean, log_scale))
        assert jnp.sum(density) * (z[1] - z[0]) == pytest.approx(1, rel=1e-4)
