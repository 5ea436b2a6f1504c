"""The common space: InfoNCE by its laws, the visual-invariant term, random views."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.diffusers.alignment import (
    MAX_SCALE,
    Aligned,
    ImageEncoder,
    equal_rows,
    infonce,
    mean_condition,
    unit,
)
from msflow_jax.diffusers.invariance import (
    MOVED,
    _placed,
    cross_correlation_loss,
    random_views,
)
from msflow_jax.diffusers.objectives import align_objective
from msflow_jax.nets import init_params

FEW = settings(max_examples=15)


def vectors(seed, count=6, features=4):
    return unit(jax.random.normal(jax.random.key(seed), (count, features)))


@pytest.mark.parametrize("count", [2, 7])
def test_constant_features_cost_log_of_the_batch(count):
    a = unit(jnp.ones((count, 3)))
    assert infonce(a, a, jnp.array([2.0])) == pytest.approx(np.log(count), rel=1e-6)


@FEW
@given(seed=st.integers(0, 999), scale=st.floats(0, 4))
def test_both_directions_count_alike(seed, scale):
    a, b = vectors(seed), vectors(seed + 1000)
    scale = jnp.array([scale])
    np.testing.assert_allclose(infonce(a, b, scale), infonce(b, a, scale), rtol=1e-5)
    order = jnp.array([3, 1, 0, 5, 4, 2])
    np.testing.assert_allclose(infonce(a[order], b[order], scale), infonce(a, b, scale), rtol=1e-5)


def test_the_scale_is_clipped():
    a, b = vectors(0), vectors(1)
    assert infonce(a, b, jnp.array([MAX_SCALE])) == infonce(a, b, jnp.array([50.0]))


def test_equal_reports_are_pairs_too():
    tokens = jnp.array([[1, 2, 0], [1, 2, 0], [3, 0, 0]])
    same = equal_rows(tokens)
    assert same.tolist() == [[True, True, False], [True, True, False], [False, False, True]]
    axes = jnp.eye(3)[jnp.array([0, 0, 1])]
    hot = jnp.array([MAX_SCALE])
    # Without them the two examples of one report push each other away.
    assert infonce(axes, axes, hot) > 0.4
    least = (2 * np.log(2) + 0) / 3  # the entropy of the targets
    assert infonce(axes, axes, hot, same) == pytest.approx(least, abs=1e-4)


def test_the_mean_of_conditions_has_length_one():
    found = mean_condition(vectors(0), vectors(1), vectors(2))
    np.testing.assert_allclose(jnp.linalg.norm(found, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(mean_condition(vectors(0)), vectors(0), atol=1e-6)


def test_equal_white_views_cost_nothing():
    x = jax.random.normal(jax.random.key(0), (64, 4))
    q, _ = jnp.linalg.qr(x - x.mean(axis=0, keepdims=True))
    white = q * 8
    assert cross_correlation_loss(white, white, epsilon=0.0) == pytest.approx(0, abs=1e-6)
    assert cross_correlation_loss(white, -white, epsilon=0.0) == pytest.approx(4, abs=1e-4)


@FEW
@given(seed=st.integers(0, 999))
def test_views_are_interchangeable(seed):
    a, b = vectors(seed, 16), vectors(seed + 5000, 16)
    np.testing.assert_allclose(
        cross_correlation_loss(a, b), cross_correlation_loss(b, a), rtol=1e-4
    )


@pytest.mark.parametrize("dims", [2, 3])
def test_random_views_stay_images_and_are_never_mirrored(dims):
    image = np.full((1, *(16,) * dims, 1), -1.0, np.float32)
    image[..., :3, :] = 1.0  # a bright left edge
    images = jnp.asarray(np.repeat(image, 12, axis=0))
    found = jax.jit(random_views)(images, jax.random.key(0))
    assert found.shape == images.shape and np.abs(found).max() <= 1
    assert not np.allclose(found[0], found[1])
    left, right = found[..., :8, :], found[..., 8:, :]
    axes = tuple(range(1, found.ndim))
    assert (left.mean(axes) > right.mean(axes)).all()
    again = jax.jit(random_views)(images, jax.random.key(0))
    np.testing.assert_array_equal(found, again)


@pytest.mark.parametrize("views", [0, 5])
def test_the_term_is_on_a_projector_or_on_the_common_space(views):
    encoder, x = Aligned(ImageEncoder(4), features=3, views=views), jnp.ones((2, 16, 16, 1))
    params = init_params(encoder, jax.random.key(0), x)
    assert ("view_in" in params) == (views > 0)

    @jax.jit
    def both(params):
        view = encoder.apply({"params": params}, x, method="view")
        return view, unit(view), encoder.apply({"params": params}, x)

    view, turned, aligned = both(params)
    assert view.shape == (2, views or 3)
    if not views:
        np.testing.assert_allclose(turned, aligned, rtol=1e-5)


def test_views_to_scale_are_only_moved():
    """What a report says in millimetres stays true: a block keeps its area, and moves."""
    image = jnp.zeros((24, 24, 1)).at[8:16, 6:18].set(1.0)
    keys = jax.random.split(jax.random.key(0), 8)
    found = np.asarray(jax.jit(jax.vmap(lambda key: _placed(image, key, True)))(keys))
    np.testing.assert_allclose(found.sum((1, 2, 3)), 96, rtol=1e-4)
    centres = (found[..., 0].sum(1) * np.arange(24.0)).sum(1) / 96
    assert np.ptp(centres) > 0.5 and np.abs(centres - 11.5).max() < 24 * MOVED + 0.1


@pytest.mark.parametrize("kind", ["cnn", "vit"])
@pytest.mark.parametrize("space", [(12, 12), (8, 8, 8)])
def test_encoders_take_pictures_and_volumes(kind, space):
    net = ImageEncoder(2, kind)
    x = jnp.ones((2, *space, 1))
    shapes = jax.eval_shape(net.init, jax.random.key(0), x)
    out = jax.eval_shape(net.apply, shapes, x)
    # Of a CNN four places along each axis, so that left and right differ.
    size = 16 * 4 ** len(space) if kind == "cnn" else 16
    assert out.shape == (2, size) and out.dtype == jnp.float32
    assert init_params(net, jax.random.key(0), x)


@pytest.mark.parametrize("equal", ["report", "ct"])
def test_equal_rows_of_either_modality_are_pairs(equal):
    """Two patients may have one report, or one image two reports: neither pushes the other away."""
    rows = {"report": jnp.eye(3), "ct": jnp.eye(3)}
    rows[equal] = rows[equal][jnp.array([0, 0, 2])]
    text = SimpleNamespace(text=True, encoder=None)
    model = SimpleNamespace(
        embed=lambda params, name, x: x, modalities={"report": text, "ct": text}
    )
    scale = jnp.array([2.0])
    _, found = align_objective(
        model, "report", "ct", 0.0, 0.0, {"temperature": {"report": scale}}, rows,
        jax.random.key(0), train=False,
    )  # fmt: skip
    same = jnp.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], bool)
    wanted = infonce(rows["report"], rows["ct"], scale, same)
    assert found["loss_contrast"] == pytest.approx(float(wanted), rel=1e-6)
    assert found["recall"] == 1
