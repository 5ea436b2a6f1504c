"""What a service counts, in the text format of Prometheus."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from msflow_jax.serving.work import Worker

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Measured:
    """Requests, their times and statuses, sizes of batches, and what waits; nothing of their content."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        own = self._registry = CollectorRegistry()
        ProcessCollector(registry=own)  # memory, files, seconds of the processor
        self._requests = Counter(
            "msflow_requests", "Requests answered", ["endpoint", "status"], registry=own
        )
        self._seconds = Histogram(
            "msflow_request_seconds", "From a request to its answer", ["endpoint"],
            buckets=_SECONDS, registry=own,
        )  # fmt: skip
        self._batches = Histogram(
            "msflow_batch_requests", "Requests answered together", buckets=_SIZES, registry=own
        )
        self._waiting = Gauge("msflow_waiting_requests", "Requests that wait", registry=own)

    def watch(self, worker: Worker) -> None:
        """Shows what waits for a worker."""
        self._waiting.set_function(lambda: worker.waiting)

    def batch(self, size: int) -> None:
        """Counts requests that are answered together."""
        self._batches.observe(size)

    @contextlib.contextmanager
    def request(self, endpoint: str) -> Iterator[list[int]]:
        """Times a request; its status is to be put into the list."""
        status: list[Any] = []
        start = time.perf_counter()
        yield status
        self._seconds.labels(endpoint).observe(time.perf_counter() - start)
        self._requests.labels(endpoint, str(status[-1])).inc()

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self._registry)
