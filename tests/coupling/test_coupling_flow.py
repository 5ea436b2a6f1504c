"""The coupling flow by its laws, on parameters that are not the fresh identity and on trained ones."""

import dataclasses
from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.coupling.attribution import SPREADS, likelihood_map, log_ratio_map
from msflow_jax.coupling.conditioners import Residual
from msflow_jax.coupling.layout import PUBLISHED, parse
from msflow_jax.coupling.magic import Classification, Generation
from msflow_jax.coupling.mixing import ActNorm
from msflow_jax.coupling.model import CouplingFlow
from msflow_jax.inference.runners import to_images
from msflow_jax.nets.convolution import Conv
from tests.coupling.table import OPTIONS
from tests.coupling.tiny_flows import LABELS, Plain, eight_bit, images, move, plain_flow, shaken

LAYOUT = "foreground:1 checkerboard:1 squeeze channel:2 split checkerboard:2 squeeze channel:1"
FOREGROUNDS = {2: np.pad(np.ones((2, 2)), 1), 3: np.pad(np.ones((2, 2, 2)), 1)}


def make_flow(dims=2, channels=1, net=None, **settings):
    """The laws hold for whatever is inside a coupling: what compiles in no time."""
    net = net or Plain(3)
    shape = (*(4,) * dims, channels)
    chosen = {
        "layout": LAYOUT,
        "foreground": FOREGROUNDS[dims],
        "classes": ("a", "b", "c"),
        **settings,
    }
    return CouplingFlow(net, shape=shape, **chosen)


@pytest.mark.parametrize("dims, channels", [(2, 3), (3, 1)])
def test_there_and_back(dims, channels):
    flow = make_flow(dims, channels)
    params, x = shaken(flow), images(flow)
    forward, inverse = jax.jit(flow.forward), jax.jit(flow.inverse)
    latents, log_dets = forward(params, x, LABELS)
    assert [z.shape[1:] for z in latents] == flow.latent_shapes()
    assert sum(z[0].size for z in latents) == flow.dimensions
    chex.assert_trees_all_equal_shapes(latents, log_dets)
    np.testing.assert_allclose(inverse(params, latents, LABELS), x, atol=1e-5)
    drawn = [jax.random.normal(jax.random.key(i), z.shape) for i, z in enumerate(latents)]
    again, _ = forward(params, inverse(params, drawn, LABELS), LABELS)
    chex.assert_trees_all_close(again, drawn, atol=1e-5)
    assert flow.assemble(latents).shape == x.shape


@pytest.mark.parametrize("passes", [1, 2])
def test_log_prob_is_that_of_the_jacobian(passes):
    flow = make_flow(passes=passes)
    params, x = shaken(flow), images(flow, 1)
    label = jnp.array([2])

    def flat(a):
        return flow.assemble(flow.forward(params, a[None], label)[0])[0]

    jacobian = jax.jit(jax.jacobian(flat))(x[0]).reshape(16, 16)
    base = -0.5 * (jax.jit(flat)(x[0]) ** 2 + np.log(2 * np.pi)).sum()
    expected = base + np.linalg.slogdet(jacobian)[1]
    found = jax.jit(flow.log_prob)(params, x, label)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("dims, channels, spread", [(2, 2, "entry"), (3, 1, "block")])
def test_maps_sum_to_the_likelihood_and_its_ratio(dims, channels, spread):
    flow = make_flow(dims, channels)
    params, x = shaken(flow), images(flow)
    attribute = jax.jit(partial(likelihood_map, flow, spread=spread))
    found = attribute(params, x, LABELS)
    assert found.shape == x.shape
    axes = tuple(range(1, x.ndim))
    log_prob = jax.jit(flow.log_prob)
    expected = log_prob(params, x, LABELS)
    np.testing.assert_allclose(found.sum(axes), expected, rtol=1e-4)
    others = (LABELS + 1) % 3
    ratio = expected - log_prob(params, x, others)
    log_ratio = jax.jit(partial(log_ratio_map, flow, spread=spread))(params, x, LABELS, others)
    np.testing.assert_allclose(log_ratio.sum(axes), ratio, rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="unknown spread 'x'"):
        likelihood_map(flow, params, x, LABELS, spread="x")


def test_activation_norms_are_fitted_in_one_pass():
    flow = make_flow()
    x = 3 * images(flow, 64) + 1
    labels = jnp.arange(64) % 3
    params = jax.jit(flow.fit_actnorm)(shaken(flow), x, labels)
    first = ActNorm(1).forward(jax.tree.map(lambda a: a[0], params["stage_0"]["norm"]), x)[0]
    assert abs(first.mean()) < 1e-5 and abs(first.std() - 1) < 1e-5
    log_prob = jax.jit(flow.log_prob)
    assert log_prob(params, x, labels).mean() > log_prob(shaken(flow), x, labels).mean()


def test_all_classes_in_one_pass_and_labels_matter():
    flow = make_flow()
    params, x = shaken(flow), images(flow)
    found = jax.jit(flow.class_log_probs)(params, x)
    log_prob = jax.jit(flow.log_prob)
    chex.assert_shape(found, (4, 3))
    for k in range(3):
        one = log_prob(params, x, jnp.full(4, k))
        np.testing.assert_allclose(found[:, k], one, rtol=1e-5)
    assert (np.ptp(found, axis=1) > 1e-3).all()


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_classes_that_are_all_the_same_have_one_density_whatever_is_dropped(monkeypatch, device):
    """On any device: else a class is told by the noise of its dropout, and cross-entropy learns that."""

    class Blind(Plain):
        @nn.compact
        def __call__(self, x, labels, train=False):
            h = nn.tanh(Conv(8, name="in")(x))
            h = nn.Dropout(0.5, deterministic=not train)(h)
            return jnp.split(Conv(2 * x.shape[-1], name="out_zero")(h), 2, axis=-1)

    flow = CouplingFlow(
        Blind(3), ("a", "b", "c"), (4, 4, 1), layout="checkerboard:1 squeeze channel:1"
    )
    params, x = shaken(flow, size=0.3), images(flow)
    monkeypatch.setattr(jax, "default_backend", lambda: device)
    found = jax.jit(flow.class_log_probs)(params, x, jax.random.key(0))
    assert np.ptp(found, axis=1).max() < 1e-3
    other = jax.jit(flow.class_log_probs)(params, x, jax.random.key(1))
    assert np.abs(other - found).max() > 1


def test_samples_depend_on_their_index_alone():
    flow = plain_flow(**OPTIONS["all"])
    params, key = shaken(flow), jax.random.key(0)
    generate = jax.jit(flow.generate)
    four = generate(params, LABELS, key)
    one = generate(params, LABELS[2:3], key, index=jnp.array([2]))
    np.testing.assert_allclose(one[0], four[2], atol=1e-5)
    cold = generate(params, LABELS, key, temperature=0.0)
    np.testing.assert_allclose(cold[1], cold[3], atol=1e-6)
    mixed = generate(params, LABELS, key, temperature=jnp.array([1.0, 0, 1, 0]))
    np.testing.assert_allclose(mixed[:2], [four[0], cold[1]], atol=1e-5)
    assert np.abs(four).max() <= 1


def test_what_is_no_number_is_not_drawn_as_black():
    flow = plain_flow(**OPTIONS["all"])
    params = jax.tree.map(lambda x: x.at[...].set(jnp.nan), shaken(flow))
    drawn = jax.jit(flow.generate)(params, LABELS, jax.random.key(0))
    assert np.isnan(drawn).all()
    with pytest.raises(FloatingPointError, match="not finite"):
        to_images(np.asarray(drawn))


def test_the_discriminative_weight_is_that_of_a_cross_entropy_over_likelihoods():
    flow = make_flow(discriminative_weight=0.25)
    params = shaken(flow)
    batch = {"image": eight_bit(flow), "label": LABELS}
    loss, metrics = jax.jit(flow.loss)(params, batch, jax.random.key(0))
    likelihood = dataclasses.replace(flow, discriminative_weight=0.0).loss
    pure, alone = jax.jit(likelihood)(params, batch, jax.random.key(0))
    assert metrics["loss_bits"] == pytest.approx(float(pure), rel=1e-5) and set(alone) == {
        "loss_bits"
    }
    expected = 0.75 * metrics["loss_bits"] + 0.25 * metrics["loss_cross_entropy"]
    assert loss == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("dims, channels, passes", [(2, 1, 2), (2, 3, 1), (3, 1, 2)])
def test_halves_instead_of_masks(dims, channels, passes):
    flow = make_flow(dims, channels, layout="squeeze half:2 split half:1", passes=passes)
    params, x = shaken(flow), images(flow)
    latents, _ = jax.jit(flow.forward)(params, x, LABELS)
    np.testing.assert_allclose(jax.jit(flow.inverse)(params, latents, LABELS), x, atol=1e-5)
    found = jax.jit(partial(likelihood_map, flow))(params, x, LABELS)
    log_prob = jax.jit(flow.log_prob)(params, x, LABELS)
    np.testing.assert_allclose(found.sum(axis=tuple(range(1, x.ndim))), log_prob, rtol=1e-5)


def test_the_published_layout():
    stages = parse(PUBLISHED, (184, 184, 1))
    assert sum(stage.steps for stage in stages) == 24
    foreground, classes = np.pad(np.ones((100, 100)), 42), tuple("abcdefg")
    flow = CouplingFlow(Generation(7), classes, (184, 184, 1), PUBLISHED, foreground=foreground)
    assert flow.latent_shapes() == [(92, 92, 2), (46, 46, 4), (23, 23, 8), (23, 23, 8)]


def test_widths_of_a_stage():
    flow = plain_flow(layout="checkerboard:1 squeeze channel:2/5")
    params = move(flow.init(jax.random.key(0)), 0, 0.03)
    found = [params[f"stage_{i}"]["conditioner"]["in"]["bias"].shape for i in (0, 2)]
    assert found == [(1, 8), (2, 5)]
    x = images(flow)
    latents, _ = jax.jit(flow.forward)(params, x, LABELS)
    np.testing.assert_allclose(jax.jit(flow.inverse)(params, latents, LABELS), x, atol=1e-5)
    with pytest.raises(ValueError, match="widths, which the conditioner Residual has not"):
        make_flow(net=Residual(3), layout="checkerboard:1/8,8,8")


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"layout": "checkerboard"}, "unknown word 'checkerboard' in the layout"),
        ({"layout": "checkerboard:0"}, "unknown word"),
        ({"layout": "checkerboard:1/8,,8"}, "unknown word"),
        ({"layout": "squeeze squeeze squeeze"}, r"\(1, 1\) cannot be squeezed"),
        ({"layout": "split checkerboard:1"}, "a single channel cannot be split"),
        ({"layout": "squeeze"}, "has no steps"),
        ({"layout": "channel:1"}, "needs at least 2"),
        ({"foreground": None}, "there is no foreground mask"),
        ({"foreground": np.ones((3, 4))}, r"is \(3, 4\), where the layout needs \(4, 4\)"),
        ({"classes": ("a", "b")}, "2 class names, but a conditioner of 3"),
        ({"discriminative_weight": 2.0}, "discriminative_weight must lie in"),
        ({"layout": "picture:1"}, "unknown word 'picture:1'"),
    ],
)
def test_what_does_not_fit(settings, message):
    with pytest.raises(ValueError, match=message):
        make_flow(**settings)
    with pytest.raises(ValueError, match=r"images must be floats \[B, 4, 4, 1\]"):
        make_flow().forward({}, jnp.zeros((1, 4, 4, 2)), LABELS[:1])


@pytest.mark.parametrize(("side", "published"), [(184, 151.6e6), (64, 33.0e6)])
def test_the_published_layout_has_the_published_number_of_parameters(side, published):
    conditioner = Classification(7, dense=True)
    foreground = np.arange(side) > side // 2 + np.zeros((side, 1))
    flow = CouplingFlow(
        conditioner, tuple("abcdefg"), (side, side, 1), PUBLISHED, foreground=foreground
    )
    total, labels = 0, jax.ShapeDtypeStruct((1,), jnp.int32)
    for stage in flow.stages:
        if stage.steps:
            module = conditioner.clone(widths=stage.widths)
            x = jax.ShapeDtypeStruct((1, *stage.shape), jnp.float32)
            shapes = jax.eval_shape(module.init, jax.random.key(0), x, labels)
            total += stage.steps * sum(a.size for a in jax.tree.leaves(shapes))
    assert sum(stage.steps for stage in flow.stages) == 24
    assert total == pytest.approx(published, rel=2e-3)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_block_has_the_same_nats_however_they_are_spread(dims):
    flow = plain_flow(dims)  # squeezed once: blocks of 2 along each axis
    params, x = shaken(flow, size=0.1), images(flow)
    found = []
    for spread in SPREADS:
        nats = np.asarray(jax.jit(partial(likelihood_map, flow, spread=spread))(params, x, LABELS))
        for axis in range(1, nats.ndim - 1):
            nats = np.add.reduceat(nats, range(0, nats.shape[axis], 2), axis=axis)
        found.append(nats.sum(axis=-1))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-4)
    assert np.ptp(found[0], axis=-1).min() > 1e-2
