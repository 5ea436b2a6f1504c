"""Two stages of a tiny training: a slope, then an offset beside the frozen slope."""

import jax
import jax.numpy as jnp

from msflow_jax.training import Stage
from msflow_jax.training.source import Source


def loss(params, batch, key, *, train):
    """Of a line through the brightness, which begins in the origin where there is no offset."""
    brightness = batch["image"].mean((1, 2, 3)) + 0.1 * jax.random.normal(key)
    error = params["slope"]["w"].mean() * brightness - batch["label"]
    if "offset" in params:
        error += params["offset"]["b"]
    return jnp.mean(error**2) / 10, {"loss_line": jnp.mean(jnp.abs(error))}


def make_stages(arrays, config, **settings):
    """The slope, then an offset beside the frozen slope."""

    def start_slope(tree):
        assert not tree
        return {"slope": {"w": jax.random.normal(jax.random.key(0), (64, 64))}}

    def start_offset(tree):
        return {**tree, "offset": {"b": tree["slope"]["w"].mean()}}

    def validate(params):
        return {"val_auc": float(params["slope"]["w"].mean())}

    source = Source.of_arrays(arrays)
    first = Stage("first", loss, source, config, start_slope, validate=validate)
    second = Stage("second", loss, source, config, start_offset, "offset/.*", validate)
    return first, second


def changed(stage, **settings):
    return Stage(
        **{**{name: getattr(stage, name) for name in stage.__dataclass_fields__}, **settings}
    )
