"""The stages of SynerMedGen: understanding, then drawing, then what drawings are compared with."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import jax
from ml_collections import ConfigDict

from msflow_jax.data import Splits, in_memory
from msflow_jax.data.streaming import Stream
from msflow_jax.paired.control_stages import control_stages
from msflow_jax.paired.distillation import jump_stage, still, taken_stage
from msflow_jax.paired.pairs import pair_source
from msflow_jax.paired.stages import make_stage
from msflow_jax.synergy import conditions, objectives
from msflow_jax.synergy.augmentation import Augmentation
from msflow_jax.synergy.distillation import jumped
from msflow_jax.synergy.model import LABELS, Synergy
from msflow_jax.synergy.parts import SynergyParts
from msflow_jax.synergy.scenes import scenes
from msflow_jax.synergy.settings import LABEL_NOISE, UNTAUGHT, all_routes
from msflow_jax.synergy.sources import labelled_source, shown_source, some_subjects
from msflow_jax.synergy.task_split import TaskSplit
from msflow_jax.training import Stage
from msflow_jax.training.distillation import weights_of_guidance
from msflow_jax.training.source import Source
from msflow_jax.training.stage import update

_ASKED = 256  # questions of a validation
_UNDERSTANDING = ("content", "look", "understanding")


def stages(config: ConfigDict, splits: Splits, parts: SynergyParts, model: Synergy) -> list[Stage]:
    """All stages in order.

    Raises:
        ValueError: nothing to learn from; names what is missing.
    """
    make = _Maker(config, splits, parts, model)
    if config.model.distillation.teacher:
        return make.distilled()
    names = list(config.model.stages)
    if not model.taught and names[0] != "prior":
        names = [UNTAUGHT, *(name for name in names if name != "understand")]
    found = [getattr(make, name)() for name in names]
    return [*found, *control_stages(make, model.controls)]


@dataclasses.dataclass
class _Maker:
    """What makes stages; see :class:`msflow_jax.paired.control_stages.Maker`."""

    config: ConfigDict
    splits: Splits
    parts: SynergyParts
    model: Synergy

    def pair(self, *names: str) -> tuple[Source, Source]:
        """See :class:`msflow_jax.paired.control_stages.Maker`."""
        split = some_subjects(in_memory(self.splits.train), self.config, self.config.model.pairs)
        return (
            pair_source(split, names, None, "training"),
            pair_source(self.splits.val, names, None, "validation"),
        )

    def stage(
        self, name: str, kind: str, objective: Callable[..., Any], pair: tuple[Any, Any], trains: str,
        parts: Sequence[tuple[Sequence[str], Sequence[str]]],
    ) -> Stage:  # fmt: skip
        """See :class:`msflow_jax.paired.control_stages.Maker`."""
        key = jax.random.key(self.config.train.seed)

        def start(tree: Any) -> Any:
            for kinds, names in parts:
                for part in kinds:
                    made = {part: self.model.start(part, key, names)}
                    # What an earlier stage has learned goes on from there.
                    tree = tree if part in tree and not names else update(tree, made)
            return tree

        return make_stage(self.config, name, kind, objective, pair, trains, start)

    def understand(self) -> Stage:
        """Questions: encoders and the understanding expert; with them scenes, if replayed."""
        own, weight = _UNDERSTANDING, self.config.model.tasks.replay
        objective, pair = self._answering, self._asked
        if weight:
            draw = partial(objectives.prior_objective, self.model)
            objective = _both(objective, draw, weight)
            pair = _both_sources(pair, self._scenes)
        return self.stage("understand", "understand", objective, pair, _under(own), [(own, ())])

    @property
    def _answering(self) -> Callable[..., Any]:
        tasks = self.config.model.tasks
        return partial(
            objectives.understand_objective, self.model, tasks.places, tasks.letters, tasks.arm
        )

    def untaught(self) -> Stage:
        """Understanding that has learned nothing, as drawing finds it then: one step of length zero."""
        own = _UNDERSTANDING
        found = self.stage(UNTAUGHT, "understand", still, self._images, _under(own), [(own, ())])
        found.config.update(dict(steps=1, eval_every=1, learning_rate=0.0, weight_decay=0.0))
        return found

    def prior(self) -> Stage:
        """Scenes of nothing in particular: both experts, before understanding sees anatomy."""
        parts = (*_UNDERSTANDING, "drawing")
        objective = partial(objectives.prior_objective, self.model)
        return self.stage("prior", "prior", objective, self._scenes, _under(parts), [(parts, ())])

    def reconstruct(self) -> Stage:
        """Images from their own content and look."""
        dropout = self.config.model.dropout
        objective = partial(
            objectives.reconstruct_objective, self.model, (dropout.content, dropout.words),
            self.config.model.named, self._augment,
        )  # fmt: skip
        return self.stage(
            "reconstruct", "reconstruct", objective, self._images, _under(("drawing",)),
            [(("drawing",), ())],
        )  # fmt: skip

    def generate(self) -> Stage:
        """Pairs of modalities, behind an understanding that stays as it is, if not told otherwise."""
        frozen = self.config.model.frozen
        parts = ("drawing",) if frozen else (*_UNDERSTANDING, "drawing")
        return self.stage(
            "generate",
            "generate",
            self._pairing(frozen),
            self._images,
            _under(parts),
            [(parts, ())],
        )

    def mixed(self) -> Stage:
        """Questions and pairs at once, as the public recipe has them: one to one."""
        parts = (*_UNDERSTANDING, "drawing")
        objective = _both(self._answering, self._pairing(False))
        pair = _both_sources(self._asked, self._images)
        return self.stage("mixed", "mixed", objective, pair, _under(parts), [(parts, ())])

    def classify(self) -> Stage:
        """The class of an image, from what understanding sees of it."""
        if (noise := self.config.model.noise) > LABEL_NOISE:
            warnings.warn(
                f"model.noise={noise:g}: the stage classify learns with {LABEL_NOISE:g} at most, also "
                "where an earlier version began it, since more hides the class: set it to "
                f"{LABEL_NOISE:g} unless the stage reconstruct needs more",
                stacklevel=3,
            )
        objective = partial(objectives.label_objective, self.model)
        splits = (in_memory(self.splits.train), "training"), (self.splits.val, "validation")
        train, val = (labelled_source(split, self.config, what) for split, what in splits)
        return self.stage(
            "classify", "classify", objective, (train, val), _under((LABELS,)), [((LABELS,), ())]
        )

    def distilled(self) -> list[Stage]:
        """What the teacher has, then jumps of the drawing, behind what its last stage looked at."""
        model = self.config.model
        guidance = weights_of_guidance(model.distillation)
        show: Callable[..., Any] = partial(conditions.alone, self.model, model.named, self._augment)
        if self.model.paired:
            show = partial(conditions.paired, self.model, self._augment, all_routes(model), True)
        make = {"": partial(jumped, self.model, show, guidance)}
        draws = _under(("drawing",))
        given = self.config, self.model.init, self._images, draws
        return [
            taken_stage(*given),
            jump_stage(self.config, "jump", self.model.init, draws, make, self._images),
        ]

    @property
    def _augment(self) -> Augmentation:
        return Augmentation(**self.config.model.augment.to_dict())

    def _pairing(self, frozen: bool) -> Callable[..., Any]:
        dropout = self.config.model.dropout
        shares = (dropout.words, dropout.latents, dropout.content)
        return partial(
            objectives.pair_objective, self.model, shares, self._augment,
            all_routes(self.config.model), frozen,
        )  # fmt: skip

    @cached_property
    def _asked(self) -> tuple[Any, Source]:
        """Training and validation questions."""
        tasks = self.config.model.tasks
        split = some_subjects(in_memory(self.splits.train), self.config, tasks.share)
        train = self.parts.ask(self.config, split, tasks.instances)
        val = _whole(self.parts.ask(self.config, self.splits.val, _ASKED))
        if tasks.stream:
            names = {name: name for name in train.modalities}
            workers = self.config.data.workers
            return Stream(train, workers, arrays=names), val  # type: ignore[arg-type]
        return _whole(train), val

    @cached_property
    def _scenes(self) -> tuple[Source, Source]:
        """Training and validation scenes of the prior."""
        count, seed = self.config.model.tasks.scenes, self.config.train.seed
        shape = self.model.codec.shape
        return scenes(count, shape, seed), scenes(_ASKED, shape, seed + count)

    @cached_property
    def _images(self) -> tuple[Source, Source]:
        """Examples of a route or more: of training a share of the subjects, if so configured."""
        split = some_subjects(in_memory(self.splits.train), self.config, self.config.model.pairs)
        return tuple(
            shown_source(one, self.config, what)
            for one, what in ((split, "training"), (self.splits.val, "validation"))
        )  # type: ignore[return-value]


def _both(
    ask: Callable[..., Any], draw: Callable[..., Any], weight: float = 1.0
) -> Callable[..., Any]:
    """The sum of two objectives, of questions and of what is drawn, the second times a weight."""

    def objective(params: Any, batch: Any, key: jax.Array, *, train: bool = True) -> Any:
        k_ask, k_draw = jax.random.split(key)
        asked, of_asked = ask(params, batch["asked"], k_ask, train=train)
        drawn, of_drawn = draw(params, batch["drawn"], k_draw, train=train)
        return asked + weight * drawn, {**of_asked, **of_drawn}

    return objective


def _both_sources(asked: tuple[Any, Any], drawn: tuple[Any, Any]) -> tuple[Any, Any]:
    """Training and validation examples of :func:`_both`."""
    both = [{"asked": a, "drawn": b} for a, b in zip(asked, drawn, strict=True)]
    return both[0], both[1]


def _whole(asked: TaskSplit) -> Source:
    return Source(asked.arrays(), asked.modalities)


def _under(parts: Sequence[str]) -> str:
    return f"({'|'.join(parts)})/.*"
