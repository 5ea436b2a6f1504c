"""Serve a trained model: a page to try it on, and JSON endpoints, on this machine.

    msflow serve --workdir=runs/quickstart

Open the address that is printed: drop an image (PNG, DICOM, NIfTI) and see the prediction with its
uncertainty; draw a class. The endpoints are POST /classify, /segment, /explain, /generate, /translate,
/report and /answer, as far as the model can, with the bytes of a file as body, and GET /health and
/metrics: the page Endpoints of the documentation.
Nothing that is sent is kept. SIGTERM and Ctrl-C end it after what was begun.
"""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msflow_jax.commands.common import parser, path, run, start
from msflow_jax.commands.numbers import whole

LOCAL = ("127.0.0.1", "localhost", "::1")
_SECONDS = 120  # that what was begun may take once the service is told to stop


def serve(
    workdir: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    names: Sequence[str] = (),
    together: int = 16,
    waiting: int = 64,
    mebibytes: int = 64,
    nearest: bool | None = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        workdir: workdir of a trained model.
        host: address to listen on. At another than this machine's own, others reach it, and nobody is
            asked who he is.
        port: port; 0: any that is free.
        names: further names under which the service may be asked.
        together: most requests that go through the network at once.
        waiting: most requests that wait; others are refused with status 503.
        mebibytes: largest body of a request.
        nearest: whether the nearest training images are shown; None: where neither ``host`` nor
            ``names`` let others reach it.

    Raises:
        ValueError: a workdir that cannot be opened, or a model without an endpoint.
        ImportError: the extra ``serve`` is not installed.
        OSError: the address is taken.
    """
    try:
        from msflow_jax.serving.app import Limits, build_app
        from msflow_jax.serving.server import listen, run_server
    except ModuleNotFoundError as error:
        if str(error.name).startswith("msflow_jax"):
            raise
        raise ImportError(
            f"serving needs {error.name}, which is not installed: pip install 'msflow_jax[serve]'"
        ) from error
    from msflow_jax.serving.service import Service
    from msflow_jax.storage.interruption import end
    from msflow_jax.workdir import open_workdir

    local = host in LOCAL
    sockets = listen(host, port)  # before the model is opened: a port that is taken is said at once
    service = Service(flow := open_workdir(workdir))
    if not service.endpoints:
        raise ValueError(f"the model of {workdir} can nothing that has an endpoint")
    if "classify" in service.endpoints:
        service = Service(flow, _nearest(flow, nearest, local and not names))
    hosts = (*LOCAL, "[::1]") if local else (host, *_own_names())
    limits = Limits(together, waiting, mebibytes, _SECONDS, (*hosts, *names))
    app = build_app(service, limits)
    address = f"http://{host if ':' not in host else f'[{host}]'}:{sockets[0].getsockname()[1]}/"
    if not local:
        print(
            f"warning: {address} is reached by others, and asks nobody who he is: put a proxy with a "
            "login before it",
            file=sys.stderr,
        )
    if not flow.calibration.known and "classify" in service.endpoints:
        print(f"warning: not calibrated: {flow.calibration.reason}", file=sys.stderr)
    print(f"{', '.join(service.endpoints)} of {workdir}: {address} (Ctrl-C ends it)", flush=True)
    if not run_server(app, sockets, _SECONDS):
        end(f"stopped: what was begun was not done within {_SECONDS} s")
    print("stopped; what was begun is done", flush=True)


def _own_names() -> tuple[str, ...]:
    """Names and addresses of this machine: another one in a request is of a page that pretends."""
    import socket

    names = {*LOCAL, socket.gethostname(), socket.getfqdn()}
    with contextlib.suppress(OSError):
        names |= {str(one[4][0]) for one in socket.getaddrinfo(socket.gethostname(), None)}
    return tuple(sorted(names))


def _nearest(flow: Any, asked: bool | None, private: bool) -> Any:
    """The training images, or None and, where nobody asked for none, a line that says why."""
    from msflow_jax.serving.near import Nearest

    if asked is None and not private:
        print(
            "the nearest training images are not shown, since others reach the service (--host, "
            "--allow-host): --nearest shows them",
            file=sys.stderr,
        )
        return None
    if asked is False:
        return None
    try:
        return Nearest.of(flow)
    except (ValueError, OSError, ImportError) as error:
        print(f"the nearest training images are not shown: {error}", file=sys.stderr)
        return None


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("--workdir", required=True, type=path)
    flags.add_argument("--host", default="127.0.0.1", help="address to listen on")
    flags.add_argument(
        "--port", **whole("[0, 65535]"), default=8000, help="port; 0: any that is free"
    )
    flags.add_argument(
        "--allow-host", action="append", default=[],
        help="a further name under which it may be asked, as of a proxy; repeatable",
    )  # fmt: skip
    flags.add_argument(
        "--batch", **whole(), default=16, help="most requests that go through the network at once"
    )
    flags.add_argument(
        "--waiting", **whole(), default=64, help="most requests that wait; others get status 503"
    )
    flags.add_argument("--max-upload", **whole(), default=64, help="MiB of one request")
    flags.add_argument(
        "--nearest", action="store_true", default=None,
        help="show training images although others reach the service",
    )  # fmt: skip
    flags.add_argument("--no-nearest", dest="nearest", action="store_false", help="show none")
    o = flags.parse_args(arguments)
    start()
    serve(
        o.workdir, host=o.host, port=o.port, names=o.allow_host, together=o.batch,
        waiting=o.waiting, mebibytes=o.max_upload, nearest=o.nearest,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
