"""A stage of training: what is minimised, on which data, and which leaves of the tree are trained.

Leaves that a stage does not train are frozen by not being there: parameters, moving average, optimiser
moments and checkpoint hold the trained leaves alone. A path is written ``a/b/c``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
from flax.traverse_util import flatten_dict, unflatten_dict
from ml_collections import ConfigDict

from msflow_jax.training.source import Sources, count_examples
from msflow_jax.training.validation import Validation, check_select

Params = Any
Loss = Callable[..., tuple[jax.Array, dict[str, jax.Array]]]
_Leaves = dict[tuple[str, ...], Any]
STAGES = "stages"  # folder of the folders of stages
_SHOWN = 4  # paths in an error message


@dataclass(frozen=True)
class Stage:
    """One stage of training; most models have a single one.

    Attributes:
        name: name of the stage and of its folder; "" for a single stage, which is kept in the workdir
            itself.
        loss: ``loss(params, batch, key, *, train) -> (scalar, metrics)``, of the whole tree. One with a
            keyword ``progress`` is also given the share of the steps that are done, float32 in [0, 1).
        source: training data: a source, which is kept on the device whole; a stream, which is read while
            training and gives the same run; or several of them by name.
        config: the ``train`` part of a configuration.
        start: ``start(the tree so far) -> the tree that the stage starts from``. It may be expensive:
            where a checkpoint is there it is only traced for its shapes, if JAX can trace it, and not
            even that once the stage is finished. Whatever it makes new must be trained; frozen leaves
            are those of the tree so far.
        trains: regular expression; leaves whose whole path matches are trained.
        trained: whether ``start`` is a model that can be used: it is validated and kept as step 0, so
            that the best one is none that has become worse.
        alternative: leaves that may stand for the start's in step 0: they are kept there where they
            classify better, to classify alone, and nothing is trained from them.
        validate: ``validate(whole tree) -> metrics``, called with the moving average every
            ``eval_every`` steps; its metric ``select`` picks the best checkpoint. A ``Validation`` says
            beforehand what it reports.

    Raises:
        ValueError: the validation does not report ``select``.
    """

    name: str
    loss: Loss
    source: Sources
    config: ConfigDict
    start: Callable[[Params], Params]
    trains: str = ".*"
    validate: Callable[[Params], Mapping[str, float]] | None = None
    trained: bool = False
    alternative: Params | None = None

    def __post_init__(self) -> None:
        if isinstance(self.validate, Validation):
            check_select(self.config.select, self.validate.metrics)

    @property
    def resolution(self) -> float:
        """Differences of the metric ``select`` that say nothing."""
        return getattr(self.validate, "resolution", 0.0)

    @property
    def steps(self) -> int:
        """Length of the stage.

        Raises:
            ValueError: there are no training data.
        """
        return total_steps(self.config, count_examples(self.source))

    def folder(self, workdir: Path) -> Path:
        """Folder of the stage's checkpoints and records."""
        return stage_folder(workdir, self.name)

    def initial(self, so_far: Params) -> Params:
        """Trained leaves to start from.

        Args:
            so_far: tree of the stages before.

        Raises:
            ValueError: ``trains`` matches no leaf, or ``start`` makes a leaf that is neither trained nor
                in the tree so far: nothing would keep it.
        """
        trained, rest = split(self.start(so_far), self.trains)
        lost = sorted(_flatten(rest).keys() - _flatten(so_far).keys())
        if lost:
            raise ValueError(
                f"the start of {self._title()} makes parameters that it does not train "
                f"({_few(lost)}): widen trains={self.trains!r}, or make them in a stage before"
            )
        return trained

    def initial_shapes(self, so_far: Params) -> Params:
        """Tree with the shapes and dtypes of :meth:`initial`, without the work where JAX can trace it.

        Args:
            so_far: tree of the stages before.
        """
        try:
            return jax.eval_shape(self.initial, so_far)
        except (jax.errors.JAXTypeError, jax.errors.JAXIndexError):
            # Numpy on the host cannot be traced: the shapes are known only once it has run.
            return self.initial(so_far)

    def frozen(self, so_far: Params) -> Params:
        """Leaves of the tree so far that the stage uses and does not train."""
        return _part(so_far, self.trains)[1]

    def _title(self) -> str:
        return f"stage {self.name!r}" if self.name else "the stage"


def total_steps(config: ConfigDict, examples: int) -> int:
    """Length of a run: ``steps`` where given, else ``epochs`` passes over the examples.

    Args:
        config: the ``train`` part of a configuration.
        examples: size of the training set.
    """
    if config.steps:
        return config.steps
    return max(1, round(config.epochs * examples / config.batch))


def stage_folder(workdir: Path, name: str) -> Path:
    """Folder of a stage: the workdir itself for ""; else ``stages/NAME`` in it.

    Args:
        workdir: folder of the whole run.
        name: name of the stage.

    Raises:
        ValueError: the name is not made of letters, digits, ``-`` and ``_``.
    """
    if not name:
        return Path(workdir)
    if not re.fullmatch(r"[\w-]+", name):
        raise ValueError(f"a stage is named by letters, digits, '-' and '_', not {name!r}")
    return Path(workdir) / STAGES / name


def split(params: Params, pattern: str) -> tuple[Params, Params]:
    """The trained and the frozen part of a tree of nested dicts; :func:`merge` is the inverse.

    Args:
        params: tree of nested dicts.
        pattern: regular expression; leaves whose whole path (``a/b/c``) matches are trained.

    Returns:
        Two trees of nested dicts without a common path.

    Raises:
        ValueError: the pattern matches no path, or is no regular expression.
    """
    trained, frozen = _part(params, pattern)
    if params and not trained:
        raise ValueError(
            f"trains={pattern!r} matches no parameter; paths are, for instance, "
            f"{_few(sorted(_flatten(params)))}"
        )
    return trained, frozen


def merge(trained: Params, frozen: Params) -> Params:
    """The tree of two parts, see :func:`split`.

    Args:
        trained: tree of nested dicts.
        frozen: tree of nested dicts with other paths, or an empty one.

    Raises:
        ValueError: the parts share a path.
    """
    if not frozen:
        return trained  # as it is, of whatever type
    a, b = _flatten(trained), _flatten(frozen)
    if shared := sorted(a.keys() & b.keys()):
        raise ValueError(f"both the trained and the frozen part have {_few(shared)}")
    return _unflatten({**a, **b})


def update(so_far: Params, trained: Params) -> Params:
    """The tree so far with the leaves that a stage trained in place of its own, or beside them.

    Args:
        so_far: tree of nested dicts, or an empty one.
        trained: tree of nested dicts.
    """
    if not so_far:
        return trained
    return _unflatten({**_flatten(so_far), **_flatten(trained)})


def _part(params: Params, pattern: str) -> tuple[Params, Params]:
    try:
        matches = re.compile(pattern).fullmatch
    except re.error as error:
        raise ValueError(f"trains={pattern!r} is no regular expression: {error}") from error
    parts: tuple[_Leaves, _Leaves] = ({}, {})
    for path, leaf in _flatten(params).items():
        parts[not matches("/".join(path))][path] = leaf
    trained, frozen = map(_unflatten, parts)
    return (params if not frozen else trained), frozen


# Empty dicts are kept as leaves, so that splitting and merging give back the very tree.
_flatten: Callable[[Params], _Leaves] = partial(flatten_dict, keep_empty_nodes=True)


def _unflatten(leaves: _Leaves) -> Params:
    for path in leaves:
        if above := [path[:n] for n in range(1, len(path)) if path[:n] in leaves]:
            raise ValueError(f"{_few(above)} is a parameter and the folder of {_few([path])}")
    return unflatten_dict(leaves)


def _few(paths: list[tuple[str, ...]]) -> str:
    more = ", ..." if len(paths) > _SHOWN else ""
    return ", ".join("/".join(path) for path in paths[:_SHOWN]) + more
