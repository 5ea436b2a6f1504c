"""Maps that show why: the likelihood of images, and of one class against another, pixel by pixel.

    python -m experiments.explain --workdir=runs/magic_pneumonia --images=PATH --output=DIR

For each image an overlay of its log-likelihood given the prediction and one of the prediction against
the second class, the maps themselves in ``maps.npz``, and a line of ``explained.csv``. PATH is an image,
a folder or an .npz, as for ``experiments.classify``. Only for models with a likelihood.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.common import parser, run, write_csv

# Small images are shown enlarged to about this side.
_SHOWN_SIDE = 256


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
        workdir: workdir of a trained model with a likelihood.
        images: an image, a folder, or an .npz.
        output: folder for the overlays, ``maps.npz`` and ``explained.csv``.
        label: class name or number to explain; empty: the prediction.
        against: class to compare with; empty, or where it is the prediction: the second class.
        spread: how log-dets below squeezes are placed, see :func:`msflow_jax.coupling.likelihood_map`.
        resize: whether images of another size are resized to the model's.

    Raises:
        ValueError: a model without a likelihood, an unknown class or spread, or a class against itself.
    """
    import numpy as np

    from msflow_jax import data
    from msflow_jax.reports.figures import encode_png
    from msflow_jax.storage.atomic import write_atomically
    from msflow_jax.workdir import open_workdir

    flow = open_workdir(workdir)
    flow.require("explain")
    model, sorts = flow.model, flow.classes
    requested = [int(model.numbers([name])[0]) if name else None for name in (label, against)]
    if requested[0] is not None and requested[0] == requested[1]:
        raise ValueError(f"--label and --against are both {sorts[requested[0]]}: choose two")
    pixels, names = data.read_images(images, flow.info, resize=resize)
    prediction = flow.classify(pixels, description="classifying")
    labels, others = choose_classes(prediction, *requested)
    found = flow.explain(pixels, labels, others, description="explaining", spread=spread)
    output.mkdir(parents=True, exist_ok=True)
    rows, width = [], len(str(len(pixels) - 1))
    for i, name in enumerate(names):
        file = f"{i:0{width}d}_{Path(name).stem}.png"
        picture = panels(pixels[i], found.map[i], found.log_ratio[i])
        write_atomically(output / file, encode_png(picture))
        rows.append(
            {
                "name": name,
                "prediction": prediction.names[i],
                "class": sorts[labels[i]],
                "against": sorts[others[i]],
                "log_likelihood": f"{found.map[i].sum(dtype=np.float64):.3f}",
                "log_likelihood_ratio": f"{found.log_ratio[i].sum(dtype=np.float64):.4f}",
                "file": file,
                "evaluation": str(flow.calibration),
            }
        )
    write_csv(output / "explained.csv", rows)
    np.savez_compressed(
        output / "maps.npz", map=found.map, log_ratio=found.log_ratio, labels=labels, against=others
    )
    print(f"{len(rows)} images explained: {output}")
    return rows


def choose_classes(prediction: Any, label: int | None, against: int | None) -> tuple[Any, Any]:
    """The class to explain and the one to compare with, ``[N]`` each.

    Without ``label`` the prediction is explained, without ``against`` it is compared with the most
    probable other class; so it is where both would be the same.
    """
    import numpy as np

    predicted = prediction.prediction
    labels = predicted if label is None else np.full(len(predicted), label)
    rest = prediction.distance.copy()
    rest[np.arange(len(rest)), labels] = np.inf
    others = rest.argmin(axis=1)
    if against is not None:
        others = np.where(labels == against, others, against)
    return labels, others


def panels(image: Any, likelihood: Any, log_ratio: Any) -> Any:
    """The image, its likelihood map (centred) and its log-likelihood-ratio map: uint8 ``[H, W, 3]``."""
    import numpy as np

    from msflow_jax.reports.figures import as_rgb
    from msflow_jax.reports.overlays import overlay

    shown = [
        as_rgb(image[None])[0], overlay(image, likelihood, centre=True), overlay(image, log_ratio)
    ]  # fmt: skip
    enlarged = max(1, _SHOWN_SIDE // len(image))
    return np.hstack([np.kron(one, np.ones((enlarged, enlarged, 1), np.uint8)) for one in shown])


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("--workdir", required=True, type=Path)
    flags.add_argument("--images", required=True, help="an image, a folder or an .npz")
    flags.add_argument("--output", required=True, type=Path)
    flags.add_argument("--label", default="", help="class to explain (default: the prediction)")
    flags.add_argument(
        "--against", default="", help="class to compare with (default: the second class)"
    )
    flags.add_argument("--spread", default="block", choices=("block", "entry"))
    flags.add_argument("--resize", action="store_true", help="resize images to the model's side")
    o = flags.parse_args(arguments)

    from msflow_jax.parallel.startup import start_jax

    start_jax()
    explain(
        o.workdir, o.images, o.output, label=o.label, against=o.against, spread=o.spread,
        resize=o.resize,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
