"""A real browser before a service: one in a process of its own, or one within this process."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
ADDRESS = "http://127.0.0.1:8000/"  # of a service within this process
LOADED = "[...document.images].every((image) => image.complete && image.naturalWidth > 0)"
PATIENCE = 120_000  # ms; what is asked first is compiled


@contextmanager
def answering(flow: Any) -> Iterator[Any]:
    """A test client of a model's service within this process; skips without the extra ``serve``."""
    testing = pytest.importorskip("starlette.testclient")
    from msflow_jax.serving.app import Limits, build_app
    from msflow_jax.serving.service import Service

    with testing.TestClient(build_app(Service(flow), Limits()), ADDRESS) as client:
        yield client


@contextmanager
def browsing() -> Iterator[Any]:
    """A browser; skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as run:
        found = run.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@contextmanager
def opened(
    browser: Any, address: str, client: Any = None, sent: Mapping[str, bytes] | None = None,
    **settings: Any,
) -> Iterator[Any]:  # fmt: skip
    """A page of a new user; a script that fails, or a load from elsewhere, fails the test.

    Args:
        browser: of :func:`browsing`.
        address: of the service.
        client: a test client that answers in the service's place.
        sent: the files that will be sent to it, by name: a browser does not tell what is in them.
        settings: of the browser's context, such as ``viewport``.
    """
    context = browser.new_context(**settings)
    found, faults = context.new_page(), []
    found.set_default_timeout(PATIENCE)
    found.on("pageerror", lambda error: faults.append(str(error)))
    own = (address, "data:", "blob:")
    found.on("request", lambda one: one.url.startswith(own) or faults.append(one.url))

    def answer(route: Any) -> None:
        asked = route.request
        name = client.build_request("GET", asked.url).url.params.get("name")
        body = asked.post_data_buffer or (sent or {}).get(name, b"")
        kept = {k: v for k, v in asked.headers.items() if k in ("origin", "content-type")}
        given = client.request(asked.method, asked.url, content=body, headers=kept)
        headers = {k: v for k, v in given.headers.items() if k != "content-length"}
        route.fulfill(status=given.status_code, headers=headers, body=given.content)

    if client is not None:
        found.route(f"{address}**", answer)
    found.goto(address)
    yield found
    context.close()
    assert faults == []
