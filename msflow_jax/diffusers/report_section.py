"""The section on reports that are drawn from images."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from msflow_jax.data.batches import to_float
from msflow_jax.data.phantoms.reports import stated
from msflow_jax.inference.evaluation import Arrays, Block, Evaluation
from msflow_jax.paired.anatomy import is_trained
from msflow_jax.paired.pairs import examples, once_per_subject, texts_of, together
from msflow_jax.paired.settings import REPORT
from msflow_jax.parallel.batched import batched


@dataclass(frozen=True)
class Texts:
    """Reports of every image modality: their facts, beside the most frequent and the nearest report.

    Attributes:
        count: examples of the split at most.
        draws: draws of each report, for their agreement.
        name: name of the section.
    """

    count: int = 64
    draws: int = 4
    name: str = "texts"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        from msflow_jax.evaluation.texts import agreement, fact_scores, word_scores

        model = run.flow.model
        block: Block = {"routes": [], "draws": self.draws, "cases": []}
        known = [str(text) for text in texts_of(run.splits.train)]
        vectors = run.flow.embed(REPORT, run.flow.parts.tokeniser.encode(known, "training reports"))
        for source in (name for name, one in model.modalities.items() if not one.text):
            if not together(run.chosen, (source, REPORT)).any():
                continue  # withheld from all
            chosen = examples(once_per_subject(run.chosen), (source, REPORT), self.count)
            true = [str(text) for text in (chosen.truth or {})[REPORT]]
            drawn, _ = run.flow.report(
                {source: chosen.arrays[source]},
                draws=self.draws,
                description=f"reports of {source}",
            )
            found = run.flow.embed(source, chosen.arrays[source])
            nearest = [known[i] for i in (found @ vectors.T).argmax(axis=1)]
            common = max(known, key=known.count)
            facts = [stated(text) for text in true]
            given = {
                "one draw": drawn[0], "nearest training report": nearest,
                "most frequent training report": [common] * len(true),
            }  # fmt: skip
            if is_trained(run, "decoder", source):
                given["autoregressive decoder"] = written(run, source, chosen.arrays[source])
            rows = {}
            for name, texts in given.items():
                said = [stated(text) for text in texts]
                rows[name] = {**fact_scores(said, facts, chosen.groups), **word_scores(texts, true)}
            sure = agreement([[stated(text) for text in one] for one in drawn])
            exact = np.array([stated(a) == b for a, b in zip(drawn[0], facts, strict=True)])
            right = sure[exact] if sure is not None and exact.any() else None
            block["routes"].append({
                "source": source, "trained": model.linked(source, REPORT), "rows": rows,
                "examples": len(true), "agreement": None if sure is None else float(sure.mean()),
                "agreement_of_right": None if right is None else float(right.mean()),
            })  # fmt: skip
            block["cases"] += [
                {"source": source, "drawn": drawn[0][i], "true": true[i],
                 "agreement": None if sure is None else float(sure[i]),
                 "facts": marked(stated(drawn[0][i]), facts[i])}
                for i in range(min(2, len(true)))
            ]  # fmt: skip
        return block, {}


def written(run: Evaluation, source: str, images: np.ndarray) -> list[str]:
    """What the autoregressive decoder of a source writes of images, word by word the most probable."""
    model = run.flow.model

    def function(params: Any, items: jax.Array, index: jax.Array) -> jax.Array:
        return model.controls.write(params, source, to_float(items), model.length)[0]

    rows = batched(function, run.sample.batch)(run.flow.params, images)
    return run.flow.parts.tokeniser.decode(rows)


def marked(found: dict[str, str], true: dict[str, str]) -> list[dict[str, Any]]:
    """Every fact that either report states, with what it says and what is true."""
    fields = sorted({*found, *true})
    return [
        {"field": key, "drawn": found.get(key, ""), "true": true.get(key, ""),
         "right": found.get(key) == true.get(key)}
        for key in fields
    ]  # fmt: skip
