"""What partners are good for: translation beside another subject's image, and beside none.

In the public code of CoDi and XGeM a stream is told what it said itself, so that all three are equal
there and the influence is 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.data import Split
from msflow_jax.data.batches import to_float
from msflow_jax.data.slices import SLICE
from msflow_jax.diffusers.model import Diffusers
from msflow_jax.diffusers.objectives import noisy
from msflow_jax.inference.evaluation import Arrays, Block, Evaluation
from msflow_jax.inference.runners import to_images
from msflow_jax.paired.pairs import examples, together
from msflow_jax.paired.sections import foreground
from msflow_jax.parallel.batched import batched

WITH, SHUFFLED, WITHOUT = "partner", "another subject's partner", "no partner"
_CLOCK = 0.5  # where the influence is measured


@dataclass(frozen=True)
class Partners:
    """One draw of every route: beside its source, beside that of another subject, and beside none.

    The condition from the common space is the right one in all three, and the noise is the same.

    Attributes:
        routes: pairs (source, target).
        count: examples of the split at most.
        name: name of the section.
    """

    routes: tuple[tuple[str, str], ...]
    count: int
    name: str = "partners"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        block: Block = {"routes": [], "clock": _CLOCK, "alone": run.flow.model.alone}
        for route in self.routes:
            chosen = None
            if together(run.chosen, route).any():
                chosen = examples(run.chosen, route, self.count)
            away = None if chosen is None else others(chosen)
            if chosen is None or away is None:  # withheld from all, or of one subject alone
                block.setdefault("absent", []).append(list(route))
            else:
                block["routes"].append(self._route(run, chosen, away, *route))
        return block, {}

    def _route(
        self, run: Evaluation, chosen: Split, away: np.ndarray, source: str, target: str
    ) -> Block:
        from msflow_jax.evaluation import translation as measures

        items = {
            "source": chosen.arrays[source],
            "target": chosen.arrays[target],
            "other": chosen.arrays[source][away],
        }
        settings = run.flow.settings("translate")
        model = run.flow.model

        def function(params: Any, items: Mapping[str, jax.Array], index: jax.Array) -> Any:
            given = {name: to_float(x) for name, x in items.items()}
            return three_ways(model, params, given, source, target, run.sample.seed, settings)

        out = batched(function, run.sample.batch)(
            run.flow.params, items, f"partners of {source} to {target}"
        )
        truth, inside = chosen.arrays[target] / 255.0, foreground(chosen, (source, target))
        psnr = {
            name: measures.scores(truth, to_images(out[name]) / 255.0, inside)["psnr"]
            for name in (WITH, SHUFFLED, WITHOUT)
        }
        gains = {f"over {name}": psnr[WITH] - psnr[name] for name in (SHUFFLED, WITHOUT)}
        moved, size = (np.sqrt(out[name].mean()) for name in ("moved", "size"))
        return {
            "source": source, "target": target, "trained": model.linked(source, target),
            "examples": len(chosen), "blank": measures.blank(inside),
            "influence": float(moved / size),
            "psnr": measures.summary(psnr, chosen.groups),
            "gain": measures.summary(gains, chosen.groups),
        }  # fmt: skip


def others(split: Split) -> np.ndarray | None:
    """For every example one of the next subject, int ``[N]``; None where there is one subject only.

    Of slices the one nearest in height, so that a partner differs by the subject and not by the level.
    """
    groups = np.arange(len(split)) if split.groups is None else np.array(split.groups)
    subjects = list(dict.fromkeys(groups.tolist()))
    if len(subjects) < 2:
        return None
    rows = {one: np.flatnonzero(groups == one) for one in subjects}
    following = dict(zip(subjects, [*subjects[1:], subjects[0]], strict=True))
    heights = np.asarray((split.truth or {}).get(SLICE, np.zeros(len(split)))).astype(float)
    away = np.empty(len(split), int)
    for i, group in enumerate(groups.tolist()):
        there = rows[following[group]]
        away[i] = there[np.abs(heights[there] - heights[i]).argmin()]
    return away


def three_ways(
    model: Diffusers, params: Any, given: Mapping[str, jax.Array], source: str, target: str, seed: int,
    settings: Mapping[str, Any],
) -> dict[str, jax.Array]:  # fmt: skip
    """One draw beside each kind of partner, and how far the velocity moves with the partner.

    Args:
        model: the model.
        params: the whole tree.
        given: images ``[B, *shape]`` in [-1, 1]: ``source``, ``target``, and ``other``, the source of
            another subject.
        source: modality of the sources.
        target: modality to draw.
        seed: seed of the noise.
        settings: of the verb ``translate``.

    Returns:
        Draws ``[B, *shape]`` by kind of partner; ``moved [B]``, the mean square of what another partner
        changes in the diffuser's output, and ``size [B]``, that of the output.
    """
    key, sources = jax.random.key(seed), {source: given["source"]}
    shuffled = {source: given["other"]}

    def draw(guides: Any, **changes: Any) -> jax.Array:
        chosen = {**settings, **changes}
        return model.translate(params, sources, key, target=target, guides=guides, **chosen)

    ones = jnp.ones(len(given["source"]))
    data = model.encode(params, target, given["target"])
    state, _ = noisy(model, data, jax.random.normal(key, data.shape), _CLOCK * ones)
    condition = model.embed(params, source, given["source"])

    def output(x: jax.Array) -> jax.Array:
        told = model.tell(params, {source: model.encode(params, source, x)}, ones, [target])
        partners = model.beside(told, target)
        return model.output(params, target, state, _CLOCK * ones, condition, partners=partners)

    here, away = output(given["source"]), output(given["other"])
    axes = tuple(range(1, here.ndim))
    return {
        WITH: draw(None), SHUFFLED: draw(shuffled), WITHOUT: draw(None, partner_guidance=0.0),
        "moved": jnp.square(here - away).mean(axes), "size": jnp.square(here).mean(axes),
    }  # fmt: skip
