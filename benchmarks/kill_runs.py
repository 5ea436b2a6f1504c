"""Kills one training run again and again, and compares where it ends with an undisturbed run.

    python benchmarks/kill_runs.py --kills 50 --output benchmarks/results/kill_runs.json

Every kill is a SIGKILL at a random moment after the run has begun to train; it saves at every
step, so that many kills fall into a save. The final states must agree bit for bit.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "tests" / "training" / "tiny_training.py"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument(
        "--longest", type=float, default=1.0, help="seconds from first step to kill"
    )
    parser.add_argument("--output", type=Path)
    return parser.parse_args(arguments)


def start(workdir: Path, steps: int) -> subprocess.Popen:
    """The tiny run of the tests in a process of its own, saving at every step."""
    changes = {"steps": steps, "eval_every": 1, "log_every": 1}
    from msflow_jax.storage.places import private_folder

    cache = str(private_folder(Path(tempfile.gettempdir()) / "msflow_jax_cache"))
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(workdir), json.dumps(changes)],
        env={**os.environ, "JAX_COMPILATION_CACHE_DIR": cache},
        stderr=subprocess.DEVNULL,
    )


def last_step(workdir: Path) -> int:
    """The newest recorded step."""
    from msflow_jax.training.records import read_records

    rows = read_records(workdir)
    return int(rows[-1]["step"]) if rows else 0


def final(workdir: Path, steps: int) -> tuple[dict, dict]:
    """Digests of every array of the final checkpoint, and the bytes of its parameters."""
    import jax

    from msflow_jax.storage.checkpoints import Checkpoints

    path = workdir / "checkpoints" / str(steps) / "digests" / "metadata"
    with Checkpoints(workdir / "checkpoints", read_only=True) as checkpoints:
        _, params = checkpoints.restore_params(steps)
    return json.loads(path.read_text(encoding="utf-8")), jax.tree.map(
        lambda a: np.asarray(a).tobytes(), params
    )


def main(arguments: list[str] | None = None) -> None:
    """Runs the two and compares them."""
    options = parse(arguments)
    rng = np.random.default_rng(options.seed)
    steps = 12 * options.kills  # never done before the last kill
    rows, resumed = [], 0
    with tempfile.TemporaryDirectory() as folder:
        disturbed, quiet = Path(folder, "disturbed"), Path(folder, "quiet")
        for workdir in (disturbed, quiet):
            workdir.mkdir()
        for number in range(options.kills):
            before = last_step(disturbed)
            process = start(disturbed, steps)
            while last_step(disturbed) <= before and process.poll() is None:
                time.sleep(0.005)
            wait = float(rng.uniform(0, options.longest))
            time.sleep(wait)
            alive = process.poll() is None
            process.kill()
            process.wait()
            saving = sum(1 for _ in (disturbed / "checkpoints").glob("*tmp*"))
            after = last_step(disturbed)
            resumed += alive and after > before
            rows.append({"after_s": wait, "from": before, "to": after, "unfinished_saves": saving})
            print(
                f"kill {number + 1}: step {before} -> {after}, {saving} unfinished saves",
                flush=True,
            )
        for workdir in (disturbed, quiet):
            assert start(workdir, steps).wait() == 0, f"the run in {workdir} failed"
        equal = final(disturbed, steps) == final(quiet, steps)
    in_saves = sum(row["unfinished_saves"] > 0 for row in rows)
    print(f"resumed {resumed} of {options.kills}; {in_saves} kills in a save; equal: {equal}")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        record = {"command": " ".join(["python", *sys.argv]), "steps": steps, "resumed": resumed}
        record |= {
            "kills": options.kills,
            "kills_in_a_save": in_saves,
            "bit_equal": equal,
            "rows": rows,
        }
        options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if not equal or resumed != options.kills:
        sys.exit(1)


if __name__ == "__main__":
    main()
