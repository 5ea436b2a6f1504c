"""Maps that show why: the likelihood of images, and of one class against another, pixel by pixel.

    python -m experiments.explain --workdir=runs/magic_pneumonia --images=PATH --output=DIR

For each image an overlay of its log-likelihood given the answer and one of the answer against the
runner-up, the maps themselves in `maps.npz`, and a line of `explained.csv`. PATH is an image, a folder
or an .npz, as for `experiments.classify`. Only for coupling flows.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.classify import evaluated, write_csv
from experiments.common import open_workdir, parser, run

# Small images are shown enlarged to about this side.
_LEAST_SIDE = 256


def explain(
    workdir: Path,
    images: str,
    output: Path,
    *,
    label: str = "",
    against: str = "",
    spread: str = "block",
    resize: bool = False,
) -> list[dict[str, Any]]:
    """Write the maps; returns the rows of the CSV.

    Args:
      workdir: of a trained coupling flow.
      images: an image, a folder, or an .npz.
      output: folder for the overlays, ``maps.npz`` and ``explained.csv``.
      label: class name or number to explain; empty: the answer.
      against: class to compare with; empty, or where it is the answer: the most probable other one.
      spread: see :func:`msflow_jax.coupling.likelihood_map`.
      resize: bring images of another size to the model's.

    Raises:
      ValueError: a model without a likelihood, an unknown class or spread, or a class against itself.
    """
    import numpy as np

    from msflow_jax import data
    from msflow_jax.coupling import CouplingFlow
    from msflow_jax.inference.runners import configured_classifier, make_explainer
    from msflow_jax.reports.figures import encode_png
    from msflow_jax.storage.atomic import write_atomically

    trained = open_workdir(workdir)
    model, sample = trained.model, trained.config.sample
    if not isinstance(model, CouplingFlow):
        raise ValueError(
            f"{workdir} holds a {trained.config.model.family} flow, which has no likelihood to explain: "
            "train one with config.model.family='coupling'"
        )
    asked = [int(model.numbers([name])[0]) if name else None for name in (label, against)]
    if asked[0] is not None and asked[0] == asked[1]:
        raise ValueError(f"--label and --against are both {model.classes[asked[0]]}: choose two")
    pixels, names = data.read_images(images, trained.info, resize=resize)
    temperature = evaluated(workdir).get("calibration", {}).get("temperature", 1.0)
    read = configured_classifier(model, trained.info, sample, temperature)
    reading = read(trained.params, pixels, "classifying")
    distances = reading.distance
    answers = reading.prediction
    labels = answers if asked[0] is None else np.full(len(pixels), asked[0])
    rest = distances.copy()
    rest[np.arange(len(pixels)), labels] = np.inf
    # Against the class asked for, but where that is the answer itself.
    others = rest.argmin(axis=1)
    if asked[1] is not None:
        others = np.where(labels == asked[1], others, asked[1])
    run_model = make_explainer(model, seed=sample.seed, batch=sample.batch, spread=spread)
    found = run_model(trained.params, pixels, labels, others, "explaining")
    output.mkdir(parents=True, exist_ok=True)
    rows, width = [], len(str(len(pixels) - 1))
    for i, name in enumerate(names):
        file = f"{i:0{width}d}_{Path(name).stem}.png"
        picture = panels(pixels[i], found.map[i], found.contrast[i])
        write_atomically(output / file, encode_png(picture))
        rows.append(
            {
                "name": name,
                "answer": model.classes[answers[i]],
                "class": model.classes[labels[i]],
                "against": model.classes[others[i]],
                "log_likelihood": f"{found.map[i].sum(dtype=np.float64):.3f}",
                "log_likelihood_ratio": f"{found.contrast[i].sum(dtype=np.float64):.4f}",
                "file": file,
            }
        )
    write_csv(output / "explained.csv", rows)
    np.savez_compressed(
        output / "maps.npz", map=found.map, contrast=found.contrast, labels=labels, against=others
    )
    print(f"{len(rows)} images explained: {output}")
    return rows


def panels(image: Any, likelihood: Any, contrast: Any) -> Any:
    """The image, its likelihood map (centred) and its contrast map side by side: uint8 ``[H, W, 3]``."""
    import numpy as np

    from msflow_jax.reports.figures import as_rgb
    from msflow_jax.reports.overlays import overlay

    shown = [
        as_rgb(image[None])[0], overlay(image, likelihood, centre=True), overlay(image, contrast)
    ]  # fmt: skip
    enlarged = max(1, _LEAST_SIDE // len(image))
    return np.hstack([np.kron(one, np.ones((enlarged, enlarged, 1), np.uint8)) for one in shown])


def main(arguments: Sequence[str]) -> None:
    """The command."""
    from msflow_jax.parallel.startup import start_jax

    flags = parser(__doc__ or "")
    flags.formatter_class = argparse.RawDescriptionHelpFormatter
    flags.add_argument("--workdir", required=True, type=Path)
    flags.add_argument("--images", required=True, help="an image, a folder or an .npz")
    flags.add_argument("--output", required=True, type=Path)
    flags.add_argument("--label", default="", help="class to explain (default: the answer)")
    flags.add_argument(
        "--against", default="", help="class to compare with (default: the runner-up)"
    )
    flags.add_argument("--spread", default="block", choices=("block", "entry"))
    flags.add_argument("--resize", action="store_true", help="resize images to the model's side")
    o = flags.parse_args(arguments)
    start_jax()
    explain(
        o.workdir, o.images, o.output, label=o.label, against=o.against, spread=o.spread,
        resize=o.resize,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
