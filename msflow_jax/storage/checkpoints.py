"""Checkpoints: orbax, asynchronous and atomic; the newest few and the best by validation are kept."""

import logging
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from msflow_jax.storage import choice, damage, facts
from msflow_jax.storage.digests import differences, digests, layouts, one_copy
from msflow_jax.storage.quiet import quiet
from msflow_jax.storage.shared_reading import own_copy, read_args


def exist(folder: Path) -> bool:
    """Whether ``folder/checkpoints`` holds a complete checkpoint; unfinished ones have longer names."""
    return bool(facts.steps(folder))


class Checkpoints:
    """The ``checkpoints`` folder of a workdir.

    Each step holds two items, so that inference reads only what it needs: ``ema`` (the parameters to
    use) and ``state`` (what training also needs), and the digest of every array in them, against which
    what is read is checked. Use as a context manager: leaving waits for the last save.

    Args:
        folder: where to keep them; made when missing unless ``read_only``.
        keep: how many of the newest to keep, beside the best.
        select: name of the validation metric that picks the best; a leading ``-`` means less is better.
        resolution: differences of this metric that say nothing, see :func:`choice.best`.
        read_only: whether nothing is ever written (inference).
        made: what the workdir says of the run, kept beside each checkpoint (:mod:`facts`).
    """

    def __init__(
        self,
        folder: Path,
        *,
        keep: int = 2,
        select: str = "val_auc",
        resolution: float = 0.0,
        read_only: bool = False,
        made: Mapping[str, Any] | None = None,
    ):
        # orbax narrates every save, and every failure many times; what fails is reported here.
        for logger in ("absl", "asyncio"):
            logging.getLogger(logger).setLevel(logging.CRITICAL)
        self.folder = Path(folder).absolute()
        self._select, self._resolution, self._made, self._failed = select, resolution, made, False
        self._quiet = ExitStack()
        if not read_only:
            damage.remove_unfinished(self.folder)
            damage.remove_deleted(self.folder)
        for path in damage.unsound(self.folder):
            # orbax counts every numbered folder as saved, and stops at metrics that it cannot parse.
            if not read_only:
                damage.clear(path)
            elif (path / "ema").is_dir():
                raise ValueError(damage.unreadable(path, "its metrics are damaged"))
        options = ocp.CheckpointManagerOptions(
            preservation_policy=choice.Keep(keep, select),
            # Renamed, then removed: nobody ever sees, and no kill leaves, one that is half deleted.
            todelete_subdir=None if read_only else damage.DELETED,
            read_only=read_only,
            create=not read_only,
        )
        names = ("ema", "state", "metrics", "digests", facts.ITEM)
        self._manager = ocp.CheckpointManager(self.folder, options=options, item_names=names)

    def __enter__(self) -> "Checkpoints":
        self._quiet.callback(quiet())
        return self

    def __exit__(self, *error: object) -> None:
        with self._quiet:
            self.wait()
            self._manager.close()
            if self._failed:  # writers of the failed save may have been at work after its report
                damage.remove_unfinished(self.folder)

    def steps(self) -> list[int]:
        """Steps with a checkpoint, oldest first."""
        steps = sorted(self._manager.all_steps())
        return [s for s in steps if (self.folder / str(s) / "ema").is_dir()]

    def best(self) -> int | None:
        """The step that classifies best, see :func:`choice.best`; None without checkpoints."""
        return choice.best(self._measured(), self._select)

    def best_drawing(self) -> int | None:
        """The step that draws best, see :func:`choice.best_drawing`; None without checkpoints."""
        return choice.best_drawing(self._measured(), self._select)

    def metrics(self, step: int) -> dict[str, float]:
        """What validation said at that step."""
        found = damage.read_metrics(self.folder / str(step))
        return {k: v for k, v in found.items() if not k.startswith("_")}

    def _measured(self) -> dict[int, dict[str, float]]:
        return {step: damage.read_metrics(self.folder / str(step)) for step in self.steps()}

    def _restore(self, step: int, **items: Any) -> Any:
        try:
            return self._manager.restore(step, args=ocp.args.Composite(**items))
        except Exception as error:  # whatever a broken file raises inside orbax
            self._quiet.pop_all()  # its threads go on, and would tell of it after the end
            reason = (str(error).splitlines() or [""])[0]
            raise ValueError(damage.unreadable(self.folder / str(step), reason)) from error

    def _digests(self, step: int) -> dict[str, dict[str, str]]:
        return self._restore(step, digests=ocp.args.JsonRestore())["digests"]

    def _check_layout(self, step: int, saved: dict[str, dict[str, str]], **items: Any) -> None:
        wrong = []
        for item, tree in items.items():
            then = {path: str(d).split()[0] for path, d in saved.get(item, {}).items()}
            wrong += [item + difference for difference in differences(then, layouts(tree))]
        if wrong:
            shown = "; ".join(wrong[:8]) + ("; ..." if len(wrong) > 8 else "")
            raise ValueError(
                f"checkpoint {self.folder / str(step)} is of another network or optimiser: {shown}"
            )

    def _restore_whole(self, step: int, saved: dict[str, dict[str, str]], **items: Any) -> Any:
        """Items and a check that every array is what was saved."""
        out = self._restore(step, **items)
        for item in items:
            then, found = saved.get(item, {}), digests(out[item])
            wrong = [path for path, value in found.items() if then.get(path) != value]
            if wrong:
                reason = f"{item}{wrong[0]} is not what was saved"
                raise ValueError(damage.unreadable(self.folder / str(step), reason))
        return out

    def save(self, step: int, items: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Start to save; returns before the files are complete. A step that exists is left alone.

        Args:
            step: training step.
            items: ``ema`` and ``state``, each a tree of arrays.
            metrics: what validation said.
        """
        if step not in self.steps():
            self._save(step, metrics, **items)

    def save_params(self, params: Any, step: int = 0) -> None:
        """Save parameters to use, for instance converted ones, without what training needs.

        Args:
            params: tree of arrays.
            step: step to save them as.
        """
        self._save(step, {}, ema=params)

    def _save(self, step: int, metrics: Mapping[str, float], **items: Any) -> None:
        if not self.wait():
            damage.remove_unfinished(self.folder)
        values = {k: float(v) for k, v in metrics.items()}
        values |= choice.notes(values, self._measured(), self._select, self._resolution)
        args = {name: ocp.args.StandardSave(one_copy(item)) for name, item in items.items()}
        args["metrics"] = ocp.args.JsonSave(values)
        args["digests"] = ocp.args.JsonSave({name: digests(item) for name, item in items.items()})
        if self._made is not None:
            args[facts.ITEM] = ocp.args.JsonSave({"made": dict(self._made), "metrics": values})
        self._failed = False
        try:
            # Given twice: written as an item, and told to the policy that keeps the best.
            self._manager.save(step, args=ocp.args.Composite(**args), metrics=values)
        except Exception as error:  # whatever a full disk raises inside orbax
            self._report(error)

    def wait(self) -> bool:
        """Until the last save is complete; False if it failed, which a warning has told."""
        try:
            self._manager.wait_until_finished()
        except Exception as error:
            self._report(error)
        damage.remove_deleted(self.folder)
        return not self._failed

    def _report(self, error: Exception) -> None:
        self._failed = True
        reason, kept = (str(error).splitlines() or [""])[0], self.steps()
        last = f"step {kept[-1]}" if kept else "none"
        warnings.warn(
            f"a checkpoint could not be saved in {self.folder} ({reason}). The last good one is {last}. "
            "Is the disk full?",
            stacklevel=3,
        )
        damage.remove_unfinished(self.folder)

    def restore(self, like: Mapping[str, Any]) -> dict[str, Any] | None:
        """The newest items that can be read, or None; a damaged checkpoint is named and skipped.

        Args:
            like: items as :meth:`save` took them, or trees of ``jax.ShapeDtypeStruct``: shapes, dtypes
                and shardings to restore to.

        Raises:
            ValueError: there are checkpoints, but none fits.
        """
        shapes = dict(jax.tree.map(ocp.utils.to_shape_dtype_struct, like))
        broken: list[tuple[Path, str]] = []
        for step in reversed(self.steps()):
            try:
                saved = self._digests(step)
                self._check_layout(step, saved, **shapes)
                args = {name: ocp.args.StandardRestore(item) for name, item in shapes.items()}
                out = self._restore_whole(step, saved, **args)
            except ValueError as error:
                warnings.warn(f"{error}. Trying the one before", stacklevel=2)
                broken.append((self.folder / str(step), str(error)))
                continue
            # Renamed only now: if none fits, it is not the files that are wrong.
            for path, _ in broken:
                damage.set_aside(path)
            if broken:
                self._manager.reload()
            return {name: out[name] for name in shapes}
        if broken:
            raise ValueError(
                f"no checkpoint in {self.folder} fits this configuration: was the network changed? "
                f"Use another --workdir, or the configuration in config.json. The newest: {broken[0][1]}"
            )
        return None

    def restore_params(self, step: int | None = None) -> tuple[int, Any]:
        """``(step, parameters to use)`` of the best checkpoint, or of the one named.

        Args:
            step: training step; None for the best.

        Raises:
            FileNotFoundError: there is none (never random weights).
            ValueError: the checkpoint cannot be read.
        """
        step = self.best() if step is None else step
        if step is None or step not in self.steps():
            which = "" if step is None else f" of step {step}"
            raise FileNotFoundError(
                f"no checkpoint{which} in {self.folder}: train first, or check --workdir"
            )
        args = read_args(self.folder / str(step) / "ema")
        return step, own_copy(self._restore_whole(step, self._digests(step), ema=args)["ema"])
