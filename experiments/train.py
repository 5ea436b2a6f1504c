"""Train a model, evaluate it on the test split once, and write the report. Resumes by itself.

python -m experiments.train --config=configs/quickstart.py
python -m experiments.train --config=configs/pixel_retina.py:cpu --config.data.root=DIR
"""

import argparse
import contextlib
import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.common import parser, run

# How many training images the activation norms of a coupling flow are fitted to.
_ACTNORM_IMAGES = 64


def load_config(arguments: Sequence[str]):
    """The configuration named by ``--config=FILE[:ARGUMENT]`` with its ``--config.a.b=v`` overrides.

    Raises:
      FileNotFoundError: no such file.
      ValueError: an unknown key (the nearest known ones are named) or a value of another type.
    """
    from absl import flags
    from ml_collections import config_flags

    named = [a.split("=", 1)[1] for a in arguments if a.startswith("--config=")]
    file = Path(re.sub(r":[^:/\\]*$", "", named[-1])) if named else None
    if file is not None and not file.is_file():
        raise FileNotFoundError(f"no configuration file {file}")
    values = flags.FlagValues()
    line = ["train", *arguments]
    config_flags.DEFINE_config_file("config", flag_values=values, lock_config=True, sys_argv=line)
    try:
        values(line)
    except (AttributeError, KeyError) as error:
        raise ValueError(_unknown_key(arguments, error)) from error
    except (flags.Error, TypeError) as error:
        raise ValueError(_short(f"{error}".strip('"'), named[-1])) from error
    return values.config


def _short(message: str, file: str) -> str:
    """An error inside the configuration file comes as a whole traceback: its last line says it."""
    if "Traceback" not in message:
        return message
    return f"{file} cannot be used: {message.strip().splitlines()[-1]}"


def _unknown_key(arguments: Sequence[str], error: Exception) -> str:
    from msflow_jax.defaults import default_config

    known = [key for key, _ in _leaves(default_config().to_dict())]
    for argument in arguments:
        key = argument.split("=")[0].removeprefix("--config.")
        if argument.startswith("--config.") and key not in known:
            near = difflib.get_close_matches(key, known, n=3, cutoff=0.4) or known
            return f"unknown configuration key {key!r}; near it: {', '.join(near)}"
    return f"unknown configuration key: {error}"


def _leaves(tree: dict, prefix: str = ""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def default_workdir(config: str) -> Path:
    """``runs/NAME`` or ``runs/NAME-ARGUMENT`` for ``configs/NAME.py[:ARGUMENT]``."""
    stem, _, argument = Path(config).name.partition(":")
    return Path("runs") / "-".join(filter(None, (stem.removesuffix(".py"), argument)))


def train(config, workdir: Path, encode_only: bool = False) -> None:
    """Load, build, fit: leaves a workdir that every other command accepts.

    With ``encode_only`` a latent model's training and validation images are encoded, no more.

    Raises:
      ValueError: ``encode_only`` for a model of pixels.
    """
    import jax
    from jax.experimental import multihost_utils

    from msflow_jax import data, parts
    from msflow_jax import workdir as workdirs
    from msflow_jax.build import build
    from msflow_jax.storage.lock import locked
    from msflow_jax.training import fit

    splits = data.load(config.data)
    info, split = splits.info, splits.train
    found = parts.prepare(config.model, info, workdir, split)
    model = build(config.model, info, found)
    latent = isinstance(found, parts.Parts)
    if encode_only and not latent:
        raise ValueError("--encode-only is for latent models: model.latent.autoencoder is empty")
    if encode_only:
        _latents(model, found, splits, config)
        return
    first = jax.process_index() == 0
    with locked(workdir) if first else contextlib.nullcontext():
        if first:
            workdirs.create(workdir, config, info)
            if found:
                parts.keep(found, workdir)
            print(
                f"{info.name}: {len(split)} training, {len(splits.val)} validation, "
                f"{len(splits.test)} test images of {info.side} x {info.side} x {info.channels}, "
                f"{len(info.classes)} classes"
            )
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("workdir")
        source, validate = (
            _latents(model, found, splits, config) if latent else _pixels(model, splits, config)
        )
        fit(
            model, source, config.train, workdir, validate=validate,
            initial=initial_parameters(model, split, config.train.seed),
        )  # fmt: skip


def initial_parameters(model, split, seed: int) -> Any:
    """Parameters to begin with that depend on the data; None for a model that knows its own."""
    import jax

    from msflow_jax import data
    from msflow_jax.coupling import CouplingFlow
    from msflow_jax.data.batches import to_float

    if not isinstance(model, CouplingFlow):
        return None
    few = data.some(split, _ACTNORM_IMAGES, seed)
    k_init, k_noise = jax.random.split(jax.random.key(seed))

    @jax.jit
    def fitted(params, images, labels):
        x = model.dequantised(params, to_float(images), k_noise)
        return model.fit_actnorm(params, x, labels)

    return fitted(model.init(k_init), few.images, few.labels)


def _pixels(model, splits, config) -> tuple[Any, Any]:
    """What :func:`msflow_jax.training.fit` trains on and validates with."""
    from msflow_jax.inference.runners import make_validation
    from msflow_jax.training.source import source_of

    per_pixel = config.model.task == "segment"
    source = source_of(
        splits.train, config.data.loader, config.data.workers, splits.info.flips,
        {"image": "image", "label": "map" if per_pixel else "label"},
    )  # fmt: skip
    labels = splits.val.maps if per_pixel else splits.val.labels
    return source, make_validation(model, splits.val.images, labels, config)


def _latents(model, parts, splits, config) -> tuple[Any, Any]:
    """The same for a latent model: its training images are latents, computed once."""
    from msflow_jax.inference.runners import make_validation
    from msflow_jax.latent.cache import split_latents
    from msflow_jax.training.source import Source

    info, latent = splits.info, config.model.latent
    flips = info.flips if config.train.flips else ()
    found = split_latents(model, parts, splits.train, "train", info, latent, flips)
    val = split_latents(model, parts, splits.val, "val", info, latent)
    kinds = dict.fromkeys(found, "latent")
    source = Source.of_arrays({**found, "label": splits.train.labels}, kinds)
    return source, make_validation(model.flow, val["image"][:, 0], splits.val.labels, config)


def main(arguments: Sequence[str]) -> None:
    """The command."""
    from experiments.evaluate import evaluate
    from msflow_jax.parallel.startup import start_jax

    flags = parser(__doc__ or "")
    flags.formatter_class = argparse.RawDescriptionHelpFormatter
    flags.add_argument(
        "--config", required=True, metavar="FILE[:ARGUMENT]",
        help="a file under configs/; --config.a.b=v changes a value",
    )  # fmt: skip
    flags.add_argument("--workdir", help="where to keep the run (default: runs/NAME)")
    flags.add_argument("--profile", action="store_true", help="trace a few steps to W/profile")
    flags.add_argument(
        "--encode-only", action="store_true", help="of a latent model: fill its cache, then stop"
    )
    flags.add_argument("--no-evaluate", action="store_true", help="stop after training")
    flags.add_argument(
        "--distributed", metavar="auto|HOST:PORT,INDEX,COUNT",
        help="train with other processes: found by the cluster, or through this coordinator",
    )  # fmt: skip
    options, rest = flags.parse_known_args(arguments)
    if unknown := [a for a in rest if not a.startswith("--config.")]:
        flags.error(f"unknown argument {unknown[0]}")
    config = load_config([f"--config={options.config}", *rest])
    config.train.profile |= options.profile
    together = start_jax(config.train.batch, options.distributed)
    workdir = Path(options.workdir) if options.workdir else default_workdir(options.config)
    train(config, workdir, options.encode_only)
    if options.encode_only:
        return
    if together and not options.no_evaluate:
        print(
            f"next, on one machine: python -m experiments.evaluate --workdir={workdir} --split=test"
        )
    elif not options.no_evaluate:
        evaluate(workdir, split="test")


if __name__ == "__main__":
    run(main)
