"""Builds on a real builder: results, pushes, failures, callbacks, threads."""

import gc
import io
import json
import pathlib
import socket
import subprocess
import sys
import tarfile
import threading
import traceback
import weakref

import parts
import pytest
from conftest import HELLO, ROOTFS, outcome

import libdepot


def image_in(tar):
    """Digest and config of the one image in an OCI archive."""
    with tarfile.open(tar) as archive:
        def blob(digest):
            return json.load(archive.extractfile("blobs/" + digest.replace(":", "/")))
        (listed,) = json.load(archive.extractfile("index.json"))["manifests"]
        top = blob(listed["digest"])
        image = top if "config" in top else blob(top["manifests"][0]["digest"])
        return listed["digest"], blob(image["config"]["digest"])


def test_hello_to_an_oci_archive(tls, tmp_path):
    batches = []
    with libdepot.Client(**tls) as client:
        result = client.build(HELLO, exports=[libdepot.Export("oci", dest=tmp_path / "hello.tar")],
                              on_status=batches.append)
    digest, config = image_in(tmp_path / "hello.tar")
    assert result.digest == digest == result.descriptor["digest"]
    assert result.exporter_response["containerimage.digest"] == digest == result.metadata["containerimage.digest"]
    assert config["config"]["Entrypoint"] == ["/usr/bin/hello"]
    assert result.ref
    names = [vertex.name for batch in batches for vertex in batch.vertexes if vertex.completed is not None]
    assert any("RUN ./hello" in name for name in names), names
    assert json.loads(str(batches[0])) == json.loads(batches[0].json)


def test_pushed_and_pulled_back(tls, registry, context, tmp_path):
    folder = context("FROM scratch\nCOPY Dockerfile /x\n")
    name = f"{registry.host}/python/app:1"
    result = libdepot.build(folder, options=tls, tags=[name], push=True)
    assert result.image_name == name
    pulled = tmp_path / "pulled"
    subprocess.run([parts.program("skopeo", "skopeo"), "copy", "--src-tls-verify=false", f"docker://{name}",
                    f"oci:{pulled}:x"], check=True, capture_output=True)
    (listed,) = json.loads((pulled / "index.json").read_text())["manifests"]
    manifest = json.loads((pulled / "blobs" / listed["digest"].replace(":", "/")).read_text())
    layer = pulled / "blobs" / manifest["layers"][0]["digest"].replace(":", "/")
    with tarfile.open(layer) as archive:
        assert archive.extractfile("x").read() == (folder / "Dockerfile").read_bytes()
    inspected = json.loads(subprocess.run(
        [parts.program("skopeo", "skopeo"), "inspect", "--tls-verify=false", f"docker://{name}"],
        check=True, capture_output=True, text=True).stdout)
    assert result.digest in (inspected["Digest"], listed["digest"])


@pytest.mark.parametrize("auth", ["htpasswd", "token"])
def test_a_registry_with_a_password(tls, context, auth):
    folder = context("FROM scratch\nCOPY Dockerfile /x\n")
    with parts.Registry(auth) as registry:
        name = f"{registry.host}/app:1"
        with pytest.raises(libdepot.Error) as raised:
            libdepot.build(folder, options=tls, tags=[name], push=True)
        assert registry.host in str(raised.value)
        login = {registry.host: (registry.USER, registry.PASSWORD)}
        assert libdepot.build(folder, options=tls, tags=[name], push=True, registry_auth=login).digest
        assert libdepot.build(folder, options=tls, tags=[name], push=True,
                              docker_config=registry.docker_config()).digest


def test_a_failing_step(tls, context):
    folder = context(ROOTFS + "RUN echo it went wrong && exit 3\n")
    with pytest.raises(libdepot.SolveError) as raised:
        libdepot.build(folder, options=tls)
    error = raised.value
    assert error.exit_code == 3 and error.hop is libdepot.Hop.SOLVE
    assert error.vertex.startswith("sha256:") and "exit 3" in error.vertex_name
    assert "it went wrong" in error.log_tail and "it went wrong" in str(error)
    assert error.sources[0].file == "Dockerfile"
    assert error.sources[0].data == (folder / "Dockerfile").read_bytes()
    assert error.ranges[0].start_line == 3
    assert "exit code: 3" in error.message


def test_a_failing_step_of_a_long_dockerfile(tls, context):
    """The whole file travels back with the error."""
    filler = "".join(f"# {at:04} {'x' * 90}\n" for at in range(3000))
    with pytest.raises(libdepot.SolveError) as raised:
        libdepot.build(context(ROOTFS + filler + "RUN echo last words && exit 3\n"), options=tls)
    assert raised.value.exit_code == 3
    assert raised.value.ranges[0].start_line == 3003
    assert "last words" in raised.value.log_tail


def test_a_syntax_error(tls, context):
    with pytest.raises(libdepot.Error) as raised:
        libdepot.build(context("FROM scratch\nNONSENSE x\n"), options=tls)
    assert "NONSENSE" in raised.value.message and raised.value.ranges[0].start_line == 2
    assert [source.file for source in raised.value.sources] == ["Dockerfile"]
    assert "Dockerfile:2" in str(raised.value)


def test_a_syntax_error_in_a_file_of_another_name(tls, context):
    folder = context("")
    (folder / "my.dockerfile").write_text("FROM scratch\n\nNONSENSE x\n")
    with pytest.raises(libdepot.Error) as raised:
        libdepot.build(folder, dockerfile="my.dockerfile", options=tls)
    assert [source.file for source in raised.value.sources] == ["my.dockerfile"]
    assert raised.value.ranges[0].start_line == 3


@pytest.mark.parametrize("what", ["missing", "file", "dockerfile"])
def test_a_context_that_cannot_be(tls, tmp_path, what):
    folder = tmp_path / what
    if what == "file":
        folder.write_text("")
    if what == "dockerfile":
        folder.mkdir()
    with pytest.raises(libdepot.Error) as raised:
        libdepot.build(folder, options=tls)
    assert raised.value.hop is libdepot.Hop.LOCAL and what in raised.value.message.lower()


def test_build_arguments_and_targets(tls, context, monkeypatch, tmp_path):
    folder = context("FROM scratch AS one\nARG A\nARG B\nLABEL a=$A b=$B\nFROM scratch AS two\nLABEL two=2\n")
    monkeypatch.setenv("B", "from outside")
    libdepot.build(folder, options=tls, target="one", build_args={"A": "1", "B": None, "NOT_THERE": None},
                   exports=[f"type=oci,dest={tmp_path / 'out.tar'}"])
    assert image_in(tmp_path / "out.tar")[1]["config"]["Labels"] == {"a": "1", "b": "from outside"}


def test_an_export_to_a_function_and_to_a_file(tls, context, tmp_path):
    folder = context("FROM scratch\nCOPY Dockerfile /x\n")
    chunks, stream = [], io.BytesIO()
    libdepot.build(folder, options=tls, exports=[libdepot.Export("tar", dest=chunks.append)])
    libdepot.build(folder, options=tls, exports=[libdepot.Export("tar", dest=stream)])
    assert chunks[-1] == b"" and all(chunks[:-1])
    for data in (b"".join(chunks), stream.getvalue()):
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            assert archive.extractfile("x").read() == (folder / "Dockerfile").read_bytes()


def test_a_docker_archive(tls, context, tmp_path):
    image = tmp_path / "image.tar"
    libdepot.build(context("FROM scratch\nCOPY Dockerfile /x\n"), options=tls,
                   exports=[libdepot.Export("docker", dest=image, attrs={"name": "example.test/app:1"})])
    with tarfile.open(image) as archive:
        (listed,) = json.load(archive.extractfile("manifest.json"))
    assert listed["RepoTags"] == ["example.test/app:1"]
    inspected = json.loads(subprocess.run([parts.program("skopeo", "skopeo"), "inspect", f"docker-archive:{image}"],
                                          check=True, capture_output=True, text=True).stdout)
    assert len(inspected["Layers"]) == len(listed["Layers"]) == 1


@pytest.mark.parametrize("own", [True, False])
def test_which_file_says_what_is_ignored(tls, context, own):
    folder = context("FROM scratch\nCOPY . /\n")
    (folder / ".dockerignore").write_text("common\n")
    if own:
        (folder / "Dockerfile.dockerignore").write_text("special\n")
    (folder / "common").write_text("")
    (folder / "special").write_text("")
    stream = io.BytesIO()
    libdepot.build(folder, options=tls, exports=[libdepot.Export("tar", dest=stream)])
    stream.seek(0)
    with tarfile.open(fileobj=stream) as archive:
        names = set(archive.getnames())
    assert {"common", "special"} & names == ({"common"} if own else {"special"})


def test_every_line_of_a_step_comes_once_and_in_order(tls, context):
    """While the callback is busy with the first of them, the step prints all the others."""
    count = 20_000  # 109 kB: less than what the builder cuts off as too fast
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = f"seq 1 {count}; nc 127.0.0.1 {server.getsockname()[1]} </dev/null"
        heard, busy = [], []

        def on_status(status):
            lines = [log.data for log in status.logs]
            heard.extend(lines)
            if lines and not busy:
                busy.append(len(lines))
                server.accept()[0].close()

        libdepot.build(context(ROOTFS + f"RUN {script}\n"), options=tls, no_cache=True, on_status=on_status)
    assert len(heard) > 1, "all came before the callback was busy"
    assert b"".join(heard).split() == [b"%d" % number for number in range(1, count + 1)]


class Mine(Exception):
    pass


def deep():
    raise Mine("thrown in a callback")


def raising(where):
    """Arguments whose callback raises."""
    def callback(_):
        deep()
    return {"on_status": callback} if where == "status" else {"exports": [libdepot.Export("tar", dest=callback)]}


@pytest.mark.parametrize("where", ["status", "export"])
def test_an_exception_of_a_callback_is_raised_with_its_traceback(tls, context, where):
    folder = context("FROM scratch\nCOPY Dockerfile /x\n")
    with pytest.raises(Mine, match="thrown in a callback") as raised:
        libdepot.build(folder, options=tls, **raising(where))
    frames = [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]
    assert frames[-2:] == ["callback", "deep"]
    assert libdepot._core.live_calls() == 0


@pytest.mark.parametrize("code", [7, -1])
def test_a_callback_that_returns_a_number_stops_the_solve(tls, context, code):
    calls = []

    def stop(status):
        calls.append(status)
        return code

    with pytest.raises(libdepot.CallbackError) as raised:
        libdepot.build(context("FROM scratch\nCOPY Dockerfile /x\n"), options=tls, on_status=stop)
    assert raised.value.user_code == code and len(calls) == 1
    assert f"the callback returned {code}: to go on it has to return None" in str(raised.value)


@pytest.mark.parametrize("answer", [True, False, 0])
def test_a_callback_that_tells_whether_it_did_something_stops_nothing(tls, context, answer):
    assert libdepot.build(context("FROM scratch\nCOPY Dockerfile /x\n"), options=tls, on_status=lambda status: answer)


def test_a_callback_that_returns_something_else_is_a_mistake(tls, context):
    with pytest.raises(TypeError, match="on_status must return None or an int, not str"):
        libdepot.build(context("FROM scratch\nCOPY Dockerfile /x\n"), options=tls, on_status=str)


def test_callbacks_are_let_go_of(tls, context):
    class Callback:
        def __call__(self, status):
            pass

    callback = Callback()
    gone = weakref.ref(callback)
    libdepot.build(context("FROM scratch\nCOPY Dockerfile /x\n"), options=tls, on_status=callback)
    del callback
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("on_main_thread", [True, False])
def test_other_threads_run_during_a_solve(tls, context, on_main_thread):
    """The step waits for a Python thread; with the GIL held neither would ever end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        def answer():
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"greetings from Python\n")

        port = server.getsockname()[1]
        folder = context(ROOTFS + f"RUN nc 127.0.0.1 {port} </dev/null | grep -q greetings\n")
        other = threading.Thread(target=answer)
        other.start()
        results = []

        def solve():
            results.append(libdepot.build(folder, options=tls))

        if on_main_thread:
            solve()
        else:
            solving = threading.Thread(target=solve)
            solving.start()
            solving.join()
        other.join()
    assert len(results) == 1


def test_the_log_goes_to_a_function(depot, context):
    lines = []
    with libdepot.Client(**depot, on_log=lambda level, line: lines.append((level, line))) as client:
        client.build(context("FROM scratch\nCOPY Dockerfile /x\n"))
    assert all(isinstance(level, int) and "the-token" not in line for level, line in lines)


def test_the_explicit_flow(depot, api, context):
    with libdepot.Client(**depot) as client, client.new_build(tags=["a"]) as build:
        assert build.id and build.project == "p1"
        with build.acquire() as machine:
            machine.connect()
            assert machine.endpoint.startswith("tcp://") and machine.platform in ("amd64", "arm64")
            result = machine.solve(libdepot.SolveRequest(context=context("FROM scratch\nCOPY Dockerfile /x\n")))
            assert result.build_id == build.id
    machine.close()  # as often as one likes
    with pytest.raises(libdepot.FailedPreconditionError, match="machine is closed"):
        machine.solve(".")
    assert outcome(api)[0] == "success"
    order = [call["method"] for call in api.calls()]
    assert order[0] == "CreateBuild" and order[-1] == "FinishBuild" and "ReportBuildHealth" in order


NO_STREAM = {"method": "ReportStatusStream", "times": -1, "kind": "error", "code": "unimplemented"}


def test_the_status_reaches_an_api_that_takes_it(depot, api, context):
    with libdepot.Client(**depot) as client:
        client.build(context("FROM scratch\nCOPY Dockerfile /copied\n"))
    calls = api.calls()
    reports = [call for call in calls if call["method"] == "ReportStatusStream"]
    assert reports and all(call["authorization"].startswith("Bearer build-token-") for call in reports)
    text = "".join(call["body"] for call in reports)
    assert "load build definition" in text and "COPY Dockerfile" in text
    # All of it was told before the end was.
    finish = next(call for call in calls if call["method"] == "FinishBuild")
    assert all(call["seq"] < finish["seq"] for call in reports)


def test_the_status_reaches_an_api_without_streams(depot, api, context):
    """The unary method takes it there."""
    taken = {"method": "ReportStatus", "times": -1, "kind": "http", "status": 200,
             "headers": {"Content-Type": "application/proto"}, "body": ""}
    api.script(faults=[NO_STREAM, taken])
    with libdepot.Client(**depot) as client:
        client.build(context("FROM scratch\nCOPY Dockerfile /copied\n"))
    reports = api.calls("ReportStatus")
    assert reports and "COPY Dockerfile" in "".join(call["body"] for call in reports)
    assert len(api.calls("ReportStatusStream")) == 1


def test_an_api_without_it_is_asked_once(depot, api, context):
    api.script(faults=[NO_STREAM])
    with libdepot.Client(**depot) as client:
        client.build(context("FROM scratch\nCOPY Dockerfile /copied\n"))
    assert len([call for call in api.calls() if call["path"].endswith("/ReportStatus")]) == 1
    assert outcome(api)[0] == "success"


def test_tags_and_push_are_told_once(depot, api, registry, context):
    tag = f"{registry.host}/told:1"
    with libdepot.Client(**depot) as client:
        client.build(context("FROM scratch\nCOPY Dockerfile /copied\n"), tags=[tag], push=True)
    options = next(call for call in api.calls("CreateBuild"))["fields"]["options"]
    assert [told.get("tags") for told in options] == [[tag]] and options[0]["push"] is True


def test_a_failure_in_the_flow(depot, api, context):
    with pytest.raises(libdepot.SolveError), libdepot.Client(**depot) as client, client.new_build() as build:
        with build.acquire() as machine:
            machine.solve(context(ROOTFS + "RUN exit 3\n"))
    how, what = outcome(api)
    assert how == "error" and "exit code: 3" in what["error"]


def test_a_failure_that_is_swallowed_is_no_success(depot, api, context):
    with libdepot.Client(**depot) as client, client.new_build() as build, build.acquire() as machine:
        with pytest.raises(libdepot.SolveError):
            machine.solve(context(ROOTFS + "RUN exit 3\n"))
    assert outcome(api)[0] == "error"


def test_an_outcome_told_by_name_counts(depot, api):
    with libdepot.Client(**depot) as client, client.new_build() as build:
        build.finish("success")
        build.finish("failed", "too late")
    assert outcome(api)[0] == "success"


def test_an_outcome_that_did_not_get_through_may_be_told_again(depot, api):
    later = {"method": "FinishBuild", "kind": "http", "status": 429, "headers": {"Retry-After": "3600"}, "times": 1}
    with libdepot.Client(**depot) as client, client.new_build() as build:
        api.script(faults=[later])
        with pytest.raises(libdepot.Error):
            build.finish("success")
        build.finish("success")
        build.finish("failed", "too late")
    assert [set(call["fields"]) - {"build_id"} for call in api.calls("FinishBuild")] == [{"success"}] * 2


def test_an_outcome_that_was_refused_stays_so(depot, api):
    refused = {"method": "FinishBuild", "kind": "error", "code": "permission_denied", "times": 1}
    with libdepot.Client(**depot) as client, client.new_build() as build:
        api.script(faults=[refused])
        for _ in range(2):
            with pytest.raises(libdepot.PermissionDeniedError):
                build.finish("success")
    assert len(api.calls("FinishBuild")) == 1


def test_a_build_that_is_dropped_with_its_client_is_no_success(depot, api):
    with libdepot.Client(**depot) as client:
        client.new_build().close()
    assert outcome(api)[0] == "error"


def test_a_build_that_is_dropped_is_no_success(depot, api):
    with libdepot.Client(**depot) as client:
        build = client.new_build()
        build.close()
        with pytest.raises(libdepot.FailedPreconditionError, match="build is closed"):
            build.acquire()
        assert outcome(api)[0] == "error"


def test_a_refused_token_is_not_repeated(depot, api):
    with libdepot.Client(**{**depot, "token": "s3cret"}) as client:
        with pytest.raises(libdepot.UnauthenticatedError) as raised:
            client.new_build()
    assert "s3cret" not in str(raised.value)


def test_several_solves_on_one_machine(tls, context):
    folders = [context(f"FROM scratch\nCOPY Dockerfile /x{i}\n", f"context{i}") for i in range(4)]
    results, errors = [], []
    with libdepot.Client(**tls) as client, client.new_build() as build, build.acquire() as machine:
        def solve(folder):
            try:
                results.append(machine.solve(folder))
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=solve, args=(folder,)) for folder in folders]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not errors and len({result.ref for result in results}) == 4


def test_the_local_builder_that_comes_with_the_wheel(tmp_path):
    """In a namespace of its own: what was started ends with it."""
    script = (f"import libdepot; r = libdepot.build({str(HELLO)!r}, builder='local', exports=["
              f"libdepot.Export('oci', dest={str(tmp_path / 'hello.tar')!r})]); print(r.digest)")
    argv = [parts.program("unshare", "util-linux"), "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
            "--propagation", "private", "sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", script]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=240)
    logs = "\n".join(log.read_text(errors="replace")[-2000:] for log in pathlib.Path(tmp_path).rglob("*.log"))
    assert ran.returncode == 0, f"{ran.stderr}\n{logs}"
    assert ran.stdout.strip() == image_in(tmp_path / "hello.tar")[0]
