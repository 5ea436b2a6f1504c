"""Functions under the layers against plain numpy and jax forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.nets import ops
from msflow_jax.nets.kernels import convolve, upsample_convolve


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def numpy_group_norm(x, scale, bias, shift, groups, silu):
    x = np.asarray(x, np.float64) + shift[:, None, None]
    b, h, w, c = x.shape
    y = x.reshape(b, h, w, groups, c // groups)
    y = (y - y.mean((1, 2, 4), keepdims=True)) / np.sqrt(y.var((1, 2, 4), keepdims=True) + 1e-5)
    y = y.reshape(x.shape) * scale + bias
    return y / (1 + np.exp(-y)) if silu else y


@pytest.mark.parametrize("silu", [False, True])
@pytest.mark.parametrize("mean", [0.0, 100.0])
def test_group_norm_even_far_from_zero(silu, mean):
    x, scale, bias = normal(0, 2, 6, 5, 12) + mean, normal(1, 12), normal(2, 12)
    shift = normal(3, 2, 12)
    norm = jax.jit(ops.group_norm, static_argnames=("groups", "silu"))
    got = norm(x, scale, bias, shift, groups=4, silu=silu)
    wanted = numpy_group_norm(x, scale, bias, shift, 4, silu)
    np.testing.assert_allclose(got, wanted, atol=1e-5 if mean == 0 else 5e-3)


@pytest.mark.parametrize("silu", [False, True])
def test_group_norm_derivative_is_that_of_jax(silu):
    arguments = (normal(0, 2, 4, 5, 12), normal(1, 12), normal(2, 12), normal(3, 2, 12))
    weights = normal(4, 2, 4, 5, 12)

    def total(*arguments, forward_mode):
        y = ops.group_norm(*arguments, groups=4, silu=silu, forward_mode=forward_mode)
        return (weights * y).sum()

    fast, slow = (
        jax.jit(jax.grad(total, argnums=(0, 1, 2, 3)), static_argnames="forward_mode")(
            *arguments, forward_mode=mode
        )
        for mode in (False, True)
    )
    for got, wanted in zip(fast, slow, strict=True):
        np.testing.assert_allclose(got, wanted, atol=2e-5)


@pytest.mark.parametrize("height, width, inputs, outputs", [(1, 1, 2, 1), (3, 4, 2, 5)])
def test_upsample_convolve_is_enlarge_then_convolve(height, width, inputs, outputs):
    x, kernel = normal(0, 2, height, width, inputs), normal(1, 3, 3, inputs, outputs)
    enlarged = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
    wanted = convolve(enlarged, kernel, 1, ((1, 1), (1, 1)))
    np.testing.assert_allclose(jax.jit(upsample_convolve)(x, kernel), wanted, atol=1e-5)


def test_channel_product_derivative():
    x, kernel, weights = normal(0, 2, 3, 4, 5), normal(1, 5, 6), normal(2, 2, 3, 4, 6)
    got = jax.grad(lambda *a: (weights * ops.channel_product(*a)).sum(), (0, 1))(x, kernel)
    wanted = jax.grad(lambda x, k: (weights * (x @ k)).sum(), (0, 1))(x, kernel)
    for g, w in zip(got, wanted, strict=True):
        np.testing.assert_allclose(g, w, atol=1e-5)


def test_attention_order_is_head_then_query_key_value():
    heads, width = 3, 4
    qkv = 4 * normal(0, 2, 7, heads * 3 * width)
    wanted = []
    for head in np.split(qkv.astype(np.float64), heads, axis=-1):
        query, key, value = np.split(head, 3, axis=-1)
        scores = query @ key.swapaxes(1, 2) / np.sqrt(width)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        wanted.append(weights / weights.sum(-1, keepdims=True) @ value)
    np.testing.assert_allclose(ops.attend(qkv, heads), np.concatenate(wanted, -1), atol=1e-5)


def test_time_embedding_is_raw_time_cosines_first():
    code = np.asarray(ops.time_embedding(jnp.array([0.0, 1.0]), 5))
    np.testing.assert_allclose(code[0], [1, 1, 0, 0, 0])
    wanted = [np.cos(1), np.cos(0.01), np.sin(1), np.sin(0.01), 0]
    np.testing.assert_allclose(code[1], wanted, atol=1e-6)


@settings(max_examples=10)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 2, 4, 8]))
def test_padding_is_even_and_undone_by_the_crop(height, width, multiple):
    x = normal(0, 1, height, width, 2)
    padded, (rows, columns) = ops.pad_sides(jnp.asarray(x), multiple)
    assert padded.shape[1] % multiple == padded.shape[2] % multiple == 0
    assert padded.shape[1] - height < multiple
    np.testing.assert_array_equal(padded[:, rows, columns], x)
    np.testing.assert_array_equal(padded[:, 0, columns], x[:, 0])
