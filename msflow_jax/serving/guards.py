"""What a request is refused for, and how: limits, statuses, one line, headers."""

import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse, Response

from msflow_jax.serving.work import Closed, Full

_RETRY = "2"  # seconds after which a refused request may come again


class Room:
    """Bytes of bodies that are held at once."""

    def __init__(self, most: int):
        self._most, self._held = most, 0

    def take(self, size: int) -> None:
        """Raises Full where there is no room for so many more."""
        if self._held + size > self._most:
            raise Full("other requests are sending as much as is taken at once")
        self._held += size

    def give(self, size: int) -> None:
        """So many are held no more."""
        self._held -= size


class Refused(Exception):
    """A request that gets no answer, with its status and a line that says why."""

    def __init__(self, status: int, line: str):
        super().__init__(line)
        self.status = status


def status_of(error: Exception) -> int:
    """Status of an error: what the asker can change, what passes by itself, or a fault of ours."""
    if isinstance(error, Refused):
        return error.status
    if isinstance(error, Full | Closed):
        return 503
    return 400 if isinstance(error, ValueError | ImportError) else 500


def refusal(error: Exception, status: int) -> Response:
    """One line; what was not foreseen goes to the log, and says nothing of the inside to others."""
    if status == 500:
        traceback.print_exception(error, file=sys.stderr)
    line = " ".join(str(error).split())
    if status == 500 and not isinstance(error, FloatingPointError):
        line = "the service failed; its log says more"
    headers = {"retry-after": _RETRY} if status == 503 else {}
    return JSONResponse({"error": line}, status, headers=headers)


class Hardened:
    """Headers on every answer: none is kept, framed, or taken for another type."""

    def __init__(self, app: Callable[..., Awaitable[None]]):
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """As ASGI has it."""

        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"no-referrer"), (b"x-frame-options", b"DENY"),
                ]  # fmt: skip
            await send(message)

        await self._app(scope, receive, sent if scope["type"] == "http" else send)


class Named:
    """Requests that call the service by another name than its own are refused, in one line as others."""

    def __init__(self, app: Callable[..., Awaitable[None]], hosts: Sequence[str]):
        self._app, self._hosts = app, list(hosts)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """As ASGI has it."""
        known = []

        async def sound(*asked: Any) -> None:
            known.append(asked)

        async def unsent(message: Any) -> None:
            pass

        check = TrustedHostMiddleware(sound, self._hosts, www_redirect=False)
        await check(scope, receive, unsent)
        if known:
            return await self._app(scope, receive, send)
        host = Headers(scope=scope).get("host", "")
        line = f"this service is not called {host!r}: started with --allow-host=NAME it is"
        await refusal(Refused(400, line), 400)(scope, receive, send)
