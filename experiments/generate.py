"""Generate images of a class: PNGs, a grid, and a record of seeds and classes.

python -m experiments.generate --workdir=runs/quickstart --label=severe --count=64 --output=DIR
"""

from collections.abc import Sequence
from pathlib import Path

from experiments.common import parser, run


def generate(
    workdir: Path,
    labels: Sequence[str],
    count: int,
    output: Path,
    *,
    seed: int = 0,
    steps: int = 0,
    guidance: float = 0.0,
    solver: str = "",
    temperature: float = 0.0,
) -> None:
    """Draw ``count`` images of each label.

    Args:
        workdir: workdir of a trained model.
        labels: class names or numbers; all classes where empty.
        count: images per class.
        output: folder for ``<class>_<number>.png``, ``grid.png`` and ``generated.json``.
        seed: seed of the noise.
        steps: solver steps, 0 as configured.
        guidance: classifier-free guidance weight, 0 as configured.
        solver: ODE solver, empty as configured.
        temperature: standard deviation of the latents of a model with a likelihood, 0 as configured.

    Raises:
        ValueError: an unknown class, a count below 1, a setting that the model has not, or a model that
            needs label maps.
    """
    import numpy as np
    from PIL import Image

    from msflow_jax.reports.figures import save_grid
    from msflow_jax.workdir import open_workdir, write_json

    if count < 1:
        raise ValueError(f"--count must be at least 1, got {count}")
    flow = open_workdir(workdir)
    flow.require("generate")
    model, sorts = flow.model, flow.classes
    requested = {"solver": solver, "steps": steps, "guidance": guidance, "temperature": temperature}
    target = model.numbers(labels or sorts)
    images = flow.generate(target, count, seed=seed, description="generating", **requested)
    numbers = np.repeat(target, count)
    output.mkdir(parents=True, exist_ok=True)
    names = []
    for i, (image, k) in enumerate(zip(images, numbers, strict=True)):
        safe = "".join(c if c.isalnum() else "-" for c in sorts[k]).strip("-")
        names.append(f"{k}_{safe}_{i:05d}.png")
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(output / names[-1])
    save_grid(output / "grid.png", images, numbers, sorts)
    record = {
        "workdir": str(workdir), "step": flow.drawing_step, "seed": seed,
        **flow.settings("generate", requested),
        "images": [
            {"file": n, "label": int(k), "class": sorts[k], "index": i}
            for i, (n, k) in enumerate(zip(names, numbers, strict=True))
        ],
    }  # fmt: skip
    write_json(output / "generated.json", record)
    print(f"{len(images)} images: {output}, all in one: {output / 'grid.png'}")


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("--workdir", required=True, type=Path)
    flags.add_argument("--label", action="append", default=[], help="name or number; repeatable")
    flags.add_argument("--count", type=int, default=64, help="images per class")
    flags.add_argument("--output", required=True, type=Path)
    flags.add_argument("--seed", type=int, default=0, help="seed of the noise")
    flags.add_argument("--steps", type=int, default=0, help="solver steps (default: as configured)")
    flags.add_argument("--solver", default="", help="euler, heun, midpoint, rk4, tsit5 or dopri5")
    flags.add_argument("--guidance", type=float, default=0.0, help="classifier-free guidance")
    flags.add_argument(
        "--temperature", type=float, default=0.0, help="for models with a likelihood"
    )
    o = flags.parse_args(arguments)

    from msflow_jax.parallel.startup import start_jax

    start_jax()
    generate(
        o.workdir, o.label, o.count, o.output, seed=o.seed, steps=o.steps, guidance=o.guidance,
        solver=o.solver, temperature=o.temperature,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
