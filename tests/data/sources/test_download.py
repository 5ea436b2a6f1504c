"""The downloader against a server on this machine: complete and right, or nothing left behind."""

import hashlib
import http.server
import threading
import time

import pytest

from msflow_jax.data.sources.download import download

BODY = bytes(range(256)) * 4096
MD5 = hashlib.md5(BODY).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves /whole, cuts /short off, says nothing on /silent, answers 404 to the rest."""

    def do_GET(self):
        if self.path == "/silent":
            time.sleep(3)
        if self.path not in ("/whole", "/short"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY if self.path == "/whole" else BODY[: len(BODY) // 3])

    def log_message(self, *args):
        del args


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_whole_file(server, tmp_path, capsys):
    target = tmp_path / "deep" / "set.npz"
    assert download(f"{server}/whole", target, MD5) == target
    assert target.read_bytes() == BODY
    assert [p.name for p in target.parent.iterdir()] == ["set.npz"]
    assert target.stat().st_mode & 0o777 == 0o644  # data sets are shared
    shown = capsys.readouterr()
    assert f"{server}/whole" in shown.out
    assert "set.npz" in shown.err and "1.0/1.0 MB" in shown.err


@pytest.mark.parametrize(
    ("page", "md5", "error", "words"),
    [
        ("whole", "0" * 32, ValueError, MD5),
        ("short", MD5, FileNotFoundError, "broke off|IncompleteRead|bytes"),
        ("gone", MD5, FileNotFoundError, "404"),
    ],
)
def test_failure_leaves_nothing_behind(server, tmp_path, page, md5, error, words):
    target = tmp_path / "set.npz"
    with pytest.raises(error, match=words) as caught:
        download(f"{server}/{page}", target, md5)
    assert f"{server}/{page}" in str(caught.value)
    assert str(target) in str(caught.value)
    assert "by hand" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_failure_keeps_the_file_that_was_there(server, tmp_path):
    target = tmp_path / "set.npz"
    target.write_bytes(b"before")
    with pytest.raises(ValueError):
        download(f"{server}/whole", target, "0" * 32)
    assert target.read_bytes() == b"before"


def test_silent_address(tmp_path):
    with pytest.raises(FileNotFoundError, match="could not download"):
        download("http://127.0.0.1:9/none", tmp_path / "set.npz", MD5, timeout=2)
    assert not list(tmp_path.iterdir())


def test_silent_server_times_out(server, tmp_path):
    start = time.monotonic()
    with pytest.raises(FileNotFoundError, match="could not download.*timed out"):
        download(f"{server}/silent", tmp_path / "set.npz", MD5, timeout=0.3)
    assert time.monotonic() - start < 2.5
    assert not list(tmp_path.iterdir())


def test_only_web_addresses(tmp_path):
    with pytest.raises(ValueError, match="only http and https"):
        download((tmp_path / "x").as_uri(), tmp_path / "set.npz", MD5)
