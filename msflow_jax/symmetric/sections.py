"""The section of an evaluation that a symmetric flow alone has: paths."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.data.batches import to_float, to_uint8
from msflow_jax.inference.evaluation import Arrays, Block, Evaluation
from msflow_jax.inference.windows import crops
from msflow_jax.latent.codec import KEY
from msflow_jax.streams import content_index
from msflow_jax.symmetric.paths import to_image, to_label
from msflow_jax.symmetric.readout import make_reader, to_pictures

_TIMES = 9  # that are kept of a path


@dataclass(frozen=True)
class Paths:
    """One generation and one classification as film strips."""

    name: str = "paths"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        model, params, drawing = run.flow.model, run.flow.params, run.flow.drawing_params
        key = jax.random.key(run.sample.seed)
        label = len(model.classes) - 1

        def generate(params: Any, labels: jax.Array) -> Any:
            out = to_image(model, params, labels, key, steps=25, grid=_TIMES)
            return out.grid, out.states

        def classify(params: Any, images: jax.Array) -> Any:
            floats = to_float(images)
            inner = model.codec.encode(params.get(KEY), floats)
            index = content_index(floats)
            out = to_label(model, params, inner, index, key, steps=24, grid=_TIMES)
            return out.grid, out.states

        generated = jax.jit(generate)(drawing, np.array([label]))
        seen = crops(model, run.chosen.images[:1], run.sample.seed)
        classified = jax.jit(classify)(params, jnp.asarray(seen))
        arrays: Arrays = {
            "classify_true": run.chosen.labels[0],
            "generate_class": np.array(label),
        }
        for name, (u, states) in (("generate", generated), ("classify", classified)):
            arrays[f"{name}_u"] = np.asarray(u)
            shown = to_pictures(model, params, {k: v[:, 0] for k, v in states.items()})
            arrays[f"{name}_image"], arrays[f"{name}_label"] = map(to_uint8, shown)
        predicted = make_reader(model, params)(classified[1]["label"][-1], None)[0][0].argmin()
        return {"times": _TIMES}, {**arrays, "classify_predicted": np.asarray(predicted)}
