"""The section on images from outside: how well each uncertainty tells them."""

from dataclasses import dataclass

import numpy as np

from msflow_jax.data import some_rows
from msflow_jax.inference.evaluation import Arrays, Block, Evaluation
from msflow_jax.inference.kinds import are_odd, level_of, reference_of

_IMAGES, _SHOWN = 128, 8  # images of each kind, and how many the report shows


@dataclass(frozen=True)
class Outside:
    """How well uncertainties tell images of another kind: another scanner, noise, texture, others."""

    name: str = "outside"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        from msflow_jax.evaluation.outside import MADE_OF_THE_SPLIT, detection, stand_ins

        split, seed = run.labelled(run.split), run.sample.seed
        known, scaling = reference_of(run.calibration.outside), run.calibration.scaling
        some = some_rows(len(split.labels), _IMAGES, seed)
        sets = {**stand_ins(split.images[some], seed), **run.outside}
        inside = {name: values[some] for name, values in run.prediction.uncertainty.items()}
        groups = None if split.groups is None else [split.groups[i] for i in some]
        used = list(known.centre) if known else []
        block: Block = {"images": len(some), "used": used, "sets": {}}
        arrays: Arrays = {}
        for i, (name, images) in enumerate(sets.items()):
            read = run.raw(name, images).scaled(scaling).uncertainty
            # What is made of the split's own images varies with their subjects.
            given = groups, name in MADE_OF_THE_SPLIT
            rows = {m: detection(inside[m], read[m], *given) for m in inside}
            one = {"images": len(images), "measures": rows}
            if known:
                rows["outside"] = detection(known.score(inside), known.score(read), *given)
                one["rejected"] = float(np.mean(known.p_values(read) <= level_of(known)))
            block["sets"][name], arrays[f"outside_{i}"] = one, images[:_SHOWN]
        if known:
            block["level"] = level_of(known)
            own = are_odd(inside, run.calibration.outside, themselves=run.is_reference)
            block["rejected"], labels = float(own.mean()), split.labels[some]
            # The rate holds over all classes together: a rare one may bear all of it.
            block["rejected_classes"] = {
                name: float(own[labels == k].mean())
                for k, name in enumerate(run.classes) if (labels == k).any()
            }  # fmt: skip
        return block, arrays
