"""What the latent cache and the latent read-out buy, timed in turns in one process.

    python benchmarks/latent_speed.py --size=cpu --output benchmarks/results/latent_speed_cpu.json
    python benchmarks/latent_speed.py --size=published --batch=2 --rounds=3 --output ...
    python benchmarks/latent_speed.py --size=mixed --batch=2 --rounds=3 --output ...
    python benchmarks/latent_speed.py --agree=WORKDIR --root=FOLDER --output ...

Training: a step from cached latents against the published recipe, which encodes every image and every
label picture at every step; the same network and optimiser. Classification: the read-out of the label's
latents against decoding them. The weights are random but for --agree, which reads the validation split
of a trained model of the code 'encoded' in both ways. The size 'mixed' is Stable Diffusion's autoencoder
beside the cpu variant's network.
"""

import argparse
import dataclasses
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from common import Run, keep


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=("cpu", "published", "mixed"), default="cpu")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5, help="timed runs of each (default 5)")
    parser.add_argument("--agree", type=Path, help="workdir of a trained model")
    parser.add_argument("--root", default="", help="of its data")
    parser.add_argument("--output", help="write the measurements to this JSON file")
    return parser.parse_args(arguments)


@dataclasses.dataclass(frozen=True)
class Given:
    """A code whose label pictures are given."""

    code: Any
    given: jax.Array

    def __getattr__(self, name: str) -> Any:
        return getattr(self.code, name)

    def pictures(self, *_: Any) -> jax.Array:
        """What was given."""
        return self.given


def make_model(size: str) -> tuple[Any, Any]:
    """The latent flow of ``configs/latent_retina.py`` with the code 'encoded', and random weights."""
    from msflow_jax.config import default_config
    from msflow_jax.data.base import own_info
    from msflow_jax.latent.autoencoder import Autoencoder
    from msflow_jax.nets import init_params
    from msflow_jax.nets.tiny import TinyAutoencoder
    from msflow_jax.nets.vae import AutoencoderKL
    from msflow_jax.symmetric.family import FAMILY
    from msflow_jax.symmetric.latent_codes import encode_pictures
    from msflow_jax.symmetric.parts import SymmetricParts
    from msflow_jax.symmetric.recipes import latent

    config = latent(default_config("symmetric"), "" if size == "published" else "cpu")
    config.model.code.scheme = "encoded"
    config.model.resize = 224 if size == "cpu" else 256
    side = 28 if size == "cpu" else 224
    classes = ("0", "1", "2", "3", "4")
    info = own_info(classes, (side, side, 3), name="random", licence="", md5="", source="")
    net = TinyAutoencoder(latent=32, pool=True) if size == "cpu" else AutoencoderKL()
    shape = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    weights = jax.device_put(init_params(net, jax.random.key(0), shape))
    autoencoder = Autoencoder(net, 1.0 if size == "cpu" else 0.18215)
    code = encode_pictures(autoencoder, weights, "encoded", 5, config.model.resize, variants=1)
    parts = SymmetricParts(autoencoder, weights, code=code)
    model = FAMILY.build(config, info, parts)
    return model, {**jax.device_put(model.init(jax.random.key(1))), **parts.params}


def training(model: Any, params: Any, batch: int) -> dict[str, Run]:
    """A training step from cached latents, and as published."""
    from msflow_jax.latent.codec import KEY
    from msflow_jax.symmetric import Code

    optimiser = optax.adamw(4e-4, weight_decay=0.0)
    key = jax.random.key(0)
    codec = model.codec
    weights = params[KEY]
    own = {name: leaf for name, leaf in params.items() if name != KEY}
    images = jax.random.uniform(key, (batch, *codec.shape), minval=-1)
    labels = jnp.arange(batch) % len(model.classes)
    mean, deviation = jax.jit(codec.moments)(weights, images)
    cached = {"image": mean, "deviation": deviation, "label": labels}
    palette = Code("palette", len(model.classes))

    def update(loss: Callable[..., Any], state: Any) -> tuple[Any, jax.Array]:
        flow, moments = state
        value, gradient = jax.value_and_grad(loss)(flow)
        updates, moments = optimiser.update(gradient, moments, flow)
        return (optax.apply_updates(flow, updates), moments), value

    @jax.jit
    def from_cache(state: Any, batch: Any, key: jax.Array):
        return update(lambda flow: model.loss(flow, batch, key)[0], state)

    @jax.jit
    def as_published(state: Any, weights: Any, images: jax.Array, key: jax.Array):
        mean, deviation = codec.moments(weights, images)
        side = codec.side
        pictures = palette.pictures(labels, side, side, key)
        given = Given(model.code, codec.autoencoder.encode(weights, pictures))
        flow = dataclasses.replace(model, code=given, readout="latent")
        batch = {"image": mean, "deviation": deviation, "label": labels}
        return update(lambda p: flow.loss(p, batch, key)[0], state)

    holder = {name: (own, optimiser.init(own)) for name in ("cache", "published")}

    def run_cache() -> None:
        holder["cache"], value = from_cache(holder["cache"], cached, key)
        jax.block_until_ready((holder["cache"], value))

    def run_published() -> None:
        state = holder["published"]
        holder["published"], value = as_published(state, weights, images, key)
        jax.block_until_ready((holder["published"], value))

    return {"train_cached": run_cache, "train_published": run_published}


def classification(model: Any, params: Any, images: jax.Array) -> dict[str, Run]:
    """One-step classification with both read-outs."""

    def runs(readout: str) -> Run:
        chosen = dataclasses.replace(model, readout=readout)
        read = jax.jit(lambda p, x: chosen.classify(p, x, jax.random.key(0)).distances)
        return lambda: jax.block_until_ready(read(params, images))

    return {f"classify_{readout}": runs(readout) for readout in ("latent", "decode")}


def measure(runs: dict[str, Run], rounds: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds of every run, taken in turns, and of its first call, which compiles."""
    first, times = {}, {name: [] for name in runs}
    for name, run in runs.items():
        start = time.perf_counter()
        run()
        first[name] = time.perf_counter() - start
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return times, first


def agreement(workdir: Path, root: str) -> dict[str, Any]:
    """How often, and how well, the two read-outs of a trained model decide on the validation split."""
    from msflow_jax import data
    from msflow_jax.evaluation.auc import probability_auc
    from msflow_jax.inference.runners import make_classifier
    from msflow_jax.workdir import open_workdir

    trained = open_workdir(workdir)
    config = trained.config.unlock()
    config.data.root = root or config.data.root
    split = data.load(config.data).val
    found: dict[str, Any] = {"images": len(split)}
    predictions = {}
    for readout in ("latent", "decode"):
        model = dataclasses.replace(trained.model, readout=readout)
        read = make_classifier(model, seed=0, draws=1, batch=8)
        out = read(trained.params, split.images, readout)
        predictions[readout] = out.prediction
        found[f"accuracy_{readout}"] = float((predictions[readout] == split.labels).mean())
        found[f"auc_{readout}"] = probability_auc(split.labels, out.probabilities[0])
    found["agreement"] = float((predictions["latent"] == predictions["decode"]).mean())
    return found


def main() -> None:
    """Measure, print, write."""
    options = parse()
    record: dict[str, Any] = {
        "command": " ".join(["python", *sys.argv]),
        "device": f"{jax.devices()[0].device_kind} x {os.cpu_count()}",
        "processor": platform.processor() or platform.machine(),
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
    }
    if options.agree:
        record["agreement"] = agreement(options.agree, options.root)
    else:
        model, params = make_model(options.size)
        shape = (options.batch, *model.codec.shape)
        images = jax.random.uniform(jax.random.key(2), shape, minval=-1)
        runs = training(model, params, options.batch) | classification(model, params, images)
        times, first = measure(runs, options.rounds)
        record |= {"size": options.size, "batch": options.batch, "first_call_s": first}
        record["ms_per_image"] = {
            name: {
                "min": 1e3 * min(found) / options.batch,
                "median": 1e3 * statistics.median(found) / options.batch,
            }
            for name, found in times.items()
        }
        ms = {name: v["median"] for name, v in record["ms_per_image"].items()}
        record["ratio_training"] = ms["train_published"] / ms["train_cached"]
        record["ratio_classification"] = ms["classify_decode"] / ms["classify_latent"]
    print(json.dumps(record, indent=1))
    keep(record, options.output)


if __name__ == "__main__":
    main()
