"""The page of msflow serve beside a page by gradio: packages, megabytes, and seconds until it answers.

    python -m venv peer && peer/bin/pip install -q gradio
    python benchmarks/page_startup.py --workdir=runs/quickstart --peer=peer/bin/python

gradio's page is the smallest that takes an image and shows probabilities, without a model behind it:
what it takes comes on top of opening one, which is timed by itself. Calls take turns; the first round is
not counted.
"""

import argparse
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import keep, processor
from packaging.requirements import Requirement

PORT = 7891
PEER = f"""
import gradio
page = gradio.Interface(lambda image: {{"a": 0.5, "b": 0.5}}, gradio.Image(), gradio.Label())
print("http://127.0.0.1:{PORT}/", flush=True)
page.launch(server_name="127.0.0.1", server_port={PORT}, share=False, quiet=True)
"""
OPEN = "import msflow_jax; msflow_jax.open({!r}); print('http://opened/', flush=True)"
SIZES = """
import importlib.metadata as m, json
print(json.dumps({d.name.lower(): sum(f.size or 0 for f in d.files or ()) for d in m.distributions()}))
"""


def parse() -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--peer", required=True, help="Python of an environment with gradio")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", help="JSON file for the figures")
    return parser.parse_args()


def needed(name: str, extra: str = "") -> Iterator[str]:
    """Names of the packages that one asks for, and they in turn."""
    for text in importlib.metadata.requires(name) or ():
        one = Requirement(text)
        if (one.marker is None and not extra) or (
            one.marker and one.marker.evaluate({"extra": extra})
        ):
            yield one.name.lower()


def closure(names: list[str]) -> set[str]:
    """These packages and all that they need."""
    found: set[str] = set()
    while names:
        if (one := names.pop()) not in found:
            found.add(one)
            names += needed(one)
    return found


def megabytes(python: str) -> dict[str, float]:
    """What each package of an environment takes on disk."""
    out = subprocess.run([python, "-c", SIZES], capture_output=True, text=True, check=True).stdout
    return {name.replace("_", "-"): size / 1e6 for name, size in json.loads(out).items()}


def seconds(command: list[str]) -> float:
    """Until a server's first page is there, or what has no server says that it is."""
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False"}
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )
    address = next(
        re.search(r"http://\S+/", line) for line in process.stdout or () if "http" in line
    )
    while address and "opened" not in address[0]:
        try:
            with urllib.request.urlopen(address[0], timeout=10) as page:
                page.read()
            break
        except OSError:
            time.sleep(0.02)
    passed = time.perf_counter() - begun
    process.terminate()
    process.wait()
    return passed


def main() -> None:
    """The command."""
    o = parse()
    ours = closure([*needed("msflow_jax", "serve")]) - closure([*needed("msflow_jax")])
    if not ours:
        sys.exit("this environment's msflow_jax knows no extra `serve`: install it again")
    here, there = megabytes(sys.executable), megabytes(o.peer)
    peers = {name for name in there if name not in ("pip", "setuptools", "wheel")}
    serve = [sys.executable, "-m", "msflow_jax", "serve", f"--workdir={o.workdir}", "--port=0"]
    calls = {
        "msflow serve": serve,
        "opening the model": [sys.executable, "-c", OPEN.format(str(o.workdir))],
        "gradio, no model": [o.peer, "-c", PEER],
    }  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(o.rounds + 1):
        for name, command in calls.items():
            times[name].append(seconds(command))
    record = {
        "processor": processor(),
        "packages": {"serve": len(ours), "gradio": len(peers)},
        "megabytes": {
            "serve": sum(here[name] for name in ours), "gradio": sum(there[name] for name in peers)
        },
        "seconds": {name: float(np.median(found[1:])) for name, found in times.items()},
        "spread": {name: [min(found[1:]), max(found[1:])] for name, found in times.items()},
        "names": sorted(ours),
    }  # fmt: skip
    print(json.dumps(record, indent=1))
    keep(record, o.output)


if __name__ == "__main__":
    main()
