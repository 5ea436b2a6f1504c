"""Checkpoints: orbax, asynchronous and atomic; the newest few and the best by validation are kept."""

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from msflow_jax.training.step import TrainState

log = logging.getLogger(__name__)


class Checkpoints:
    """The ``checkpoints`` folder of a workdir.

    Each step holds two items, so that inference reads only what it needs: ``ema`` (the parameters to
    use) and ``state`` (what training also needs). Use as a context manager: leaving waits for the
    last save.

    Args:
      folder: where to keep them; made when missing unless ``read_only``.
      keep: how many of the newest to keep, beside the best.
      select: name of the validation metric that picks the best; a leading ``-`` means less is better.
      read_only: for inference; nothing is written.
    """

    def __init__(
        self, folder: Path, *, keep: int = 2, select: str = "val_auc", read_only: bool = False
    ):
        logging.getLogger("absl").setLevel(logging.WARNING)  # orbax narrates every save
        self.folder = Path(folder).absolute()
        name, sign = select.lstrip("-"), -1.0 if select.startswith("-") else 1.0

        def score(metrics: Mapping[str, float] | None) -> float:
            return sign * (metrics or {}).get(name, -sign * np.inf)

        self._score = score
        policies = [
            checkpoint_managers.LatestN(keep),
            checkpoint_managers.BestN(get_metric_fn=score, n=1),
        ]
        options = ocp.CheckpointManagerOptions(
            preservation_policy=checkpoint_managers.AnyPreservationPolicy(policies),
            read_only=read_only,
            create=not read_only,
        )
        self._manager = ocp.CheckpointManager(
            self.folder, options=options, item_names=("ema", "state", "metrics")
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *error: object) -> None:
        self._manager.close()

    def steps(self) -> list[int]:
        """Steps with a checkpoint, oldest first."""
        steps = sorted(self._manager.all_steps())
        # orbax counts any folder whose name is a number.
        return [s for s in steps if (self.folder / str(s) / "ema").is_dir()]

    def best(self) -> int | None:
        """The step that validation prefers (the newest of equals), or None without checkpoints."""
        steps = self.steps()
        return max(steps, key=lambda s: (self._score(self.metrics(s)), s)) if steps else None

    def metrics(self, step: int) -> dict[str, float]:
        """What validation said at that step."""
        if not (self.folder / str(step) / "metrics").exists():
            return {}
        return self._manager.restore(step, args=ocp.args.Composite(metrics=ocp.args.JsonRestore()))[
            "metrics"
        ]

    def save(self, state: TrainState, metrics: Mapping[str, float]) -> None:
        """Start to save; returns before the files are complete. A step that exists is left alone."""
        step = int(state.step)
        if step in self.steps():
            return
        rest = {"step": state.step, "params": state.params, "opt_state": state.opt_state}
        args = ocp.args.Composite(
            ema=ocp.args.StandardSave(state.ema),
            state=ocp.args.StandardSave(rest),
            metrics=ocp.args.JsonSave({k: float(v) for k, v in metrics.items()}),
        )
        self._manager.save(step, args=args)

    def wait(self) -> None:
        """Until every save is complete."""
        self._manager.wait_until_finished()

    def restore_state(self, like: TrainState) -> TrainState | None:
        """The newest state that can be read, or None; a damaged one is named and skipped."""
        shapes = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        rest = {"step": shapes.step, "params": shapes.params, "opt_state": shapes.opt_state}
        args = ocp.args.Composite(
            ema=ocp.args.StandardRestore(shapes.ema), state=ocp.args.StandardRestore(rest)
        )
        for step in reversed(self.steps()):
            try:
                out = self._manager.restore(step, args=args)
            except Exception as error:  # whatever a broken file raises inside orbax
                reason = (str(error).splitlines() or [""])[0]
                warnings.warn(
                    f"checkpoint {self.folder / str(step)} cannot be read ({reason}); "
                    "trying the one before",
                    stacklevel=2,
                )
                continue
            state = out["state"]
            return TrainState(state["step"], state["params"], out["ema"], state["opt_state"])
        if self.steps():
            raise ValueError(
                f"no checkpoint in {self.folder} fits this configuration: was the network changed? "
                "Use another --workdir, or the configuration in config.json"
            )
        return None

    def restore_params(self, step: int | None = None) -> tuple[int, Any]:
        """``(step, parameters to use)`` of the best checkpoint, or of the one named.

        Raises:
          FileNotFoundError: there is none (never random weights).
        """
        step = self.best() if step is None else step
        if step is None or step not in self.steps():
            which = "" if step is None else f" of step {step}"
            raise FileNotFoundError(
                f"no checkpoint{which} in {self.folder}: train first, or check --workdir"
            )
        out = self._manager.restore(step, args=ocp.args.Composite(ema=ocp.args.StandardRestore()))
        return step, out["ema"]
