"""The section of a distilled translation: few jumps beside its teacher's steps, from the same noise."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from msflow_jax.inference.evaluation import Arrays, Block, Evaluation
from msflow_jax.inference.few_steps import JUMPS, REFERENCE, SHOWN, walking
from msflow_jax.paired.pairs import examples, together
from msflow_jax.paired.sections import foreground
from msflow_jax.storage.facts import TEACHER
from msflow_jax.streams import JUMP

_MOST = 3  # routes that are compared: each is a program of its own in each way


@dataclass(frozen=True)
class FewSteps:
    """What few jumps make of the sources, beside as many steps of the teacher, or of the own field.

    Attributes:
        taught: the model that one that jumps was distilled from.
        guidance: weights that were distilled with it.
        routes: pairs (source, target), of which the first three that are there are compared.
        count: examples of the split at most.
    """

    taught: Callable[[Any], Any]
    guidance: Mapping[str, float]
    routes: tuple[tuple[str, str], ...]
    count: int
    name: str = "few_steps"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        from msflow_jax.evaluation.few_steps import root_mean_square
        from msflow_jax.evaluation.translation import blank, scores, summary

        flow = run.flow
        model, params, called = walking(flow, self.taught)
        slow = dataclasses.replace(flow, model=model, params=params, drawing=None)
        guidance = self.guidance if called == TEACHER else {}
        ways: dict[str, tuple[Any, dict[str, Any]]] = {
            f"{n} jump{'s' * (n > 1)}": (flow, {"steps": n, "solver": JUMP}) for n in JUMPS
        }
        for n in (*JUMPS, REFERENCE):
            reference = f"{called}, {n} step{'s' * (n > 1)}"
            ways[reference] = slow, {"steps": n, "solver": "euler", **guidance}
        drawn: dict[str, list[np.ndarray]] = {way: [] for way in ways}
        truth, inside, subjects, arrays = [], [], [], {}
        there = [route for route in self.routes if together(run.chosen, route).any()][:_MOST]
        for source, target in there:
            chosen = examples(run.chosen, (source, target), self.count)
            given = chosen.arrays[source]
            truth.append(chosen.arrays[target] / 255.0)
            inside.append(foreground(chosen, (source, target)))
            own = [f"{source}-{target}-{i}" for i in range(len(chosen))]
            subjects += list(chosen.groups or own)
            for i, (way, (one, settings)) in enumerate(ways.items()):
                words = f"{source} to {target}, {way}"
                (found,) = one.translate(
                    {source: given}, target, draws=1, description=words, **settings
                )
                drawn[way].append(found)
                if len(truth) == 1:
                    arrays[f"few_steps_{i}"] = found[:SHOWN]
        if not truth:
            return {"rows": {}, "ways": [], "translated": True}, {}
        rows = {}
        for way, found in drawn.items():
            each = [
                scores(*one) for one in zip(truth, [x / 255 for x in found], inside, strict=True)
            ]
            joined = {
                name: np.concatenate([one[name] for one in each])
                for name in ("psnr", "ssim", "mae")
            }
            rows[way] = summary(joined, subjects)
            differences = [
                root_mean_square(*pair) for pair in zip(found, drawn[reference], strict=True)
            ]
            rows[way]["difference"] = {"value": float(np.mean(differences)), "interval": None}
        block = {
            "rows": rows, "ways": list(ways), "reference": reference, "samples": len(subjects),
            "routes": [list(route) for route in there], "step": flow.step, "translated": True,
            "blank": sum(map(blank, inside)),
        }  # fmt: skip
        return block, arrays
