"""An exported classifier beside the library: seconds of a call, in turns, and the largest difference.

msflow export --workdir=runs/quickstart --output=exported
python benchmarks/export_latency.py --workdir=runs/quickstart --exported=exported
"""

import argparse
import importlib.util
from pathlib import Path

import numpy as np
from common import keep, measure


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", required=True, help="a trained model")
    parser.add_argument(
        "--exported", type=Path, required=True, help="what msflow export made of it"
    )
    parser.add_argument("--images", type=int, nargs="+", default=[1, 128])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--output", help="JSON file for the figures")
    o = parser.parse_args()

    import msflow_jax

    spec = importlib.util.spec_from_file_location("exported_load", o.exported / "load.py")
    assert spec and spec.loader
    loader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loader)
    flow, (_, run) = msflow_jax.open(o.workdir), loader.load(o.exported)
    rows = []
    for count in o.images:
        shape = (count, *flow.info.shape)
        images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        times = measure(
            {
                "library": lambda images=images: flow.classify(images),
                "exported": lambda images=images: run(images),
            },
            o.rounds,
        )
        seconds = {name: float(np.median([wall for wall, _ in one])) for name, one in times.items()}
        gap = float(np.abs(run(images)["probability"] - flow.classify(images).probability).max())
        rows.append({"images": count, "seconds": seconds, "difference": gap})
        print(
            f"{count} images: library {1000 * seconds['library']:.1f} ms, exported "
            f"{1000 * seconds['exported']:.1f} ms; probabilities differ by at most {gap:.1e}"
        )
    keep({"rows": rows}, o.output)


if __name__ == "__main__":
    main()
