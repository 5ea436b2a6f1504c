"""What ten million slices cost to read, pack, encode and train on: measured on one core, and counted.

    python benchmarks/ten_million.py --output benchmarks/results/ten_million.json

A few CT series of 150 slices of 256 x 256 are written as DICOM and packed at 224 pixels, each stage
timed on one core from the page cache (a disk or network that gives less rules instead). Encoding and
training are counted: operations from XLA's cost analysis, over the chips' published peaks as in
docs/scaling.md.
"""

import argparse
import csv
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from common import keep, limit_threads, processor
from medical_files import head, write_series
from scaling import HARDWARE, UTILISATION

TOTAL = 10_000_000
CHIPS = (1, 8, 64)
SERIES, SLICES, SIDE, PACKED = 6, 150, 256, 224
LATENT = 32 * 32 * 4 * 2 * 2  # values, float16, two parts (mean and deviation)
OPERATIONS_TRAINING = 32.6e9  # of the LatMSF network for an image, docs/scaling.md


def write(folder: Path) -> Path:
    """Series of two classes, and the table that lists them."""
    rows = []
    for number in range(SERIES):
        name = f"series{number}"
        values = head(SLICES, SIDE)
        rng = np.random.default_rng(number)
        write_series(folder / name, values + rng.integers(0, 9, values.shape, dtype=np.int16))
        split = ("train", "train", "train", "train", "val", "test")[number]
        rows += [
            {"path": f"{name}/{i:04d}.dcm", "label": number % 2, "patient": name, "split": split}
            for i in range(SLICES)
        ]
    table = folder / "slices.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return table


def stages(table: Path, folder: Path) -> dict[str, float]:
    """Seconds of one core for a slice, by stage."""
    from msflow_jax import data
    from msflow_jax.data.intensity import Intensity
    from msflow_jax.data.sources.listings.manifest import list_manifest
    from msflow_jax.data.sources.packs import shards
    from msflow_jax.data.sources.packs.packed import Records, Settings
    from msflow_jax.data.sources.packs.packing import pack
    from msflow_jax.data.sources.shaping import Grids, Shaping
    from msflow_jax.storage.jobs import HERE

    found: dict[str, float] = {}
    count = SERIES * SLICES

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        began = time.process_time()
        yield
        found[name] = (time.process_time() - began) / count

    config = data.default_config("manifest")
    config.root = str(table)
    with timed("list (headers)"):
        listing = list_manifest(config)
    tracemalloc.start()
    again = list_manifest(config)
    found["bytes of memory"] = tracemalloc.get_traced_memory()[0] / count
    tracemalloc.stop()
    del again
    items = [row.source for row in listing.rows]
    with timed("digest"):
        shards.contents(items, HERE, int)
    shaping = Shaping(side=PACKED)
    records = Records(items, shaping, Intensity("window", -1024, 1024, "HU", "CT"), Grids(shaping))
    with timed("read, map, resize, compress"):
        for i in range(count):
            records(i, (PACKED, PACKED, 1))
    with timed("the whole of tools/pack.py"):
        pack(listing, folder / "packed", Settings(side=PACKED, shard_images=300))
    config = data.default_config("arrayrecord")
    config.update({"root": str(folder / "packed"), "loader": "grain"})
    train = data.load(config).train
    order = np.random.default_rng(0).permutation(len(train))
    began = time.process_time()
    for i in order:
        train.read(int(i))
    found["read packed, in random order"] = (time.process_time() - began) / len(train)
    return found


def operations() -> float:
    """Operations that Stable Diffusion's encoder takes for an image of 256 x 256."""
    import jax
    import jax.numpy as jnp

    from msflow_jax.nets.vae import AutoencoderKL

    net = AutoencoderKL(dtype=jnp.bfloat16)
    image = jax.ShapeDtypeStruct((1, 256, 256, 3), jnp.float32)
    params = jax.eval_shape(net.init, jax.random.key(0), image)
    encode: Callable[..., Any] = lambda p, x: net.apply(p, x, method="encode")  # noqa: E731
    return jax.jit(encode).lower(params, image).cost_analysis()["flops"]


def main() -> None:
    """Measures, counts, prints and keeps the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output")
    args = parser.parse_args()
    limit_threads(1)
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        table = write(folder)
        seconds = stages(table, folder)
        memory = seconds.pop("bytes of memory")
        sizes = {
            "DICOM": sum(p.stat().st_size for p in folder.glob("series*/*.dcm")),
            "packed": sum(p.stat().st_size for p in folder.glob("packed/*")),
        }
    per = {name: size / (SERIES * SLICES) for name, size in sizes.items()} | {"latents": LATENT}
    encoding = operations()
    record = {
        "processor": processor(), "slices": TOTAL, "measured_slices": SERIES * SLICES,
        "seconds_of_a_core_for_a_slice": seconds,
        "core_hours": {name: s * TOTAL / 3600 for name, s in seconds.items()},
        "gigabytes_of_memory_of_the_listing": memory * TOTAL / 1e9,
        "terabytes": {name: size * TOTAL / 1e12 for name, size in per.items()},
        "operations_to_encode": encoding,
        "hours": {
            f"{what} on {n} {chip.name}": TOTAL * f / (n * chip.peak * UTILISATION) / 3600
            for what, f in (("encoding", encoding), ("an epoch", OPERATIONS_TRAINING))
            for chip in HARDWARE for n in CHIPS
        },
    }  # fmt: skip
    for part in ("core_hours", "terabytes", "hours"):
        for name, value in record[part].items():  # type: ignore[attr-defined]
            print(f"{part} {name}: {value:.3g}")
    keep(record, args.output)


if __name__ == "__main__":
    main()
