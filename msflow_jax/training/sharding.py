"""Where arrays live: one mesh over all devices, the batch split over its ``data`` axis."""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec


def make_mesh() -> Mesh:
    """A mesh ``('data', 'model')`` with every device on ``data``."""
    return Mesh(np.array(jax.devices()).reshape(-1, 1), ("data", "model"))


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def split_batch(mesh: Mesh, axis: int = 0) -> NamedSharding:
    """The array's ``axis`` split over the ``data`` axis of the mesh."""
    return NamedSharding(mesh, PartitionSpec(*(None,) * axis, "data"))


def check_batch(batch: int, mesh: Mesh) -> None:
    """Raise a ValueError that names both numbers if the devices do not divide the batch."""
    devices = mesh.shape["data"]
    if batch % devices:
        raise ValueError(
            f"batch size {batch} must be divisible by the number of devices, {devices}"
        )
