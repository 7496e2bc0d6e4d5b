"""Where to build: buildkitd through client programs, and a Docker Engine.

podman, kubectl and ssh are stand-ins here: they keep their arguments and run the real `buildctl
dial-stdio`, as the real ones would have it run elsewhere. Docker and its client are real."""

import json
import os
import re
import signal
import threading

import parts
import pytest
from conftest import ENGINE, ROOTFS
from test_faults import become, descriptors

import libdepot

COPY = "FROM scratch\nCOPY Dockerfile /x\n"


def dial(builder, before=""):
    """The body of a program that leaves its arguments and becomes `buildctl dial-stdio`."""
    buildctl = str(parts.engine() / "buildctl")
    return (f"json.dump(sys.argv[1:], open('arguments', 'w'))\nopen('pids', 'a').write(f'{{os.getpid()}}\\n')\n"
            f"{before}\nos.execv({buildctl!r}, ['buildctl', '--addr', {builder.unix!r}, 'dial-stdio'])")


def connections():
    """Sockets, programs and what they say on standard error."""
    return {(number, what) for number, what in descriptors() if re.search("socket:|pidfd|libdepot-said", what)}


@pytest.mark.parametrize(("address", "name", "arguments"), [
    ("docker-container://bk?context=there", "docker", "--context=there exec -i bk buildctl dial-stdio"),
    ("podman-container://bk", "podman", "exec -i bk buildctl dial-stdio"),
    ("nerdctl-container://bk?namespace=n", "nerdctl", "exec --namespace=n -i bk buildctl dial-stdio"),
    ("kube-pod://bk-0?namespace=n&container=c&context=me@there", "kubectl",
     "--context=me@there --namespace=n exec --container=c -i bk-0 -- buildctl dial-stdio"),
    ("ssh://me@host:22/run/bk.sock", "ssh", "-l me -p 22 -- host buildctl --addr unix:///run/bk.sock dial-stdio"),
])
def test_a_build_through(address, name, arguments, program, plain_builder, context, tmp_path):
    folder = program(name, dial(plain_builder, "print('a warning that nobody minds', file=sys.stderr)"))
    out = tmp_path / "out.tar"
    before = connections()
    with libdepot.Client(builder=address) as client:
        assert client.builder == address
        result = client.build(context(COPY), exports=[f"type=oci,dest={out}"])
    assert result.digest.startswith("sha256:") and out.stat().st_size > 0
    assert json.loads((folder / "arguments").read_text()) == arguments.split()
    # The program is gone, and reaped, with the connection.
    (pid,) = (folder / "pids").read_text().split()
    assert not os.path.exists(f"/proc/{pid}")
    assert become(lambda: connections() <= before), connections() - before


def test_buildkit_host_may_be_any_address(program, plain_builder, context, monkeypatch, run_libdepot):
    folder = program("ssh", dial(plain_builder))
    monkeypatch.setenv("BUILDKIT_HOST", "ssh://host")
    run_libdepot("build", "--progress", "plain", context(COPY))
    assert json.loads((folder / "arguments").read_text())[-1] == "dial-stdio"


def test_builds_side_by_side_share_a_program(program, plain_builder, context):
    folder = program("ssh", dial(plain_builder))
    where = context(COPY)
    with libdepot.Client(builder="ssh://host") as client:
        machines = [client.new_build().acquire() for _ in range(4)]
        for machine in machines:
            machine.connect()
        threads = [threading.Thread(target=machine.solve, args=(libdepot.SolveRequest(context=where),))
                   for machine in machines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for machine in machines:
            machine.release()
    assert len((folder / "pids").read_text().split()) == 1


def build_fails(client_options, context, **kwargs):
    with libdepot.Client(**client_options) as client, pytest.raises(libdepot.Error) as raised:
        client.build(context, **kwargs)
    return raised.value


def test_a_program_that_ends_at_once(program, context):
    program("ssh", "sys.stderr.buffer.write(b'caf\\xe9\\nme@host: Permission denied (publickey).\\n'); sys.exit(255)")
    error = build_fails({"builder": "ssh://host"}, context(COPY))
    assert isinstance(error, libdepot.UnavailableError) and error.hop is libdepot.Hop.MACHINE
    assert re.search(r"ended with exit code 255: caf\S+ me@host: Permission denied \(publickey\)\.", error.message)
    assert "run `ssh -- host buildctl dial-stdio`" in error.hint


def test_a_program_that_is_missing(context, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    error = build_fails({"builder": "kube-pod://bk"}, context(COPY))
    assert isinstance(error, libdepot.NotFoundError) and error.hop is libdepot.Hop.MACHINE
    assert "kubectl, which connects to kube-pod://bk, is not in PATH" in error.message


def test_a_program_that_hangs_ends_by_the_deadline(program, context):
    folder = program("ssh", "open('pid', 'w').write(str(os.getpid())); time.sleep(3600)")
    error = build_fails({"builder": "ssh://host"}, context(COPY), timeout=3)
    assert isinstance(error, libdepot.DeadlineExceededError) and error.hop is libdepot.Hop.MACHINE
    assert "is still running" in error.message
    assert not os.path.exists(f"/proc/{(folder / 'pid').read_text()}")


def test_a_program_that_hangs_can_be_cancelled(program, context):
    folder = program("ssh", "os.mkfifo('ready'); open('ready', 'w').write('x'); time.sleep(3600)")
    cancel = libdepot.Cancel()

    def when_it_hangs():
        assert become((folder / "ready").exists)
        (folder / "ready").read_text()
        cancel.trigger()
    other = threading.Thread(target=when_it_hangs)
    other.start()
    error = build_fails({"builder": "ssh://host"}, context(COPY), cancel=cancel)
    other.join()
    assert isinstance(error, libdepot.CanceledError)


def test_a_program_that_talks_nonsense(program, context):
    program("ssh", "print('Welcome!' * 100, flush=True); sys.stdin.read()")
    error = build_fails({"builder": "ssh://host"}, context(COPY))
    assert isinstance(error, libdepot.UnavailableError) and "ssh -- host" in error.message


def test_a_program_that_dies_in_the_middle(program, plain_builder, context):
    folder = program("ssh", dial(plain_builder))

    def on_status(status):
        # The step runs: it has said so.
        if any(b"under way" in log.data for log in status.logs):
            os.kill(int((folder / "pids").read_text()), signal.SIGKILL)
    step = "RUN echo under way; sleep 3600\n"
    error = build_fails({"builder": "ssh://host"}, context(ROOTFS + step), on_status=on_status, no_cache=True)
    assert isinstance(error, libdepot.UnavailableError) and error.hop is libdepot.Hop.MACHINE
    assert "lost the connection" in error.message and "was killed by signal 9" in error.message


@pytest.mark.parametrize("address", ["ssh://-oProxyCommand=touch%20x", "docker-container://--help", "kube-pod://Pod",
                                     "ssh://host/$(reboot)", "docker://nowhere", "smtp://host"])
def test_an_address_that_is_none(address):
    with pytest.raises(libdepot.InvalidArgumentError) as raised:
        libdepot.Client(builder=address)
    assert raised.value.hop is libdepot.Hop.USAGE


def test_the_api_chooses_no_program(api, depot, program, context):
    folder = program("ssh", "open('ran', 'w')")
    api.script(machine={"endpoint": "ssh://host"})
    error = build_fails(depot, context(COPY))
    assert error.hop is libdepot.Hop.API and "no usable machine address" in error.message
    assert not (folder / "ran").exists()


# The real Docker.

def test_a_container_of_the_real_docker(docker_engine, context, monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", docker_engine.host)
    out = tmp_path / "out.tar"
    with libdepot.Client(builder=f"docker-container://{docker_engine.container()}") as client:
        client.build(context(COPY), exports=[f"type=tar,dest={out}"])
    assert out.stat().st_size > 0


def test_a_container_that_is_not_there(docker_engine, context, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", docker_engine.host)
    error = build_fails({"builder": "docker-container://nobody"}, context(COPY))
    assert "No such container: nobody" in error.message and error.hop is libdepot.Hop.MACHINE


@pytest.fixture
def docker(docker_engine, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", docker_engine.host)
    return docker_engine


def test_an_image_is_in_the_engine(docker, context):
    """A step runs there, which this engine has no network for, and so does the image."""
    where = context(ROOTFS + 'ARG WHO\nRUN echo "hello $WHO" > /greeting\nCMD ["cat", "/greeting"]\n')
    seen = []
    with libdepot.Client(builder="docker") as client:
        client.build(where, tags=["test/greeting"], build_args={"WHO": "engine"},
                     attrs={"force-network-mode": "none"},
                     on_status=lambda status: seen.extend(vertex.name for vertex in status.vertexes))
    assert any("RUN" in name for name in seen)
    ran = docker.docker("run", "--rm", "--network", "none", "test/greeting")
    assert ran.stdout == "hello engine\n"


def test_the_command_line_builds_in_the_engine(docker, context, run_libdepot):
    where = context(COPY)
    for named in ([], ["-t", "test/command"]):
        assert "WARNING" not in run_libdepot("build", "--builder", "docker", *named, "--progress", "plain", where)[1]
    assert docker.inspect("test/command:latest")


def test_an_engine_by_address(docker, context, monkeypatch):
    monkeypatch.delenv("DOCKER_HOST")
    with libdepot.Client(builder=f"docker://{docker.host}") as client:
        result = client.build(context(COPY), tags=["test/address:1"])
    assert docker.inspect("test/address:1")["Id"] == result.digest


def test_an_image_without_a_name_is_there_too(docker, context):
    with libdepot.Client(builder="docker") as client:
        assert client.builder == f"docker://{docker.host}"
        result = client.build(context(COPY))
    assert docker.inspect(result.digest)


def test_a_tar_out_of_the_engine(docker, context, tmp_path):
    out = tmp_path / "out.tar"
    with libdepot.Client(builder="docker") as client:
        client.build(context(COPY), exports=[f"type=tar,dest={out}"])
    assert out.stat().st_size > 0


def test_an_engine_through_its_client(docker, context, program):
    """As for a context, or for TLS: `docker system dial-stdio` makes the connection."""
    program("docker", f"os.execv({docker.client!r}, ['docker', '--host', {docker.host!r}, *sys.argv[2:]])")
    with libdepot.Client(builder="docker://?context=there") as client:
        client.build(context(COPY), tags=["test/through:1"])
    assert docker.inspect("test/through:1")


@pytest.mark.parametrize(("request_", "what"), [
    ({"exports": ["type=oci,dest=/nowhere/x.tar"]}, "no export of type 'oci'"),
    ({"tags": ["registry.test/x"], "push": True}, "does not push"),
    ({"cache_to": ["type=registry,ref=registry.test/x"]}, "no cache of type 'registry'"),
    ({"platform": "linux/amd64,linux/arm64"}, "one platform at a time"),
    ({"attests": ["type=provenance,mode=max"]}, "attestations"),
    ({"exports": ["type=image", "type=tar,dest=/nowhere/x.tar"]}, "2 exports of one build"),
])
def test_what_the_engine_lacks_is_named(docker, context, request_, what):
    error = build_fails({"builder": "docker"}, context(COPY), **request_)
    assert isinstance(error, libdepot.FailedPreconditionError) and what in error.message
    assert error.hint


def test_an_inline_cache_is_in_the_image(docker, context):
    with libdepot.Client(builder="docker") as client:
        client.build(context(COPY), tags=["test/inline:1"], cache_to=["type=inline"])
    assert docker.inspect("test/inline:1")


def test_no_engine_where_one_is_said_to_be(context, monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    error = build_fails({"builder": "docker"}, context(COPY))
    assert isinstance(error, libdepot.UnavailableError) and "none.sock" in error.message


def test_an_engine_is_nobodys_default(docker, monkeypatch):
    """DOCKER_HOST alone chooses no builder."""
    with libdepot.Client() as client:
        assert client.builder == "local"
    monkeypatch.setenv("BUILDKIT_HOST", "docker")
    with libdepot.Client() as client:
        assert client.builder == f"docker://{docker.host}"


assert ENGINE  # the stand-ins run its buildctl
