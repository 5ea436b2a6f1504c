"""The training step of MedM2G's diffusers: one alone, and two that are linked, in latents and in pixels.

    python benchmarks/medm2g_speed.py --peak 989e12 --output FILE.json
    python benchmarks/medm2g_speed.py --sizes paper --sides 256 --codecs latents --batch 32
    python benchmarks/medm2g_speed.py --sizes tiny --sides 16 --rounds 2

CT and T1 with random parameters, on one random batch that lies on the device; bfloat16 products. Latents
are those of Stable Diffusion's autoencoder (8 times smaller sides, 4 channels), encoded before, as in
training; alignment encoders see the images. The step is the library's own (``training/step.py``), with
optimiser and moving average. The share of the peak counts the operations of a step that recomputes
nothing.
Not run on a GPU to its end: eight programs compiled side by side took more than 170 s on an H200.
"""

import argparse
import dataclasses
import platform
import statistics
import sys
import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from common import device_name, keep

GIB = 2**30
LONGEST = 10.0  # seconds of a measurement at most, compilation apart
NAMES = NEW, KNOWN = "t1w", "ct"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--sizes", nargs="+", default=["cohort"], choices=("cohort", "paper", "tiny")
    )
    parser.add_argument("--sides", nargs="+", type=int, default=[128, 256], help="in pixels")
    parser.add_argument(
        "--codecs", nargs="+", default=["latents", "pixels"], choices=("latents", "pixels")
    )
    parser.add_argument("--stages", nargs="+", default=["draw", "link"], choices=("draw", "link"))
    parser.add_argument("--batch", type=int, default=64, help="examples of a step (64)")
    parser.add_argument("--rounds", type=int, default=20, help="timed steps of each (20)")
    parser.add_argument(
        "--peak", type=float, default=0.0, help="bf16 operations a second of the chip"
    )
    parser.add_argument("--output", help="write the measurements to this JSON file")
    return parser.parse_args(arguments)


def build(size: str, side: int, latents: bool, remat: bool | None = None) -> Any:
    """The model of a configuration for CT and T1."""
    from msflow_jax.data import Info, Modality
    from msflow_jax.diffusers import recipes
    from msflow_jax.diffusers.family import FAMILY
    from msflow_jax.diffusers.parts import DiffusersParts
    from msflow_jax.latent.autoencoder import Autoencoder
    from msflow_jax.latent.kept import Kept
    from msflow_jax.nets.vae import AutoencoderKL
    from msflow_jax.paired.latents import Latents

    config = recipes.paper() if size == "paper" else recipes.cohort()
    if size == "tiny":
        config.model.net.update(dict(width=16, depth=1, head_channels=8, patch=4))
        config.model.align.update(dict(width=4, features=8))
        config.model.context.update(dict(width=4, features=8, side=2))
    config.model.update(dict(modalities=NAMES, links=(f"{NEW}-{KNOWN}",)))
    config.model.net.dtype = "bfloat16"
    if remat is not None:
        config.model.net.remat = remat
    info = Info(
        "random", ("0", "1"), 1, side, "binary-class", "", "", "", (),
        modalities={name: Modality("image", (side, side, 1)) for name in NAMES},
    )  # fmt: skip
    one = Latents(Kept(Autoencoder(AutoencoderKL(), 0.18215), None), (0.0,) * 4, (1.0,) * 4)
    parts = DiffusersParts(None, dict.fromkeys(NAMES, one) if latents else {})
    return FAMILY.build(config, info, parts), config


def given(model: Any, config: Any, stage: str, batch: int) -> tuple[Any, Any, Any]:
    """Trained and frozen parameters, and a batch, all random, on the device."""
    from msflow_jax.diffusers import networks
    from msflow_jax.paired.pairs import latent_name
    from msflow_jax.training.stage import split

    parts = ("align", "diffuser") + (("guide", "context") if stage == "link" else ())
    shapes = jax.eval_shape(lambda: networks.start(model, jax.random.key(0), parts, NAMES))
    leaves, tree = jax.tree.flatten(shapes)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    drawn = [0.02 * jax.random.normal(k, a.shape) for k, a in zip(keys, leaves, strict=True)]
    some = f"({NEW}|{KNOWN})"
    pattern = f"context/{some}/.*|diffuser/{some}/{networks.guide_leaves('')}"
    pattern = pattern if stage == "link" else f"diffuser/{NEW}/.*"
    trained, frozen = split(jax.tree.unflatten(tree, drawn), pattern)
    data = {}
    for i, name in enumerate(NAMES):
        one, key = model.modalities[name], jax.random.key(2 + i)
        data[name] = jax.random.uniform(key, (batch, *one.codec.shape), minval=-1)
        if one.latent:
            data[latent_name(name)] = jax.random.normal(key, (batch, *one.inner))
            data[latent_name(name, "deviation")] = jnp.full((batch, *one.inner), 0.1)
    return trained, frozen, data


def step_of(model: Any, config: Any, stage: str) -> tuple[Any, Any]:
    """The training step of a stage as it is compiled, and its optimiser."""
    from msflow_jax.diffusers import objectives
    from msflow_jax.training.optimiser import make_optimiser
    from msflow_jax.training.step import make_steps

    own = config.model
    if stage == "draw":
        loss = partial(objectives.draw_objective, model, NEW, KNOWN, own.dropout)
    else:
        more = own.dropout, own.context.weight
        loss = partial(objectives.link_objective, model, NAMES, *more)
    optimiser, _ = make_optimiser(config.train, 1000)
    steps = make_steps(loss, optimiser, lambda data, plan: data, seed=0, ema=config.train.ema)
    return jax.jit(steps, donate_argnums=0), optimiser


@dataclasses.dataclass
class Program:
    """A step that is compiled from shapes, so that arrays take memory only while it is timed."""

    size: str
    side: int
    codec: str
    stage: str
    batch: int
    compiled: Any = None
    row: dict[str, Any] = dataclasses.field(default_factory=dict)
    failed: str = ""

    def prepare(self) -> None:
        """Lowers and compiles; an error is kept, which must not cost the other rows."""
        try:
            self._prepare()
        except Exception as error:
            self.failed = str(error).strip().splitlines()[-1][:300]

    def _prepare(self) -> None:
        latents = self.codec == "latents"
        model, config = build(self.size, self.side, latents)
        shapes = self.arguments(model, config, shapes=True)
        start = time.perf_counter()
        self.compiled = step_of(model, config, self.stage)[0].lower(*shapes).compile()
        needs = self.compiled.memory_analysis()
        plain, _ = build(self.size, self.side, latents, remat=False)
        cost = step_of(plain, config, self.stage)[0].lower(*shapes).cost_analysis() or {}
        self.row = {
            "size": self.size, "stage": self.stage, "codec": self.codec, "side": self.side,
            "batch": self.batch, "tokens": tokens(model), "flops": float(cost.get("flops", 0)),
            "trained": sum(leaf.size for leaf in jax.tree.leaves(shapes[0].params)),
            "gib": (needs.argument_size_in_bytes + needs.temp_size_in_bytes) / GIB,
            "compile_s": time.perf_counter() - start,
        }  # fmt: skip

    def arguments(self, model: Any, config: Any, shapes: bool = False) -> tuple[Any, ...]:
        """State, batch, plan and frozen parameters of the step, or their shapes."""
        from msflow_jax.training.step import fresh_state

        optimiser = step_of(model, config, self.stage)[1]

        def make() -> tuple[Any, ...]:
            trained, frozen, data = given(model, config, self.stage, self.batch)
            plan = jnp.zeros((1, self.batch), jnp.int32)
            return fresh_state(trained, optimiser), data, plan, frozen

        return jax.eval_shape(make) if shapes else make()

    def time(self, rounds: int, peak: float) -> dict[str, Any]:
        """The row with the step's time, from the third call on."""
        model, config = build(self.size, self.side, self.codec == "latents")
        state, *rest = self.arguments(model, config)
        times: list[float] = []
        begun = time.perf_counter()
        for number in range(rounds + 2):
            start = time.perf_counter()
            state, _ = jax.block_until_ready(self.compiled(state, *rest))
            if number >= 2:
                times.append(time.perf_counter() - start)
            if times and time.perf_counter() - begun > LONGEST:
                break
        seconds = statistics.median(times)
        rate = self.row["flops"] / seconds
        self.row |= {
            "steps": len(times), "median_ms": 1e3 * seconds, "min_ms": 1e3 * min(times),
            "images_per_s": self.batch / seconds, "flops_per_s": rate,
        }  # fmt: skip
        return self.row | ({"share_of_peak": rate / peak} if peak else {})


def tokens(model: Any) -> int:
    """Tokens of a diffuser."""
    one = model.modalities[NEW]
    return (one.inner[0] // one.diffuser.patch) * (one.inner[1] // one.diffuser.patch)


def table(rows: list[dict[str, Any]]) -> str:
    """Text table."""
    lines = [f"{'size':<8}{'stage':<6}{'codec':<9}{'side':>5}{'tokens':>7}{'batch':>6}{'median ms':>11}"
             f"{'images/s':>10}{'TFLOP/s':>9}{'peak':>7}{'GiB':>7}{'compile s':>11}"]  # fmt: skip
    for r in rows:
        share = f"{r['share_of_peak']:.1%}" if "share_of_peak" in r else "-"
        lines.append(
            f"{r['size']:<8}{r['stage']:<6}{r['codec']:<9}{r['side']:>5}{r['tokens']:>7}{r['batch']:>6}"
            f"{r['median_ms']:>11.2f}{r['images_per_s']:>10.1f}{r['flops_per_s'] / 1e12:>9.2f}{share:>7}"
            f"{r['gib']:>7.1f}{r['compile_s']:>11.1f}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Compiles and times one program after the other, and keeps what is there after each."""
    options = parse(arguments)
    cpu = jax.default_backend() == "cpu"
    record: dict[str, Any] = {
        "command": " ".join(["python", *sys.argv]), "device": device_name("cpu" if cpu else ""),
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
        "peak": options.peak, "rows": [], "failed": [],
    }  # fmt: skip
    programs = [
        Program(size, side, codec, stage, options.batch)
        for size in options.sizes for side in options.sides
        for codec in options.codecs for stage in options.stages
    ]  # fmt: skip
    for program in programs:
        case = [program.size, program.side, program.codec, program.stage]
        program.prepare()
        try:
            if not program.failed:
                record["rows"].append(program.time(options.rounds, options.peak))
                print(table(record["rows"][-1:]), flush=True)
        except Exception as error:  # such as too little memory
            program.failed = str(error).strip().splitlines()[-1][:300]
        if program.failed:
            record["failed"].append([*case, program.failed])
            print(f"{case}: {program.failed}", flush=True)
        program.compiled = None
        keep(record, options.output)
    print(table(record["rows"]))


if __name__ == "__main__":
    main()
