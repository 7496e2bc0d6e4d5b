"""Real parts for tests: a buildkitd, a registry, a stand-in for Depot's API.

Each part is a context manager that is ready when entered and leaves nothing behind when left:

    with parts.Buildkitd(tls=True) as builder, parts.Standin(builder) as api:
        run(api.url, builder.endpoint, builder.certs.ca)

They bind port 0 and tell the port they got, so any number run side by side. All their files are in a
directory of their own that goes with them. A part that cannot start raises PartError with the end of
its log; nothing is ever skipped. For programs in other languages see the script "part" beside this
file. buildkitd needs root.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import fcntl
import functools
import hashlib
import http.server
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "libdepot"
ENVIRONMENT = dict(os.environ)  # before a test changes it: HOME and proxies lead to what is fetched
START_SECONDS = 60  # far more than any start takes; a part that is not ready by then is broken


class PartError(RuntimeError):
    pass


def engine(version: str = "") -> pathlib.Path:
    """The folder with buildkitd, buildctl and runc: $DEPOT_TEST_ENGINE, or the one packaging made; or an
    older version, one of tests/parts/engines."""
    if version:
        return _old_engine(version)
    named = os.environ.get("DEPOT_TEST_ENGINE")
    folder = pathlib.Path(named) if named else CACHE / "engine/current/bin"
    for program in ("buildkitd", "buildctl"):
        if not os.access(folder / program, os.X_OK):
            raise PartError(f"no {program} in {folder}: run packaging/engine/install")
    return folder


@functools.cache
def _old_engine(version: str) -> pathlib.Path:
    # HOME of a test is its own; the cache is where this module found it.
    env = {**os.environ, "XDG_CACHE_HOME": str(CACHE.parent)}
    made = subprocess.run([ROOT / "packaging/engine/install", HERE / "engines" / version],
                          capture_output=True, text=True, env=env)
    if made.returncode:
        raise PartError(f"no buildkit {version}: {made.stderr}")
    return pathlib.Path(made.stdout.strip())


def program(name: str, package: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        raise PartError(f"{name} is missing (Debian package {package})")
    return found


def _die_with_parent() -> None:
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A program whose stderr and stdout go to a log, searched for the line that says it is ready."""

    def __init__(self, name: str, argv: list[str], log: pathlib.Path, env: dict[str, str] | None = None,
                 namespace: bool = False):
        self.name, self.log = name, log
        if namespace:
            # A process and mount namespace of its own: with its first process go its containers,
            # however it ends, and no mount is ever left in the host.
            argv = [program("unshare", "util-linux"), "--mount", "--pid", "--fork", "--kill-child",
                    "--mount-proc", "--propagation", "private", *argv]
        self._changed = threading.Condition()
        self._text, self._ended = "", False
        # PDEATHSIG follows the thread that forks; parts are started by long-lived threads only.
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=env, preexec_fn=_die_with_parent)
        self._reader = threading.Thread(target=self._read, name=f"{name}-log", daemon=True)
        self._reader.start()
        self.namespace = namespace

    def _read(self) -> None:
        with open(self.log, "ab", buffering=0) as log:
            for line in self.process.stdout:
                log.write(line)
                with self._changed:
                    self._text += line.decode(errors="replace")
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        """The program's own id in the host (not that of the helper which made its namespace)."""
        if self.namespace:
            children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
            mine = children.read_text().split()
            if mine:
                return int(mine[0])
        return self.process.pid

    def wait_for(self, pattern: str, count: int = 1) -> list[re.Match]:
        """Waits for that many matches in the log."""
        deadline = time.monotonic() + START_SECONDS
        with self._changed:
            while True:
                found = list(re.finditer(pattern, self._text))
                if len(found) >= count:
                    return found
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    why = "ended" if self._ended else f"said nothing of the kind in {START_SECONDS} s"
                    end = "\n".join(self._text.splitlines()[-20:])
                    raise PartError(f"{self.name} {why} (waited for {pattern!r}); its log's end:\n{end}")
                self._changed.wait(left)

    def kill(self) -> None:
        """As a crash: no chance to clean up."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except (ProcessLookupError, FileNotFoundError):
            pass
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            try:
                os.kill(self.pid, signal.SIGTERM)
            except (ProcessLookupError, FileNotFoundError):
                pass
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
        self._reader.join()
        self.process.stdout.close()


class Part:
    """Start, stop and the directory of a part."""

    def __init__(self) -> None:
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="depot-part-"))
        self._stop: list = []

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def start(self) -> None:
        raise NotImplementedError

    def run(self, process: Process) -> Process:
        self._stop.append(process.stop)
        return process

    def stop(self) -> None:
        while self._stop:
            self._stop.pop()()
        shutil.rmtree(self.dir, ignore_errors=True)

    def info(self) -> dict:
        raise NotImplementedError


class Certificates:
    """A CA, a server certificate that is good for one DNS name only, and a client pair."""

    def __init__(self, folder: pathlib.Path, server_name: str):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.server_name = folder, server_name
        self.ca, self.ca_key = self._pair("ca", None, "/CN=test CA",
                                          "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign")
        self.server, self.server_key = self._pair(
            "server", "ca", f"/CN={server_name}", f"subjectAltName=DNS:{server_name}\nextendedKeyUsage=serverAuth")
        self.client, self.client_key = self._pair("client", "ca", "/CN=test client", "extendedKeyUsage=clientAuth")

    def _pair(self, name: str, issuer: str | None, subject: str, extensions: str) -> tuple[str, str]:
        cert, key = str(self.folder / f"{name}.pem"), str(self.folder / f"{name}-key.pem")
        config = self.folder / f"{name}.cnf"
        config.write_text(f"[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n[ext]\n{extensions}\n")
        argv = [program("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-days", "2", "-subj", subject, "-config", str(config), "-keyout", key, "-out", cert]
        if issuer:
            argv += ["-CA", str(self.folder / f"{issuer}.pem"), "-CAkey", str(self.folder / f"{issuer}-key.pem")]
        made = subprocess.run(argv, capture_output=True, text=True)
        if made.returncode:
            raise PartError(f"openssl: {made.stderr}")
        return cert, key


class Buildkitd(Part):
    """A buildkitd of its own: TCP on loopback (with mutual TLS if asked) and a Unix socket. `version`:
    an older one, of tests/parts/engines."""

    SERVER_NAME = "builder.test"

    def __init__(self, tls: bool = False, config: str = "", args: tuple[str, ...] = (), root: str | None = None,
                 version: str = ""):
        super().__init__()
        self.tls, self.config, self.args, self.version = tls, config, args, version
        self.root = root or str(self.dir / "root")
        self.server_name = self.SERVER_NAME if tls else ""
        self.certs = Certificates(self.dir / "certs", self.server_name) if tls else None
        self.unix = f"unix://{self.dir}/buildkitd.sock"
        self.endpoint = ""

    def start(self) -> None:
        bin_ = engine(self.version)
        config = self.dir / "buildkitd.toml"
        config.write_text('[worker.oci]\n  enabled = true\n  gc = false\n  networkMode = "host"\n'
                          "[worker.containerd]\n  enabled = false\n"
                          # The default is one path for the whole host, for which two that start at once race.
                          f'[otel]\n  socketPath = "{self.dir}/otel.sock"\n' + self.config)
        argv = [str(bin_ / "buildkitd"), "--config", str(config), "--root", self.root,
                "--addr", self.unix, "--addr", "tcp://127.0.0.1:0", *self.args]
        if self.certs:
            argv += ["--tlscacert", self.certs.ca, "--tlscert", self.certs.server, "--tlskey", self.certs.server_key]
        env = {**os.environ, "PATH": f"{bin_}:{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
        self.process = self.run(Process("buildkitd", argv, self.dir / "log", env=env, namespace=True))
        (listening,) = self.process.wait_for(r"running server on (127\.0\.0\.1:\d+)")[:1]
        self.process.wait_for(r"running server on .*buildkitd\.sock")
        self.endpoint = f"tcp://{listening[1]}"

    def buildctl(self, *args: str, over_tcp: bool = False, **kwargs) -> subprocess.CompletedProcess:
        argv = [str(engine() / "buildctl"), "--addr", self.endpoint if over_tcp else self.unix]
        if over_tcp and self.certs:
            argv += ["--tlscacert", self.certs.ca, "--tlscert", self.certs.client,
                     "--tlskey", self.certs.client_key, "--tlsservername", self.server_name]
        return subprocess.run([*argv, *args], **{"capture_output": True, "text": True, **kwargs})

    def info(self) -> dict:
        out = {"endpoint": self.endpoint, "unix": self.unix, "server_name": self.server_name,
               "pid": self.process.pid, "dir": str(self.dir), "log": str(self.dir / "log")}
        if self.certs:
            c = self.certs
            out.update(ca=c.ca, ca_key=c.ca_key, cert=c.client, key=c.client_key)
        return out


def go_build(folder: pathlib.Path, name: str) -> str:
    """Compiles a Go program of ours into the cache, once per content, and gives its path."""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.go"), *folder.glob("go.*")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    out = CACHE / "parts" / f"{name}-{digest.hexdigest()[:16]}"
    out.parent.mkdir(parents=True, exist_ok=True)
    with open(out.parent / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.exists():
            # The script finds a Go that is new enough as packaging does.
            script = ('. "$1/packaging/lib.sh" && find_go && cd "$2" && '
                      'go build -mod=readonly -buildvcs=false -trimpath -o "$3" .')
            made = subprocess.run(["bash", "-c", script, "parts", str(ROOT), str(folder), f"{out}.new"],
                                  capture_output=True, text=True)
            if made.returncode:
                raise PartError(f"{name} does not compile:\n{made.stderr}")
            os.replace(f"{out}.new", out)
    return str(out)


@functools.cache
def buildx() -> str:
    """docker's buildx as a program of its own, of the pinned version; compiled once, some minutes."""
    script = ('. "$1/packaging/lib.sh" && out=$cache/peers/buildx-$BUILDX_VERSION && mkdir -p "$out" &&'
              ' exec 9>"$out/.lock" && flock 9 && { [ -x "$out/buildx" ] || {'
              ' find_go && GOBIN=$out go install "github.com/docker/buildx/cmd/buildx@$BUILDX_VERSION" >&2; }; } &&'
              ' echo "$out/buildx"')
    env = {**os.environ, "XDG_CACHE_HOME": str(CACHE.parent)}
    made = subprocess.run(["bash", "-c", script, "buildx", str(ROOT)], capture_output=True, text=True, env=env)
    if made.returncode:
        raise PartError(f"buildx does not compile:\n{made.stderr}")
    return made.stdout.strip()


@functools.cache
def depot_cli() -> str:
    """Depot's own command line, of the pinned version, from its package."""
    script = ('. "$1/packaging/lib.sh" && out=$cache/peers/depot-$DEPOT_CLI_VERSION && mkdir -p "$out" &&'
              ' exec 9>"$out/.lock" && flock 9 && { [ -x "$out/depot" ] || { cd "$out" &&'
              ' npm pack --silent "@depot/cli-linux-x64@0.0.1-cli.$DEPOT_CLI_VERSION" >package.name &&'
              ' echo "$DEPOT_CLI_SHA256  $(cat package.name)" | sha256sum --check --quiet >&2 &&'
              ' tar -xzf "$(cat package.name)" && rm "$(cat package.name)" && mv package/bin/depot depot; }; } &&'
              ' echo "$out/depot"')
    made = subprocess.run(["bash", "-c", script, "depot-cli", str(ROOT)], capture_output=True, text=True,
                          env={**ENVIRONMENT, "XDG_CACHE_HOME": str(CACHE.parent)})
    if made.returncode:
        raise PartError(f"Depot's command line cannot be had:\n{made.stderr}")
    return made.stdout.strip()


class Standin(Part):
    """The stand-in for Depot's API (tests/parts/standin/main.go), handing out this builder; over TLS
    with certs."""

    def __init__(self, builder: Buildkitd | None = None, token: str = "", project: str = "",
                 args: tuple[str, ...] = (), certs: Certificates | None = None):
        super().__init__()
        self.builder, self.token, self.project, self.args, self.certs = builder, token, project, args, certs
        self.url = ""

    def start(self) -> None:
        argv = [go_build(HERE / "standin", "standin"), "-token", self.token, "-project", self.project]
        if self.builder:
            argv += ["-endpoint", self.builder.endpoint, "-server-name", self.builder.server_name]
            if self.builder.certs:
                argv += ["-ca-cert", self.builder.certs.ca, "-ca-key", self.builder.certs.ca_key]
        self._tls = None
        if self.certs:
            argv += ["-tls-cert", self.certs.server, "-tls-key", self.certs.server_key]
            self._tls = ssl.create_default_context(cafile=self.certs.ca)
            self._tls.check_hostname = False  # steered by address, whatever name it has
        # Its own stdin is the null device; "-detached" keeps it from ending for that.
        self.process = self.run(Process("standin", [*argv, "-detached", *self.args], self.dir / "log"))
        self.ready = json.loads(self.process.wait_for(r"(?m)^\{.*\}$")[0][0])
        self.url = self.ready.get("url", "")

    def calls(self, method: str = "", at_least: int = 0, done: bool = False, timeout: float = 10) -> list[dict]:
        """What arrived, in order; with at_least, as soon as so many did (or with what there is by then)."""
        query = {"method": method, "min": at_least, "timeout_ms": int(timeout * 1000), "done": "1" if done else ""}
        with self._open(f"{self.url}/_/calls?{urllib.parse.urlencode(query)}") as answer:
            return json.load(answer)

    def script(self, **script) -> None:
        """What to answer from now on: the fields of type script in standin/script.go."""
        self._post("script", json.dumps(script).encode())

    def reset(self) -> None:
        self._post("reset", b"")

    def _post(self, what: str, body: bytes) -> None:
        try:
            self._open(urllib.request.Request(f"{self.url}/_/{what}", body, method="POST")).close()
        except urllib.error.HTTPError as error:
            raise PartError(f"{what}: {error.read().decode().strip()}") from None

    def _open(self, request):
        """Never through a proxy that the environment of a test names."""
        handlers = [urllib.request.ProxyHandler({})]
        if self._tls:
            handlers.append(urllib.request.HTTPSHandler(context=self._tls))
        return urllib.request.build_opener(*handlers).open(request)

    def info(self) -> dict:
        return {**self.ready, "pid": self.process.pid, "dir": str(self.dir), "log": str(self.dir / "log")}


class Proxy(http.server.ThreadingHTTPServer):
    """A forward proxy that tunnels (CONNECT alone) to the hosts it knows by address, as a proxy does that
    has a resolver of its own, and keeps the first line of what it was asked in `requests`."""

    daemon_threads = True

    def __init__(self, hosts: dict[str, str]):
        super().__init__(("127.0.0.1", 0), _ProxyHandler)
        self.hosts, self.requests = hosts, []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self.serve_forever, name="proxy", daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.shutdown()
        self.server_close()


class _ProxyHandler(http.server.BaseHTTPRequestHandler):
    server: Proxy

    def log_message(self, *_) -> None:
        pass

    def do_CONNECT(self) -> None:
        self.server.requests.append(self.requestline)
        host, _, port = self.path.rpartition(":")
        if host not in self.server.hosts:
            return self.send_error(403, "not a host of mine")
        with socket.create_connection((self.server.hosts[host], int(port))) as far:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=self._pump, args=(far, self.connection), daemon=True)
            back.start()
            self._pump(self.connection, far)
            back.join()
        self.close_connection = True

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        """Until one side ends; then the other hears of it."""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


class TokenServer(http.server.ThreadingHTTPServer):
    """Gives registry tokens for one user, by GET with Basic and by POST as OAuth 2 has it, and keeps
    what it was asked in `requests`. Anonymous callers get a token that allows pulling alone. With a host it
    speaks TLS by that name (.certs), which is for a Proxy to find."""

    daemon_threads = True

    def __init__(self, folder: pathlib.Path, service: str, user: str, password: str, host: str = ""):
        super().__init__(("127.0.0.1", 0), _TokenHandler)
        self.service, self.user, self.password = service, user, password
        self.requests: list[dict] = []
        self.key, self.cert = str(folder / "token-key.pem"), str(folder / "token.pem")
        made = subprocess.run([program("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                               "-days", "2", "-subj", "/CN=token server", "-keyout", self.key, "-out", self.cert],
                              capture_output=True, text=True)
        if made.returncode:
            raise PartError(f"openssl: {made.stderr}")
        self.realm = f"http://127.0.0.1:{self.server_address[1]}/token"
        if host:
            self.certs = Certificates(folder / "tls", host)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certs.server, self.certs.server_key)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.realm = f"https://{host}:{self.server_address[1]}/token"
        threading.Thread(target=self.serve_forever, name="token-server", daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def token(self, subject: str, scopes: list[str]) -> str:
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":", 2)
            allowed = [a for a in actions.split(",") if subject or a == "pull"]
            access.append({"type": kind, "name": name, "actions": allowed})
        der = "".join(line for line in pathlib.Path(self.cert).read_text().splitlines() if "-----" not in line)
        now = int(time.time())
        head = {"typ": "JWT", "alg": "RS256", "x5c": [der]}
        body = {"iss": "token.test", "sub": subject, "aud": self.service, "exp": now + 300, "nbf": now - 10,
                "iat": now, "jti": secrets.token_hex(8), "access": access}

        def encode(data: bytes) -> bytes:
            return base64.urlsafe_b64encode(data).rstrip(b"=")

        text = b".".join(encode(json.dumps(part).encode()) for part in (head, body))
        signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=text,
                                capture_output=True, check=True)
        return (text + b"." + encode(signed.stdout)).decode()


class _TokenHandler(http.server.BaseHTTPRequestHandler):
    server: TokenServer

    def log_message(self, *_) -> None:
        pass

    def do_GET(self) -> None:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        user = password = ""
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            user, _, password = base64.b64decode(value).decode().partition(":")
        self._answer("GET", user, password, query, "token")

    def do_POST(self) -> None:
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
        form = {**form, "scope": " ".join(form.get("scope", [])).split()}
        user, password = form.get("username", [""])[0], form.get("password", [""])[0]
        if form.get("grant_type") == ["refresh_token"]:
            user, password = self.server.user, form.get("refresh_token", [""])[0]
        self._answer("POST", user, password, form, "access_token")

    def _answer(self, verb: str, user: str, password: str, asked: dict, field: str) -> None:
        self.server.requests.append({"verb": verb, "path": self.path, "user": user, "password": password,
                                     "service": asked.get("service", []), "scope": asked.get("scope", []),
                                     "grant_type": asked.get("grant_type", []), "client_id": asked.get("client_id", []),
                                     "user_agent": self.headers.get("User-Agent", "")})
        if (user or password or verb == "POST") and (user, password) != (self.server.user, self.server.password):
            status, answer = 401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong user or password"}]}
        else:
            issued = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            status = 200
            answer = {field: self.server.token(user, asked.get("scope", [])), "expires_in": 300, "issued_at": issued}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Registry(Part):
    """Debian's docker-registry. auth: "none", "htpasswd" or "token" (then also .tokens, at realm_host if
    that is given: see TokenServer)."""

    USER, PASSWORD = "robot", "open sesame"

    def __init__(self, auth: str = "none", realm_host: str = ""):
        super().__init__()
        if auth not in ("none", "htpasswd", "token"):
            raise ValueError(f"no such auth: {auth}")
        self.auth, self.realm_host = auth, realm_host
        self.tokens: TokenServer | None = None
        self.host = ""

    def start(self) -> None:
        config: dict = {
            "version": 0.1,
            "log": {"level": "info", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self.dir / "data")}, "delete": {"enabled": True}},
            "http": {"addr": "127.0.0.1:0", "secret": secrets.token_hex(8)},
        }
        if self.auth == "htpasswd":
            made = subprocess.run([program("htpasswd", "apache2-utils"), "-Bbn", self.USER, self.PASSWORD],
                                  capture_output=True, text=True, check=True)
            (self.dir / "htpasswd").write_text(made.stdout.strip() + "\n")
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(self.dir / "htpasswd")}}
        if self.auth == "token":
            self.tokens = TokenServer(self.dir, "registry.test", self.USER, self.PASSWORD, self.realm_host)
            self._stop.append(self.tokens.stop)
            config["auth"] = {"token": {"realm": self.tokens.realm, "service": self.tokens.service,
                                        "issuer": "token.test", "rootcertbundle": self.tokens.cert}}
        (self.dir / "config.yml").write_text(json.dumps(config))  # JSON is YAML
        env = {k: v for k, v in os.environ.items() if not k.startswith(("REGISTRY_", "OTEL_"))}
        self.process = self.run(Process("registry", [program("docker-registry", "docker-registry"), "serve",
                                                     str(self.dir / "config.yml")], self.dir / "log", env=env))
        self.host = self.process.wait_for(r"listening on (127\.0\.0\.1:\d+)")[0][1]

    def docker_config(self) -> pathlib.Path:
        """A folder for DOCKER_CONFIG that knows this registry's user."""
        folder = self.dir / "docker"
        folder.mkdir(exist_ok=True)
        auth = base64.b64encode(f"{self.USER}:{self.PASSWORD}".encode()).decode()
        (folder / "config.json").write_text(json.dumps({"auths": {self.host: {"auth": auth}}}))
        return folder

    def info(self) -> dict:
        out = {"host": self.host, "pid": self.process.pid, "dir": str(self.dir), "log": str(self.dir / "log")}
        if self.auth != "none":
            out.update(user=self.USER, password=self.PASSWORD, docker_config=str(self.docker_config()))
        if self.tokens:
            out.update(realm=self.tokens.realm, service=self.tokens.service)
        return out
