"""Where arrays live: one mesh ``('data', 'model')`` over all devices of all processes.

The batch is split over ``data``; parameters, moving average and optimiser state by strategy. The same
``jax.jit`` with shardings runs on one CPU, eight GPUs and a pod; XLA puts in the collectives.
"""

import math
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from msflow_jax.nets import count_parameters

STRATEGIES = ("replicated", "fsdp", "tensor")
_BIG = 4096  # numbers from which the strategy 'tensor' splits a matrix


def make_mesh(data: int = -1, model: int = 1) -> Mesh:
    """A mesh ``('data', 'model')`` over all devices; -1 stands for the rest.

    Raises:
        ValueError: the sizes do not multiply to the number of devices.
    """
    devices, sizes = jax.device_count(), [data, model]
    fixed = math.prod(size for size in sizes if size != -1)
    if sizes.count(-1) == 1 and fixed > 0:
        sizes[sizes.index(-1)] = devices // fixed
    if min(sizes) < 1 or math.prod(sizes) != devices:
        raise ValueError(
            f"a mesh of data={data} and model={model} does not cover {devices} devices: their "
            "product must be the number of devices; one of them may be -1, for the rest"
        )
    return jax.make_mesh(tuple(sizes), ("data", "model"), (AxisType.Auto, AxisType.Auto))


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def split_batch(mesh: Mesh, axis: int = 0) -> NamedSharding:
    """The array's ``axis`` split over the ``data`` axis of the mesh."""
    return NamedSharding(mesh, PartitionSpec(*(None,) * axis, "data"))


def check_batch(batch: int, mesh: Mesh, accumulate: int = 1) -> None:
    """Raise a ValueError that names the numbers if devices and accumulation do not divide the batch."""
    devices = mesh.shape["data"]
    if accumulate < 1 or batch % (devices * accumulate):
        parts = f" times train.accumulate, {accumulate}" if accumulate != 1 else ""
        raise ValueError(
            f"batch size {batch} must be divisible by the number of devices, {devices}{parts}"
        )


def partition(shape: tuple[int, ...], mesh: Mesh, strategy: str) -> PartitionSpec:
    """How a strategy splits an array of this shape.

    ``replicated``: not at all. ``fsdp``: the largest axis that the devices on ``data`` divide (the last
    of equals), whatever the array's size. ``tensor``: the same over ``model``, for arrays of two or more
    axes and at least 4,096 numbers.

    Raises:
        ValueError: an unknown strategy.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"unknown sharding {strategy!r}: choose one of {', '.join(STRATEGIES)}")
    axis = {"fsdp": "data", "tensor": "model"}.get(strategy)
    if axis is None or (strategy == "tensor" and (len(shape) < 2 or math.prod(shape) < _BIG)):
        return PartitionSpec()
    count = mesh.shape[axis]
    fitting = [(size, i) for i, size in enumerate(shape) if size % count == 0 and size >= count]
    if not fitting or count == 1:
        return PartitionSpec()
    chosen = max(fitting)[1]
    return PartitionSpec(*(axis if i == chosen else None for i in range(chosen + 1)))


def shard_tree(tree: Any, mesh: Mesh, strategy: str) -> Any:
    """A sharding for every array of a tree (arrays or ``jax.ShapeDtypeStruct``)."""
    return jax.tree.map(lambda a: NamedSharding(mesh, partition(a.shape, mesh, strategy)), tree)


def on_host(tree: Any) -> Any:
    """Numpy arrays of a tree, whole; what several processes hold in parts is gathered by all of them."""

    def fetch(array: Any) -> np.ndarray:
        if not isinstance(array, jax.Array):
            return np.asarray(array)
        if array.is_fully_addressable or array.is_fully_replicated:
            return np.asarray(array)
        return np.asarray(multihost_utils.process_allgather(array, tiled=True))

    return jax.tree.map(fetch, tree)


def place(tree: Any, shardings: Any) -> Any:
    """Arrays that every process holds whole, or in parts together, put where the shardings say.

    Unlike ``jax.device_put`` it asks no other process whether the values agree.
    """

    def put(array: Any, sharding: NamedSharding) -> jax.Array:
        host = on_host(array)
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

    if isinstance(shardings, NamedSharding):
        return jax.tree.map(lambda a: put(a, shardings), tree)
    return jax.tree.map(put, tree, shardings)


def local_rows(mesh: Mesh, batch: int) -> tuple[int, int]:
    """First and last + 1 of the rows of a batch that this process's devices hold."""
    held = split_batch(mesh).addressable_devices_indices_map((batch,)).values()
    ranges = [index[0].indices(batch) for index in held if index]
    return min(start for start, _, _ in ranges), max(stop for _, stop, _ in ranges)


def place_rows(tree: Any, sharding: NamedSharding, batch: int) -> Any:
    """This process's rows ``[n, b, ...]``, put together to ``[n, batch, ...]`` on the devices."""

    def put(local: np.ndarray) -> jax.Array:
        shape = (local.shape[0], batch, *local.shape[2:])
        return jax.make_array_from_process_local_data(sharding, local, shape)

    return jax.tree.map(put, tree)


def bytes_per_device(tree: Any, mesh: Mesh, strategy: str) -> int:
    """Bytes that one device holds of a tree of arrays (or ``jax.ShapeDtypeStruct``)."""

    def local(array: Any) -> int:
        spec = partition(array.shape, mesh, strategy)
        return array.dtype.itemsize * math.prod(NamedSharding(mesh, spec).shard_shape(array.shape))

    return sum(local(array) for array in jax.tree.leaves(tree))


def describe(mesh: Mesh, batch: int, strategy: str = "replicated") -> str:
    """One line: the devices, how many images of a step each works on, and where the parameters lie.

    Raises:
        ValueError: an unknown strategy, or a batch that the devices do not divide.
    """
    check_batch(batch, mesh)
    partition((), mesh, strategy)  # refuses an unknown one
    data, model = mesh.shape["data"], mesh.shape["model"]
    split = {"fsdp": f"split over {data}", "tensor": f"in large arrays split over {model}"}
    lie = split.get(strategy, "whole on each")
    kind = mesh.devices.flat[0].device_kind
    return (
        f"{mesh.size} x {kind}: a step's {batch} images are split over {data}, {batch // data} on each; "
        f"parameters {lie} ({strategy})"
    )


def table(params: Any, mesh: Mesh, strategy: str) -> str:
    """Text table of the parameters: name, shape, partition, bytes per device; the sum comes last."""
    rows = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        spec = partition(leaf.shape, mesh, strategy)
        name = "/".join(str(getattr(key, "key", key)) for key in path)
        shape = "x".join(map(str, leaf.shape)) or "scalar"
        parts = ",".join(str(axis or "-") for axis in spec) or "whole"
        rows.append((name, shape, parts, f"{bytes_per_device(leaf, mesh, strategy):,}"))
    count = count_parameters(params)
    rows.append(("all", f"{count:,}", strategy, f"{bytes_per_device(params, mesh, strategy):,}"))
    rows.insert(0, ("parameter", "shape", "partition", "bytes per device"))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return "\n".join(
        f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}"
        for a, b, c, d in rows
    )
