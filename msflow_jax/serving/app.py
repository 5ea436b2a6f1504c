"""The service as a web application: who may ask, how much, and what an error becomes.

Starlette and uvicorn (extra ``serve``) speak HTTP: they read what a browser or a proxy sends as it was
meant, end slow connections, and finish what was begun when the process is told to stop. The standard
library's server is, by its own documentation, not for production.
"""

import asyncio
import contextlib
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from msflow_jax.serving.answers import Asked
from msflow_jax.serving.measured import Measured
from msflow_jax.serving.page import Page
from msflow_jax.serving.parameters import ENDPOINTS, read_parameters, takes_file
from msflow_jax.serving.service import Service
from msflow_jax.serving.work import Closed, Full, Worker

_RETRY = "2"  # seconds after which a refused request may come again
_SENDING = 60  # seconds that sending a body may take
_BODIES = 8  # largest bodies that are held at once


@dataclass(frozen=True)
class Limits:
    """What one service takes.

    Attributes:
        together: most requests that go through the network at once.
        waiting: most requests that wait; further ones are refused with status 503.
        mebibytes: largest body of a request.
        hosts: names under which the service may be asked; ``*`` for any.
    """

    together: int = 16
    waiting: int = 64
    mebibytes: int = 64
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "::1")


class _Room:
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


def build_app(service: Service, limits: Limits) -> Starlette:
    """The application; what it does runs in a thread of its own, from its start to its end."""
    measured, page = Measured(), Page(service)
    room = _Room(_BODIES * limits.mebibytes << 20)

    def do(kind: Any, asked: Any) -> Any:
        measured.batch(len(asked))
        return service.do(kind, asked)

    @contextlib.asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        at_once, warm = limits.together, service.warm(limits.together)
        app.state.worker = Worker(do, together=at_once, waiting=limits.waiting, meanwhile=warm)
        measured.watch(app.state.worker)
        yield
        await asyncio.to_thread(app.state.worker.close)

    async def shown(request: Request) -> Response:
        return HTMLResponse(page.html, headers=page.headers)

    async def health(request: Request) -> Response:
        worker = request.app.state.worker
        facts = {"status": "ok" if worker.alive else "stopping", "waiting": worker.waiting}
        return JSONResponse({**facts, **page.facts}, 200 if worker.alive else 503)

    async def metrics(request: Request) -> Response:
        return Response(measured.text(), media_type=measured.media_type)

    async def verb(request: Request) -> Response:
        name = request.path_params["verb"]
        with measured.request(name if name in ENDPOINTS else "unknown") as status:
            try:
                found: Any = await _answer(service, limits, room, request, name)
                status.append(200)
                return JSONResponse(found)
            except ClientDisconnect:
                status.append(499)
                return Response(status_code=400)
            except Exception as error:
                status.append(_status(error))
                return _refusal(error, status[-1])

    routes = [
        Route("/", shown), Route("/health", health), Route("/metrics", metrics),
        Route("/{verb}", verb, methods=["POST"]),
    ]  # fmt: skip
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=list(limits.hosts), www_redirect=False)
    return Starlette(
        routes=routes, middleware=[hosts, Middleware(_Hardened)], lifespan=life,
        exception_handlers={404: _nothing, 405: _nothing},
    )  # fmt: skip


async def _answer(
    service: Service, limits: Limits, room: _Room, request: Request, name: str
) -> Any:
    """What is answered to a request.

    Raises:
        Refused: it may not be asked, or is too large.
        ValueError, Full, Closed: as the service and its worker say.
    """
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        # A page of elsewhere may send, by the browser of who looks at it, what it cannot read.
        raise Refused(403, f"asked by a page of {origin}, which is not that of this service")
    if name not in service.endpoints:
        can = ", ".join(f"/{one}" for one in service.endpoints)
        raise Refused(404, f"the model has no /{name}: it has {can}")
    given = read_parameters(name, request.query_params.multi_items())
    worker = request.app.state.worker
    if worker.waiting >= limits.waiting:  # before a body is read for nothing
        raise Full(f"{worker.waiting} requests are waiting, and no more may")
    parts: list[bytes] = []
    try:
        await _receive(request, limits.mebibytes << 20, room, parts)
        if parts and not takes_file(name):
            raise ValueError(f"/{name} takes no file: leave the body empty")
        future = worker.submit(service.kind(name, given), Asked(given, b"".join(parts)))
        return await asyncio.wrap_future(future)
    finally:
        room.give(sum(map(len, parts)))


async def _receive(request: Request, most: int, room: _Room, parts: list[bytes]) -> None:
    """Puts the bytes that are sent into a list, up to a limit.

    Raises:
        Refused: they are more, or come too slowly.
        Full: other requests hold as much as may be held.
    """
    said = request.headers.get("content-length", "0")
    line = f"the body is larger than {most >> 20} MiB: --max-upload allows more"
    if said.isdecimal() and int(said) > most:
        raise Refused(413, line)
    try:
        async with asyncio.timeout(_SENDING):
            async for part in request.stream():
                if part:
                    room.take(len(part))
                    parts.append(part)
                if sum(map(len, parts)) > most:
                    raise Refused(413, line)
    except TimeoutError:
        raise Refused(408, f"the body did not come within {_SENDING} s") from None


def _status(error: Exception) -> int:
    """Status of an error: what the asker can change, what passes by itself, or a fault of ours."""
    if isinstance(error, Refused):
        return error.status
    if isinstance(error, Full | Closed):
        return 503
    return 400 if isinstance(error, ValueError | ImportError) else 500


def _refusal(error: Exception, status: int) -> Response:
    """One line; what was not foreseen goes to the log, and says nothing of the inside to others."""
    if status == 500:
        traceback.print_exception(error, file=sys.stderr)
    line = " ".join(str(error).split())
    if status == 500 and not isinstance(error, FloatingPointError):
        line = "the service failed; its log says more"
    headers = {"retry-after": _RETRY} if status == 503 else {}
    return JSONResponse({"error": line}, status, headers=headers)


async def _nothing(request: Request, error: Any) -> Response:
    """An address that is none, or is asked in another way than it answers."""
    line = "ask by POST" if error.status_code == 405 else f"there is no {request.url.path}"
    return JSONResponse({"error": line}, error.status_code)


class _Hardened:
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
