"""Classifying many files: images a second from end to end, the share of reading, and memory.

    python benchmarks/classify_files.py --workdir=runs/quickstart --counts 2000 20000

Each count is a process of its own, which classifies so many random PNG files with one noise draw.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import keep
from PIL import Image


def parse() -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", required=True, help="a trained model")
    parser.add_argument("--counts", type=int, nargs="+", default=[500, 2000])
    parser.add_argument("--output", help="JSON file for the figures")
    return parser.parse_args()


def write(folder: Path, count: int, shape: tuple[int, ...]) -> None:
    """Random pictures as PNG."""
    rng = np.random.default_rng(0)
    for i in range(count):
        pixels = rng.integers(0, 256, shape, np.uint8)
        Image.fromarray(pixels[..., 0] if shape[-1] == 1 else pixels).save(folder / f"{i:06d}.png")


def reading(folder: Path, info: Any) -> float:
    """Seconds that reading all files takes."""
    from msflow_jax import data

    start = time.perf_counter()
    data.read_images(folder, info)
    return time.perf_counter() - start


def classify(workdir: str, folder: Path, output: Path) -> tuple[float, float]:
    """Seconds and the largest resident memory, in MiB, of a process that classifies a folder."""
    command = [
        *(sys.executable, "-m", "experiments.classify", f"--workdir={workdir}"),
        *(f"--images={folder}", f"--output={output}", "--draws=1"),
    ]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with status {status}")
    return time.perf_counter() - start, used.ru_maxrss / 1024


def main() -> None:
    """The command."""
    from msflow_jax.workdir import read

    o = parse()
    _, info = read(Path(o.workdir))
    rows = []
    for count in o.counts:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "images"
            folder.mkdir()
            write(folder, count, info.shape)
            seconds, memory = classify(o.workdir, folder, Path(place) / "p.csv")
            read_in = reading(folder, info)
        rows.append(dict(count=count, seconds=seconds, reading=read_in, memory_mib=memory))
        print(
            f"{count} images: {seconds:.1f} s ({count / seconds:.0f} images/s with the start), reading "
            f"{read_in:.1f} s ({100 * read_in / seconds:.1f} %), at most {memory:.0f} MiB"
        )
    keep({"rows": rows}, o.output)


if __name__ == "__main__":
    main()
