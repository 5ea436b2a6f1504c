"""What a report must say of how its numbers came to be: size, command, date, versions."""

import datetime
import importlib.metadata
import platform
import shlex
import sys
from collections.abc import Mapping
from typing import Any

import jax

from msflow_jax import __version__
from msflow_jax.data import Split, Splits
from msflow_jax.data.base import SPLITS
from msflow_jax.evaluation.counts import count_splits
from msflow_jax.inference.flow import Flow
from msflow_jax.nets import count_parameters

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "diffrax", "numpy")


def run_record(flow: Flow, splits: Splits | Mapping[str, Split]) -> dict[str, Any]:
    """What an evaluation says of itself beside its sections.

    Args:
        flow: the model that is evaluated.
        splits: data of the run, or images from elsewhere by name.

    Returns:
        ``family``, ``words`` and ``data`` of the workdir; ``counts``: images and subjects, see
        :func:`count_splits`; ``run``: number of ``parameters`` (``trained``, and ``frozen`` such as
        those of an autoencoder) and the :func:`circumstances`.
    """
    frozen = count_parameters(dict(flow.parts.params))
    whole = count_parameters(flow.params)
    names = SPLITS if isinstance(splits, Splits) else splits
    every = {name: (splits[name].labels, splits[name].groups) for name in names}
    parameters = {"trained": int(whole - frozen), "frozen": int(frozen)}
    return {
        "family": flow.family.name,
        "words": dict(flow.family.words),
        "data": flow.info.to_dict(),
        "counts": count_splits(every, flow.info.classes),
        "run": {"parameters": parameters, **circumstances()},
    }


def circumstances() -> dict[str, Any]:
    """Versions, time (UTC), command and device of this process."""
    return {
        "msflow_jax": __version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": command_line(),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        "platform": f"{platform.system()} {platform.machine()}",
    }


def command_line() -> str:
    """The command that this process runs, as one types it, with ``python`` for any interpreter."""
    return shlex.join(["python", *sys.orig_argv[1:]])
