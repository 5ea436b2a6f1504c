"""The section on what a model gives away of its training images."""

from dataclasses import dataclass

import numpy as np

from msflow_jax.evaluation.privacy import membership, neighbour_ratios, rows_in_mix, too_few
from msflow_jax.inference.evaluation import Arrays, Block, Evaluation
from msflow_jax.inference.windows import crops

_MOST = 256  # training images that are classified for it
_LOSSES = (
    "flow_error",
    "evidence",
)  # uncertainties that are a loss of the image, whatever its class


@dataclass(frozen=True)
class Privacy:
    """Membership inference by the model's own loss, and drawn images between training and validation.

    At most 256 training images are classified, as the validation split was; their classes are mixed as
    the validation split's are.
    """

    name: str = "privacy"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        train, val, seed = run.splits.train, run.labelled("val"), run.sample.seed
        measured = run.raw("val").uncertainty
        loss = next((name for name in _LOSSES if name in measured), None)
        block: Block = {}
        groups = [np.asarray(one) for one in (train.groups, val.groups) if one]
        labels = train.labels, val.labels
        if loss:
            rows, others, _ = rows_in_mix(*labels, _MOST, seed)
            few = train.take(rows).images
            found = run.flow.classify(few, description="training images, for privacy")
            own = np.asarray(found.uncertainty[loss])
            of = [*groups[0][rows], *groups[1][others]] if len(groups) == 2 else None
            block["membership"] = {"loss": loss, **membership(own, measured[loss][others], of)}
        images, _ = run.samples
        known, held_out = (crops(run.flow.model, one.images, seed) for one in (train, val))
        rows, others, short = rows_in_mix(*labels, len(val.labels), seed)
        parts = (groups[0][rows], groups[1][others]) if len(groups) == 2 else ()
        given = images, known[rows], held_out[others]
        block["neighbours"] = neighbour_ratios(*given, run.flips, seed, parts)
        block["few"] = too_few(short, run.classes)
        return block, {}
