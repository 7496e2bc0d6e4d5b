"""SSH agents in the steps that mount them: real ones, and the library's own with keys."""

import base64
import pathlib
import shutil
import socket
import struct
import subprocess
import tarfile
import threading

import parts
import pytest
from conftest import HELLO, outcome, tls_flags

import libdepot
from libdepot import SshAgent, SshKeys

HERE = pathlib.Path(__file__).resolve().parent
LIST, SIGN = b"\x0b", b"\x0d"
FAILURE, LIST_ANSWER, SIGN_ANSWER = 5, 12, 14
KINDS = {"rsa": ["-t", "rsa", "-b", "2048"], "ecdsa": ["-t", "ecdsa", "-b", "384"], "ed25519": ["-t", "ed25519"]}


def string(data):
    return struct.pack(">I", len(data)) + data


def strings(data):
    out = []
    while data:
        (size,) = struct.unpack(">I", data[:4])
        out.append(data[4:4 + size])
        data = data[4 + size:]
    return out


def keygen(path, *options):
    subprocess.run([parts.program("ssh-keygen", "openssh-client"), "-q", "-f", path, "-N", "", "-C", f"of {path.name}",
                    *options], check=True)
    return path


def blob(key):
    return base64.b64decode(key.with_suffix(".pub").read_text().split()[1])


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {kind: keygen(folder / kind, *options) for kind, options in KINDS.items()}


@pytest.fixture(scope="session")
def client(tmp_path_factory):
    out = tmp_path_factory.mktemp("client") / "agent_client"
    subprocess.run(["cc", "-static", "-O1", "-Wall", "-Werror", HERE / "agent_client.c", "-o", out], check=True)
    return out


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """OpenSSH's agent, without keys."""
    path = tmp_path / "agent.sock"
    process = subprocess.Popen([parts.program("ssh-agent", "openssh-client"), "-D", "-a", path], stdout=subprocess.PIPE)
    process.stdout.readline()  # it listens
    yield path
    process.terminate()
    process.wait()
    process.stdout.close()


def add(agent, *keys):
    subprocess.run([parts.program("ssh-add", "openssh-client"), "-q", *keys], check=True,
                   env={"SSH_AUTH_SOCK": str(agent)})


@pytest.fixture
def folder(tmp_path, client):
    """Makes a context whose step runs this in a shell; what it prints is in /seen."""
    def make(script, mount="--mount=type=ssh,required=true"):
        path = tmp_path / "context"
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(HELLO / "rootfs", path / "rootfs", symlinks=True)
        shutil.copy(client, path / "rootfs/bin/agent_client")
        (path / "Dockerfile").write_text(f"FROM scratch\nCOPY rootfs/ /\nRUN {mount} ({script}) > /seen\n")
        return path
    return make


@pytest.fixture
def seen(tls, folder, tmp_path):
    def build(script, ssh, mount="--mount=type=ssh,required=true", on_log=None, **fields):
        out = tmp_path / "out.tar"
        libdepot.build(folder(script, mount), options={**tls, "on_log": on_log}, ssh=ssh, no_cache=True,
                       exports=[f"type=tar,dest={out}"], **fields)
        with tarfile.open(out) as archive:
            return archive.extractfile("seen").read()
    return build


@pytest.fixture
def ask(seen):
    """The answers that a step gets to these messages."""
    def build(ssh, *messages, **fields):
        text = seen("agent_client " + " ".join(message.hex() for message in messages), ssh, **fields)
        return [bytes.fromhex(line) for line in text.decode().splitlines()]
    return build


@pytest.fixture
def refused(tls, folder):
    def build(ssh, kind=libdepot.Error):
        with pytest.raises(kind) as raised:
            libdepot.build(folder("true"), options={**tls, "builder": "tcp://127.0.0.1:1"}, ssh=ssh)
        return raised.value
    return build


def listed(answer):
    assert answer[0] == LIST_ANSWER
    (count,) = struct.unpack(">I", answer[1:5])
    fields = strings(answer[5:])
    assert len(fields) == 2 * count
    return dict(zip(fields[::2], fields[1::2]))


def sign(key, flags=0, data=b"to be signed"):
    return SIGN + string(blob(key)) + string(data) + struct.pack(">I", flags)


def algorithm(answer):
    assert answer[0] == SIGN_ANSWER
    (signature,) = strings(answer[1:])
    return strings(signature)[0].decode()


def test_the_default_agent(ask, agent, keys, monkeypatch):
    add(agent, *keys.values())
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
    answers = ask(["default"], LIST, sign(keys["rsa"], 4), sign(keys["ed25519"]), LIST)
    assert listed(answers[0]) == {blob(key): f"of {kind}".encode() for kind, key in keys.items()}
    assert [algorithm(answer) for answer in answers[1:3]] == ["rsa-sha2-512", "ssh-ed25519"]
    assert answers[3] == answers[0]
    assert ask({"default": SshAgent()}, LIST) == answers[:1]


def test_an_agent_by_its_socket(ask, agent, keys):
    add(agent, keys["ed25519"])
    for ssh in ({"default": SshAgent(agent)}, [f"default={agent}"]):
        (answer,) = ask(ssh, LIST)
        assert listed(answer) == {blob(keys["ed25519"]): b"of ed25519"}


def test_an_agent_can_be_asked_and_not_changed(ask, agent, keys):
    add(agent, keys["ed25519"])
    removed, removed_all, locked, extension = (
        b"\x12" + string(blob(keys["ed25519"])), b"\x13", b"\x16" + string(b"x"), b"\x1b" + string(b"query"))
    answers = ask({"default": SshAgent(agent)}, removed, removed_all, locked, extension, LIST)
    assert [answer[0] for answer in answers[:4]] == [FAILURE] * 4
    assert len(listed(answers[4])) == 1


def test_keys(ask, keys):
    for ssh in ({"default": SshKeys(*keys.values())}, [f"default={','.join(map(str, keys.values()))}"],
                {"default": SshKeys(*(key.read_bytes() for key in keys.values()))}):
        answers = ask(ssh, LIST, sign(keys["rsa"], 2), sign(keys["rsa"], 4), sign(keys["ecdsa"]), sign(keys["ed25519"]),
                      b"\x13", LIST)
        assert listed(answers[0]) == {blob(key): f"of {kind}".encode() for kind, key in keys.items()}
        assert [algorithm(answer) for answer in answers[1:5]] == [
            "rsa-sha2-256", "rsa-sha2-512", "ecdsa-sha2-nistp384", "ssh-ed25519"]
        assert answers[5][0] == FAILURE and answers[6] == answers[0]


def test_a_key_that_it_has_not(ask, keys):
    (answer,) = ask({"default": SshKeys(keys["rsa"])}, sign(keys["ed25519"]))
    assert answer[0] == FAILURE


def test_several_ids(ask, seen, keys, agent):
    ssh = {"one": SshKeys(keys["rsa"]), "two": SshKeys(keys["ed25519"]), "three": SshAgent(agent)}
    for name, expected in (("one", ["rsa"]), ("two", ["ed25519"]), ("three", [])):
        (answer,) = ask(ssh, LIST, mount=f"--mount=type=ssh,required=true,id={name}")
        assert list(listed(answer)) == [blob(keys[kind]) for kind in expected]


def test_many_connections_at_once(seen, keys, agent):
    """Each with a request under way; none has a thread of its own here."""
    add(agent, keys["rsa"])
    asks = f"agent_client {LIST.hex()} {sign(keys['rsa'], 2).hex()} {LIST.hex()}"
    script = f"for i in $(seq 64); do {asks} > /tmp/$i & done; wait; cat /tmp/*"
    most = []

    def count(status):
        most.append(sum(1 for _ in pathlib.Path("/proc/self/task").iterdir()))

    for ssh in ({"default": SshAgent(agent)}, {"default": SshKeys(keys["rsa"])}):
        lines = seen(script, ssh, on_status=count).decode().splitlines()
        assert len(lines) == 3 * 64
        assert sum(line.startswith(f"{SIGN_ANSWER:02x}") for line in lines) == 64
    assert max(most) < 64


def test_raw(seen, tmp_path):
    """Whatever listens there, as it is, with the end of what the step says."""
    path = tmp_path / "any.sock"
    heard = []

    def serve(listener):
        with listener, listener.accept()[0] as connection:
            while data := connection.recv(4096):
                heard.append(data)
            connection.sendall(b"you said: " + b"".join(heard) + b"!" * 3_000_000)

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    server = threading.Thread(target=serve, args=(listener,))
    server.start()
    text = seen("agent_client raw hello", [f"default={path},raw=true"])
    server.join()
    assert text == b"you said: hello" + b"!" * 3_000_000


def test_what_is_no_agent_protocol(seen, keys):
    """Ends the connection, and not the build."""
    assert seen("agent_client raw nonsense", {"default": SshKeys(keys["rsa"])}) == b""


def test_an_agent_that_is_gone(seen, tmp_path):
    path = tmp_path / "gone.sock"
    lines = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))  # and does not listen
        text = seen("agent_client raw x || true", {"default": SshAgent(path)},
                    on_log=lambda level, line: lines.append(line))
    assert text == b""
    assert any("gone.sock" in line and '"default"' in line for line in lines), lines


def test_a_missing_one_is_told_with_its_line(seen, keys):
    for ssh in ({}, {"other": SshKeys(keys["rsa"])}):
        with pytest.raises(libdepot.NotFoundError) as raised:
            seen("true", ssh)
        error = raised.value
        assert error.hop is libdepot.Hop.SESSION and '"default"' in error.message and "--ssh default" in error.hint
        assert error.ranges[0].start_line == 3 and [source.file for source in error.sources] == ["Dockerfile"]
    assert seen("echo none", {}, mount="--mount=type=ssh") == b"none\n"


def test_no_default_agent(refused, tmp_path, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    error = refused(["default"], libdepot.FailedPreconditionError)
    assert "SSH_AUTH_SOCK" in error.message and error.hint
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    error = refused({"default": SshAgent()}, libdepot.NotFoundError)
    assert str(tmp_path / "gone") in error.message and "SSH_AUTH_SOCK" in error.hint


def test_locked_keys(refused, tmp_path):
    for name, options in {"openssh": [], "pkcs8": ["-m", "PKCS8"], "pem": ["-m", "PEM"]}.items():
        key = tmp_path / name
        subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-f", key, "-N", "a passphrase", *options],
                       check=True)
        for ssh in ({"default": SshKeys(key)}, {"default": SshKeys(key.read_bytes())}):
            error = refused(ssh, libdepot.FailedPreconditionError)
            assert "passphrase" in error.message and "ssh-add" in error.hint, name
        assert str(key) in refused([f"default={key}"]).message


def test_files_that_are_no_keys(refused, tmp_path, keys, agent):
    wrong = tmp_path / "wrong"
    wrong.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
    assert str(wrong) in refused([f"default={wrong}"], libdepot.InvalidArgumentError).message
    assert refused([f"default={keys['rsa']}.pub"], libdepot.InvalidArgumentError)
    assert refused([f"default={tmp_path / 'gone'}"], libdepot.NotFoundError).hop is libdepot.Hop.LOCAL
    wrong.write_bytes(b"x" * (100 * 1024 + 1))
    assert refused([f"default={wrong}"], libdepot.ResourceExhaustedError)
    assert "socket" in refused({"default": SshKeys(agent)}, libdepot.InvalidArgumentError).message


def test_combinations_that_mean_nothing(refused, keys, agent):
    for specs in ([f"default={agent},{keys['rsa']}"], [f"default={agent},{agent}"], ["default", "default"],
                  [f"default={keys['rsa']},raw=true"], ["default=raw=true"], [f"default={agent},raw=perhaps"]):
        assert refused(specs, libdepot.InvalidArgumentError).hop is libdepot.Hop.USAGE, specs
    with pytest.raises(TypeError):
        SshKeys()
    with pytest.raises(TypeError, match="SshAgent or SshKeys"):
        libdepot.build(".", ssh={"default": "x"})


def test_the_flag(run_libdepot, builder, folder, keys, agent, tmp_path):
    add(agent, keys["ed25519"])
    out = tmp_path / "out.tar"
    context = folder(f"agent_client {LIST.hex()}", mount="--mount=type=ssh,id=a,required=true")
    run_libdepot("build", context, *tls_flags(builder), "--no-cache", "--ssh", f"a={agent}", "--ssh",
                 f"b={keys['rsa']}", "--output", f"type=tar,dest={out}")
    with tarfile.open(out) as archive:
        answer = bytes.fromhex(archive.extractfile("seen").read().decode())
    assert list(listed(answer)) == [blob(keys["ed25519"])]
    _, err = run_libdepot("build", context, *tls_flags(builder), "--ssh", "a=/nowhere", expect=1)
    assert 'ssh "a"' in err and "/nowhere" in err


def test_through_depots_api(depot, api, folder, keys):
    libdepot.build(folder(f"agent_client {LIST.hex()}"), options=depot, ssh={"default": SshKeys(keys["rsa"])},
                   no_cache=True)
    assert outcome(api)[0] == "success"
