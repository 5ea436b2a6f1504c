"""Do files train as memory does? Phantom volumes go to disk and come back; the first steps are compared.

    PYTHONPATH=. python benchmarks/roundtrip.py --output benchmarks/results/roundtrip_flair.json

A phantom cohort is written as NIfTI and as DICOM series, with a table, and read back. Its arrays are
compared with those in memory, and a small symmetric flow is trained for some steps on each: its
losses and its last parameters have to be the same, bit for bit.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import keep, processor

LOADED = ("memory", "nifti", "dicom")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--modality", default="flair", help="flair and others of 8 bits, or ct")
    parser.add_argument("--dims", type=int, choices=(2, 3), default=2, help="slices or volumes")
    parser.add_argument("--side", type=int, default=16)
    parser.add_argument("--subjects", type=int, default=12)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--output", help="write the measurements to this JSON file")
    return parser.parse_args(arguments)


def config_of(options: argparse.Namespace, name: str, root: str = "") -> Any:
    """The data config; of slices those of the middle half."""
    from msflow_jax import data

    config = data.default_config(name)
    config.update({"root": root, "dims": options.dims, "modality": options.modality})
    config.side = 0 if root else options.side  # files are taken as they are
    config.slices.update(first=0.25, last=0.75)
    config.phantoms.subjects = options.subjects
    return config


def write(kind: str, folder: Path, options: argparse.Namespace) -> Path:
    """Writes the cohort's volumes, and a table with their grades and splits."""
    from msflow_jax import data
    from msflow_jax.data.sources.nifti.writing import write_nifti
    from tests.data.sources.dicom.dicom_objects import make_series

    config = config_of(options, "phantom_cohort")
    config.dims = 3
    splits = data.load(config)
    intensity, spacing = splits.info.intensity(), splits.info.spacing
    lines = [f"{options.modality},label,split,subject"]
    for split in ("train", "val", "test"):
        part = splits[split]
        for i, name in enumerate(part.names):
            values = part.images[i, ..., 0]
            if intensity.unit:  # Hounsfield units, whole ones as scanners store them
                values = np.rint(intensity.to_values(values)).astype(np.int16)
            if kind == "nifti":
                path = write_nifti(folder / f"{name}.nii.gz", values, spacing=spacing)
            else:
                path, ct = folder / name, bool(intensity.unit)
                stored = (values + 1024).astype(np.uint16) if ct else values
                make_series(
                    path, stored, spacing=spacing, modality="CT" if ct else "MR",
                    series=len(lines), patient=name,
                )  # fmt: skip
            # Numbers before the grades keep their order in a table of words.
            lines.append(f"{path.name},{part.labels[i]},{split},{name}")
    table = folder / "table.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


def train(splits: Any, folder: Path, steps: int) -> tuple[list[float], list[Any]]:
    """The losses of the first steps, and the leaves that they leave."""
    import jax

    from msflow_jax.config import default_config
    from msflow_jax.families import get_family
    from msflow_jax.symmetric.recipes import cpu
    from msflow_jax.training import run_stages

    config = cpu(default_config())
    config.model.net.update(dict(width=8, groups=4, head_channels=4))
    config.train.update(
        dict(steps=steps, batch=8, log_every=1, eval_every=steps, writers=(), select="val_accuracy")
    )
    family = get_family("symmetric")
    parts = family.prepare(config, splits)
    model = family.build(config, splits.info, parts)
    params = run_stages(family.stages(config, splits, parts, model), folder, progress=False)
    rows = [
        json.loads(line)
        for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    return [row["loss"] for row in rows if "loss" in row], jax.tree.leaves(params)


def main(arguments: list[str] | None = None) -> int:
    """Writes, reads, trains and compares; 0 if all is equal."""
    import dataclasses

    import jax

    from msflow_jax import data

    options = parse(arguments)
    start = time.time()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folders = {kind: Path(temporary) / kind for kind in LOADED}
        for folder in folders.values():
            folder.mkdir()
        loaded = {"memory": data.load(config_of(options, "phantom_cohort"))}
        for kind in LOADED[1:]:
            table = write(kind, folders[kind], options)
            loaded[kind] = data.load(config_of(options, "cohort", str(table)))
        for kind, splits in loaded.items():
            # One description of the data, so that nothing but the arrays may differ.
            same = dataclasses.replace(splits, info=loaded["nifti"].info)
            found[kind] = train(same, folders[kind], options.steps)
    first = loaded["memory"]
    equal = {
        kind: {
            "arrays": all(
                np.array_equal(splits[s].images, first[s].images)
                and np.array_equal(splits[s].labels, first[s].labels)
                for s in ("train", "val", "test")
            ),
            "losses": found[kind][0] == found["memory"][0],
            "parameters": all(map(np.array_equal, found[kind][1], found["memory"][1])),
        }
        for kind, splits in loaded.items()
    }
    record = {
        "settings": {k: v for k, v in vars(options).items() if k != "output"},
        "processor": processor(), "jax": jax.__version__, "seconds": round(time.time() - start, 1),
        "training_images": len(first.train), "losses": len(found["memory"][0]),
        "first_and_last_loss": [found["memory"][0][0], found["memory"][0][-1]], "equal": equal,
    }  # fmt: skip
    print(json.dumps(record, indent=1))
    keep(record, options.output)
    return 0 if all(all(one.values()) for one in equal.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
