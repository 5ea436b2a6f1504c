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
    leaves, tree = jax.tree.flatten(teacher.init(jax.random.key(0)))
    keys = jax.random.split(jax.random.key(1), len(leaves))
    params = jax.tree.unflatten(
        tree, [x + 0.1 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True)]
    )
    return teacher, params, student, start_from(params, student.init(jax.random.key(2)))


def streams(key=3, count=4):
    k_image, k_label = jax.random.split(jax.random.key(key))
    shape = (count, SIDE, SIDE, 1)
    return {"image": jax.random.normal(k_image, shape), "label": jax.random.normal(k_label, shape)}


def test_a_student_starts_as_its_teacher(flows):
    teacher, params, student, own = flows
    z, a, b = streams(), jnp.array([0.0, 0.2, 0.5, 1.0]), jnp.array([0.1, 1.0, 0.75, 1.0])
    wanted = teacher.field(params)(a, z)
    for found in (student.field(own)(a, z), student.flow_map(own)(a, b, z)):
        for name in z:
            np.testing.assert_array_equal(found[name], wanted[name])
    images = jnp.clip(z["image"], -1, 1)
    taken = dict(key=jax.random.key(0), draws=2)
    np.testing.assert_array_equal(
        student.classify(own, images, **taken).distances,
        teacher.classify(params, images, **taken).distances,
    )


def test_jumps_of_a_fresh_student_are_steps_of_its_teacher(flows):
    teacher, params, student, own = flows
    labels, key = jnp.array([0, 1, 2]), jax.random.key(5)
    found = student.generate(own, labels, key, steps=2, solver="jump")
    np.testing.assert_array_equal(found, teacher.generate(params, labels, key, steps=2))


def test_the_derivative_is_that_of_a_central_difference(flows):
    _, params, student, own = flows
    # How far to jump must say something.
    own = {**own, "span_zero": jax.tree.map(lambda x: x + 0.3, own["span_zero"])}
    batch = {"image": jnp.clip(streams()["image"], -1, 1), "label": jnp.array([0, 1, 2, 0])}
    one = jumped(student, 1.0, own, params, batch, jax.random.key(0))
    silent = dataclasses.replace(one, teacher=lambda u, z: jax.tree.map(jnp.zeros_like, z))
    z, a, b, h = streams(), jnp.full(4, 0.1), jnp.full(4, 0.6), 5e-3
    wanted = target(silent, a, b, z, "lagrangian")
    for name in z:
        ends = (one.student(a, b + s * h, z)[name] for s in (1, -1))
        slope = (next(ends) - next(ends)) / (2 * h)
        np.testing.assert_allclose(wanted[name], -0.5 * slope, atol=3e-3)
        assert np.abs(slope).max() > 0.01


def test_a_guided_teacher_is_followed(flows):
    _, params, student, own = flows
    batch = {"image": jnp.clip(streams()["image"], -1, 1), "label": jnp.array([0, 1, 2, 0])}
    plain, guided = (
        jumped(student, weight, own, params, batch, jax.random.key(0)) for weight in (1.0, 2.0)
    )
    u, z = jnp.array([0.0, 0.3, 0.6, 1.0]), streams()
    there, here = guided.teacher(u, z), plain.teacher(u, z)
    assert set(there) == set(z) and np.abs(there["image"] - here["image"]).max() > 1e-3
    np.testing.assert_allclose(there["label"], here["label"], atol=1e-5)


def test_beside_a_guided_teacher_labels_are_learned_as_before(flows):
    _, _, student, own = flows
    batch = {"image": jnp.clip(streams()["image"], -1, 1), "label": jnp.array([0, 1, 2, 0])}
    (whole, parts), (labels, _) = (
        flow_matching_loss(student, own, batch, jax.random.key(0), train=False, image=image)
        for image in (True, False)
    )
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
