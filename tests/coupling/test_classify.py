"""Classes by their likelihoods."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.coupling import bijections, likelihood_map
from msflow_jax.data.batches import to_uint8
from tests.coupling.table import OPTIONS
from tests.coupling.tiny_flows import LABELS, eight_bit, plain_flow, shaken

KEY = jax.random.key(3)


@pytest.fixture(scope="module", params=["default", "all"])
def classified(request):
    """Flow, parameters and the jitted verb."""
    flow = plain_flow(class_prior=(0.5, 0.3, 0.2), **OPTIONS[request.param])
    verb = jax.jit(flow.classify, static_argnames="draws")
    return flow, shaken(flow, size=0.05), verb


def test_a_prediction_depends_on_the_image_alone(classified):
    flow, params, classify = classified
    images = eight_bit(flow)
    whole = classify(params, images, KEY, draws=2)
    shifted = jnp.concatenate([images[2:], images[:1], 0 * images[:1]])
    part = classify(params, shifted, KEY, draws=2)
    chosen = jnp.array([2, 3, 0])
    for name in ("distances", "log_prob"):
        here = getattr(whole, name)[:, chosen]
        np.testing.assert_allclose(getattr(part, name)[:, :3], here, rtol=1e-5, atol=1e-4)
    assert np.abs(whole.log_prob[0] - whole.log_prob[1]).min() > 1e-4  # draws differ


def test_shapes_and_sums(classified):
    flow, params, classify = classified
    out = classify(params, eight_bit(flow), KEY, draws=2)
    assert out.distances.shape == out.probabilities.shape == (2, 4, 3)
    assert out.mode.shape == out.ok.shape == out.log_prob.shape == (2, 4)
    assert out.nfe == 3 and out.nfe.dtype == jnp.float32 and out.ok.all()
    np.testing.assert_allclose(out.probabilities.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(np.exp(-out.distances), out.probabilities, atol=1e-6)
    np.testing.assert_array_equal(out.mode, out.distances.argmin(-1))


def test_the_posterior_is_bayes_rule():
    flow = plain_flow(classes=("a", "b"), class_prior=(0.8, 0.2))
    params, images = shaken(flow, size=0.05), eight_bit(flow)
    classify = jax.jit(flow.classify, static_argnames="draws")
    out = classify(params, images, KEY, draws=2)
    log_prob = jax.jit(flow.log_prob)
    for draw in (0, 1):
        x = flow.dequantised(params, images, KEY, draw=draw)
        np.testing.assert_allclose(jnp.floor((x + 1) * 128), (images + 1) * 127.5, atol=1e-3)
        labels = [jnp.full(4, k) for k in (0, 1)]
        joint = np.stack([log_prob(params, x, y) for y in labels], -1) + np.log([0.8, 0.2])
        marginal = np.logaddexp(*joint.T)
        expected = marginal + flow.dimensions * np.log(2 / 256)
        np.testing.assert_allclose(out.log_prob[draw], expected, rtol=1e-5)
        posterior = np.exp(joint - marginal[:, None])
        np.testing.assert_allclose(out.probabilities[draw], posterior, atol=1e-4)


def test_another_class_prior():
    natural = plain_flow(classes=("a", "b"), class_prior=(0.8, 0.2))
    even = plain_flow(classes=("a", "b"))
    params, images = shaken(natural, size=0.05), eight_bit(natural)
    reweighted = jax.jit(natural.classify)(params, images, KEY, weights=(1 / 1.6, 1 / 0.4))
    uniform = jax.jit(even.classify)(params, images, KEY)
    kept = jax.jit(natural.classify)(params, images, KEY)
    for name in ("distances", "log_prob"):
        here, there = getattr(reweighted, name), getattr(uniform, name)
        np.testing.assert_allclose(here, there, rtol=1e-5, atol=1e-4)
    odds = np.log(kept.probabilities[..., 0] / kept.probabilities[..., 1])
    even_odds = uniform.distances[..., 1] - uniform.distances[..., 0]
    np.testing.assert_allclose(odds, even_odds + np.log(4), atol=1e-3)


@pytest.mark.parametrize("spread", ["entry", "block"])
def test_an_explanation_is_of_the_first_draw_and_adds_up(classified, spread):
    flow, params, classify = classified
    images, others, index = eight_bit(flow), (LABELS + 1) % 3, jnp.array([5, 3, 0, 7])
    explain = jax.jit(flow.explain, static_argnames="spread")
    found = explain(params, images, KEY, LABELS, others, index=index, spread=spread)
    assert found.map.shape == found.log_ratio.shape == (4, 4, 4)
    x = flow.dequantised(params, images, KEY, index=index)
    here, there = (likelihood_map(flow, params, x, y, spread) for y in (LABELS, others))
    # Of the 8-bit image: of its density in [-1, 1] each entry's share of the grey levels is 2 / 256.
    if flow.dequantisation == "uniform":
        discrete = here.sum(-1) + np.log(2 / 256) * images.shape[-1]
        np.testing.assert_allclose(found.map, discrete, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.log_ratio, (here - there).sum(-1), rtol=1e-4, atol=1e-4)
    out = classify(params, images, KEY, index=index)
    every = [explain(params, images, KEY, jnp.full(4, k), others, index=index) for k in range(3)]
    given = jnp.stack([one.map.sum((1, 2)) for one in every], axis=1)
    prior = jnp.log(jnp.asarray(flow.class_prior))
    total = jax.nn.logsumexp(given + prior[None], axis=1)  # over the classes: the same quantity
    np.testing.assert_allclose(out.log_prob[0], total, rtol=1e-5, atol=1e-3)
    distances = out.distances[0]
    of = [distances[jnp.arange(4), y] for y in (LABELS, others)]
    expected = of[1] - of[0] - prior[LABELS] + prior[others]
    np.testing.assert_allclose(found.log_ratio.sum((1, 2)), expected, rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="unknown spread 'x'"):
        flow.explain(params, images, KEY, LABELS, others, spread="x")


def test_classes_by_name():
    flow = plain_flow()
    np.testing.assert_array_equal(flow.numbers(["c", 0, "1"]), [2, 0, 1])
    assert (flow.side, flow.image_channels, flow.dimensions) == (4, 1, 16)
    with pytest.raises(ValueError, match="unknown class 'd': this model knows 0 = a"):
        flow.numbers(["d"])


def test_what_does_not_fit():
    flow = plain_flow()
    images = eight_bit(flow)
    with pytest.raises(
        ValueError, match=r"images must be floats \[B, 4, 4, 1\], got \(4, 4, 4, 3\)"
    ):
        flow.classify({}, jnp.repeat(images, 3, axis=-1), KEY)
    with pytest.raises(ValueError, match="got uint8: of uint8 give x / 127.5 - 1"):
        flow.classify({}, images.astype(jnp.uint8), KEY)
    with pytest.raises(ValueError, match=r"must lie in \[-1, 1\], got 0.* of 0..255 give"):
        flow.loss({}, {"image": images + 1, "label": LABELS}, KEY)
    with pytest.raises(ValueError, match="draws must be at least 1, got 0"):
        flow.classify({}, images, KEY, draws=0)
    for labels, message in [
        (LABELS + 1, r"labels must lie in 0..2, got 0..3"),
        (np.array([0, -1, 2, 1]), r"got -1..2"),
        (LABELS[:2], r"4 class numbers, got int32 \(2,\)"),
        (LABELS * 1.0, "class numbers, got float32"),
    ]:
        with pytest.raises(ValueError, match=message):
            flow.log_prob({}, images, labels)
    with pytest.raises(ValueError, match=r"labels must lie in 0..2"):
        flow.generate({}, np.array([3]), KEY)


def test_the_cross_entropy_is_of_the_posterior_that_classifies():
    """By Bayes' rule with the classes' prior: else the likelihoods learn it, and it counts twice."""
    flow = plain_flow(
        classes=("a", "b"), class_prior=(0.9, 0.1), discriminative_weight=0.5,
    )  # fmt: skip
    params, images = shaken(flow, size=0.05), eight_bit(flow)
    label = jnp.array([0, 1, 1, 0])
    _, found = jax.jit(flow.loss)(params, {"image": images, "label": label}, KEY)
    noise = jax.random.uniform(jax.random.split(KEY)[0], images.shape)
    x, _ = flow._dequantise(params, images, noise)
    joint = jax.jit(flow.class_log_probs)(params, x) + np.log([[0.9, 0.1]])
    expected = -jax.nn.log_softmax(joint)[jnp.arange(4), label].mean()
    assert found["loss_cross_entropy"] == pytest.approx(float(expected), rel=1e-5)
    uniform = dataclasses.replace(
        flow, class_prior=()
    )  # as batches of equally many are learned from
    _, equal = jax.jit(uniform.loss)(params, {"image": images, "label": label}, KEY)
    assert equal["loss_cross_entropy"] != pytest.approx(float(expected), rel=1e-2)


def test_grey_levels_that_are_drawn_are_those_that_were_dequantised():
    """Black stays black: a level is an interval, of which nearest points would halve the outer two."""
    levels = jnp.arange(256.0)
    for noise in (0.0, 0.3, 0.999):
        x, _ = bijections.dequantise(levels, jnp.full(256, noise))
        np.testing.assert_array_equal(to_uint8(bijections.quantise(x) / 127.5 - 1), np.arange(256))
    flow = plain_flow()
    drawn = jax.jit(flow.generate)(shaken(flow), LABELS, KEY)
    steps = (drawn + 1) * 127.5
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-4)
