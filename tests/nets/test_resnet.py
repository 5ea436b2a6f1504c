"""The residual network against a plain numpy one in float64, and its published sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.nets.resnet import ResNet

RNG = np.random.default_rng(0)


def shapes(net):
    """Tree of shapes of the parameters."""
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), "float32")
    return jax.eval_shape(net.init, jax.random.key(0), image)["params"]


def drawn(net):
    """Random weights, with statistics that are not those of a fresh network."""

    def leaf(path, shape):
        name, shape = path[-1].key, shape.shape
        if name == "kernel":
            return RNG.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape).astype(np.float32)
        if name in ("scale", "var"):
            return RNG.uniform(0.5, 1.5, shape).astype(np.float32)
        return RNG.normal(0, 0.2, shape).astype(np.float32)

    return jax.tree_util.tree_map_with_path(leaf, shapes(net))


def convolve(x, kernel, stride):
    """The definition: zeros around, windows, weighted sums."""
    size = kernel.shape[0]
    around = (size - 1) // 2
    x = np.pad(x, ((0, 0), (around, around), (around, around), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))
    return np.einsum("bhwcij,ijco->bhwo", windows[:, ::stride, ::stride], kernel)


def normalise(x, p):
    return p["scale"] * (x - p["mean"]) / np.sqrt(p["var"] + 1e-5) + p["bias"]


def plain(p, x, strides):
    """`strides` of the convolutions within the first block of a later stage."""
    x = np.maximum(normalise(convolve(x, p["conv1"]["kernel"], 2), p["bn1"]), 0)
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))
    x = windows[:, ::2, ::2].max(axis=(-1, -2))
    for name in sorted(k for k in p if k.startswith("layer")):
        b, h, first = p[name], x, name.endswith("_0") and not name.startswith("layer1")
        for i, stride in enumerate(strides):
            h = convolve(h, b[f"conv{i + 1}"]["kernel"], stride if first else 1)
            h = normalise(h, b[f"bn{i + 1}"])
            h = h if i == len(strides) - 1 else np.maximum(h, 0)
        if "downsample_0" in b:
            x = convolve(x, b["downsample_0"]["kernel"], 2 if first else 1)
            x = normalise(x, b["downsample_1"])
        x = np.maximum(x + h, 0)
    return x.mean(axis=(1, 2))


@pytest.mark.parametrize("side", [64, 45])
@pytest.mark.parametrize(
    "net, strides",
    [
        (ResNet((1, 2, 1, 1), False, 4), (2, 1)),
        (ResNet((1, 2, 1, 1), True, 4), (1, 2, 1)),
        (ResNet((2, 1, 1, 1), True, 4, True), (2, 1, 1)),
    ],
)
def test_against_the_definition(net, strides, side):
    params = drawn(net)
    images = RNG.normal(0, 1, (2, side, side, 3)).astype(np.float32)
    got = jax.jit(net.apply)({"params": params}, jnp.asarray(images))
    double = jax.tree.map(lambda a: a.astype(np.float64), params)
    expected = plain(double, images.astype(np.float64), strides)
    assert got.shape == (2, (32 if net.bottleneck else 8) * 4) and got.dtype == jnp.float32
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5 * expected.max())


@pytest.mark.parametrize(
    "blocks, bottleneck, depth, parameters",  # torchvision's, less its classifier of 1,000 classes
    [
        ((2, 2, 2, 2), False, 18, 11_689_512 - 513_000),
        ((3, 4, 6, 3), False, 34, 21_797_672 - 513_000),
        ((3, 4, 6, 3), True, 50, 25_557_032 - 2_049_000),
        ((3, 4, 23, 3), True, 101, 44_549_160 - 2_049_000),
        ((3, 8, 36, 3), True, 152, 60_192_808 - 2_049_000),
    ],
)
def test_published_sizes(blocks, bottleneck, depth, parameters):
    net = ResNet(blocks, bottleneck)
    sizes = [
        np.prod(leaf.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(shapes(net))
        if path[-1].key not in ("mean", "var")  # statistics, no parameters in torch
    ]
    assert net.depth == depth and sum(sizes) == parameters
    image = jax.ShapeDtypeStruct((2, 224, 224, 3), "float32")
    out = jax.eval_shape(lambda p, x: net.apply({"params": p}, x), shapes(net), image)
    assert out.shape == (2, 2048 if bottleneck else 512)
