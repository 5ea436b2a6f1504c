"""The section on what a model gives away of its training images."""

from dataclasses import dataclass

import numpy as np

from msflow_jax.data import some_rows
from msflow_jax.evaluation.privacy import membership, neighbour_ratios
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

    At most 256 training images are classified, as the validation split was.
    """

    name: str = "privacy"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        train, val, seed = run.splits.train, run.labelled("val"), run.sample.seed
        others = run.raw("val").uncertainty
        loss = next((name for name in _LOSSES if name in others), None)
        block: Block = {}
        if loss:
            few = train.take(some_rows(len(train), min(_MOST, len(val.labels)), seed))
            found = run.flow.classify(few.images, description="training images, for privacy")
            groups = [*few.groups, *val.groups] if few.groups and val.groups else None
            own = np.asarray(found.uncertainty[loss])
            block["membership"] = {"loss": loss, **membership(own, others[loss], groups)}
        images, _ = run.samples
        known, held_out = (crops(run.flow.model, one.images, seed) for one in (train, val))
        of = (train.groups, val.groups) if train.groups and val.groups else ()
        block["neighbours"] = neighbour_ratios(images, known, held_out, run.flips, seed, of)
        return block, {}
