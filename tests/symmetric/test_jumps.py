"""A distilled symmetric flow: the same network, which is told how far to jump."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.nets.dit import DiT
from msflow_jax.nets.unet import UNet
from msflow_jax.symmetric import Code, PixelCodec, SymmetricFlow
from msflow_jax.symmetric.objective import flow_matching_loss, jumped, taught
from msflow_jax.training.distillation import start_from
from msflow_jax.training.flow_maps import target

SIDE = 8
NETWORKS = {
    "unet": lambda: UNet(
        2, width=8, multipliers=(1, 2), blocks=1, attention=(), groups=4, head_channels=8, span=True
    ),
    "dit": lambda: DiT(2, patch=4, width=8, depth=1, heads=2, span=True),
}


@pytest.fixture(params=NETWORKS)
def flows(request):
    """A teacher with parameters that are not zero, and its student at the start."""
    code = Code("grey", 3)
    student = SymmetricFlow(
        NETWORKS[request.param](), code, ("a", "b", "c"), PixelCodec((SIDE, SIDE, 1))
    )
    teacher = taught(student)
    rng = np.random.default_rng(1)
    params = jax.tree.map(
        lambda x: np.asarray(x) + 0.1 * rng.standard_normal(x.shape, np.float32),
        teacher.init(jax.random.key(0)),
    )
    return teacher, params, student, start_from(params, student.init(jax.random.key(2)))


def streams(key=3, count=4):
    k_image, k_label = jax.random.split(jax.random.key(key))
    shape = (count, SIDE, SIDE, 1)
    return {"image": jax.random.normal(k_image, shape), "label": jax.random.normal(k_label, shape)}


def test_a_student_starts_as_its_teacher(flows):
    teacher, params, student, own = flows
    z, a, b = streams(), jnp.array([0.0, 0.2, 0.5, 1.0]), jnp.array([0.1, 1.0, 0.75, 1.0])

    @jax.jit
    def velocities(params, own, a, b, z):
        return teacher.field(params)(a, z), student.field(own)(a, z), student.flow_map(own)(a, b, z)

    @jax.jit
    def distances(params, own, images, key):
        pairs = (student, own), (teacher, params)
        return [one.classify(tree, images, key=key, draws=2).distances for one, tree in pairs]

    wanted, *every = velocities(params, own, a, b, z)
    for found in every:
        for name in z:
            np.testing.assert_array_equal(found[name], wanted[name])
    images = jnp.clip(z["image"], -1, 1)
    np.testing.assert_array_equal(*distances(params, own, images, jax.random.key(0)))


def test_jumps_of_a_fresh_student_are_steps_of_its_teacher(flows):
    teacher, params, student, own = flows
    labels, key = jnp.array([0, 1, 2]), jax.random.key(5)

    @jax.jit
    def drawn(params, own, labels, key):
        return (
            student.generate(own, labels, key, steps=2, solver="jump"),
            teacher.generate(params, labels, key, steps=2),
        )

    np.testing.assert_array_equal(*drawn(params, own, labels, key))


def test_the_derivative_is_that_of_a_central_difference(flows):
    _, params, student, own = flows
    # How far to jump must say something.
    own = {**own, "span_zero": jax.tree.map(lambda x: x + 0.3, own["span_zero"])}
    batch = {"image": jnp.clip(streams()["image"], -1, 1), "label": jnp.array([0, 1, 2, 0])}
    z, a, b, h = streams(), jnp.full(4, 0.1), jnp.full(4, 0.6), 5e-3

    @jax.jit
    def measured(own, params, batch, z):
        one = jumped(student, 1.0, own, params, batch, jax.random.key(0))
        silent = dataclasses.replace(one, teacher=lambda u, z: jax.tree.map(jnp.zeros_like, z))
        ends = [one.student(a, b + s * h, z) for s in (1, -1)]
        return target(silent, a, b, z, "lagrangian"), *ends

    wanted, after, before = measured(own, params, batch, z)
    for name in z:
        slope = (after[name] - before[name]) / (2 * h)
        np.testing.assert_allclose(wanted[name], -0.5 * slope, atol=3e-3)
        assert np.abs(slope).max() > 0.01


def test_a_guided_teacher_is_followed(flows):
    _, params, student, own = flows
    batch = {"image": jnp.clip(streams()["image"], -1, 1), "label": jnp.array([0, 1, 2, 0])}
    u, z = jnp.array([0.0, 0.3, 0.6, 1.0]), streams()

    @jax.jit
    def followed(own, params, batch, u, z):
        return [
            jumped(student, weight, own, params, batch, jax.random.key(0)).teacher(u, z)
            for weight in (1.0, 2.0)
        ]

    here, there = followed(own, params, batch, u, z)
    assert set(there) == set(z) and np.abs(there["image"] - here["image"]).max() > 1e-3
    np.testing.assert_allclose(there["label"], here["label"], atol=1e-5)


def test_beside_a_guided_teacher_labels_are_learned_as_before(flows):
    _, _, student, own = flows
    batch = {"image": jnp.clip(streams()["image"], -1, 1), "label": jnp.array([0, 1, 2, 0])}

    @jax.jit
    def losses(own, batch):
        return [
            flow_matching_loss(student, own, batch, jax.random.key(0), train=False, image=image)
            for image in (True, False)
        ]

    (whole, parts), (labels, _) = losses(own, batch)
    images = student.image_weight * parts["loss_image"]
    np.testing.assert_allclose(whole - labels, images, rtol=1e-5)
    np.testing.assert_allclose(labels, (1 - student.image_weight) * parts["loss_label"], rtol=1e-5)


def test_what_jumps_and_what_does_not(flows):
    teacher, params, student, own = flows
    labels, key = jnp.array([0, 1]), jax.random.key(5)
    with pytest.raises(ValueError, match="only a distilled model jumps"):
        teacher.generate(params, labels, key, solver="jump")
    guided = dataclasses.replace(student, code_dropout=0.1)
    with pytest.raises(ValueError, match="guidance=2: what was distilled"):
        guided.generate(own, labels, key, solver="jump", guidance=2.0)
    with pytest.raises(ValueError, match="no flow map's"):
        teacher.net.apply(
            {"params": params}, jnp.zeros((1, SIDE, SIDE, 2)), jnp.ones(1), jnp.ones(1)
        )
