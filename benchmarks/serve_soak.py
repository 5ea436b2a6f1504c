"""A service under all the load that it takes: times of answers, memory, and its end under load.

    python benchmarks/serve_soak.py --workdir=runs/quickstart --minutes=30 --clients=8

Clients on this machine send images of the run's test split one after the other, each as soon as its
last answer came; now and then one draws. The first minute is not counted. At the end the service is told
to stop (SIGTERM) while requests are on their way: all of them have to be answered.
"""

import argparse
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from common import keep

WARM = 60.0  # seconds
DRAWING = 50  # one request in so many draws
MEMORY = re.compile(r"^process_resident_memory_bytes ([0-9.e+]+)", re.M)
SIZES = re.compile(r"^msflow_batch_requests_(sum|count) ([0-9.e+]+)", re.M)


def parse() -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--output", help="JSON file for the figures")
    return parser.parse_args()


def pictures(workdir: Path) -> list[bytes]:
    """Test images of the run as PNG files."""
    from PIL import Image

    import msflow_jax
    from msflow_jax import data

    images = data.load(msflow_jax.open(workdir).config.data).test.images[:64]
    found = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image.squeeze()).save(file, "PNG")
        found.append(file.getvalue())
    return found


def get(address: str) -> str:
    """The text of a page."""
    with urllib.request.urlopen(address, timeout=60) as answer:
        return answer.read().decode()


class Clients:
    """Threads that ask; what came back, and how long it took."""

    def __init__(self, address: str, images: list[bytes], label: str, count: int):
        self.address, self.images, self.label = address, images, label
        self.told = float("inf")  # when the service was told to stop
        self.rows, self.failed = [], []
        self.threads = [threading.Thread(target=self._ask, args=(i,)) for i in range(count)]
        for thread in self.threads:
            thread.start()

    def _ask(self, number: int) -> None:
        for i in range(number, sys.maxsize, len(self.threads)):
            drawing = i % DRAWING == DRAWING - 1
            path = f"generate?label={self.label}&count=1" if drawing else "classify?name=a.png"
            body = b"" if drawing else self.images[i % len(self.images)]
            start = time.perf_counter()
            try:
                asked = urllib.request.Request(self.address + path, body, method="POST")
                with urllib.request.urlopen(asked, timeout=600) as answer:
                    json.load(answer)
            except (OSError, ValueError) as error:
                if start > self.told:
                    return  # it came when no more were taken
                self.failed.append(str(error))
            else:
                self.rows.append((start, time.perf_counter() - start, drawing))


def describe(rows: list[Any], start: float, end: float) -> dict[str, float]:
    """Rate and quantiles of the seconds of answers."""
    seconds = np.array([one for at, one, _ in rows if start <= at <= end])
    levels = {f"p{p}_seconds": float(np.percentile(seconds, p)) for p in (50, 95, 99)}
    return {"requests": len(seconds), "per_second": len(seconds) / (end - start), **levels}


def main() -> None:
    """The command."""
    o = parse()
    images = pictures(o.workdir)
    command = [sys.executable, "-m", "msflow_jax", "serve", f"--workdir={o.workdir}", "--port=0"]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)
    line = process.stdout.readline() if process.stdout else ""
    ready = time.perf_counter() - begun
    address = re.search(r"http://\S+/", line)[0]  # type: ignore[index]
    label = urllib.request.quote(json.loads(get(f"{address}health"))["classes"][0])  # type: ignore[attr-defined]
    clients = Clients(address, images, label, o.clients)
    time.sleep(WARM)
    start, memory = time.perf_counter(), []
    while time.perf_counter() - start < 60 * o.minutes:
        time.sleep(10)
        text = get(f"{address}metrics")
        memory.append(float(MEMORY.findall(text)[0]) / 2**20)
        passed, count = time.perf_counter() - start, len(clients.rows)
        print(f"{passed:.0f} s: {count} answers, {memory[-1]:.0f} MiB", flush=True)
    end = time.perf_counter()
    batches = {kind: float(value) for kind, value in SIZES.findall(text)}
    told = clients.told = time.perf_counter()
    process.send_signal(signal.SIGTERM)
    for thread in clients.threads:
        thread.join()
    status = process.wait(timeout=600)
    tenth = max(1, len(memory) // 10)
    record = {
        "clients": o.clients, "minutes": o.minutes, "seconds_to_the_page": ready,
        "classify": describe([r for r in clients.rows if not r[2]], start, end),
        "generate": describe([r for r in clients.rows if r[2]], start, end),
        "requests_in_a_batch": batches["sum"] / batches["count"],
        "mebibytes": {"first_tenth": float(np.mean(memory[:tenth])),
                      "last_tenth": float(np.mean(memory[-tenth:])), "most": max(memory)},
        "failed": clients.failed, "exit_status": status,
        "seconds_to_the_end": time.perf_counter() - told,
    }  # fmt: skip
    print(json.dumps(record, indent=1))
    keep(record, o.output)
    if status or clients.failed:
        sys.exit("a request failed, or the end did")


if __name__ == "__main__":
    main()
