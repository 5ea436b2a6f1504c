"""An exported classifier beside the library: seconds of a call, in turns, and the largest difference.

msflow export --workdir=runs/quickstart --output=exported
python benchmarks/export_latency.py --workdir=runs/quickstart --exported=exported

With ``--onnx``, what tools/export_onnx.py made of it is measured beside them, in the environment that
docs/export.md gives to that script.
"""

import argparse
import importlib.util
from functools import partial
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
    parser.add_argument("--onnx", type=Path, help="the same model as ONNX")
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
    ways = {
        "library": lambda x: flow.classify(x).probability,
        "exported": lambda x: run(x)["probability"],
    }
    if o.onnx:
        import onnxruntime

        session = onnxruntime.InferenceSession(str(o.onnx))
        ways["onnx"] = lambda x: session.run(["probability"], {"images": x})[0]
    rows = []
    for count in o.images:
        shape = (count, *flow.info.shape)
        images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        times = measure({name: partial(way, images) for name, way in ways.items()}, o.rounds)
        seconds = {name: float(np.median([wall for wall, _ in one])) for name, one in times.items()}
        p = {name: np.asarray(way(images)) for name, way in ways.items()}
        gaps = {name: float(np.abs(p[name] - p["library"]).max()) for name in ways}
        rows.append({"images": count, "seconds": seconds, "difference": gaps})
        print(f"{count} images:", ", ".join(
            f"{name} {1000 * seconds[name]:.1f} ms (probabilities differ by {gaps[name]:.1e})"
            for name in ways
        ))  # fmt: skip
    keep({"rows": rows}, o.output)


if __name__ == "__main__":
    main()
