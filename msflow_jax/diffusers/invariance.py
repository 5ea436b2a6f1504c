"""The visual-invariant term of MedM2G: two views of one image shall have the same features.

arXiv 2403.04290, section "medical visual invariant preservation"; the form is that of Barlow Twins
(arXiv 2103.03230). Weight, projector and augmentations are not in the paper: ours are stated here.
"""

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates

# Random views of the invariant term: the crop's least size along an axis, rotation in radians, shear; no
# mirroring, since reports name sides.
CROP, ANGLE, SHEAR = 0.6**0.5, 0.17, 0.1
GAMMA, NOISE, SHADING = 0.3, 0.05, 0.2
# Views that are compared with a report, which says how many mm something measures and where it lies:
# moved by a share of the side, never scaled, sheared or turned.
MOVED = 0.06


def cross_correlation_loss(
    a: jax.Array, b: jax.Array, weight: float | None = None, epsilon: float = 1e-5
) -> jax.Array:
    """Distance of the cross-correlation of two views' features from the identity.

    Args:
        a: features of the first views ``[B, D]``.
        b: features of the second ``[B, D]``.
        weight: of the entries off the diagonal; None: 1 / D.
        epsilon: added to the variances.

    Returns:
        ``sum_i (1 - W_ii)^2 + weight sum_{i != j} W_ij^2`` over D. 0 for equal, white features.
    """

    def standardise(x: jax.Array) -> jax.Array:
        x = x - x.mean(axis=0, keepdims=True)
        return x / jnp.sqrt(jnp.square(x).mean(axis=0, keepdims=True) + epsilon)

    count, features = a.shape
    w = standardise(a).T @ standardise(b) / count
    diagonal = jnp.diagonal(w)
    off = jnp.square(w).sum() - jnp.square(diagonal).sum()
    weight = 1 / features if weight is None else weight
    return (jnp.square(1 - diagonal).sum() + weight * off) / features


def random_views(images: jax.Array, key: jax.Array, *, to_scale: bool = False) -> jax.Array:
    """A random view of each image: crop, small affine, gamma, blur, shading, Rician noise; no mirror.

    Args:
        images: ``[B, *space, C]`` in [-1, 1].
        key: PRNG key.
        to_scale: whether it is only moved, so that lengths in it stay true.

    Returns:
        The same shape, in [-1, 1].
    """
    keys = jax.random.split(key, len(images))
    return jax.vmap(lambda image, key: _view(image, key, to_scale))(images, keys)


def _view(image: jax.Array, key: jax.Array, to_scale: bool) -> jax.Array:
    k_place, k_grey, k_level, k_noise, k_blur, k_field = jax.random.split(key, 6)
    x = _placed((image + 1) / 2, k_place, to_scale)
    x = jnp.where(jax.random.bernoulli(k_blur), _blurred(x), x)
    x = x ** jnp.exp(GAMMA * jax.random.uniform(k_grey, (), minval=-1, maxval=1))
    x = x * _shading(x.shape, k_field)
    deviation = NOISE * jax.random.uniform(k_level)
    real, imaginary = deviation * jax.random.normal(k_noise, (2, *x.shape))
    return 2 * jnp.clip(jnp.hypot(x + real, imaginary), 0, 1) - 1


def _placed(x: jax.Array, key: jax.Array, to_scale: bool) -> jax.Array:
    """Crop, rotation and shear as one linear interpolation, or a shift; outside the edge is repeated."""
    space = x.shape[:-1]
    n = len(space)
    k_size, k_shift, k_turn, k_shear = jax.random.split(key, 4)
    size = jax.random.uniform(k_size, (n,), minval=CROP, maxval=1.0)
    # A rotation in the last two axes, which are the image's plane, or a volume's axial one.
    angle = ANGLE * jax.random.uniform(k_turn, (), minval=-1, maxval=1)
    turn = jnp.eye(n)
    turn = turn.at[-2:, -2:].set(
        jnp.array([[jnp.cos(angle), -jnp.sin(angle)], [jnp.sin(angle), jnp.cos(angle)]])
    )
    shear = jnp.eye(n) + SHEAR * jax.random.uniform(k_shear, (n, n), minval=-1, maxval=1)
    matrix = (turn @ shear) * size[None]
    where = jax.random.uniform(k_shift, (n,), minval=-1, maxval=1)
    room = (1 - size) / 2 * where
    if to_scale:
        matrix, room = jnp.eye(n), MOVED * where
    axes = [(jnp.arange(s) + 0.5) / s - 0.5 for s in space]
    grid = jnp.stack(jnp.meshgrid(*axes, indexing="ij")).reshape(n, -1)
    found = matrix @ grid + room[:, None]
    places = [(c + 0.5) * s - 0.5 for c, s in zip(found, space, strict=True)]

    def channel(one: jax.Array) -> jax.Array:
        return map_coordinates(one, places, order=1, mode="nearest").reshape(space)

    return jax.vmap(channel, in_axes=-1, out_axes=-1)(x)


def _blurred(x: jax.Array) -> jax.Array:
    """Binomial blur 1 2 1 along each axis of space."""
    for axis in range(x.ndim - 1):
        edges = jnp.pad(x, [(int(i == axis),) * 2 for i in range(x.ndim)], mode="edge")
        size = x.shape[axis]
        parts = [jax.lax.slice_in_dim(edges, i, i + size, axis=axis) for i in range(3)]
        x = (parts[0] + 2 * parts[1] + parts[2]) / 4
    return x


def _shading(shape: tuple[int, ...], key: jax.Array) -> jax.Array:
    """A smooth field around 1: a random plane, ``[*space, 1]``."""
    slopes = SHADING * jax.random.uniform(key, (len(shape) - 1,), minval=-1, maxval=1)
    field = jnp.ones((*shape[:-1], 1))
    for axis, slope in enumerate(slopes):
        ramp = jnp.linspace(-1.0, 1.0, shape[axis])
        field = field + slope * ramp.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    return field
