"""The section on facts of a report that can be seen again in the images drawn from it."""

from dataclasses import dataclass

import numpy as np

from msflow_jax.data import Split, in_memory
from msflow_jax.data.phantoms.facts import labels_of
from msflow_jax.inference.evaluation import Arrays, Block, Evaluation
from msflow_jax.paired.pairs import examples, has, once_per_subject, stored, together
from msflow_jax.paired.settings import REPORT

_TRAINING = 512  # images that a classifier is fitted to at most


@dataclass(frozen=True)
class Facts:
    """Share of a report's facts that classifiers of real training images find in what is drawn from it.

    Beside the real images of the same subjects (the ceiling) and images drawn from the report of another
    subject (chance). The classifiers are linear and see pixels alone, nothing of the model.

    Attributes:
        count: examples of the split at most.
        name: name of the section.
    """

    count: int = 64
    name: str = "facts"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        block: Block = {"modalities": []}
        train = in_memory(run.splits.train)
        try:  # are there facts at all?
            labels_of(train.truth or {}, train.truth or {})
        except ValueError as error:
            return {**block, "left_out": f"Left out: {error}."}, {}
        for name, one in run.flow.model.modalities.items():
            if one.text or not together(run.chosen, (name, REPORT)).any():
                continue
            chosen = examples(
                once_per_subject(run.chosen, (name, REPORT)), (name, REPORT), self.count
            )
            if len(chosen) > 1 and has(train, name).any():
                block["modalities"].append(_modality(run, name, chosen, train))
        return block, {}


def _modality(run: Evaluation, name: str, chosen: Split, train: Split) -> Block:
    from msflow_jax.evaluation.probes import labels_found

    count = len(chosen)
    order = np.random.default_rng(run.sample.seed).permutation(count)
    other = np.empty(count, int)
    other[order] = np.roll(order, 1)  # of another subject, each once
    tokens = stored(chosen, REPORT, run.flow.parts.tokeniser, run.split)
    both = np.concatenate([tokens, tokens[other]])
    drawn = run.flow.translate({REPORT: both}, name, draws=1, description=f"{name} of reports")[0]
    fitted = examples(train, (name,), _TRAINING)
    truth = train.truth or {}
    images = {
        "real": chosen.arrays[name], "drawn from the report": drawn[:count],
        "drawn from another report": drawn[count:],
    }  # fmt: skip
    found = labels_found(
        _flat(fitted.arrays[name]), labels_of(fitted.truth or {}, truth),
        {key: _flat(one) for key, one in images.items()},
        labels_of(chosen.truth or {}, truth), chosen.groups,
    )  # fmt: skip
    linked = run.flow.model.linked(name, REPORT)
    return {"modality": name, "trained": linked, "examples": count, "rows": found}


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1) / 255.0
