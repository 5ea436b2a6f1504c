"""The process that listens: its sockets, and its end by a signal."""

import contextlib
import signal
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn


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
    """Ends in peace by the first SIGTERM or Ctrl-C; nothing is raised afterwards."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Within it the signals end the service."""
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run_server(app: Any, sockets: list[socket.socket], seconds: int) -> None:
    """Serves until SIGTERM or Ctrl-C, then ends what was begun, within so many seconds."""
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, proxy_headers=False,
        timeout_keep_alive=30, timeout_graceful_shutdown=seconds, lifespan="on", ws="none",
        loop="asyncio", http="h11",
    )  # fmt: skip
    _Server(config).run(sockets=sockets)
