"""The section of a distilled model: few jumps beside the steps of its teacher, from the same noise."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from msflow_jax.inference.evaluation import Arrays, Block, Evaluation
from msflow_jax.inference.flow import Flow
from msflow_jax.inference.runners import make_generator
from msflow_jax.inference.windows import crops
from msflow_jax.storage.facts import TEACHER
from msflow_jax.storage.weights import load_params
from msflow_jax.streams import JUMP

JUMPS = (1, 2, 4)
REFERENCE = 25  # steps of the teacher
SHOWN = 8
OWN = "own field"


def walking(flow: Flow, taught: Callable[[Any], Any]) -> tuple[Any, Any, str]:
    """Model and parameters whose steps jumps are compared with, and what they are called.

    Where a workdir keeps no teacher, as of a model that was its own, or that came from the hub, it is
    the model's own field: at no place is that called the teacher.
    """
    if not (flow.path / TEACHER).is_dir():
        return flow.model, flow.drawing_params, OWN
    return taught(flow.model), {**load_params(flow.path / TEACHER), **flow.parts.params}, TEACHER


@dataclass(frozen=True)
class FewSteps:
    """What few jumps draw, measured beside the teacher, or its own field, at as many steps and at 25.

    Attributes:
        taught: the model that one that jumps was distilled from.
        guidance: that was distilled with it.
    """

    taught: Callable[[Any], Any]
    guidance: float = 1.0
    name: str = "few_steps"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        from msflow_jax.evaluation.few_steps import compare_ways

        flow, train, chosen = run.flow, run.splits.train, run.chosen
        labels = np.tile(np.arange(len(run.classes), dtype=np.int32), run.sample.generate.per_class)
        student = flow.drawing_params
        model, params, called = walking(flow, self.taught)
        guidance = self.guidance if called == TEACHER else 1.0  # its own field has it already
        given = {"seed": run.sample.seed, "batch": run.sample.batch}

        def draw(model: Any, params: Any, steps: int, solver: str, guidance: float) -> np.ndarray:
            runner = make_generator(model, steps=steps, solver=solver, guidance=guidance, **given)
            return runner(params, labels, f"drawing in {steps} steps")

        ways = {
            f"{n} jumps" if n > 1 else "1 jump": draw(flow.model, student, n, JUMP, 1.0)
            for n in JUMPS
        }
        for n in (*JUMPS, REFERENCE):
            name = f"{called}, {n} step{'s' * (n > 1)}"
            ways[name] = draw(model, params, n, "euler", guidance)
        seen = partial(crops, flow.model, seed=run.sample.seed)
        images = seen(train.images)
        block = compare_ways(
            ways, labels, (images, train.labels), (seen(chosen.images), chosen.labels),
            run.features_of("image", images, train.labels), reference=name, seed=run.sample.seed,
        )  # fmt: skip
        arrays = {f"few_steps_{i}": x[:SHOWN] for i, x in enumerate(ways.values())}
        return {**block, "ways": list(ways), "step": flow.drawing_step}, arrays
