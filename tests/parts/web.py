"""An HTTP server on loopback for what builders fetch by themselves: files, and Git repositories by
git's own http-backend."""

from __future__ import annotations

import http.server
import os
import pathlib
import subprocess
import threading

from parts import program


class Web(http.server.ThreadingHTTPServer):
    """A context manager; `url` is where it is. `files` are by their path without the first slash, all
    repositories below `repositories` are at /git/NAME.git."""

    daemon_threads = True

    def __init__(self, repositories: pathlib.Path | None = None):
        super().__init__(("127.0.0.1", 0), _WebHandler)
        self.files: dict[str, bytes] = {}
        self.repositories = repositories
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Web:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.shutdown()
        self.server_close()


def repository(folder: pathlib.Path, files: dict[str, str]) -> str:
    """Makes a bare repository with these files on branch main; returns the commit."""
    work = folder.with_suffix(".work")
    git = [program("git", "git"), "-C", str(work), "-c", "user.name=T", "-c", "user.email=t@example"]
    work.mkdir()
    for name, text in files.items():
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "files"],
                  ["clone", "-q", "--bare", ".", str(folder)]):
        subprocess.run(git + words, check=True, capture_output=True)
    return subprocess.run(git + ["rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


class _WebHandler(http.server.BaseHTTPRequestHandler):
    server: Web

    def log_message(self, *_) -> None:
        pass

    def do_GET(self) -> None:
        if self.path.startswith("/git/"):
            return self._git(b"")
        found = self.server.files.get(self.path[1:])
        self._answer(404 if found is None else 200, {"Content-Type": "application/octet-stream"}, found or b"")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
        self._git(body + self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _git(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        env = {**os.environ, "GIT_PROJECT_ROOT": str(self.server.repositories), "GIT_HTTP_EXPORT_ALL": "1",
               "PATH_INFO": path.removeprefix("/git"), "QUERY_STRING": query, "REQUEST_METHOD": self.command,
               "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
               "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
               "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "REMOTE_ADDR": "127.0.0.1"}
        answer = subprocess.run([program("git", "git"), "-c", "safe.directory=*", "http-backend"], env=env,
                                input=body, capture_output=True).stdout
        head, _, body = answer.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        self._answer(int(headers.pop("Status", "200").split()[0]), headers, body)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
