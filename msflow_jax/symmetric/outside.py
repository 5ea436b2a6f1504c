"""What a symmetric flow can tell of an image that is of another kind than those it learned from.

The distance of a mean label picture to the codes says little: pooling hides what is odd. Two scores see
it: how uneven the label picture is, which costs nothing, and how badly the flow predicts the image's own
velocity at the predicted label, which costs one evaluation. A third is the distance of the network's
middle features to those of training images (:mod:`msflow_jax.evaluation.familiar`), for half an
evaluation.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from msflow_jax.inference.prediction import Prediction
from msflow_jax.nets.ops import space_axes
from msflow_jax.ode import Solution
from msflow_jax.streams import interpolate, sample_noise
from msflow_jax.symmetric.latent_codes import LatentCode
from msflow_jax.symmetric.paths import label_noise
from msflow_jax.symmetric.velocity import ROUTE, make_field, without_codec

if TYPE_CHECKING:
    from msflow_jax.symmetric.model import SymmetricFlow

PICTURE, ERROR = "picture_spread", "flow_error"
_TIME = 0.5  # at which the velocity is compared
_NOISE = 0xFFFFFFFF  # in place of a number of a draw


def unevenness(flow: "SymmetricFlow", pictures: jax.Array, predicted: jax.Array) -> jax.Array:
    """Spread over the pixels of label pictures ``[B, *space, C]``: root mean square of channels ``[B]``.

    Of a latent code, whose pictures are not even themselves, of the difference from the predicted
    class's (numbers ``[B]``).
    """
    if isinstance(flow.code, LatentCode):
        pictures = pictures - flow.code.clean_pictures(predicted, *flow.space)
    return jnp.sqrt(pictures.var(axis=space_axes(pictures)).mean(axis=-1))


def of_draw(
    flow: "SymmetricFlow", out: Solution, distances: Any, probabilities: Any, mode: Any
) -> Prediction:
    """What one draw predicts, of where its path ended and what was read there."""
    spread = unevenness(flow, out.end["label"], distances.argmin(axis=-1))
    measures = {PICTURE: spread}
    return Prediction(distances, probabilities, mode, out.nfe, out.ok, measures=measures)


def flow_error(
    flow: "SymmetricFlow", params: Any, inner: jax.Array, index: jax.Array, key: jax.Array,
    predicted: jax.Array,
) -> jax.Array:  # fmt: skip
    """Mean squared error of the image's velocity at the predicted labels, in the middle of time ``[B]``.

    Args:
        flow: the flow.
        params: its parameters.
        inner: what the codec makes of images.
        index: number that each image's noise is folded from ``[B]``.
        key: PRNG key.
        predicted: class numbers ``[B]``.
    """
    k_image, k_label = jax.random.split(key)
    label = flow.code.clean_pictures(predicted, *flow.space)
    noise = {
        "image": sample_noise(k_image, index, inner.shape[1:]),
        "label": sample_noise(k_label, index, label.shape[1:]),
    }
    u = jnp.full(inner.shape[0], _TIME)
    states, target = interpolate(ROUTE, {"image": inner, "label": label}, noise, u, flow.sigma_min)
    error = flow.field(params)(u, states)["image"] - target["image"]
    return jnp.mean(error**2, axis=tuple(range(1, error.ndim)))


def middle_features(
    flow: "SymmetricFlow", params: Any, inner: jax.Array, index: jax.Array, key: jax.Array
) -> jax.Array:
    """What the middle of the network makes of clean images, averaged over space ``[B, F]``.

    The time is that of classification, the label noise that of :func:`to_label`'s first draw. What comes
    after the middle is not computed.
    """
    kept: list[Any] = []
    own = without_codec(params)

    def network(x: jax.Array, u: jax.Array) -> jax.Array:
        out, state = flow.net.apply(
            {"params": own}, x, u, mutable=["intermediates"],
            capture_intermediates=lambda module, _: module.name == flow.net.middle,
        )  # fmt: skip
        kept.append(state["intermediates"][flow.net.middle]["__call__"][0])
        return out

    noise = label_noise(key, index, (*flow.space, flow.code.channels))
    field = make_field(network, flow.image_channels, flow.image_std)
    field(jnp.float32(1.0), {"image": inner, "label": noise})
    return kept[0].astype(jnp.float32).mean(axis=space_axes(kept[0]))


def completed(
    flow: "SymmetricFlow", params: Any, inner: jax.Array, index: jax.Array, key: jax.Array,
    found: Prediction, outside: bool,
) -> Prediction:  # fmt: skip
    """The predictions of all draws, with the names of classes and, if wanted, the scores from here."""
    measures, features = {}, None
    if outside:
        if getattr(flow.net, "middle", ""):
            features = middle_features(flow, params, inner, index, key)[None]
        predicted = found.distances.mean(axis=0).argmin(axis=-1)
        given = inner, index, jax.random.fold_in(key, _NOISE), predicted
        measures = {**found.measures, ERROR: flow_error(flow, params, *given)[None]}
    return dataclasses.replace(
        found, nfe=found.nfe.mean(), classes=flow.classes, measures=measures, features=features
    )
