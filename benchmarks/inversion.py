"""How exactly a trained coupling flow inverts, and how exactly its maps add up.

    python benchmarks/inversion.py WORKDIR --root=FOLDER --output benchmarks/results/inversion.json

On images of the validation split and on sampled latents, float32, every image given its own class.
"""

import argparse
import json
import platform
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from common import keep

TEMPERATURES = (0.7, 1.0)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--root", default="", help="of the data")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--output", help="write the measurements to this JSON file")
    options = parser.parse_args()

    from msflow_jax import data
    from msflow_jax.coupling import likelihood_map, log_ratio_map
    from msflow_jax.data.batches import to_float
    from msflow_jax.streams import sample_noise
    from msflow_jax.workdir import open_workdir

    trained = open_workdir(options.workdir)
    model, params, config = trained.model, trained.params, trained.config.unlock()
    config.data.root = options.root or config.data.root
    few = data.some(data.load(config.data).val, options.images)
    labels, others = jnp.asarray(few.labels), (few.labels + 1) % len(model.classes)
    x = model.dequantised(params, to_float(jnp.asarray(few.images)), jax.random.key(0))

    @jax.jit
    def of_images(x):
        latents, _ = model.forward(params, x, labels)
        log_prob = model.log_prob(params, x, labels)
        ratio = log_prob - model.log_prob(params, x, others)
        axes = tuple(range(1, x.ndim))
        found = likelihood_map(model, params, x, labels).sum(axis=axes)
        log_ratio = log_ratio_map(model, params, x, labels, others).sum(axis=axes)
        back = model.inverse(params, latents, labels)
        return jnp.abs(back - x).max(axis=axes), log_prob, found, ratio, log_ratio

    def largest(these, those):
        return jnp.stack([jnp.abs(a - b).max() for a, b in zip(these, those, strict=True)]).max()

    @jax.jit
    def of_latents(temperature):
        index = jnp.arange(len(labels))
        latents = [
            temperature * sample_noise(jax.random.key(i), index, shape)
            for i, shape in enumerate(model.latent_shapes())
        ]
        image = model.inverse(params, latents, labels)
        again, _ = model.forward(params, image, labels)
        # What a float32 image cannot tell: each entry moved to a neighbouring number, up or down.
        up = jax.random.bernoulli(jax.random.key(1), shape=image.shape)
        beside, _ = model.forward(params, jnp.nextafter(image, jnp.where(up, 9.0, -9.0)), labels)
        return largest(again, latents), largest(beside, again)

    error, log_prob, found, ratio, log_ratio = map(np.asarray, of_images(x))
    drawn = {str(t): [float(e) for e in of_latents(t)] for t in TEMPERATURES}
    record = {
        "command": " ".join(["python", *sys.argv]),
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
        "step": trained.step,
        "images": len(labels),
        "inverse_error_of_images": {"max": float(error.max()), "median": float(np.median(error))},
        "inverse_error_of_latents": {t: error for t, (error, _) in drawn.items()},
        "latents_moved_by_rounding_the_image": {t: moved for t, (_, moved) in drawn.items()},
        "map_sum_relative_error": float(np.abs(found / log_prob - 1).max()),
        "contrast_sum_error_nats": float(np.abs(log_ratio - ratio).max()),
    }
    print(json.dumps(record, indent=1))
    keep(record, options.output)


if __name__ == "__main__":
    main()
