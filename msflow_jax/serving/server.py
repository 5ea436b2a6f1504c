"""The process that listens: its sockets, and its end by a signal."""

import contextlib
import signal
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

from msflow_jax.storage.interruption import end

_CONNECTIONS = 512  # open at once; further ones get status 503


def listen(host: str, port: int) -> list[socket.socket]:
    """A socket that listens at an address.

    Raises:
        OSError: it is taken, is none of this machine's, or needs rights.
        ValueError: a port that is none.
    """
    if not 0 <= port < 1 << 16:
        raise ValueError(f"--port must lie in [0, 65535], got {port}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(128)
    except OSError as error:
        found.close()
        raise OSError(
            f"cannot listen at {host}, port {port} ({error.strerror or error}): name another --port, "
            "or --port=0 for any that is free"
        ) from error
    return [found]


class _Server(uvicorn.Server):
    """Ends in peace by the first SIGTERM or Ctrl-C, by the second one at once; nothing is raised."""

    def handle_exit(self, number: int, frame: Any) -> None:
        """Handles the signals."""
        if self.should_exit:
            end("stopped at once: what was begun is not done")
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Within it the signals end the service."""
        # Who listens for Ctrl-C besides would end the process: a command does, by its first one.
        listener = signal.set_wakeup_fd(-1)
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(listener)


def run_server(app: Any, sockets: list[socket.socket], seconds: int) -> bool:
    """Serves until SIGTERM or Ctrl-C, then ends what was begun; whether that was done in time.

    Args:
        app: application, whose ``state.done`` tells whether its worker has ended.
        sockets: listen already.
        seconds: what was begun may take.
    """
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, proxy_headers=False,
        timeout_keep_alive=30, timeout_graceful_shutdown=seconds, lifespan="on", ws="none",
        limit_concurrency=_CONNECTIONS, loop="asyncio", http="h11",
    )  # fmt: skip
    _Server(config).run(sockets=sockets)
    return bool(getattr(app.state, "done", False))
