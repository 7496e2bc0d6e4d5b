"""Images into a store on this side: a real Docker Engine, containerd by its real client, and what goes wrong.

podman and nerdctl are stand-ins that keep their arguments and what they read. The Engines that fail are
fakes, because a real one cannot be made to."""

import io
import json
import os
import socket
import tarfile
import threading

import parts
import pytest
from conftest import ROOTFS
from test_faults import become, descriptors

import libdepot

COPY = "FROM scratch\nCOPY Dockerfile /x\n"
GREET = ROOTFS + 'ARG WHO\nRUN echo "hello $WHO" > /greeting\nCMD ["cat", "/greeting"]\n'


@pytest.fixture
def docker(docker_engine, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", docker_engine.host)
    return docker_engine


@pytest.fixture
def client(plain_builder):
    """Made anew for each build, since a client knows the environment in which it was made."""
    class Anew:
        def build(self, *args, **kwargs):
            with libdepot.Client(builder=plain_builder.endpoint) as made:
                return made.build(*args, **kwargs)
    return Anew()


class Steps:
    """What the statuses of a build tell."""

    def __init__(self):
        self.vertexes, self.layers = {}, {}

    def __call__(self, status):
        self.vertexes.update({vertex.name: vertex for vertex in status.vertexes})
        for one in status.statuses:
            if one.id.startswith("loading layer "):
                self.layers[one.id] = one


def test_an_image_is_in_the_engine(docker, client, context):
    steps = Steps()
    result = client.build(context(GREET), tags=["test/loaded"], build_args={"WHO": "store"}, load=True, on_status=steps)
    assert docker.docker("run", "--rm", "--network", "none", "test/loaded").stdout == "hello store\n"
    assert docker.inspect("test/loaded:latest")["Id"] == result.config_digest
    step = steps.vertexes["importing to docker"]
    assert step.started and step.completed >= step.started and not step.error
    assert steps.layers and all(0 < one.current <= one.total for one in steps.layers.values())


def test_the_command_line_loads(docker, plain_builder, context, run_libdepot, monkeypatch):
    monkeypatch.setenv("BUILDKIT_HOST", plain_builder.endpoint)
    _, err = run_libdepot("build", "--load", "-t", "test/flag:1", "--progress", "plain", context(COPY))
    assert docker.inspect("test/flag:1") and "importing to docker" in err
    assert "no output was named" not in err
    _, err = run_libdepot("build", "--output", "type=docker,name=test/output:1", "--progress", "plain",
                          context(COPY, "other"))
    assert docker.inspect("test/output:1")


def test_beside_another_export(docker, client, context, tmp_path):
    out = tmp_path / "out.tar"
    client.build(context(COPY), tags=["test/both:1"], load=True, exports=[f"type=oci,dest={out}"])
    assert docker.inspect("test/both:1") and out.stat().st_size > 0


def test_load_is_one_export_of_type_docker(docker, client, context):
    """Said twice it is loaded once; a file of that type is another thing."""
    steps = Steps()
    client.build(context(COPY), load=True, exports=["type=docker,name=test/once:1"], on_status=steps)
    assert docker.inspect("test/once:1") and "importing to docker" in steps.vertexes


def test_an_image_without_a_name(docker, client, context):
    result = client.build(context(COPY + "LABEL none=1\n"), load=True)
    assert docker.inspect(result.config_digest)["RepoTags"] == []


def test_a_large_image_held_back_by_the_engine(docker, client, context):
    where = context(COPY + "COPY large /\n")
    with open(where / "large", "wb") as file:
        for _ in range(48):
            file.write(os.urandom(1 << 20))
    before = {(number, what) for number, what in descriptors() if "socket:" in what}
    steps = Steps()
    client.build(where, tags=["test/large:1"], load=True, on_status=steps)
    assert docker.inspect("test/large:1")["Size"] > 48 << 20
    (layer,) = [one for one in steps.layers.values() if one.total > 1 << 20]
    assert layer.current == layer.total
    assert become(lambda: {(n, what) for n, what in descriptors() if "socket:" in what} <= before)


def test_a_build_that_fails_loads_nothing(docker, client, context):
    with pytest.raises(libdepot.SolveError):
        client.build(context(ROOTFS + "RUN exit 3\n"), tags=["test/failed:1"], load=True)
    assert docker.inspect("test/failed:1") is None


def test_a_certain_engine(docker, client, context, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    client.build(context(COPY), exports=[f"type=docker,into=docker://{docker.host},name=test/certain:1"])
    assert docker.inspect("test/certain:1")


def test_a_context_of_dockers(docker, client, context, program):
    """Where it leads only the docker client knows: it makes the connection."""
    folder = program("docker", f"json.dump(sys.argv[1:], open('arguments', 'w'))\n"
                               f"os.execv({docker.client!r}, ['docker', '--host', {docker.host!r}, *sys.argv[2:]])")
    client.build(context(COPY), exports=["type=docker,context=there,name=test/context:1"])
    assert docker.inspect("test/context:1")
    assert json.loads((folder / "arguments").read_text()) == ["--context=there", "system", "dial-stdio"]


# Only the layers that the Engine lacks.

class Counted:
    """A Unix socket in front of another, with the bytes that went each way."""

    def __init__(self, path, to):
        self.path, self.to, self.sent = str(path), to, 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.sockets = [self.listener]
        self.listener.bind(self.path)
        self.listener.listen()
        self.threads = [threading.Thread(target=self.run)]
        self.threads[0].start()

    def run(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self.to)
            self.sockets += [near, far]
            for one, other in ((near, far), (far, near)):
                self.threads.append(threading.Thread(target=self.pass_on, args=(one, other)))
                self.threads[-1].start()

    def pass_on(self, one, other):
        try:
            while got := one.recv(1 << 16):
                self.sent += len(got)
                other.sendall(got)
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        for one in self.sockets:
            one.close()


def test_what_the_engine_has_is_not_sent(docker, plain_builder, context, tmp_path, monkeypatch):
    where = context("FROM scratch\nCOPY large /\nCOPY small /\n")
    (where / "large").write_bytes(os.urandom(24 << 20))
    (where / "small").write_bytes(b"1")
    moved = []
    with Counted(tmp_path / "docker.sock", str(docker.socket)) as engine, \
            Counted(tmp_path / "builder.sock", plain_builder.unix.removeprefix("unix://")) as builder:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{engine.path}")
        for turn in range(3):
            if turn == 2:
                (where / "small").write_bytes(b"2")
            before = engine.sent + builder.sent
            steps = Steps()
            with libdepot.Client(builder=f"unix://{builder.path}") as client:
                result = client.build(where, tags=["test/apart:1"], load=True, on_status=steps)
            assert docker.inspect("test/apart:1")["Id"] == result.config_digest
            moved.append(engine.sent + builder.sent - before)
            if turn == 0:
                moved[0] -= 24 << 20  # the context
            assert len(steps.layers) == [2, 0, 1][turn]
    # First from the builder and into the Engine; then nothing of it, twice.
    assert moved[0] > 48 << 20 and max(moved[1:]) < 1 << 20
    made = docker.docker("create", "test/apart:1", "x").stdout.strip()
    with tarfile.open(fileobj=io.BytesIO(docker.docker("export", made, text=False).stdout)) as files:
        assert files.extractfile("small").read() == b"2"
        assert files.extractfile("large").read() == (where / "large").read_bytes()


def test_other_images_layers_count(docker, client, context):
    where = context(COPY + "COPY large /\n")
    (where / "large").write_bytes(os.urandom(1 << 20))
    client.build(where, tags=["test/one:1"], load=True)
    (where / "Dockerfile").write_text("FROM scratch\nCOPY large /\n")
    client.build(where, tags=["test/another:1"], load=True)
    (where / "Dockerfile").write_text("FROM scratch\nCOPY large /\nCOPY large /again\nCOPY large /again\n")
    steps = Steps()
    client.build(where, tags=["test/third:1"], load=True, on_status=steps)
    layers = docker.inspect("test/third:1")["RootFS"]["Layers"]
    assert layers[0] == docker.inspect("test/another:1")["RootFS"]["Layers"][0]
    assert len(steps.layers) == len(layers) - 1


def test_a_base_that_no_step_looked_into(docker, client, registry, context):
    """Its layers may be with the registry alone; wherever they come from, they are in the Engine."""
    base = f"{registry.host}/load/base:1"
    where = context("FROM scratch\nCOPY large /\n")
    (where / "large").write_bytes(os.urandom(1 << 20))
    with parts.Buildkitd() as other, libdepot.Client(builder=other.unix) as pusher:
        pusher.build(where, tags=[base], exports=["type=image,push=true"])
    result = client.build(context(f"FROM {base}\nLABEL top=1\n", "top"), tags=["test/base:1"], load=True)
    image = docker.inspect("test/base:1")
    assert image["Id"] == result.config_digest and image["Size"] >= 1 << 20


def test_an_engine_that_refuses_what_is_not_whole(engine, context, plain_builder):
    """An image of its was removed just then, say."""
    lines, bodies = [], []

    def second(peer):
        bodies.append(read_all(peer))
        peer.sendall(OK + b"0\r\n\r\n")
    with engine(answers(b'HTTP/1.1 500 Oh\r\nContent-Length: 21\r\n\r\n{"message":"no, no."}'), second,
                knows_layers=True) as fake, \
            libdepot.Client(builder=plain_builder.endpoint, on_log=lambda level, line: lines.append(line)) as client:
        client.build(context(COPY), load=True, tags=["test/refused:1"])
    assert [line for line in lines if "all of the image is sent" in line and "HTTP 500: no, no." in line]
    assert len(bodies) == 1 and [one for one in fake.asked if one.startswith("GET /images/docker.io/test/refused:1/")]


@pytest.mark.parametrize("version", ["v0.13", "v0.20"])
def test_older_builders_leave_layers_away_too(version, docker, context):
    where = context(COPY + "COPY small /\n")
    (where / "small").write_text(version)
    with parts.Buildkitd(version=version) as builder, libdepot.Client(builder=builder.unix) as client:
        client.build(where, tags=["test/older:1"], load=True)
        (where / "small").write_text("changed")
        steps = Steps()
        client.build(where, tags=["test/older:1"], load=True, on_status=steps)
    assert len(steps.layers) == 1 and docker.inspect("test/older:1")


# With the BuildKit of the Engine itself.

def test_the_builders_own_engine_needs_no_transfer(docker, context):
    steps = Steps()
    with libdepot.Client(builder="docker") as client:
        client.build(context(COPY), tags=["test/own:1"], load=True, on_status=steps)
    assert docker.inspect("test/own:1") and "importing to docker" not in steps.vertexes


def test_an_engine_without_the_export_feeds_no_other_store(docker, context, program):
    program("podman", "sys.stdin.buffer.read()")
    with libdepot.Client(builder="docker") as client, pytest.raises(libdepot.FailedPreconditionError) as raised:
        client.build(context(COPY), exports=["type=docker,into=podman"])
    assert "no export of type 'docker'" in raised.value.message


# Before anything is sent.

def refused(client, context, **fields):
    sent = []
    with pytest.raises(libdepot.Error) as raised:
        client.build(context(COPY), on_status=sent.append, **fields)
    assert sent == []
    return raised.value


def test_no_engine(client, context, monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    error = refused(client, context, load=True)
    assert isinstance(error, libdepot.UnavailableError) and error.hop is libdepot.Hop.LOCAL
    assert "none.sock: No such file or directory" in error.message


def test_an_engine_elsewhere_wants_consent(client, context, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    error = refused(client, context, load=True)
    assert isinstance(error, libdepot.FailedPreconditionError) and "plain text" in error.message


@pytest.mark.parametrize(("fields", "what"), [
    ({"platform": "linux/amd64,linux/arm64"}, "several platforms"),
    ({"attests": ["type=provenance,mode=max"]}, "attestations"),
])
def test_what_the_engine_cannot_keep(docker, client, context, fields, what):
    error = refused(client, context, load=True, **fields)
    assert isinstance(error, libdepot.FailedPreconditionError) and what in error.message and error.hint


@pytest.mark.parametrize("spec", ["type=docker,into=rkt", "type=docker,into=ctr:-x", "type=docker,into=podman:x",
                                  "type=docker,into=podman,context=there", "type=docker,dest=x.tar,into=podman",
                                  "type=oci,into=podman,dest=x.tar", "type=docker,into=docker://nowhere",
                                  "type=docker,tar=false"])
def test_bad_input(spec, client, context):
    with pytest.raises(libdepot.Error) as raised:
        client.build(context(COPY), exports=[spec])
    assert raised.value.hop is libdepot.Hop.USAGE


# Programs.

def kept(folder):
    """What a stand-in read: the names in the archive."""
    with tarfile.open(folder / "archive") as archive:
        return json.load(archive.extractfile("manifest.json"))[0]["RepoTags"]


KEEP = "json.dump(sys.argv[1:], open('arguments', 'w'))\nopen('archive', 'wb').write(sys.stdin.buffer.read())\n"


@pytest.mark.parametrize(("into", "arguments"), [
    ("podman", "load"), ("nerdctl", "load"), ("nerdctl:k8s.io", "--namespace=k8s.io load"),
    ("ctr:x", "--namespace=x images import -"),
])
def test_through_a_program(into, arguments, client, context, program):
    folder = program(into.partition(":")[0], KEEP + "print('Loaded image: x')")
    steps = Steps()
    client.build(context(COPY), tags=["test/program:1"], exports=[f"type=docker,into={into}"], on_status=steps)
    assert json.loads((folder / "arguments").read_text()) == arguments.split()
    assert kept(folder) == ["test/program:1"]
    assert steps.vertexes[f"importing to {into.partition(':')[0]}"].completed


def test_containerd_by_its_real_client(docker, client, context, monkeypatch):
    monkeypatch.setenv("CONTAINERD_ADDRESS", str(docker.dir / "exec/containerd/containerd.sock"))
    client.build(context(COPY), tags=["test/containerd:1"], exports=["type=docker,into=ctr:libdepot"])
    assert docker.containerd("images", "ls", "-q").split() == ["docker.io/test/containerd:1"]


def test_a_program_that_refuses(client, context, program):
    program("podman", "sys.stdin.buffer.read()\nsys.stderr.write('Error: no space left\\xff\\n')\nsys.exit(125)")
    with pytest.raises(libdepot.Error) as raised:
        client.build(context(COPY), exports=["type=docker,into=podman"])
    assert raised.value.hop is libdepot.Hop.LOCAL and raised.value.code is libdepot.Code.ABORTED
    assert "into podman: `podman load` ended with exit code 125: Error: no space left" in raised.value.message


def test_a_program_that_ends_at_once(client, context, program):
    program("podman", "sys.exit(0)")
    where = context(COPY + "COPY large /\n")
    (where / "large").write_bytes(os.urandom(8 << 20))
    with pytest.raises(libdepot.Error) as raised:
        client.build(where, exports=["type=docker,into=podman"])
    assert "ended with exit code 0 before the image was whole" in raised.value.message


def test_a_program_that_is_missing(client, context, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    error = refused(client, context, exports=["type=docker,into=podman"])
    assert isinstance(error, libdepot.NotFoundError) and "podman, which loads images" in error.message


def test_a_program_that_hangs_is_killed_by_a_cancel(client, context, program):
    folder = program("podman", "os.mkfifo('ready'); open('ready', 'w').write(str(os.getpid()))\nos.read(0, 1)\n"
                               "time.sleep(3600)")
    cancel, pid = libdepot.Cancel(), []

    def when_it_hangs():
        assert become((folder / "ready").exists)
        pid.append((folder / "ready").read_text())
        cancel.trigger()
    other = threading.Thread(target=when_it_hangs)
    other.start()
    with pytest.raises(libdepot.CanceledError):
        client.build(context(COPY), exports=["type=docker,into=podman"], cancel=cancel)
    other.join()
    assert not os.path.exists(f"/proc/{pid[0]}")


# Engines that fail.

class Engine:
    """Answers /info as a Docker Engine would that keeps its own images, and loads as it is told. Unless it
    `knows_layers` it is taken for Podman's."""

    def __init__(self, path, *loads, info=None, knows_layers=False):
        self.info = info or {"DriverStatus": [["driver-type", "overlay2"]]}
        if not knows_layers:
            self.info["BuildahVersion"] = "1.0"
        self.loads, self.asked = list(loads), []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with peer:
                self.serve(peer)

    def serve(self, peer):
        while head := self.head(peer):
            self.asked.append(head.split(b" HTTP")[0].decode())
            if head.startswith(b"POST /images/load"):
                return self.loads.pop(0)(peer)
            if head.startswith(b"GET /info"):
                self.answer_info(peer)
            elif head.startswith(b"GET /images/json"):
                self.answer(peer, b"[]")
            else:
                self.answer(peer, b'{"message":"No such image"}', b"404 Not Found")

    @staticmethod
    def head(peer):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            try:
                got = peer.recv(1)
            except ConnectionResetError:
                return b""
            if not got:
                return b""
            head += got
        return head

    @staticmethod
    def answer(peer, body, status=b"200 OK"):
        peer.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)

    def answer_info(self, peer):
        self.answer(peer, json.dumps(self.info).encode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()


@pytest.fixture
def engine(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/fake.sock")
    return lambda *loads, **more: Engine(tmp_path / "fake.sock", *loads, **more)


def read_all(peer):
    body = b""
    while not body.endswith(b"\r\n0\r\n\r\n"):
        got = peer.recv(1 << 16)
        if not got:
            return body
        body += got
    return body


def answers(head, *pieces):
    def load(peer):
        read_all(peer)
        peer.sendall(head)
        for piece in pieces:
            peer.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
    return load


OK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(("load", "what", "code"), [
    (answers(b'HTTP/1.1 500 Oh\r\nContent-Length: 21\r\n\r\n{"message":"no, no."}'), "HTTP 500: no, no.", "ABORTED"),
    (answers(b'HTTP/1.1 404 No\r\nConnection: close\r\n\r\npage not found'), "HTTP 404: page not found",
     "UNIMPLEMENTED"),
    (answers(OK, b'{"stream":"a"}\n{"errorDetail":{"message":"write /x: no space ',
             b'left on device"},"error":"w"}\n', b""),
     "write /x: no space left on device", "RESOURCE_EXHAUSTED"),
    (answers(OK, b'{"status":"Loading layer"'), "closed the connection before it had answered", "UNAVAILABLE"),
    (answers(b"SSH-2.0-OpenSSH\r\n\r\n"), "does not answer as a Docker Engine does", "UNAVAILABLE"),
    (answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "does not answer", "UNAVAILABLE"),
    (answers(OK, b'{"x":"' + b"a" * (300 << 10)), "answers without end", "DATA_LOSS"),
    (answers(b"HTTP/1.1 200 OK\r\nX: " + b"a" * (40 << 10)), "does not answer", "UNAVAILABLE"),
    (lambda peer: None, "closed the connection before it had answered", "UNAVAILABLE"),
])
def test_an_engine_that_fails(load, what, code, engine, client, context):
    with engine(load), pytest.raises(libdepot.Error) as raised:
        client.build(context(COPY), load=True)
    assert raised.value.hop is libdepot.Hop.LOCAL and what in raised.value.message
    assert raised.value.code is libdepot.Code[code]
    assert raised.value.message.startswith("cannot load the image into docker")


def test_what_follows_100_continue_counts(engine, client, context):
    with engine(answers(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b'{"stream":"Loaded image: x"}\n', b"")):
        client.build(context(COPY), load=True)


def test_an_engine_that_answers_too_soon(engine, client, context):
    """Whatever it says: it cannot have the image."""
    where = context(COPY + "COPY large /\n")
    (where / "large").write_bytes(os.urandom(16 << 20))

    def load(peer):
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        peer.recv(1)
    with engine(load), pytest.raises(libdepot.Error) as raised:
        client.build(where, load=True)
    assert "before the image was whole" in raised.value.message


@pytest.mark.parametrize("stage", ["reading", "answering"])
def test_an_engine_that_hangs_is_left_by_a_cancel(stage, engine, client, context):
    cancel, left = libdepot.Cancel(), threading.Event()

    def load(peer):
        if stage == "answering":
            read_all(peer)
        else:
            peer.recv(1)
        cancel.trigger()
        assert left.wait(60)  # what came before is all there is, until the client has gone
        while peer.recv(1 << 16):
            pass
    where = context(COPY + "COPY large /\n")
    (where / "large").write_bytes(os.urandom(16 << 20))
    with engine(load):
        with pytest.raises(libdepot.CanceledError):
            client.build(where, load=True, cancel=cancel)
        left.set()


def test_an_engine_that_hangs_when_asked_ends_by_the_deadline(engine, client, context, monkeypatch):
    gone = threading.Event()
    with engine() as fake:
        fake.answer_info = lambda peer: gone.wait(60)
        error = refused(client, context, load=True, timeout=1)
        gone.set()
    assert isinstance(error, libdepot.DeadlineExceededError) and "waiting for the Docker Engine" in error.message


def test_a_store_of_containerds_gets_oci(engine, client, context):
    """With several platforms, which the other store cannot keep."""
    bodies = []

    def load(peer):
        bodies.append(read_all(peer))
        peer.sendall(OK + b"0\r\n\r\n")
    info = {"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}
    with engine(load, info=info):
        client.build(context(COPY), load=True, platform="linux/amd64,linux/arm64", tags=["test/several:1"])
    rest, archive = bodies[0], b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        archive += rest[:int(size, 16)]
        rest = rest[int(size, 16) + 2:]
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        index = json.load(tar.extractfile("index.json"))
        nested = json.load(tar.extractfile("blobs/" + index["manifests"][0]["digest"].replace(":", "/")))
    assert [one["platform"]["architecture"] for one in nested["manifests"]] == ["amd64", "arm64"]
