"""Whether a run is the same on one device and on eight, however its parameters are split.

    python benchmarks/sharding_runs.py --output benchmarks/results/sharding_runs.json

Trains the small flow of the tests for 200 steps on simulated devices, and counts the bytes that a device
holds of the published networks.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

SCRIPT = Path(__file__).resolve().parents[1] / "tests" / "training" / "tiny_training.py"
RUNS: dict[str, tuple[int, dict[str, Any]]] = {
    "1 device": (1, {}),
    "8 devices, replicated": (8, {"sharding": "replicated"}),
    "8 devices, fsdp": (8, {"sharding": "fsdp"}),
    "8 devices, tensor": (8, {"sharding": "tensor", "mesh": {"data": 4, "model": 2}}),
}


def train(devices: int, changes: dict[str, Any], steps: int) -> np.ndarray:
    """The loss of every step, from a process with that many devices."""
    from msflow_jax.training.records import read_records

    changes = {"steps": steps, "eval_every": steps, "log_every": 1, **changes}
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(SCRIPT), folder, json.dumps(changes)]
        subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
        rows = read_records(Path(folder))
    return np.array([row["loss"] for row in rows if "loss" in row])


def held() -> dict[str, dict[str, int]]:
    """Bytes of parameters a device holds of eight, by network and strategy."""
    import jax

    from benchmarks.scaling import networks
    from msflow_jax.parallel.sharding import STRATEGIES, bytes_per_device, make_mesh

    meshes = {name: make_mesh(8, 1) for name in STRATEGIES} | {"tensor": make_mesh(4, 2)}
    out: dict[str, dict[str, int]] = {}
    for name, (net, _) in networks().items():
        shapes = [jax.ShapeDtypeStruct(s, "float32") for s in ((1, 32, 32, 8), (1,))]
        params = jax.eval_shape(net.init, jax.random.key(0), *shapes)["params"]
        out[name] = {s: bytes_per_device(params, meshes[s], s) for s in STRATEGIES}
    return out


def main() -> None:
    """Runs, compares, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
    losses = {name: train(*run, options.steps) for name, run in RUNS.items()}
    one = losses["1 device"]
    worst = {name: float(np.max(np.abs(x / one - 1))) for name, x in losses.items()}
    print(f"largest relative difference of {options.steps} losses from one device: {worst}")
    record = {"steps": options.steps, "largest_relative_difference": worst, "bytes": held()}
    for name, counted in record["bytes"].items():
        print(f"{name}: bytes of parameters a device of 8 {counted}")
    if options.output:
        record["command"] = " ".join(["python", *sys.argv])
        options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
