"""Reading a checkpoint with other processes, or on other devices than those that wrote it."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from msflow_jax.storage import damage


def read_args(item: Path) -> Any:
    """How an item of a checkpoint is read to be used: whole, on the first device of this process.

    With several processes on every device, lest orbax look for the devices that it was saved from, which
    may be another process's.

    Raises:
        ValueError: what is stored cannot be told.
    """
    if jax.process_count() == 1:
        here = SingleDeviceSharding(jax.local_devices()[0])
        return ocp.args.StandardRestore(fallback_sharding=here)
    everywhere = NamedSharding(Mesh(np.array(jax.devices()), ("devices",)), PartitionSpec())
    try:
        stored: Any = ocp.StandardCheckpointHandler().metadata(item)
    except (OSError, ValueError) as error:
        raise ValueError(damage.unreadable(item.parent, str(error).splitlines()[0])) from error
    like = jax.tree.map(
        lambda one: jax.ShapeDtypeStruct(one.shape, one.dtype, sharding=everywhere), stored.tree
    )
    return ocp.args.StandardRestore(like)


def own_copy(tree: Any) -> Any:
    """What several processes hold alike, for each to compute with by itself; of one unchanged."""
    return jax.tree.map(np.asarray, tree) if jax.process_count() > 1 else tree
