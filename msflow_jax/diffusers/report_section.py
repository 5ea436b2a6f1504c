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
    """Reports of every image modality: their facts, beside the usual ones and the nearest report's.

    Facts are what the phrasings of the phantoms' reports state: where no true report states any, words
    alone are compared.

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
        from msflow_jax.evaluation.texts import agreement, fact_scores, usual_facts, word_scores

        model = run.flow.model
        block: Block = {"routes": [], "draws": self.draws, "cases": []}
        known = [str(text) for text in texts_of(run.splits.train)]
        usual = usual_facts([stated(text) for text in known])
        vectors = run.flow.embed(REPORT, run.flow.parts.tokeniser.encode(known, "training reports"))
        for source in (name for name, one in model.modalities.items() if not one.text):
            if not together(run.chosen, (source, REPORT)).any():
                continue  # withheld from all
            chosen = examples(
                once_per_subject(run.chosen, (source, REPORT)), (source, REPORT), self.count
            )
            true = [str(text) for text in (chosen.truth or {})[REPORT]]
            drawn, _ = run.flow.report(
                {source: chosen.arrays[source]},
                draws=self.draws,
                description=f"reports of {source}",
            )
            found = run.flow.embed(source, chosen.arrays[source])
            nearest = [known[i] for i in (found @ vectors.T).argmax(axis=1)]
            facts = [stated(text) for text in true]
            given = {"one draw": drawn[0], "nearest training report": nearest}
            if is_trained(run, "decoder", source):
                given["autoregressive decoder"] = written(run, source, chosen.arrays[source])
            rows: dict[str, dict[str, Any]] = {n: word_scores(t, true) for n, t in given.items()}
            if any(facts):
                said = {name: [stated(text) for text in texts] for name, texts in given.items()}
                # A constant to compare with: reports are too various for one to be frequent.
                said["usual facts"] = [usual] * len(true)
                for name, one in said.items():
                    rows[name] = {**fact_scores(one, facts, chosen.groups), **rows.get(name, {})}
            of_draws = [[stated(text) for text in one] for one in drawn]
            sure = agreement(of_draws)
            exact = np.array([a == b for a, b in zip(of_draws[0], facts, strict=True)])
            exact &= np.isfinite(sure)
            block["routes"].append({
                "source": source, "trained": model.linked(source, REPORT), "rows": rows,
                "examples": len(true), "agreement": number(sure),
                "agreement_of_right": number(sure[exact]),
            })  # fmt: skip
            block["cases"] += [
                {"source": source, "drawn": drawn[0][i], "true": true[i], "agreement": number(sure[i]),
                 "facts": marked(of_draws[0][i], facts[i])}
                for i in range(min(2, len(true)))
            ]  # fmt: skip
        return block, {}


def number(values: Any) -> float | None:
    """The mean of what is defined; None where nothing is."""
    defined = np.asarray(values)[np.isfinite(values)]
    return float(defined.mean()) if defined.size else None


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
