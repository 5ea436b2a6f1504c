"""A stand-in for the Hugging Face hub: the few addresses that pushing and pulling ask for."""

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class Hub:
    """Repositories in memory: ``repos[name]["branches"][branch]`` is a commit, with files."""

    def __init__(self):
        self.repos, self.commits, self.asked = {}, {}, []

    def commit(self, repo, branch, files):
        sha = hashlib.sha1(
            repr((repo, sorted(files.items()), len(self.commits))).encode()
        ).hexdigest()
        self.commits[repo, sha] = dict(files)
        self.repos[repo]["branches"][branch] = sha
        return sha

    def create(self, repo, private=False, files=None):
        self.repos[repo] = {"private": private, "branches": {}}
        self.commit(repo, "main", files or {".gitattributes": b""})

    def files(self, repo, revision="main"):
        sha = self.repos[repo]["branches"].get(revision, revision)
        return sha, self.commits.get((repo, sha))


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def missing(self, code):
        self.answer(404, {"error": code}, X_Error_Code=code, X_Error_Message=code)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(path)
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            repo, revision, name = found.groups()
            sha, files = self.hub.files(repo, revision)
            if name not in (files or {}):
                return self.missing("EntryNotFound")
            etag = hashlib.sha1(files[name]).hexdigest()
            return self.answer(200, files[name], ETag=f'"{etag}"', X_Repo_Commit=sha)
        found = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/(.+))?", path)
        if not found or found[1] not in self.hub.repos:
            return self.missing("RepoNotFound")
        repo, kind, revision = found.groups()
        sha, files = self.hub.files(repo, revision or "main")
        if files is None:
            return self.missing("RevisionNotFound")
        if kind == "tree":
            entries = [
                {"type": "file", "path": n, "size": len(c), "oid": hashlib.sha1(c).hexdigest()}
                for n, c in files.items()
            ]
            return self.answer(200, entries)
        private = self.hub.repos[repo]["private"]
        siblings = [{"rfilename": name, "size": len(files[name])} for name in files]
        about = {"id": repo, "modelId": repo, "sha": sha, "private": private, "siblings": siblings}
        return self.answer(200, about)

    def do_POST(self):
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != "Bearer hf_test":
            return self.answer(401, {"error": "Invalid username or password."})
        if path == "/api/validate-yaml":
            return self.answer(200, {"errors": [], "warnings": []})
        if path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked['organization']}/{asked['name']}"
            url = {"url": f"http://{self.headers['Host']}/{repo}"}
            if repo in self.hub.repos:
                return self.answer(409, {"error": "You already created this model repo", **url})
            hidden = asked.get("private") or asked.get("visibility") == "private"
            self.hub.create(repo, bool(hidden))
            return self.answer(200, url)
        found = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit|branch)/(.+)", path)
        if not found:
            return self.missing("NotFound")
        repo, kind, branch = found.groups()
        branches = self.hub.repos[repo]["branches"]
        if kind == "branch":
            branches.setdefault(branch, branches["main"])
            return self.answer(200, {})
        if kind == "preupload":
            names = [one["path"] for one in json.loads(body)["files"]]
            modes = [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]
            return self.answer(200, {"files": modes})
        files = dict(self.hub.files(repo, branch)[1])
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        sha = self.hub.commit(repo, branch, files)
        url = f"http://{self.headers['Host']}/{repo}/commit/{sha}"
        return self.answer(200, {"success": True, "commitUrl": url, "commitOid": sha})


@contextmanager
def serving():
    """A hub, and the address that it is asked at."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
