"""The service as a web application: who may ask, how much, and what an error becomes.

Starlette and uvicorn (extra ``serve``) speak HTTP: they read what a browser or a proxy sends as it was
meant, and finish what was begun when the process is told to stop. The standard library's server is, by
its own documentation, not for production.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from msflow_jax.serving.answers import Asked
from msflow_jax.serving.forms import files_of
from msflow_jax.serving.guards import Hardened, Named, Refused, Room, refusal, status_of
from msflow_jax.serving.measured import Measured
from msflow_jax.serving.page import Page
from msflow_jax.serving.parameters import ENDPOINTS, read_parameters, takes_file
from msflow_jax.serving.service import Service
from msflow_jax.serving.work import Full, Worker

_SENDING = 60  # seconds that sending a body may take
_BODIES = 8  # largest bodies that are held at once
_BY_GET = ("/", "/health", "/metrics")


@dataclass(frozen=True)
class Limits:
    """What one service takes.

    Attributes:
        together: most requests that go through the network at once.
        waiting: most requests that wait; further ones are refused with status 503.
        mebibytes: largest body of a request.
        seconds: what is being done when the service is told to stop may take; then it is given up.
        hosts: names under which the service may be asked; ``*`` for any.
    """

    together: int = 16
    waiting: int = 64
    mebibytes: int = 64
    seconds: int = 120
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "::1")


def build_app(service: Service, limits: Limits) -> Starlette:
    """The application; what it does runs in a thread of its own, from its start to its end."""
    measured, page = Measured(), Page(service)
    room = Room(_BODIES * limits.mebibytes << 20)

    def do(kind: Any, asked: Any) -> Any:
        measured.batch(len(asked))
        return service.do(kind, asked)

    @contextlib.asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        at_once, warm = limits.together, service.warm(limits.together)
        app.state.worker = Worker(do, together=at_once, waiting=limits.waiting, meanwhile=warm)
        measured.watch(app.state.worker)
        yield
        app.state.done = await asyncio.to_thread(app.state.worker.close, limits.seconds)

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
                found = _as_json(await _answer(service, limits, room, request, name))
                status.append(200)
                return found
            except ClientDisconnect:
                status.append(499)
                return Response(status_code=400)
            except Exception as error:
                status.append(status_of(error))
                return refusal(error, status[-1])

    routes = [
        Route("/", shown), Route("/health", health), Route("/metrics", metrics),
        Route("/{verb}", verb, methods=["POST"]),
    ]  # fmt: skip
    app = Starlette(
        routes=routes, middleware=[Middleware(Hardened), Middleware(Named, limits.hosts)],
        lifespan=life, exception_handlers={404: _nothing, 405: _nothing},
    )  # fmt: skip
    app.router.redirect_slashes = False  # a body does not follow
    return app


async def _answer(service: Service, limits: Limits, room: Room, request: Request, name: str) -> Any:
    """What is answered to a request.

    Raises:
        Refused: it may not be asked, or is too large.
        ValueError, Full, Closed: as the service and its worker say.
    """
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        # A page of elsewhere may send, by the browser of who looks at it, what it cannot read.
        raise Refused(403, f"asked by a page of {origin}, which is not that of this service")
    if name in ("health", "metrics"):
        raise Refused(405, f"ask for /{name} by GET")
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
        content = b"".join(parts)
        parts[:] = [content]
        files = await files_of(request, name, content)
        future = worker.submit(service.kind(name, given), Asked(given, content, files))
        return await _awaited(request, future)
    finally:
        room.give(sum(map(len, parts)))


async def _awaited(request: Request, future: Future) -> Any:
    """The result of a job; one whose asker has left is given up, if it still waits.

    Raises:
        ClientDisconnect: he left.
        Exception: what the job ended with.
    """

    async def left() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    answer, gone = asyncio.wrap_future(future), asyncio.ensure_future(left())
    try:
        await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        answer.cancel()
        raise ClientDisconnect
    finally:
        gone.cancel()


def _as_json(found: Any) -> Response:
    """An answer; a number in it that is none is a fault of ours, not of the request.

    Raises:
        RuntimeError: JSON cannot carry it.
    """
    try:
        return JSONResponse(found)
    except ValueError as error:
        raise RuntimeError(f"an answer that JSON cannot carry: {error}") from error


async def _receive(request: Request, most: int, room: Room, parts: list[bytes]) -> None:
    """Puts the bytes that are sent into a list, up to a limit.

    Raises:
        Refused: they are more, or come too slowly.
        Full: other requests hold as much as may be held.
    """
    said = request.headers.get("content-length", "0")
    line = f"the body is larger than {most >> 20} MiB: --max-upload allows more"
    if said.isdecimal() and int(said) > most:
        raise Refused(413, line)
    size = 0
    try:
        async with asyncio.timeout(_SENDING):
            async for part in request.stream():
                if (size := size + len(part)) > most:
                    raise Refused(413, line)
                if part:
                    room.take(len(part))
                    parts.append(part)
    except TimeoutError:
        raise Refused(408, f"the body did not come within {_SENDING} s") from None


async def _nothing(request: Request, error: Any) -> Response:
    """An address that is none, or is asked in another way than it answers."""
    path = request.url.path
    verb = path[1:] in ENDPOINTS
    if error.status_code == 405 and (verb or path in _BY_GET):
        line = f"ask {path} by {'POST' if verb else 'GET'}"
        return JSONResponse({"error": line}, 405, headers=error.headers)
    return JSONResponse({"error": f"there is no {path}"}, 404)
