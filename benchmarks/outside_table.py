"""Data sets against each other: how well uncertainties of a model of one tell images of the others.

    python benchmarks/outside_table.py --runs=runs/outside --sets pneumonia=pneumoniamnist.npz \
        breast=breastmnist.npz retina=retinamnist.npz adrenal=adrenalmnist3d_64.npz

The phantoms are built in. All are grey pictures of 28 pixels: colours are turned grey, of volumes there
is the middle slice. Each is trained as the quickstart was, in batches of 32; nothing is chosen by the
pairs. The command may be stopped and given again.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from common import call, keep
from PIL import Image

from msflow_jax.storage.atomic import new_folder

SIDE, MOST = 28, {"train": 1000, "val": 200, "test": 200}
PHANTOMS = "phantoms"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True, help="folder of data and workdirs")
    parser.add_argument("--sets", nargs="+", default=[], metavar="NAME=FILE.npz")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", help="JSON file for the figures")
    return parser.parse_args(arguments)


def images_of(file: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Grey pictures of 28 pixels ``[N, 28, 28]`` and labels ``[N]`` of a split, at most ``MOST``."""
    if file == PHANTOMS:
        from msflow_jax import data
        from msflow_jax.config import default_config

        config = default_config()
        config.data.update({"name": PHANTOMS, "side": SIDE})
        found = data.load(config.data)[split]
        images, labels = found.images[..., 0], found.labels
    else:
        with np.load(file, allow_pickle=False) as arrays:
            images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"].ravel()
    if images.ndim == 4 and images.shape[-1] != 3:  # volumes: the middle slice
        images = images[:, images.shape[1] // 2]
    some = np.sort(np.random.default_rng(0).permutation(len(labels))[: MOST[split]])
    pictures = (Image.fromarray(images[i]).convert("L") for i in some)
    sized = [np.asarray(p.resize((SIDE, SIDE), Image.Resampling.BOX)) for p in pictures]
    return np.stack(sized), labels[some]


def prepare(folder: Path, file: str) -> None:
    """Writes ``folder/SPLIT/CLASS/NUMBER.png`` where they are not."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in MOST:
        if (folder / split).is_dir():
            continue
        images, labels = images_of(file, split)
        with new_folder(folder / split) as unfinished:
            for i, (image, label) in enumerate(zip(images, labels, strict=True)):
                place = unfinished / f"class {int(label)}"
                place.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(place / f"{i:04d}.png")


def run(o: argparse.Namespace, name: str, others: list[str]) -> dict[str, Any]:
    """The section on images from outside of a model of one set."""
    workdir = o.runs / f"model_{name}_{o.seed}"
    settings = (
        "data.name=folder", f"data.root={o.runs / 'data' / name}", f"data.side={SIDE}",
        "data.channels=1", "data.duplicates=keep", "train.batch=32", f"train.steps={o.steps}",
        f"train.seed={o.seed}", "sample.generate.per_class=2",
    )  # fmt: skip
    call("train", "--config=configs/quickstart.py", f"--workdir={workdir}", "--no-evaluate",
         *(f"--config.{one}" for one in settings))  # fmt: skip
    kept = workdir / "evaluations" / "test" / "evaluation.json"
    if not kept.exists():
        given = [f"--outside={o.runs / 'outside' / other}" for other in others]
        call("evaluate", f"--workdir={workdir}", "--split=test", *given)
    found = json.loads(kept.read_text(encoding="utf-8"))
    if missing := set(others) - set(found["outside"]["sets"]):
        raise ValueError(f"{kept} was made without {', '.join(sorted(missing))}: remove it")
    accuracy = found["classification"]["accuracy"]
    rejected = found["outside"]["rejected"]
    print(f"model of {name}: accuracy {accuracy:.3f}, own images rejected {rejected:.3f}")
    return {"accuracy": accuracy, **found["outside"]}


def main() -> None:
    """The command."""
    o = parse()
    files = {PHANTOMS: PHANTOMS, **dict(one.split("=", 1) for one in o.sets)}
    for name, file in files.items():
        prepare(o.runs / "data" / name, file)
        shown = o.runs / "outside" / name  # what another model is shown: test images alone
        shown.parent.mkdir(parents=True, exist_ok=True)
        if not shown.exists():
            shown.symlink_to((o.runs / "data" / name / "test").resolve())
    record: dict[str, Any] = {"seed": o.seed, "steps": o.steps, "models": {}}
    for name in files:
        others = [other for other in files if other != name]
        record["models"][name] = run(o, name, others)
        for other, one in record["models"][name]["sets"].items():
            cells = (f"{m} {row['auroc']['value']:.2f}" for m, row in one["measures"].items())
            print(
                f"  {other}: rejected {one.get('rejected', float('nan')):.2f}; {', '.join(cells)}"
            )
    keep(record, o.output)


if __name__ == "__main__":
    main()
