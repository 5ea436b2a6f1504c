"""The two ways through a symmetric flow: from image to label picture, and from label to image."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from msflow_jax.data.checks import check_labels
from msflow_jax.ode import Solution, integrate, jumps
from msflow_jax.streams import JUMP, at_end, check_jumps, sample_noise
from msflow_jax.symmetric.guidance import guided
from msflow_jax.symmetric.velocity import ROUTE

if TYPE_CHECKING:
    from msflow_jax.symmetric.model import SymmetricFlow

Params = Any


def label_noise(
    key: jax.Array, index: jax.Array, shape: tuple[int, ...], draw: jax.Array | int = 0
) -> jax.Array:
    """Noise of label pictures ``[B, *shape]``, each image's by its number alone.

    Draws 0 and 1 have the same noise with opposite signs, 2 and 3 again: what is odd in it cancels
    (antithetic pairs).
    """
    return (1 - 2 * (draw % 2)) * sample_noise(jax.random.fold_in(key, draw // 2), index, shape)


def to_label(
    flow: "SymmetricFlow", params: Params, inner: jax.Array, index: jax.Array, key: jax.Array, *,
    steps: int = 1, solver: str = "euler", grid: int | None = None, draw: jax.Array | int = 0,
) -> Solution:  # fmt: skip
    """From what the codec makes of images to their label pictures; ``grid`` times are kept.

    The noise of each is by ``index`` ``[B]``, of the images themselves: what a codec makes of them is
    not the same to the last bit on every device.
    """
    noise = label_noise(key, index, (*flow.space, flow.code.channels), draw)
    state = at_end(ROUTE, {"image": inner}, {"label": noise}, 1)
    return integrate(flow.field(params), state, 1.0, 0.0, solver=solver, steps=steps, grid=grid)


def to_image(
    flow: "SymmetricFlow", params: Params, labels: jax.Array, key: jax.Array, *, steps: int = 25,
    solver: str = "euler", guidance: float = 1.0, index: jax.Array | None = None,
    grid: int | None = None,
) -> Solution:  # fmt: skip
    """From noise to what the codec decodes to images; ``grid`` times are kept."""
    labels = jnp.asarray(labels)
    check_labels(labels, flow.code.classes)
    index = jnp.arange(labels.shape[0]) if index is None else index
    k_image, k_code, k_null = jax.random.split(key, 3)
    label = jax.vmap(
        lambda one, i: flow.code.pictures(
            one[None], *flow.space, key=jax.random.fold_in(k_code, i)
        )[0]
    )(labels, index)
    noise = sample_noise(k_image, index, flow.codec.inner)
    state = at_end(ROUTE, {"label": label}, {"image": noise}, 0)
    field = flow.field(params)
    if solver == JUMP:
        check_jumps(getattr(flow.net, "span", False), guidance=guidance)
        field, solver = jumps(flow.flow_map(params), 1 / steps), "euler"
    if guidance != 1.0:
        if not flow.code_dropout:
            raise ValueError(
                "guidance needs a model trained with code dropout: set model.code_dropout (0.1 is"
                " usual) and train again, or use guidance 1"
            )
        state["null"] = sample_noise(k_null, index, label.shape[1:])
        field = guided(field, guidance)
    return integrate(field, state, 0.0, 1.0, solver=solver, steps=steps, grid=grid)
