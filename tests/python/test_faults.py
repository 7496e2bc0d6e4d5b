"""Bad input and faults: each ends in a typed error that says which hop and what, tells Depot how the
build went, and leaves nothing behind."""

import collections
import os
import re
import socket
import subprocess
import sys
import threading
import time

import parts
import pytest
from conftest import HELLO, ROOTFS, outcome

import libdepot

COPY = "FROM scratch\nCOPY Dockerfile /x\n"
FOREVER = {"times": -1}


def threads():
    return set(os.listdir("/proc/self/task"))


def descriptors():
    return {(number, os.readlink(f"/proc/self/fd/{number}")) for number in os.listdir("/proc/self/fd")
            if os.path.exists(f"/proc/self/fd/{number}")}


def kinds():
    """How many descriptors of each kind are open."""
    return collections.Counter(re.sub(r"\d+", "N", name) for _, name in descriptors())


def become(condition):
    """The thread of a call tells its result before it ends; what was leaked never does."""
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        os.sched_yield()
    return condition()


def fails(expected, hop, depot, api, *, dockerfile=COPY, context=None, **kwargs):
    """A build through the stand-in that fails in this way; returns the error."""
    with libdepot.Client(**depot) as client, pytest.raises(expected) as raised:
        client.build(context(dockerfile), **kwargs)
    assert raised.value.hop is hop, (raised.value.hop, str(raised.value))
    return raised.value


# The API.

def test_no_token(depot):
    with libdepot.Client(**{**depot, "token": None}) as client, pytest.raises(libdepot.UnauthenticatedError) as raised:
        client.new_build()
    assert "DEPOT_TOKEN" in raised.value.message and raised.value.hint
    assert raised.value.hop is libdepot.Hop.API


def test_a_refused_token(depot, api, context):
    with libdepot.Client(**{**depot, "token": "s3cret"}) as client:
        with pytest.raises(libdepot.UnauthenticatedError) as raised:
            client.build(context(COPY))
    assert raised.value.hop is libdepot.Hop.API and raised.value.hint
    assert "s3cret" not in str(raised.value) + repr(raised.value)
    assert [call["method"] for call in api.calls()] == ["CreateBuild"]


def test_an_unknown_project(depot, api, context):
    with libdepot.Client(**{**depot, "project": "nobodys"}) as client, pytest.raises(libdepot.NotFoundError) as raised:
        client.build(context(COPY))
    assert raised.value.hop is libdepot.Hop.API and len(api.calls("CreateBuild")) == 1


@pytest.mark.parametrize("method", ["CreateBuild", "GetBuildKitConnection"])
@pytest.mark.parametrize("kind", ["html", "garbage"])
def test_an_api_that_answers_something_else(depot, api, context, method, kind):
    api.script(faults=[{"method": method, "kind": kind, **FOREVER}])
    error = fails(libdepot.Error, libdepot.Hop.API, depot, api, context=context)
    assert method in error.message and "<html" not in str(error).lower()
    if method == "CreateBuild":
        assert len(api.calls("CreateBuild")) == 1  # two builds would be one too many
    else:
        assert len(api.calls("GetBuildKitConnection")) == 2  # acquire is tried twice
        assert outcome(api)[0] == "error"


@pytest.mark.parametrize("kind", ["hang", "cut"])
def test_an_api_that_does_not_answer(depot, api, kind):
    api.script(faults=[{"method": "CreateBuild", "kind": kind, **FOREVER}])
    with libdepot.Client(**depot) as client:
        with pytest.raises((libdepot.DeadlineExceededError, libdepot.UnavailableError)) as raised:
            client.new_build(timeout=2)
    assert raised.value.hop is libdepot.Hop.API
    assert len(api.calls("CreateBuild")) == 1


def test_an_overloaded_api_is_asked_again(depot, api, context):
    api.script(faults=[{"method": "GetBuildKitConnection", "kind": "http", "status": 503, "times": 2},
                       {"method": "FinishBuild", "kind": "error", "code": "unavailable", "times": 1}])
    with libdepot.Client(**depot) as client:
        client.build(context(COPY))
    assert len(api.calls("GetBuildKitConnection")) == 3
    assert [set(call["fields"]) - {"build_id"} for call in api.calls("FinishBuild", at_least=2)] == [{"success"}] * 2


def test_a_machine_that_is_never_ready(depot, api):
    api.script(never_active=True)
    with libdepot.Client(**depot) as client, client.new_build() as build:
        with pytest.raises(libdepot.DeadlineExceededError) as raised:
            build.acquire(timeout=1)
        before = len(api.calls("ReportBuildHealth"))
        assert raised.value.hop is libdepot.Hop.API and raised.value.hint
    assert outcome(api)[0] == "error"
    assert len(api.calls("ReportBuildHealth")) == before >= 1


def test_the_api_ends_the_build(depot, api, context):
    api.script(cancels_in_ms=-1000)
    with libdepot.Client(**depot) as client, pytest.raises(libdepot.CanceledError) as raised:
        client.build(context(ROOTFS + "RUN sleep 600\n"))
    assert raised.value.hop is libdepot.Hop.API and "API" in raised.value.message
    assert outcome(api)[0] == "canceled"


def test_the_api_ends_the_build_while_a_step_runs(depot, api, context):
    """The next health report is answered with a cancels_at that has passed: it comes within 5 s."""
    scripted = []

    def end_it(status):
        if any(b"it runs" in log.data for log in status.logs) and not scripted:
            scripted.append(len(api.calls("FinishBuild")))
            api.script(cancels_in_ms=-1000)

    with libdepot.Client(**depot) as client, pytest.raises(libdepot.CanceledError) as raised:
        client.build(context(ROOTFS + "RUN echo it runs; sleep 600\n"), on_status=end_it)
    assert scripted == [0]
    assert raised.value.hop is libdepot.Hop.API and raised.value.code is libdepot.Code.CANCELLED
    assert "API" in raised.value.message and raised.value.hint
    assert outcome(api)[0] == "canceled"


def test_a_cancel_that_the_api_plans_for_later_ends_nothing_now(depot, api, context):
    api.script(cancels_in_ms=3600_000)
    with libdepot.Client(**depot) as client:
        client.build(context(COPY))
    assert outcome(api)[0] == "success"


# The machine.

def test_a_certificate_of_somebody_else(depot, api, context):
    with parts.Buildkitd(tls=True) as other, open(other.certs.ca) as ca:
        api.script(machine={"ca_cert": ca.read()})
        error = fails(libdepot.UnauthenticatedError, libdepot.Hop.MACHINE, depot, api, context=context)
    assert "certificate" in error.message
    assert outcome(api)[0] == "error"


def test_a_certificate_of_another_name(depot, api, context):
    api.script(machine={"server_name": "other.example"})
    fails(libdepot.UnauthenticatedError, libdepot.Hop.MACHINE, depot, api, context=context)


@pytest.mark.parametrize("identity", ["expired", "foreign"])
def test_an_identity_that_is_not_good(depot, api, context, identity):
    api.script(machine={"identity": identity})
    error = fails(libdepot.UnauthenticatedError, libdepot.Hop.MACHINE, depot, api, context=context)
    assert ("has expired" in error.message) == (identity == "expired")
    assert outcome(api)[0] == "error"


def test_tls_to_a_builder_without(tls, context):
    with parts.Buildkitd() as plain, pytest.raises(libdepot.Error) as raised:
        libdepot.build(context(COPY), options={**tls, "builder": plain.endpoint})
    assert raised.value.code is libdepot.Code.FAILED_PRECONDITION and raised.value.hop is libdepot.Hop.MACHINE
    assert "does not speak TLS" in raised.value.message and raised.value.hint


def test_plain_text_to_a_builder_with_tls(context):
    with parts.Buildkitd(tls=True) as builder, pytest.raises(libdepot.UnavailableError) as raised:
        libdepot.build(context(COPY), options={"builder": builder.endpoint})
    assert raised.value.hop is libdepot.Hop.MACHINE and "TLS" in raised.value.hint


def test_plain_text_to_a_far_machine(context):
    with libdepot.Client(builder="tcp://192.0.2.1:1234") as client, pytest.raises(libdepot.Error) as raised:
        client.build(context(COPY))
    assert "plain" in raised.value.message.lower() or "TLS" in raised.value.message


def test_nobody_listens(context):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with libdepot.Client(builder=address) as client, client.new_build() as build, build.acquire() as machine:
            with pytest.raises(libdepot.DeadlineExceededError) as raised:
                machine.connect(timeout=1)
    assert raised.value.hop is libdepot.Hop.MACHINE and address[6:] in raised.value.message


def test_a_solve_has_one_clock(context):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with libdepot.Client(builder=address) as client, client.new_build() as build, build.acquire() as machine:
            with pytest.raises(libdepot.DeadlineExceededError) as raised:
                machine.solve(context(COPY), timeout=1)
    assert raised.value.hop is libdepot.Hop.MACHINE and "within 20 s" not in raised.value.message


def test_the_builder_is_killed(context):
    with parts.Buildkitd() as builder, libdepot.Client(builder=builder.endpoint) as client:
        killed = []

        def kill(status):
            if any(b"it runs" in log.data for log in status.logs) and not killed:
                killed.append(True)
                builder.process.kill()

        with pytest.raises(libdepot.UnavailableError) as raised:
            client.build(context(ROOTFS + "RUN echo it runs; sleep 600\n"), on_status=kill)
    assert killed and raised.value.hop in (libdepot.Hop.MACHINE, libdepot.Hop.SOLVE)


def test_depot_is_told_that_the_builder_was_killed(context):
    with parts.Buildkitd(tls=True) as builder, parts.Standin(builder, token="the-token", project="p1") as api:
        killed = []

        def kill(status):
            if any(b"it runs" in log.data for log in status.logs) and not killed:
                killed.append(True)
                builder.process.kill()

        client = libdepot.Client(builder="depot", token="the-token", project="p1", api_url=api.url)
        with client, pytest.raises(libdepot.UnavailableError) as raised:
            client.build(context(ROOTFS + "RUN echo it runs; sleep 600\n"), on_status=kill)
        assert killed
        assert outcome(api) == ("error", {"error": raised.value.message})


# Files.

@pytest.mark.parametrize("dockerfile", ["other/Dockerfile", "../Dockerfile", "/other"])
def test_a_dockerfile_that_is_missing(tls, context, dockerfile):
    with pytest.raises(libdepot.NotFoundError) as raised:
        libdepot.build(context(COPY), dockerfile=dockerfile, options=tls)
    assert raised.value.hop is libdepot.Hop.LOCAL and raised.value.message.startswith("Dockerfile /")
    assert raised.value.hint


def test_a_dockerfile_named_from_its_context(tls, context):
    folder = context(COPY)
    (folder / "Dockerfile").rename(folder / "My.dockerfile")
    (folder / "Dockerfile").write_text("")
    assert libdepot.build(folder, dockerfile="My.dockerfile", options=tls, exports=["type=cacheonly"]).ref


def test_a_file_that_cannot_be_read(plain_builder, tmp_path):
    """Read by somebody who is not root: nothing is unreadable for root."""
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /x\n")
    (folder / "locked").write_text("")
    (folder / "locked").chmod(0)
    for path in [tmp_path, *tmp_path.parents]:
        if path.stat().st_uid == os.getuid() and str(path).startswith("/tmp/pytest"):
            path.chmod(0o755)
    # Hop is imported while this user may read Python's own modules.
    script = ("import os, sys, libdepot; from libdepot import Hop\n"
              "c = libdepot.Client(builder=sys.argv[1]); b = c.new_build(); m = b.acquire(); m.connect()\n"
              "os.setresuid(65534, 65534, 65534)\n"
              "try:\n    m.solve(sys.argv[2])\n"
              "except libdepot.Error as e:\n    print(e.hop.name, e.message)\n")
    ran = subprocess.run([sys.executable, "-c", script, plain_builder.endpoint, str(folder)], capture_output=True,
                         text=True, timeout=120)
    assert "locked" in ran.stdout and "permission denied" in ran.stdout.lower(), ran.stdout + ran.stderr


@pytest.fixture
def full_disk(tmp_path):
    folder = tmp_path / "full"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(depot, api, full_disk):
    (full_disk / "image.tar").write_text("the old one")
    with libdepot.Client(**depot) as client, pytest.raises(libdepot.ResourceExhaustedError) as raised:
        client.build(HELLO, exports=[libdepot.Export("oci", dest=full_disk / "image.tar")])
    assert raised.value.hop is libdepot.Hop.LOCAL and "No space left" in raised.value.message
    assert [path.name for path in full_disk.iterdir()] == ["image.tar"]
    assert (full_disk / "image.tar").read_text() == "the old one"
    assert outcome(api)[0] == "error"


def test_a_failed_build_leaves_the_old_file(tls, context, tmp_path):
    image = tmp_path / "image.tar"
    image.write_text("the old one")
    with pytest.raises(libdepot.SolveError):
        libdepot.build(context(ROOTFS + "RUN false\n"), exports=[libdepot.Export("oci", dest=image)], options=tls)
    assert image.read_text() == "the old one"
    assert {path.name for path in tmp_path.iterdir()} == {"image.tar", "home", "context"}


# The registry.

@pytest.mark.parametrize("auth", ["htpasswd", "token"])
def test_a_push_that_is_refused(tls, context, auth):
    with parts.Registry(auth) as registry:
        for login in ({}, {registry.host: (registry.USER, "wr0ng")}):
            with pytest.raises(libdepot.UnauthenticatedError) as raised:
                libdepot.build(context(COPY, f"c{len(login)}"), options=tls, tags=[f"{registry.host}/app:1"], push=True,
                               registry_auth=login)
            assert raised.value.hop is libdepot.Hop.REGISTRY and raised.value.code is libdepot.Code.UNAUTHENTICATED
            assert registry.host in raised.value.message and raised.value.hint
            # Without a login a token server gives a token that allows nothing.
            assert ("401" if auth == "htpasswd" or login else "authorization failed") in raised.value.message
            assert "wr0ng" not in str(raised.value)


def test_a_base_image_that_is_refused(tls, context):
    with parts.Registry("htpasswd") as registry, pytest.raises(libdepot.UnauthenticatedError) as raised:
        libdepot.build(context(f"FROM {registry.host}/base:1\n"), options=tls)
    assert raised.value.hop is libdepot.Hop.REGISTRY and registry.host in raised.value.message


def test_a_step_that_speaks_of_registries_is_a_step(tls, context):
    """Its command is part of the error's message."""
    with pytest.raises(libdepot.SolveError) as raised:
        libdepot.build(context(ROOTFS + "RUN echo 'failed to push: 401 Unauthorized'; exit 3\n"), options=tls)
    assert raised.value.hop is libdepot.Hop.SOLVE and raised.value.exit_code == 3 and not raised.value.hint


# Cancels, at each stage.

@pytest.mark.parametrize("method", ["CreateBuild", "GetBuildKitConnection"])
def test_a_cancel_while_the_api_does_not_answer(depot, api, context, method):
    api.script(faults=[{"method": method, "kind": "hang", **FOREVER}])
    cancel = libdepot.Cancel()

    def when_asked():
        api.calls(method, at_least=1)
        cancel.trigger()

    other = threading.Thread(target=when_asked)
    other.start()
    with libdepot.Client(**depot) as client, pytest.raises(libdepot.CanceledError):
        client.build(context(COPY), cancel=cancel)
    other.join()
    if method != "CreateBuild":
        assert outcome(api)[0] == "canceled"


def test_a_cancel_while_the_machine_is_pending(depot, api, context):
    api.script(pending_ms=[60000], never_active=True)
    cancel = libdepot.Cancel()

    def when_asked():
        api.calls("GetBuildKitConnection", at_least=1, done=True)
        cancel.trigger()

    other = threading.Thread(target=when_asked)
    other.start()
    with libdepot.Client(**depot) as client, pytest.raises(libdepot.CanceledError):
        client.build(context(COPY), cancel=cancel)
    other.join()
    assert outcome(api)[0] == "canceled"


def test_a_cancel_while_connecting(context):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cancel, ended = libdepot.Cancel(), threading.Event()

        def when_connected():
            connection, _ = silent.accept()
            with connection:
                cancel.trigger()
                ended.wait()

        other = threading.Thread(target=when_connected)
        other.start()
        with libdepot.Client(builder=f"tcp://127.0.0.1:{silent.getsockname()[1]}") as client:
            with pytest.raises(libdepot.CanceledError):
                client.build(context(COPY), cancel=cancel)
        ended.set()
        other.join()


def test_depot_is_told_of_a_cancel_while_connecting(depot, api, context):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api.script(machine={"endpoint": f"tcp://127.0.0.1:{silent.getsockname()[1]}"})
        cancel, ended = libdepot.Cancel(), threading.Event()

        def when_connected():
            connection, _ = silent.accept()
            with connection:
                cancel.trigger()
                ended.wait()

        other = threading.Thread(target=when_connected)
        other.start()
        with libdepot.Client(**depot) as client, pytest.raises(libdepot.CanceledError):
            client.build(context(COPY), cancel=cancel)
        ended.set()
        other.join()
    assert outcome(api)[0] == "canceled"


def test_a_cancel_while_the_context_is_sent(depot, api, context):
    """More than the builder can take before the first of its reports about it."""
    folder = context("FROM scratch\nCOPY big /big\n")
    with open(folder / "big", "wb") as big:
        big.truncate(64 << 30)
    cancel, steps, sent = libdepot.Cancel(), set(), []

    def when_sending(status):
        steps.update(vertex.digest for vertex in status.vertexes if vertex.name == "[internal] load build context")
        for transfer in status.statuses:
            if transfer.vertex in steps and transfer.id.startswith("transferring") and transfer.current > 0:
                sent.append(transfer.completed)
                cancel.trigger()

    with libdepot.Client(**depot) as client, pytest.raises(libdepot.CanceledError):
        client.build(folder, cancel=cancel, on_status=when_sending)
    assert sent[0] is None, "all of it had been sent"
    assert outcome(api)[0] == "canceled"


def test_a_cancel_while_pushing(depot, api, context):
    """To a registry that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        cancel, ended, names = libdepot.Cancel(), threading.Event(), set()

        def when_connected():
            connection, _ = silent.accept()
            with connection:
                cancel.trigger()
                ended.wait()

        other = threading.Thread(target=when_connected)
        other.start()
        with libdepot.Client(**depot) as client, pytest.raises(libdepot.CanceledError):
            client.build(context(COPY), tags=[f"{host}/app:1"], push=True, cancel=cancel,
                         on_status=lambda status: names.update(item.id for item in status.statuses))
        ended.set()
        other.join()
    assert "pushing layers" in names, names
    assert outcome(api)[0] == "canceled"


def test_a_cancel_while_exporting(depot, api, tmp_path):
    cancel = libdepot.Cancel()
    with libdepot.Client(**depot) as client, pytest.raises(libdepot.CanceledError):
        client.build(HELLO, exports=[libdepot.Export("oci", lambda data: cancel.trigger())], cancel=cancel)
    assert outcome(api)[0] == "canceled"


# Nothing is left.

@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where the process puts its temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.mark.parametrize("fault, expected", [
    ({"kind": "error", "code": "not_found"}, libdepot.NotFoundError),
    ({"kind": "garbage"}, libdepot.Error),
    ({"kind": "cut"}, (libdepot.DeadlineExceededError, libdepot.UnavailableError)),
    ({"kind": "hang"}, libdepot.DeadlineExceededError),
], ids=["not_found", "garbage", "cut", "hang"])
def test_nothing_is_left_of_a_failed_acquire(depot, api, temporary, fault, expected):
    def whole(acquire):
        with libdepot.Client(**depot) as client, client.new_build() as build:
            acquire(build)

    def fail(build):
        build.acquire().close()  # the HTTP thread and its connection are there now
        before, open_before = threads(), kinds()
        api.script(faults=[{"method": "GetBuildKitConnection", **fault, **FOREVER}])
        for _ in range(3):
            with pytest.raises(expected):
                build.acquire(timeout=0.3)
        assert become(lambda: threads() <= before), (threads(), before)
        assert become(lambda: kinds() <= open_before), (kinds(), open_before)
        assert not list(temporary.iterdir())

    whole(lambda build: build.acquire().close())  # whatever a process makes once is made now
    before, open_before = threads(), kinds()
    whole(fail)
    assert become(lambda: threads() <= before), (threads(), before)
    assert become(lambda: kinds() <= open_before), (kinds(), open_before)
    assert not list(temporary.iterdir())


def beats(api, build):
    return [call for call in api.calls("ReportBuildHealth") if call["fields"]["build_id"] == build.id]


@pytest.mark.parametrize("how", ["release", "fail"])
def test_the_heart_stops(depot, api, how):
    """The clock is the heart of another build that began later: at its second beat the first one's,
    were it still alive, would have been heard."""
    with libdepot.Client(**depot) as client, client.new_build() as first, client.new_build() as second:
        if how == "release":
            machine = first.acquire()
            api.calls("ReportBuildHealth", at_least=1)
            machine.release()  # and is still held
        else:
            api.script(pending_ms=[100], faults=[{"method": "GetBuildKitConnection", "kind": "error", "skip": 1,
                                                  "code": "not_found", "times": 1}])
            with pytest.raises(libdepot.NotFoundError):
                first.acquire()
        heard = len(beats(api, first))
        with second.acquire():
            api.calls("ReportBuildHealth", at_least=heard + 2, timeout=60)
            assert len(beats(api, second)) == 2
        assert len(beats(api, first)) == heard == 1


def test_the_heart_beats_while_a_callback_blocks(depot, api, context):
    beats = []

    def block(status):
        if not beats:
            beats.append(len(api.calls("ReportBuildHealth", at_least=3, timeout=60)))

    with libdepot.Client(**depot) as client:
        client.build(context(COPY), on_status=block)
    assert beats[0] >= 3
    assert outcome(api)[0] == "success"


def test_the_heart_beats_while_the_log_function_blocks(depot, api, context):
    beats = []

    def block(level, line):
        if not beats:
            beats.append(0)
            beats[0] = len(api.calls("ReportBuildHealth", at_least=3, timeout=60))

    with libdepot.Client(**depot, on_log=block) as client, client.new_build() as build, build.acquire():
        api.calls("ReportBuildHealth", at_least=3, timeout=60)
    assert beats[0] >= 3


def test_a_machine_that_wants_gzip(depot, api, context):
    api.script(machine={"compressor": "gzip"})
    with libdepot.Client(**depot) as client:
        assert client.build(context(ROOTFS), exports=[libdepot.Export("oci", lambda data: None)]).digest


@pytest.mark.parametrize("compressor", ["gzip", ""])
def test_gzip_is_sent_when_the_machine_wants_it(depot, api, compressor):
    """The machine is the stand-in itself, which speaks HTTP/2 and records what comes, and is no builder."""
    api.script(machine={"endpoint": api.url.replace("http:", "tcp:"), "plaintext": True, "compressor": compressor})
    with libdepot.Client(**depot) as client, client.new_build() as build, build.acquire() as machine:
        with pytest.raises(libdepot.Error):
            machine.connect(timeout=20)
    asked = api.calls("/moby.buildkit.v1.Control/ListWorkers")
    assert asked and {call["http"] for call in asked} == {"HTTP/2.0"}
    assert {call["headers"].get("Grpc-Encoding", [""])[0] for call in asked} == {compressor}
