"""What a symmetric flow minimises, of networks whose error is known."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.streams import expand
from msflow_jax.symmetric import Code, PixelCodec, SymmetricFlow, TimeDistribution
from msflow_jax.symmetric.guidance import guided
from msflow_jax.symmetric.outside import flow_error

CODE = Code("grey", 3)  # -2, 0 and 2
IMAGES = jax.random.uniform(jax.random.key(5), (4, 4, 4, 1), minval=-1)
LABELS = jnp.array([0, 1, 2, 1])


class Silent(nn.Module):
    """A fresh network: it says nothing."""

    def __call__(self, x, u, *, train=False):
        del u, train
        return jnp.zeros_like(x)


class Reader(nn.Module):
    """Takes the label's state for the image's velocity."""

    def __call__(self, x, u, *, train=False):
        del u, train
        return jnp.concatenate([x[..., 1:], jnp.zeros_like(x[..., 1:])], axis=-1)


def flow_of(net, **settings):
    return SymmetricFlow(net, CODE, ("a", "b", "c"), PixelCodec((4, 4, 1)), **settings)


def loss_of(flow, labels=LABELS, key=0, **batch):
    given = {"image": IMAGES, "label": labels, **batch}
    return flow.loss({}, given, jax.random.key(key))


def test_a_start_that_stays_whole_is_no_part_of_the_velocity():
    """Of a sigma_min of 1: what a silent network lacks are the images themselves."""
    loss, found = loss_of(flow_of(Silent(), sigma_min=1.0, image_weight=1.0))
    assert loss == pytest.approx(float(jnp.mean(IMAGES**2)), rel=1e-5)
    assert found["loss_image"] == pytest.approx(float(loss), rel=1e-5)


def test_padding_of_a_batch_is_not_in_the_loss():
    mask = jnp.array([1, 0, 1, 0])
    loss, _ = loss_of(flow_of(Silent(), sigma_min=1.0, image_weight=1.0), mask=mask)
    assert loss == pytest.approx(float(jnp.mean(IMAGES[::2] ** 2)), rel=1e-5)


@pytest.mark.parametrize("weight", [0.25, 3.0])
def test_what_is_only_classified_counts_by_its_weight(weight):
    time = TimeDistribution(classification_fraction=1.0, classification_weight=weight)
    loss, found = loss_of(flow_of(Silent(), time=time))
    assert loss == pytest.approx(weight * float(found["loss_label"]), rel=1e-5)


def test_a_code_that_is_left_out_is_neither_shown_nor_scored():
    most = flow_of(Reader(), code_dropout=1 - 1e-7)
    (loss, found), (other, _) = (loss_of(most, jnp.full(4, k)) for k in (0, 2))
    assert loss == other and np.isnan(found["loss_label"])
    assert loss == pytest.approx(most.image_weight * float(found["loss_image"]), rel=1e-5)
    plain = flow_of(Reader())
    assert loss_of(plain, jnp.full(4, 0))[0] != loss_of(plain, jnp.full(4, 2))[0]


@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0])
def test_guidance_adds_so_often_what_a_label_changes(weight):
    """``v_null + g (v - v_null)``, where the stream of no label is u times its noise."""
    image, label, null = (jax.random.normal(jax.random.key(i), IMAGES.shape) for i in range(3))
    u = jnp.array([0.0, 0.25, 0.5, 1.0])

    def field(u, z):
        return {"image": z["image"] + 2 * z["label"] + expand(u, z["image"]), "label": -z["label"]}

    found = guided(field, weight)(u, {"image": image, "label": label, "null": null})
    time = expand(u, image)
    without, with_label = (image + 2 * one + time for one in (time * null, label))
    wanted = without + weight * (with_label - without)
    np.testing.assert_allclose(found["image"], wanted, atol=1e-5)
    np.testing.assert_array_equal(found["label"], -label)


def test_the_error_of_an_image_is_that_at_its_predicted_class():
    """Half of the code is in the label's state: with codes of -2, 0 and 2 errors curve by 2."""
    index, key = jnp.arange(4), jax.random.key(1)
    error = [
        flow_error(flow_of(Reader()), {}, IMAGES, index, key, jnp.full(4, k)) for k in range(3)
    ]
    np.testing.assert_allclose(error[0] + error[2] - 2 * error[1], 2.0, rtol=1e-4)
