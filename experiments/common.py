"""What the commands share: one-line errors, flags, and the way from a workdir to a model."""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

# ImportError: an optional package that is not there; its message says how to get it.
EXPECTED_ERRORS = (ValueError, OSError, FloatingPointError, ImportError)


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with the flags of every command."""
    out = argparse.ArgumentParser(description=description)
    out.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return out


def run(main: Callable[[Sequence[str]], Any]) -> None:
    """Run a command: what a user can mend is one line on stderr and exit status 2.

    A training that SIGTERM stopped has saved everything: a line, and exit status 0.
    """
    try:
        main(sys.argv[1:])
    except Exception as error:
        from msflow_jax.training.loop import Preempted, Stopped  # here: `--help` loads no JAX

        if isinstance(error, Preempted):
            print(error, file=sys.stderr)
            return
        if "--debug" in sys.argv or not isinstance(error, (*EXPECTED_ERRORS, Stopped)):
            raise
        message = " ".join(str(error).split())
        print(f"error: {message} (--debug shows the traceback)", file=sys.stderr)
        sys.exit(2)


@dataclasses.dataclass(frozen=True)
class Trained:
    """A workdir opened for use."""

    path: Path
    config: ConfigDict
    info: Any
    model: Any
    params: Any
    step: int


def open_workdir(path: str | Path) -> Trained:
    """The model of a workdir with the parameters of its best checkpoint.

    Raises:
      FileNotFoundError: no workdir, or no checkpoint in it.
      ValueError: the parameters are not those of the model in config.json.
    """
    import jax

    from msflow_jax import workdir
    from msflow_jax.build import build
    from msflow_jax.parts import Parts, prepare
    from msflow_jax.storage.checkpoints import Checkpoints
    from msflow_jax.storage.digests import differences, layouts
    from msflow_jax.symmetric import LatentFlow

    path = Path(path)
    config, info = workdir.read(path)
    folder = path / "checkpoints"
    if not folder.is_dir():
        raise FileNotFoundError(f"no checkpoint in {folder}: train first, or check --workdir")
    with Checkpoints(folder, select=config.train.select, read_only=True) as checkpoints:
        step, params = checkpoints.restore_params()
    parts = prepare(config.model, info, path)
    model = build(config.model, info, parts)
    if wrong := differences(layouts(params), layouts(model.init(jax.random.key(0)))):
        raise ValueError(
            f"{path}: the checkpoint of step {step} is not of the network in config.json ({wrong[0]}): "
            "restore config.json from a copy"
        )
    if isinstance(model, LatentFlow):
        assert isinstance(parts, Parts)
        params = model.join(params, parts.params)
    return Trained(path, config, info, model, params, step)
