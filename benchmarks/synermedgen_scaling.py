"""Tokens per second of SynerMedGen's published size on 8, 64 and 512 chips: counted, not timed.

    python benchmarks/synermedgen_scaling.py --output benchmarks/results/synermedgen_scaling.json

Operations come from XLA's cost analysis of the lowered losses with their gradients, of both stages;
nothing is compiled or allocated. Times follow from the chips' published peaks by the formulas of
docs/scaling.md, parameters split over all chips.
"""

import argparse
from functools import partial
from typing import Any

from common import keep
from scaling import CHIPS, HARDWARE, UTILISATION, Chip

TOKENS = 10_240  # of a chip's batch, as the public recipe packs them
PARTS = {"understand": ("content", "look", "understanding"), "generate": ("drawing",)}


def build() -> tuple[Any, Any]:
    """The model of the published size, and the shapes of its parameters."""
    import jax

    from msflow_jax.data import Info, Modality
    from msflow_jax.latent.autoencoder import Autoencoder
    from msflow_jax.latent.codec import KEY
    from msflow_jax.latent.kept import Kept
    from msflow_jax.nets.vae import AutoencoderKL
    from msflow_jax.paired.latents import Latents
    from msflow_jax.paired.tokens import Tokeniser
    from msflow_jax.synergy import recipes
    from msflow_jax.synergy.family import FAMILY
    from msflow_jax.synergy.parts import SynergyParts
    from msflow_jax.synergy.phrases import texts, word

    config = recipes.paper()
    side, names = config.data.side, config.model.modalities
    info = Info(
        "shapes", ("0", "1"), 1, side, "binary-class", "", "", "", (),
        modalities={one: Modality("image", (side, side, 1)) for one in names},
    )  # fmt: skip
    flux = AutoencoderKL(latent=16, quant=False, dtype=config.model.latent.dtype)
    latents = Latents(Kept(Autoencoder(flux, 0.3611), None), (0.0,) * 16, (1.0,) * 16)
    words = Tokeniser.fit(texts({one: word(one) for one in names}), margin=1.0)
    model = FAMILY.build(config, info, SynergyParts(words, (), latents))
    image = jax.ShapeDtypeStruct((1, side, side, 3), "float32")
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    shapes[KEY] = jax.eval_shape(flux.init, jax.random.key(0), image)["params"]
    return model, shapes


def losses(model: Any) -> dict[str, tuple[Any, Any, int]]:
    """By stage its loss, the shapes of one example, and the tokens that its experts see."""
    import jax

    from msflow_jax.synergy import objectives
    from msflow_jax.synergy.augmentation import Augmentation
    from msflow_jax.synergy.pool import CANDIDATES
    from msflow_jax.synergy.task_split import IMAGES

    def shape(*sides: int, dtype: str = "int32") -> Any:
        return jax.ShapeDtypeStruct((1, *sides), dtype)

    reads = model.understanding
    prompt, option, pooled = 68, 12, reads.pooled ** len(reads.grid)  # as the task builder's are
    asked = {name: shape(*model.codec.shape, dtype="float32") for name in IMAGES} | {
        "modality": shape(len(IMAGES)), "prompt": shape(prompt), "options": shape(CANDIDATES * option),
        "task": shape(), "answer": shape(), "asked": shape(),
    }  # fmt: skip
    ask = partial(objectives.understand_objective, model, 1.0, 1.0, "aligned")
    draw = partial(
        objectives.pair_objective, model, (0.1, 0.3, 0.3), Augmentation(), tuple(model.routes), True
    )
    drawn = {name: shape(*model.codec.shape, dtype="float32") for name in model.modalities}
    instruction = len(next(iter(model.routes.values()))[0])
    latents = (model.codec.inner[0] // model.drawing.patch) ** 2
    content = reads.grid[0] * reads.grid[1]
    return {
        "understand": (ask, asked, prompt + len(IMAGES) * (1 + pooled) + 1),
        "generate": (draw, drawn, instruction + 1 + content + 2 * latents),
    }


def count(model: Any, shapes: Any, stage: str) -> dict[str, Any]:
    """Parameters trained, passed through by gradients, and only read; operations and tokens.

    Of one example: what a batch does once, the names of all modalities, is a thousandth of it.
    """
    import jax

    loss, batch, tokens = losses(model)[stage]
    own = PARTS[stage]
    trained = {part: shapes[part] for part in own}
    used = ("content", "look", "understanding", "codec") if stage == "generate" else ()
    frozen = {part: shapes[part] for part in used}

    def gradient(trained: Any, frozen: Any, batch: Any) -> Any:
        key = jax.random.key(0)
        return jax.grad(lambda some: loss({**frozen, **some}, batch, key)[0])(trained)

    step = jax.jit(gradient).lower(trained, frozen, batch)
    through = {"understanding": frozen.pop("understanding")} if "understanding" in frozen else {}
    sizes = [sum(a.size for a in jax.tree.leaves(tree)) for tree in (trained, through, frozen)]
    return {
        "stage": stage, "trained": sizes[0], "passed_through": sizes[1], "only_read": sizes[2],
        "tokens": tokens,
        "operations": step.cost_analysis()["flops"], "examples_a_chip": max(1, TOKENS // tokens),
    }  # fmt: skip


def project(record: dict[str, Any], chip: Chip, chips: int) -> dict[str, Any]:
    """Tokens per second: all parameters gathered, gradients of the trained ones reduced."""
    examples = record["examples_a_chip"]
    compute = examples * record["operations"] / (UTILISATION * chip.peak)
    # Trained ones are gathered for both passes and reduced; those between what is trained and the loss
    # are gathered for both, the rest once.
    passes = 3 * record["trained"] + 2 * record["passed_through"] + record["only_read"]
    moved = (chips - 1) / chips * 4 * passes
    moving = moved / chip.near
    if chips > chip.island:
        moving += moved / chip.island / chip.far
    tokens = chips * examples * record["tokens"]
    held = 20 * record["trained"] + 4 * (record["passed_through"] + record["only_read"])
    held /= chips
    return {
        "stage": record["stage"], "chip": chip.name, "chips": chips, "compute_ms": 1e3 * compute,
        "moving_ms": 1e3 * moving, "tokens_per_second_least": tokens / (compute + moving),
        "tokens_per_second_most": tokens / max(compute, moving), "state_gib": held / 2**30,
        "fits": held < 0.8 * chip.memory,
    }  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown, a line for each stage, chip and number of chips."""
    lines = [
        "| stage | chip | chips | computing, ms | moving, ms | thousand tokens/s | state a chip, GiB |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        low, high = (row[f"tokens_per_second_{end}"] / 1e3 for end in ("least", "most"))
        fits = "" if row["fits"] else " (does not fit)"
        lines.append(
            f"| {row['stage']} | {row['chip']} | {row['chips']} | {row['compute_ms']:,.0f} "
            f"| {row['moving_ms']:,.0f} | {low:,.0f} to {high:,.0f} | {row['state_gib']:.1f}{fits} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Count, project, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", help="write the numbers to this JSON file")
    o = parser.parse_args()
    built = build()
    counted = [count(*built, stage) for stage in PARTS]
    for record in counted:
        print(record, flush=True)
    rows = [project(one, chip, n) for one in counted for chip in HARDWARE for n in CHIPS]
    print(table(rows))
    keep({"utilisation": UTILISATION, "counted": counted, "projected": rows}, o.output)


if __name__ == "__main__":
    main()
