"""Coupling flows of volumes: the laws on sides that are not tiny, and all that was of two axes alone."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.config import default_config
from msflow_jax.coupling.conditioners import Convolutional
from msflow_jax.coupling.family import FAMILY, initial_parameters
from msflow_jax.coupling.layout import PUBLISHED, parse
from msflow_jax.coupling.model import CouplingFlow
from msflow_jax.coupling.parts import few_enough, load, prepare
from msflow_jax.data import Info, Split
from msflow_jax.evaluation.likelihood import bits_per_dimension
from tests.coupling.tiny_flows import Plain, eight_bit, images, move

SIDES = (8, 4, 8)
INFO = Info(
    "x", ("a", "b"), 1, 8, "binary-class", "", "", "", (), counts=(3, 1), space=SIDES
)  # fmt: skip
LAYOUT = "squeeze half:1 split squeeze half:2"
HALF = np.indices((4, 4, 4))[0] > 1
KEY, LABELS = jax.random.key(0), jnp.array([0, 1])


def flow_of(shape=(*SIDES, 1), net=None, **settings):
    given = {"layout": LAYOUT, "passes": 1, **settings}
    return CouplingFlow(net or Plain(2), ("a", "b"), shape, **given)


@pytest.fixture(scope="module")
def trained():
    """A flow of volumes that are no cubes, and parameters far from the fresh ones."""
    flow = flow_of()
    return flow, move(flow.init(KEY), 0, 0.05)


def test_the_inverse_is_exact_to_float32(trained):
    flow, params = trained
    x = images(flow, 2)
    latents, _ = jax.jit(flow.forward)(params, x, LABELS)
    assert [z.shape[1:] for z in latents] == [(4, 2, 4, 4), (2, 1, 2, 32)]
    back = jax.jit(flow.inverse)(params, latents, LABELS)
    assert np.abs(back - x).max() < 1e-5


def test_verbs_on_volumes(trained):
    flow, params = trained
    x = eight_bit(flow, 2)
    said = jax.jit(partial(flow.classify, draws=2))(params, x, KEY)
    assert said.probabilities.shape == (2, 2, 2) and said.ok.all()
    bits = bits_per_dimension(said.log_prob, flow.dimensions)
    assert said.dimensions == 256 and (bits > 0).all() and (bits < 16).all()
    found = jax.jit(flow.explain)(params, x, KEY, LABELS, 1 - LABELS)
    assert found.map.shape == found.log_ratio.shape == (2, *SIDES)
    dequantised = flow.dequantised(params, x, KEY)
    nats = jax.jit(flow.log_prob)(params, dequantised, LABELS)
    expected = nats + flow.dimensions * np.log(2 / 256)
    np.testing.assert_allclose(found.map.sum(axis=(1, 2, 3)), expected, rtol=1e-5)
    drawn = jax.jit(flow.generate)(params, LABELS, KEY, temperature=0.7)
    assert drawn.shape == (2, *SIDES, 1) and np.abs(drawn).max() <= 1


def test_the_log_determinant_is_that_of_the_jacobian():
    flow = flow_of((4, 4, 4, 1), Convolutional(2, width=8), split_prior="learned")
    params = move(flow.init(KEY), 1, 0.05)
    x, label = images(flow, 1), LABELS[1:]

    @jax.jit
    @jax.jacobian
    def jacobian(a):
        latents, _ = flow.forward(params, a[None], label)
        return jnp.concatenate([z.ravel() for z in latents])

    _, log_dets = jax.jit(flow.forward)(params, x, label)
    expected = np.linalg.slogdet(np.asarray(jacobian(x[0]), np.float64).reshape(64, 64))[1]
    np.testing.assert_allclose(sum(d.sum() for d in log_dets), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {"layout": "squeeze half:3"},
        {"layout": "foreground:2", "passes": 2, "mixing": "dense", "foreground": HALF},
    ],
)
def test_inverted_steps_give_the_same_gradient(settings):
    kept = flow_of((4, 4, 4, 1), **settings)
    params = move(kept.init(KEY), 0, 0.05)
    batch = {"image": eight_bit(kept, 2), "label": LABELS}

    def gradient(flow):
        return jax.jit(jax.value_and_grad(lambda p: flow.loss(p, batch, KEY)[0]))(params)

    (loss, down), (same, found) = map(gradient, (kept, dataclasses.replace(kept, reversible=True)))
    np.testing.assert_allclose(loss, same, rtol=1e-6)
    for a, b in zip(jax.tree.leaves(down), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * (1 + np.abs(a).max()))


def test_what_inverted_steps_keep_does_not_grow_with_their_number():
    def kept(steps, reversible):
        layout = f"squeeze half:{steps}"
        flow = flow_of(layout=layout, reversible=reversible)
        params, x = jax.eval_shape(flow.init, KEY), jax.ShapeDtypeStruct((5, *SIDES, 1), "float32")

        def pullback(params, x):
            return jax.vjp(lambda x: flow.log_prob(params, x, jnp.zeros(5, int)), x)[1]

        back = jax.eval_shape(pullback, params, x)
        arrays = [a for a in jax.tree.leaves(back) if a.shape[:2] == (steps, 5)]  # [steps, B, ...]
        return sum(a.size for a in arrays)

    assert kept(6, False) >= 6 * 5 * 256
    assert kept(6, True) == 0


def test_a_family_builds_what_the_data_are():
    config = default_config("coupling")
    config.model.layout = "foreground:1"
    config.model.conditioner.width = 4
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 20, (4, *SIDES, 1))
    grey[:, 2:6, 1:3, 2:5] += 200
    labels = np.array([0, 1, 0, 0], np.int32)
    train = Split.of_images(grey.astype(np.uint8), labels, tuple("abcd"))
    parts = prepare(config.model, INFO, train)
    assert parts.foreground.shape == SIDES and parts.foreground.sum() == 4 * 2 * 3
    model = FAMILY.build(config, INFO, parts)
    assert model.shape == (*SIDES, 1) and model.class_prior == (0.75, 0.25)
    params = initial_parameters(model, train, 0)
    assert np.isfinite(params["stage_0"]["norm"]["mean"]).all()


def test_the_mask_of_volumes_is_kept_and_refused_where_it_does_not_fit(tmp_path):
    config = default_config("coupling").model
    config.layout = "foreground:1"
    grey = np.zeros((2, *SIDES, 1), np.uint8)
    grey[:, 3, :2, 5] = 9
    found = prepare(config, INFO, Split.of_images(grey, np.zeros(2, np.int32), ("a", "b")))
    found.save(tmp_path)
    np.testing.assert_array_equal(load(config, SIDES, tmp_path).foreground, grey[0, ..., 0] > 0)
    config.foreground = str(tmp_path / "mask.png")  # of another run
    kept = prepare(config, INFO, None).foreground
    np.testing.assert_array_equal(kept, found.foreground)
    with pytest.raises(ValueError, match=r"mask.png is 32 x 8: .* picture of 16 x 4, the slices"):
        load(config, (4, 4, 4), tmp_path)


def test_a_mask_is_read_from_a_nifti_file(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    config = default_config("coupling").model
    config.update(dict(layout="foreground:1", foreground=str(tmp_path / "m.nii.gz")))
    mask = np.zeros(SIDES, np.uint8)
    mask[5:, 1, 2] = 1
    # From feet to head, front to back and right to left, as volumes lie in memory here.
    affine = np.array([[0, 0, -1, 0], [0, -1, 0, 0], [2, 0, 0, 0], [0, 0, 0, 1.0]])
    nibabel.save(nibabel.Nifti1Image(mask, affine), config.foreground)
    np.testing.assert_array_equal(prepare(config, INFO, None).foreground, mask > 0)
    with pytest.raises(ValueError, match=r"m.nii.gz is 8 x 4 x 8: the mask of images of \(4, 4\)"):
        prepare(config, dataclasses.replace(INFO, side=4, space=()), None)


def test_sides_that_the_layout_cannot_halve():
    stages = parse(PUBLISHED, (64, 64, 64, 1))
    assert stages[-1].shape == (8, 8, 8, 64)
    with pytest.raises(ValueError, match=r"\(155, 240, 240\) cannot be squeezed.* 8 must divide"):
        parse(PUBLISHED, (155, 240, 240, 1))


def test_less_is_measured_where_one_image_is_large():
    assert few_enough(64, (512, 512, 3)) == 64
    assert [few_enough(64, (side,) * 3 + (1,)) for side in (16, 64, 128, 512)] == [64, 16, 2, 1]
