"""How fast volumes are convolved: XLA's own 3-D convolution against 2-D ones of the planes.

python -m benchmarks.conv3d --output=benchmarks/results/conv3d.json

``lax``: XLA's convolution in three dimensions. ``planes``: one 2-D convolution that gives every tap of a
plane, then their sum (``nets.kernels.convolve_planes``, what the networks use on CPU). ``taps``: a 2-D
convolution for each tap. ``im2col``: one matrix product of all 27 neighbours. Forwards, and the gradient
of both arguments, in milliseconds, the least of all rounds, since other programs slow some down.

Within a training step of a UNet (24^3, width 8 or 16) ``planes`` and ``taps`` took the same time, within
8 %, and ``planes`` a quarter less memory (200 against 267 MiB, 397 against 528).
"""

import argparse
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.common import keep, measure, processor
from msflow_jax.nets.kernels import _LAYOUTS, convolve, convolve_planes

# Batch, side, channels in and out.
SHAPES = ((4, 24, 4, 16), (4, 24, 16, 16), (4, 24, 32, 16), (4, 12, 32, 32), (4, 6, 64, 64))
PADDING = ((1, 1),) * 3


def lax3(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """XLA's convolution."""
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1, 1), PADDING, dimension_numbers=_LAYOUTS[3]
    )


def taps(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A 2-D convolution for each tap along the depth."""
    padded, depth = jnp.pad(x, ((0, 0), (1, 1), *((0, 0),) * 3)), x.shape[1]
    parts = [
        convolve(padded[:, t : t + depth].reshape(-1, *x.shape[2:]), kernel[t], 1, PADDING[1:])
        for t in range(3)
    ]
    return sum(parts[1:], parts[0]).reshape(*x.shape[:-1], -1)


def im2col(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A product with all neighbours side by side."""
    padded = jnp.pad(x, ((0, 0), *PADDING, (0, 0)))
    d, h, w = x.shape[1:-1]
    near = [padded[:, i : i + d, j : j + h, k : k + w] for i, j, k in np.ndindex(3, 3, 3)]
    return jnp.concatenate(near, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


FORMS = {
    "lax": lax3,
    "planes": lambda x, kernel: convolve_planes(x, kernel, 1, PADDING),
    "taps": taps,
    "im2col": im2col,
}


def programs(shape: tuple[int, ...]) -> dict[Any, Any]:
    """``{(form, what): a call}`` of arrays of this shape."""
    batch, side, channels, features = shape
    rng = np.random.default_rng(0)
    x, kernel, weights = (
        jnp.asarray(rng.standard_normal(s), jnp.float32)
        for s in (
            (batch, *(side,) * 3, channels),
            (3, 3, 3, channels, features),
            (batch, *(side,) * 3, features),
        )
    )

    def backwards(form):
        return jax.grad(lambda x, k, w: (w * form(x, k)).sum(), (0, 1))

    found = {}
    for name, form in FORMS.items():
        forward, both = jax.jit(form), jax.jit(backwards(form))
        found[name, "forward"] = lambda f=forward: jax.block_until_ready(f(x, kernel))
        found[name, "gradient"] = lambda f=both: jax.block_until_ready(f(x, kernel, weights))
    return found


def main() -> None:
    """Measures, prints, keeps."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--rounds", type=int, default=8)
    flags.add_argument("--output")
    given = flags.parse_args()
    record: dict[str, Any] = {"machine": processor(), "jax": jax.__version__, "milliseconds": {}}
    for shape in SHAPES:
        times = measure(programs(shape), given.rounds)
        batch, side, channels, features = shape
        title = f"{batch} x {side}^3, {channels} -> {features}"
        least = {key: round(1e3 * min(wall for wall, _ in all_)) for key, all_ in times.items()}
        rows = {name: [least[name, "forward"], least[name, "gradient"]] for name in FORMS}
        record["milliseconds"][title] = rows
        print(
            f"{title}: " + ", ".join(f"{n} {a} / {b} ms" for n, (a, b) in rows.items()), flush=True
        )
    keep(record, given.output)


if __name__ == "__main__":
    main()
