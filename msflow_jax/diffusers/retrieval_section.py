"""The section on retrieval in the common space."""

from dataclasses import dataclass

from msflow_jax.inference.evaluation import Arrays, Block, Evaluation
from msflow_jax.paired.pairs import examples, once_per_subject, stored, together


@dataclass(frozen=True)
class Retrieval:
    """Recall of the right partner among all, in the common space, in both directions of every pair.

    Attributes:
        count: size of the gallery at most.
        name: name of the section.
    """

    count: int = 256
    name: str = "retrieval"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        from msflow_jax.evaluation.retrieval import recall

        model, names = run.flow.model, tuple(run.flow.model.modalities)
        tokeniser = run.flow.parts.tokeniser
        rows: list[Block] = []
        for i, a in enumerate(names):
            for b in names[i + 1 :]:
                if not together(run.chosen, (a, b)).any():
                    continue  # withheld from all
                chosen = examples(once_per_subject(run.chosen, (a, b)), (a, b), self.count)
                given = {name: stored(chosen, name, tokeniser, run.split) for name in (a, b)}
                vectors = [run.flow.embed(name, x) for name, x in given.items()]
                rows.append({
                    "pair": [a, b], "trained": model.near(a, b) == "trained",
                    **recall(*vectors, *given.values(), groups=chosen.groups),
                })  # fmt: skip
        return {"pairs": rows}, {}
