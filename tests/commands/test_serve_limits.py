"""The service in this process: what it refuses, its flags, and how it ends."""

import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

pytest.importorskip("starlette")
import uvicorn
from starlette.testclient import TestClient

from msflow_jax.serving.app import Limits, build_app
from msflow_jax.serving.service import Service
from tests.commands.conftest import LOCAL, send


@pytest.mark.parametrize(
    ("method", "path", "given", "status", "words"),
    [
        ("POST", "/classify", {}, 400, "no image was sent"),
        ("POST", "/classify?name=x.png", {"content": b"not a picture"}, 400, "x.png is not an image"),
        ("POST", "/classify?nmae=x.png", {}, 400, "knows no 'nmae'"),
        ("POST", "/classify?measure=luck", {"content": b"x"}, 400, "unknown uncertainty 'luck'"),
        ("POST", "/classify", {"content": b"x" * (1 << 20) + b"x"}, 413, "larger than 1 MiB"),
        ("POST", "/generate?label=blue", {}, 400, "unknown class 'blue'"),
        ("POST", "/generate", {}, 400, "label is missing: choose one of dark, very bright"),
        ("POST", "/generate?label=dark&text=x", {}, 400, "several modalities"),
        ("POST", "/generate?label=dark&count=65", {}, 400, "must lie in"),
        ("POST", "/generate?label=dark&solver=newton", {}, 400, "newton"),
        ("POST", "/generate?label=dark&steps=7", {}, 400, "steps must be one of 0, 1, 2"),
        ("POST", "/classify?score=luck", {"content": b"x"}, 400, "unknown score 'luck'"),
        ("POST", "/generate?label=dark", {"content": b"x"}, 400, "takes no file"),
        ("POST", "/explain", {"content": b"x"}, 404, "has /classify, /generate"),
        ("POST", "/nothing", {}, 404, "has no /nothing"),
        ("GET", "/nothing/at/all", {}, 404, "there is no /nothing"),
        ("GET", "/classify", {}, 405, "POST"),
        ("POST", "/", {}, 405, "GET"),
        ("POST", "/health", {}, 405, "GET"),
        ("PUT", "/classify", {}, 405, "ask /classify by POST"),
        ("DELETE", "/", {}, 405, "ask / by GET"),
        ("GET", "/favicon.ico", {}, 404, "there is no /favicon.ico"),
        ("POST", "/classify/", {"content": b"x"}, 404, "there is no /classify/"),
        ("POST", "/classify?modality=ct", {"content": b"x"}, 400, "model of tiny: it is of one kind"),
        ("GET", "/", {"headers": {"host": "evil.example"}}, 400, "--allow-host=NAME"),
        ("POST", "/classify", {"headers": {"origin": "http://evil.example"}}, 403, "evil.example"),
        ("POST", "/classify", {"headers": {"origin": "null"}}, 403, "a page of null"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line_with_a_status(client, method, path, given, status, words):
    found = client.request(method, path, **given)
    assert found.status_code == status
    line = found.json()["error"]
    assert words in line and "\n" not in line and "/tmp" not in line
    assert found.headers["cache-control"] == "no-store"
    assert found.headers["x-content-type-options"] == "nosniff"
    assert client.get("/health").json()["status"] == "ok"


def test_another_host_name_is_refused(client):
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    assert client.get("/", headers={"host": "localhost:8000"}).status_code == 200
    own = {"origin": "http://localhost:8000", "host": "localhost:8000"}
    assert client.post("/generate?label=dark&count=1", headers=own).status_code == 200


def test_how_else_to_ask_is_a_header_too(client):
    assert client.put("/classify").headers["allow"] == "POST"


def test_ctrl_c_is_the_services_alone(monkeypatch):
    """A command ends at once by the first one, wherever it listens."""
    from msflow_jax.serving.server import _Server
    from msflow_jax.storage import interruption

    ended = []
    monkeypatch.setattr(interruption, "end", ended.append)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with interruption.Interruption(allowed=0) as command:
            server = _Server(uvicorn.Config(None))
            with server.capture_signals():
                signal.raise_signal(signal.SIGINT)
                time.sleep(0.2)  # for the thread that would listen
            assert server.should_exit and not command.came and not ended
            signal.raise_signal(signal.SIGINT)
            end = time.monotonic() + 20
            while not ended:  # as before the service
                assert time.monotonic() < end
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_body_without_a_length_is_limited_too(client):
    parts = (b"x" * 65536 for _ in range(40))
    assert client.post("/classify", content=parts).status_code == 413


def test_a_body_that_comes_too_slowly_is_given_up(monkeypatch):
    import asyncio

    from msflow_jax.serving import app
    from msflow_jax.serving.guards import Refused, Room

    async def stream():
        yield b"x"
        await asyncio.sleep(60)

    slow = SimpleNamespace(headers={}, stream=stream)
    monkeypatch.setattr(app, "_SENDING", 0.05)
    with pytest.raises(Refused, match="did not come within") as refused:
        asyncio.run(app._receive(slow, 100, Room(100), []))
    assert refused.value.status == 408


def test_past_the_queue_comes_503(service):
    begun, go = threading.Event(), threading.Event()

    class Slow(Service):
        def do(self, kind, asked):
            begun.set()
            assert go.wait(20)
            return [{"done": True} for _ in asked]

    slow, found = Slow(service.flow), []
    with TestClient(build_app(slow, Limits(together=1, waiting=2)), LOCAL) as client:

        def ask():
            found.append(client.post("/generate?label=dark"))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        threads[0].start()
        assert begun.wait(20)
        [one.start() for one in threads[1:]]
        end = time.monotonic() + 20
        while client.get("/health").json()["waiting"] < 2:
            assert time.monotonic() < end
        full = client.post("/generate?label=dark")
        assert full.status_code == 503 and full.headers["retry-after"]
        assert "waiting" in full.json()["error"]
        assert "msflow_waiting_requests 2.0" in client.get("/metrics").text
        go.set()
        [one.join(20) for one in threads]
    assert [one.status_code for one in found] == [200] * 3


def test_sigterm_ends_it_after_what_was_begun(trained):
    code = "import sys; from msflow_jax.commands.serve import main; main(sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", code, f"--workdir={trained}", "--port=0", "--no-nearest"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        address = re.search(r"http://\S+/", process.stdout.readline())[0]
        asked, found = Future(), f"{address}generate?label=dark&count=33&steps=4"

        def ask():
            request = urllib.request.Request(found, b"", method="POST")
            with urllib.request.urlopen(request, timeout=120) as answer:
                asked.set_result(len(json.load(answer)["pictures"]["dark"]))

        thread = threading.Thread(target=ask)
        thread.start()
        end = time.monotonic() + 60
        begun = "msflow_batch_requests_count 1"
        while begun not in urllib.request.urlopen(f"{address}metrics").read().decode():
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert asked.result(120) == 33
        assert process.wait(60) == 0 and "what was begun is done" in process.stdout.read()
    finally:
        process.kill()


def test_a_fault_of_ours_says_nothing_of_the_inside(service, capsys):
    class Broken(Service):
        def do(self, kind, asked):
            raise RuntimeError("secret/place.py")

    with TestClient(build_app(Broken(service.flow), Limits()), LOCAL) as client:
        found = client.post("/generate?label=dark")
    assert found.status_code == 500 and "secret" not in found.text
    assert "secret/place.py" in capsys.readouterr().err


def test_what_cannot_be_served(trained, tmp_path, command):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = command("serve", f"--workdir={trained}", f"--port={port}")
        assert done.status == 2 and f"port {port}" in done.err and "--port=0" in done.err
    for flags, words in (
        ([f"--workdir={tmp_path / 'none'}", "--port=0"], "none"),
        ([f"--workdir={trained}", "--port=70000"], "must lie in"),
        ([f"--workdir={trained}", "--port=0", "--batch=0"], "at least 1"),
    ):
        done = command("serve", *flags)
        assert done.status == 2 and words in done.err and done.err.count("\n") == 1


def test_the_flags_reach_the_service(trained, files, command, monkeypatch):
    """For others on the network, behind a proxy, with small bodies and without training images."""
    seen = []

    def ask(app, sockets, seconds):
        for one in sockets:
            one.close()
        with TestClient(app, "http://proxy.example") as client:
            seen.append(client.get("/health").status_code)
            seen.append(client.get("/health", headers={"host": "evil.example"}).status_code)
            seen.append(client.post("/classify", content=b"x" * (1 << 21)).status_code)
            seen.extend(send(client, files[0]).json()["images"])
        return True

    monkeypatch.setattr("msflow_jax.serving.server.run_server", ask)
    given = ("--host=0.0.0.0", "--allow-host=proxy.example", "--max-upload=1")
    done = command("serve", f"--workdir={trained}", "--port=0", *given)
    assert done.status == 0 and "is reached by others, and asks nobody" in done.err
    assert seen[:3] == [200, 400, 413] and "nearest" not in seen[3]
    command("serve", f"--workdir={trained}", "--port=0", *given, "--nearest")
    assert len(seen[7]["nearest"]) == 3
