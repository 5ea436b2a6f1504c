"""Which axis a strategy splits, and what that saves."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.sharding import AbstractMesh
from jax.sharding import PartitionSpec as P

from msflow_jax.nets import UNet, init_params
from msflow_jax.parallel.sharding import (
    bytes_per_device,
    check_batch,
    describe,
    make_mesh,
    partition,
    replicated,
    shard_tree,
    table,
)

EIGHT = AbstractMesh((8, 1), ("data", "model"))
FOUR_TWO = AbstractMesh((4, 2), ("data", "model"))


@pytest.mark.parametrize(
    "shape, mesh, strategy, expected",
    [
        ((3, 3, 64, 128), EIGHT, "replicated", P()),
        ((3, 3, 64, 128), EIGHT, "fsdp", P(None, None, None, "data")),
        ((3, 3, 128, 64), EIGHT, "fsdp", P(None, None, "data")),
        ((64, 64), EIGHT, "fsdp", P(None, "data")),  # the last of equals
        ((8,), EIGHT, "fsdp", P("data")),
        ((3, 3, 4, 7), EIGHT, "fsdp", P()),  # nothing that 8 divides
        ((), EIGHT, "fsdp", P()),
        ((0, 8), EIGHT, "fsdp", P(None, "data")),
        ((256, 1024), EIGHT, "tensor", P()),  # no devices on 'model'
        ((256, 1024), FOUR_TWO, "tensor", P(None, "model")),
        ((1024, 255), FOUR_TWO, "tensor", P("model")),
        ((16, 16), FOUR_TWO, "tensor", P()),  # too small
        ((8192,), FOUR_TWO, "tensor", P()),  # no matrix
        ((256, 1024), FOUR_TWO, "fsdp", P(None, "data")),
    ],
)
def test_partition(shape, mesh, strategy, expected):
    assert partition(shape, mesh, strategy) == expected


@given(st.lists(st.integers(0, 40), max_size=4), st.sampled_from(["fsdp", "tensor"]))
def test_a_split_axis_is_always_divisible(shape, strategy):
    for mesh in (EIGHT, FOUR_TWO):
        for size, axis in zip(shape, partition(tuple(shape), mesh, strategy), strict=False):
            assert axis is None or size % mesh.shape[axis] == 0


def test_an_unknown_strategy_is_an_error():
    with pytest.raises(ValueError, match="unknown sharding 'zero': choose one of replicated, fsdp"):
        partition((8, 8), EIGHT, "zero")


def test_fsdp_over_eight_saves_six_fold():
    net = UNet(channels=6)  # the published network
    x = jax.ShapeDtypeStruct((1, 32, 32, 6), np.float32)
    params = init_params(net, jax.random.key(0), x, jax.ShapeDtypeStruct((1,), np.float32))
    whole = bytes_per_device(params, EIGHT, "replicated")
    assert whole == 4 * 8_955_526
    assert whole / bytes_per_device(params, EIGHT, "fsdp") > 6


def test_table():
    params = {"conv": {"kernel": np.zeros((3, 3, 64, 64), np.float32), "bias": np.zeros(3, "f4")}}
    lines = table(params, EIGHT, "fsdp").splitlines()
    assert lines[0].split() == ["parameter", "shape", "partition", "bytes", "per", "device"]
    assert lines[1].split() == ["conv/bias", "3", "whole", "12"]
    assert lines[2].split() == ["conv/kernel", "3x3x64x64", "-,-,-,data", "18,432"]
    assert lines[3].split() == ["all", "36,867", "fsdp", "18,444"]


def test_the_mesh_covers_all_devices():
    count = jax.device_count()
    assert dict(make_mesh().shape) == {"data": count, "model": 1}
    assert dict(make_mesh(1, -1).shape) == {"data": 1, "model": count}
    for sizes in ((count + 1, 1), (-1, -1), (0, 1), (-1, count + 1), (-2, 1)):
        with pytest.raises(ValueError, match=f"mesh of data={sizes[0]} .* cover {count} devices"):
            make_mesh(*sizes)


def test_the_batch_must_be_divisible():
    mesh = SimpleNamespace(shape={"data": 4})
    with pytest.raises(ValueError, match="batch size 10 must be divisible by .* devices, 4"):
        check_batch(10, mesh)
    with pytest.raises(ValueError, match="devices, 4 times train.accumulate, 3"):
        check_batch(8, mesh, accumulate=3)
    check_batch(24, mesh, accumulate=3)


def test_devices_and_what_each_works_on_are_a_line():
    mesh = make_mesh()
    count = jax.device_count()
    assert describe(mesh, 8 * count) == (
        f"{count} x cpu: a step's {8 * count} images are split over {count}, 8 on each; parameters "
        "whole on each (replicated)"
    )
    assert f"parameters split over {count} (fsdp)" in describe(mesh, count, "fsdp")
    assert "parameters in large arrays split over 1 (tensor)" in describe(mesh, count, "tensor")
    with pytest.raises(ValueError, match="unknown sharding 'none'"):
        describe(mesh, count, "none")


def test_shardings_of_a_tree():
    mesh = make_mesh()
    tree = shard_tree({"a": np.zeros((3, 4))}, mesh, "replicated")
    assert tree == {"a": replicated(mesh)}
