"""The section on images of every modality that are drawn from reports, or from a linked modality."""

from dataclasses import dataclass

import numpy as np

from msflow_jax.data import Split
from msflow_jax.diffusers.model import Diffusers
from msflow_jax.diffusers.networks import CONTEXT
from msflow_jax.inference.evaluation import Arrays, Block, Evaluation
from msflow_jax.inference.sections import SHOWN_CASES, SHOWN_SAMPLES, SHOWN_VOLUMES
from msflow_jax.paired.pairs import examples, has, images_of, stored, together
from msflow_jax.paired.settings import REPORT


@dataclass(frozen=True)
class Generation:
    """Drawn images of every modality against real ones of the same split, measured as of all families.

    An image is drawn from the report of an example; of a modality that is not linked with reports, from
    the modality that it is linked with. It stands for the class of that example.

    Attributes:
        count: images of each modality at most.
        name: name of the section.
    """

    count: int
    name: str = "generation"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        block: Block = {"modalities": {}, "step": run.flow.step}
        arrays: Arrays = {}
        for name, one in run.flow.model.modalities.items():
            if one.text:
                continue
            source = source_of(run.flow.model, run.chosen, name)
            train = images_of(run.splits.train, name)
            common = set(train[1]) & set(images_of(run.chosen, name)[1])
            if not source or not common or not _ready(run, source, name):
                block.setdefault("absent", []).append(name)
                continue
            found, shown = self._modality(run, name, source, train)
            block["modalities"][name] = found
            arrays |= {f"generation_{name}_{key}": array for key, array in shown.items()}
        return block, arrays

    def _modality(
        self, run: Evaluation, name: str, source: str, train: tuple[np.ndarray, np.ndarray]
    ) -> tuple[Block, dict[str, np.ndarray]]:
        from msflow_jax.evaluation.generation import evaluate_generation
        from msflow_jax.evaluation.supplied import load_features

        chosen = examples(run.chosen, (source, name), self.count)
        given = stored(chosen, source, run.flow.parts.tokeniser, run.split)
        drawn = run.flow.generate_modalities(
            [name], sources={source: given}, description=f"generating {name} from {source}"
        )
        images = drawn.images[name]
        found = evaluate_generation(
            images, chosen.labels, train, images_of(run.chosen, name), run.classes,
            seed=run.sample.seed, features=load_features(run.features) if run.features else None,
            classifier=run.features_of(name, *train),
        )  # fmt: skip
        found |= {"source": source, "trained": run.flow.model.linked(source, name)}
        most = SHOWN_SAMPLES if images.ndim == 4 else SHOWN_VOLUMES
        few = np.unique(np.linspace(0, len(images) - 1, most).round().astype(int))
        nearest = found["memorisation"]["nearest"]
        close, known = (nearest[f"{key}_index"][:SHOWN_CASES] for key in ("generated", "training"))
        rows = np.flatnonzero(has(run.splits.train, name))[known]
        return found, {
            "samples": images[few], "real": chosen.arrays[name][few],
            "nearest_generated": images[close], "nearest_training": train[0][known],
            "nearest_names": np.array([run.splits.train.names[i] for i in rows], np.str_),
        }  # fmt: skip


def _ready(run: Evaluation, source: str, name: str) -> bool:
    """Whether the source can tell: after an earlier stage the networks of a later one are not there."""
    guide = run.flow.model.guide_towards(source, name)
    return source in run.flow.params.get(CONTEXT + guide, {})


def source_of(model: Diffusers, split: Split, name: str) -> str:
    """What images of a modality are drawn from: reports, or else what it is linked with; empty: nothing.

    Only what examples of the split have beside the modality.
    """
    others = sorted(model.modalities, key=lambda other: other != REPORT)
    linked = (other for other in others if other != name and model.linked(other, name))
    return next((other for other in linked if together(split, (other, name)).any()), "")
