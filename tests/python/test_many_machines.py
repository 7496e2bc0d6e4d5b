"""A build of several platforms on several machines: two buildkitds, one of which takes itself for an
arm64 one. What is pushed is compared with what buildx pushes from the same two."""

import asyncio
import base64
import contextlib
import http.client
import http.server
import json
import threading
import urllib.request

import pytest
from conftest import ENGINE, outcome

import libdepot
import parts

ACCEPT = ", ".join(f"application/vnd.{kind}+json" for kind in (
    "oci.image.index.v1", "oci.image.manifest.v1", "docker.distribution.manifest.list.v2",
    "docker.distribution.manifest.v2"))
BOTH = ["linux/amd64", "linux/arm64"]
FILES = "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /file\nLABEL of=$TARGETARCH\n"
# The arm64 machine runs amd64's programs, as there is no emulator that it would run them by.
GATED = """FROM scratch AS base
COPY rootfs/ /
FROM base AS amd64
RUN sleep 600
FROM base AS arm64
RUN wget -q -O /dev/null {gate}; exit 3
FROM $TARGETARCH
"""


@pytest.fixture(scope="module")
def machines():
    with parts.Buildkitd(args=("--oci-worker-platform", "linux/amd64", "--oci-worker-platform", "linux/386")) as amd64:
        with parts.Buildkitd(args=[word for platform in ("linux/arm64", "linux/arm/v7", "freebsd/arm64")
                                   for word in ("--oci-worker-platform", platform)]) as arm64:
            yield amd64, arm64


@pytest.fixture
def nodes(machines):
    amd64, arm64 = machines
    return [f"{amd64.endpoint},platform=linux/amd64,linux/386", f"{arm64.endpoint},platform=linux/arm64,linux/arm/v7"]


@pytest.fixture
def files(context):
    folder = context(FILES)
    for name in ("amd64", "arm64", "arm", "386"):
        (folder / name).write_text(f"for {name}\n")
    return folder


@pytest.fixture
def depot_on(machines):
    """Options of a client of the API whose machines are the two."""
    amd64, arm64 = machines
    with parts.Standin(amd64, token="the-token", project="p1") as api:
        api.script(endpoints={"amd64": amd64.endpoint, "arm64": arm64.endpoint})
        yield api, {"builder": "depot", "token": "the-token", "project": "p1", "api_url": api.url}


def manifest(name):
    """Bytes and type of what a name, host/repository:tag or @digest, means in its registry."""
    host, _, rest = name.partition("/")
    repository, at, reference = rest.partition("@") if "@" in rest else rest.rpartition(":")
    request = urllib.request.Request(f"http://{host}/v2/{repository}/manifests/{reference}", headers={"Accept": ACCEPT})
    with urllib.request.urlopen(request) as answer:
        return answer.read(), answer.headers["Content-Type"]


def blob(repository, digest):
    host, _, rest = repository.partition("/")
    with urllib.request.urlopen(f"http://{host}/v2/{rest}/blobs/{digest}") as answer:
        return answer.read()


def parsed(name):
    return json.loads(manifest(name)[0])


def platform_of(descriptor):
    platform = descriptor["platform"]
    return "/".join(filter(None, [platform["os"], platform["architecture"], platform.get("variant")]))


def buildx(machines, tmp_path, *arguments):
    """Runs `buildx build` on a builder of the two."""
    env = {"BUILDX_CONFIG": str(tmp_path / "buildx"), "PATH": f"{ENGINE}:/usr/bin:/bin", "HOME": str(tmp_path)}
    amd64, arm64 = machines

    def run(*words):
        ran = parts.subprocess.run([parts.buildx(), *map(str, words)], capture_output=True, text=True, env=env)
        assert ran.returncode == 0, ran.stderr
        return ran

    run("create", "--name", "two", "--node", "a", "--driver", "remote", amd64.endpoint, "--platform", "linux/amd64")
    run("create", "--name", "two", "--node", "b", "--append", "--driver", "remote", arm64.endpoint, "--platform",
        "linux/arm64,linux/arm/v7")
    return run("build", "--builder", "two", "--progress", "plain", *arguments)


ANNOTATIONS = {"index:org.opencontainers.image.title": "<both> & more", "manifest-descriptor:note": "each",
               "manifest-descriptor[linux/arm64]:arm": "yes", "manifest:inside": "m"}


@pytest.mark.parametrize("platforms, annotations, attrs", [
    (BOTH, {}, {}),
    (["linux/arm64", "linux/amd64", "linux/arm/v7"], {}, {}),
    (BOTH, ANNOTATIONS, {}),
    (BOTH, {"index:a": "b"}, {"oci-mediatypes": "true", "compression": "zstd", "force-compression": "true"}),
    (BOTH, {}, {"oci-mediatypes": "false"}),
], ids=["two", "three", "annotations", "zstd", "docker"])
def test_the_index_is_buildxs_byte_for_byte(machines, nodes, files, registry, tmp_path, platforms, annotations, attrs):
    ours, theirs = f"{registry.host}/{tmp_path.name}/ours", f"{registry.host}/{tmp_path.name}/theirs"
    attrs = {"push": "true", "rewrite-timestamp": "true", **attrs}
    result = libdepot.build(
        files, options={"nodes": nodes}, platform=platforms, tags=[f"{ours}:1", f"{ours}:2", f"{ours}-more:x"],
        exports=[libdepot.Export("image", attrs=attrs)], annotations=annotations,
        build_args={"SOURCE_DATE_EPOCH": "1600000000"})
    words = [word for key, value in annotations.items() for word in ("--annotation", f"{key}={value}")]
    buildx(machines, tmp_path, files, "--platform", ",".join(platforms), "-t", f"{theirs}:1", "--provenance=false",
           "--build-arg", "SOURCE_DATE_EPOCH=1600000000", *words, "--output",
           ",".join(["type=image", *[f"{key}={value}" for key, value in attrs.items()]]))
    wanted, kind = manifest(f"{theirs}:1")
    for name in (f"{ours}:1", f"{ours}:2", f"{ours}-more:x", f"{ours}@{result.digest}"):
        assert manifest(name) == (wanted, kind)
    for each in json.loads(wanted)["manifests"]:
        for repository in (ours, f"{ours}-more"):
            assert manifest(f"{repository}@{each['digest']}") == manifest(f"{theirs}@{each['digest']}")
    assert {platform_of(each) for each in json.loads(wanted)["manifests"]} == set(platforms)
    assert result.descriptor == {"mediaType": kind, "digest": result.digest, "size": len(wanted)}
    assert result.image_name == f"{ours}:1,{ours}:2,{ours}-more:x"
    assert json.loads(result.metadata_json)["containerimage.digest"] == result.digest
    assert result.config_digest == ""


def shape(repository, index):
    """What does not change from one build to the next: what there is for which platform, and how it says so."""
    by_digest = {each["digest"]: each for each in index["manifests"]}
    out = []
    for each in index["manifests"]:
        annotations = dict(each.get("annotations", {}))
        of = annotations.pop("vnd.docker.reference.digest", None)
        inside = parsed(f"{repository}@{each['digest']}")
        out.append((each["mediaType"], platform_of(each), annotations, of and platform_of(by_digest[of]),
                    [(layer["mediaType"], layer.get("annotations")) for layer in inside["layers"]],
                    inside.get("artifactType")))
    return out


@pytest.mark.parametrize("ask, word", [({"default_attestations": True}, "--load=false"),
                                       ({"provenance": "mode=max"}, "--provenance=mode=max")])
def test_attestations_are_kept(machines, nodes, files, registry, tmp_path, ask, word):
    ours, theirs = f"{registry.host}/{tmp_path.name}/ours", f"{registry.host}/{tmp_path.name}/theirs"
    libdepot.build(files, options={"nodes": nodes}, platform=BOTH, tags=[f"{ours}:1"], push=True, **ask)
    buildx(machines, tmp_path, files, "--platform", ",".join(BOTH), "-t", f"{theirs}:1", "--push", word)
    got, wanted = parsed(f"{ours}:1"), parsed(f"{theirs}:1")
    assert len(got["manifests"]) == 4
    assert shape(ours, got) == shape(theirs, wanted)
    assert list(got) == list(wanted) and [list(one) for one in got["manifests"]] == [
        list(one) for one in wanted["manifests"]]


def test_who_is_not_told_asks_the_workers(machines, files, registry):
    """Both of them add what this computer runs to what they were told; no computer runs the other one."""
    nodes = [each.endpoint for each in machines]
    tag = f"{registry.host}/asked:1"
    seen = set()
    libdepot.build(files, options={"nodes": nodes}, platform=["linux/386", "freebsd/arm64"], tags=[tag], push=True,
                   on_status=lambda status: seen.update(vertex.name for vertex in status.vertexes) and None)
    assert [platform_of(each) for each in parsed(tag)["manifests"]] == ["linux/386", "freebsd/arm64"]
    assert f"merging manifest list {tag}" in seen


def test_status_of_both_comes_to_one_thread(nodes, files, registry):
    threads, names, inside = set(), set(), threading.Lock()

    def on_status(status):
        assert inside.acquire(blocking=False), "one at a time"
        with contextlib.ExitStack() as stack:
            stack.callback(inside.release)
            threads.add(threading.get_ident())
            names.update(vertex.name for vertex in status.vertexes)

    with libdepot.Client(nodes=nodes) as client:
        client.build(files, platform=BOTH, tags=[f"{registry.host}/status:1"], push=True, on_status=on_status,
                     no_cache=True)
    assert len(threads) == 1
    for platform in BOTH:
        assert any(name.startswith(f"[{platform}") for name in names), names


def test_the_machines_of_depot(depot_on, files, registry):
    api, options = depot_on
    tag = f"{registry.host}/depot:1"
    result = libdepot.build(files, options=options, platform=BOTH, tags=[tag], push=True)
    assert parsed(tag)["manifests"][1]["platform"]["architecture"] == "arm64"
    assert result.build_id == "build-1" and result.digest
    asked = [call["fields"]["platform"] for call in api.calls("GetBuildKitConnection")]
    assert sorted(asked) == ["BUILDER_PLATFORM_AMD64", "BUILDER_PLATFORM_ARM64"]
    assert len(api.calls("CreateBuild")) == 1
    assert outcome(api)[0] == "success"


def test_an_image_of_two_machines_is_saved(depot_on, files, registry):
    api, options = depot_on
    api.script(additional_tags=[{"tag": f"{registry.host}/two/saved:{tag}"} for tag in ("build-1", "v1")])
    result = libdepot.build(files, options=options, platform=BOTH, tags=[f"{registry.host}/two/own:1"], push=True,
                            save_tags=["v1"])
    names = [f"{registry.host}/two/{name}" for name in ("own:1", "saved:build-1", "saved:v1")]
    assert result.image_name == ",".join(names)
    assert result.metadata["depot.build"] == {"buildID": "build-1", "projectID": "p1"}
    (wanted,) = {manifest(name) for name in names}
    assert {platform_of(each) for each in json.loads(wanted[0])["manifests"]} == set(BOTH)
    for each in json.loads(wanted[0])["manifests"]:
        assert manifest(f"{registry.host}/two/saved@{each['digest']}")[0]
    (create,) = api.calls("CreateBuild")
    assert create["fields"]["options"][0]["save"] is True


def test_what_is_saved_of_two_machines_is_pushed_nowhere_else(depot_on, files, monkeypatch):
    api, options = depot_on
    with parts.Registry("htpasswd") as locked:
        # For pushes alone: it is not what opens the place to save in.
        monkeypatch.setenv("DEPOT_PUSH_REGISTRY_USERNAME", "somebody")
        monkeypatch.setenv("DEPOT_PUSH_REGISTRY_PASSWORD", "else")
        login = base64.b64encode(f"{locked.USER}:{locked.PASSWORD}".encode()).decode()
        api.script(additional_tags=[{"tag": f"{locked.host}/p1:build-1"}],
                   additional_credentials=[{"host": locked.host, "token": login}])
        result = libdepot.build(files, options=options, platform=BOTH, tags=["app:1"], save=True)
        assert result.image_name == f"{locked.host}/p1:build-1"


@pytest.mark.parametrize("build_platform, kind", [("linux/arm64", "ARM64"), ("amd64", "AMD64")])
def test_one_machine_builds_all_when_it_is_named(depot_on, files, registry, build_platform, kind):
    api, options = depot_on
    tag = f"{registry.host}/named:{kind}"
    libdepot.build(files, options=options, platform=BOTH, tags=[tag], push=True, build_platform=build_platform)
    assert {call["fields"]["platform"] for call in api.calls("GetBuildKitConnection")} == {f"BUILDER_PLATFORM_{kind}"}
    assert len(parsed(tag)["manifests"]) == 2


def test_one_machine_is_enough_for_what_it_runs(depot_on, files, registry):
    api, options = depot_on
    libdepot.build(files, options=options, platform=["linux/arm64", "linux/arm/v7"], tags=[f"{registry.host}/arm:1"],
                   push=True)
    assert {call["fields"]["platform"] for call in api.calls("GetBuildKitConnection")} == {"BUILDER_PLATFORM_ARM64"}


@pytest.fixture
def gate():
    """A server that answers when it is opened."""
    opened = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            opened.wait(240)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", opened
        opened.set()
        server.shutdown()
        thread.join()


def end_of(machine, step):
    """The error that a step of the machine's last build ended with."""
    errors = {}

    def on_status(status):
        errors.update({vertex.name: vertex.error for vertex in status.vertexes if step in vertex.name})

    with libdepot.Client(builder=machine.endpoint) as client, client.new_build() as build, build.acquire() as asked:
        asked.history_logs(asked.history(limit=1)[0].ref, on_status)  # comes to its end with the build
    (error,) = errors.values()
    return error


def test_the_first_that_fails_ends_the_other(machines, depot_on, context, registry, gate):
    api, options = depot_on
    url, opened = gate

    def on_status(status):
        if any("sleep 600" in vertex.name and vertex.started for vertex in status.vertexes):
            opened.set()  # the other one fails now

    with pytest.raises(libdepot.Error) as failed:
        libdepot.build(context(GATED.format(gate=url)), options=options, platform=BOTH,
                       tags=[f"{registry.host}/failing:1"], push=True, on_status=on_status)
    assert failed.value.message.startswith("linux/arm64: "), failed.value.message
    assert failed.value.hop == libdepot.Hop.SOLVE and failed.value.exit_code == 3
    assert "exit 3" in failed.value.vertex_name and failed.value.sources
    assert "canceled" in end_of(machines[0], "sleep 600"), "the other one was stopped"
    how, told = outcome(api)
    assert how == "error" and told["error"].startswith("linux/arm64: ")
    with pytest.raises(urllib.error.HTTPError):
        manifest(f"{registry.host}/failing:1")
    reports = len(api.calls("ReportBuildHealth"))
    assert reports >= 2
    assert len(api.calls("ReportBuildHealth", at_least=reports + 1, timeout=6)) == reports, "both were released"


def test_a_machine_that_is_not_there_is_named(machines, files, registry):
    nodes = [f"{machines[0].endpoint},platform=linux/amd64", "tcp://127.0.0.1:1,platform=linux/arm64"]
    with pytest.raises(libdepot.Error) as failed:
        libdepot.build(files, options={"nodes": nodes}, platform=BOTH, tags=[f"{registry.host}/half:1"], push=True)
    assert failed.value.message.startswith("linux/arm64: ")
    assert failed.value.hop == libdepot.Hop.MACHINE


def test_a_cancel_ends_both(machines, nodes, context, registry, gate):
    cancel, running = libdepot.Cancel(), set()

    def on_status(status):
        for vertex in status.vertexes:
            running.update(step for step in ("sleep 600", "wget") if step in vertex.name and vertex.started)
        if len(running) == 2:
            cancel.trigger()

    with pytest.raises(libdepot.CanceledError):
        libdepot.build(context(GATED.format(gate=gate[0])), options={"nodes": nodes}, platform=BOTH,
                       tags=[f"{registry.host}/canceled:1"], push=True, on_status=on_status, cancel=cancel)
    assert "canceled" in end_of(machines[0], "sleep 600")
    assert "canceled" in end_of(machines[1], "wget")


def test_what_a_callback_raises_is_raised(nodes, files, registry):
    def on_status(status):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        libdepot.build(files, options={"nodes": nodes}, platform=BOTH, tags=[f"{registry.host}/raised:1"], push=True,
                       on_status=on_status)


class Refusing(http.server.BaseHTTPRequestHandler):
    """Passes everything on to a registry but manifests for one tag, which no real one refuses alone."""

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.command == "PUT" and self.path.endswith("/manifests/no"):
            return self.answer(403, {"Content-Type": "application/json"},
                               b'{"errors":[{"code":"DENIED","message":"this tag is taken"}]}')
        with contextlib.closing(http.client.HTTPConnection(self.server.far)) as far:
            far.request(self.command, self.path, body, dict(self.headers.items()))
            got = far.getresponse()
            headers = {name: value for name, value in got.getheaders() if name.lower() != "transfer-encoding"}
            return self.answer(got.status, headers, got.read())

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = forward

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_a_tag_that_cannot_be_pushed_is_named(nodes, files, registry):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        server.far, server.daemon_threads = registry.host, True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        host = f"127.0.0.1:{server.server_address[1]}"
        tags = [f"{host}/several:{tag}" for tag in ("one", "no", "two")]
        try:
            with pytest.raises(libdepot.PermissionDeniedError) as failed:
                libdepot.build(files, options={"nodes": nodes}, platform=BOTH, tags=tags, push=True)
        finally:
            server.shutdown()
            thread.join()
    error = failed.value
    assert error.hop == libdepot.Hop.REGISTRY
    assert f"was not pushed as {tags[1]}, but was as {tags[0]}, {tags[2]}: " in error.message
    assert "403: DENIED: this tag is taken" in error.message
    for tag in ("one", "two"):
        assert len(parsed(f"{registry.host}/several:{tag}")["manifests"]) == 2


def test_the_index_is_pushed_with_the_same_login(nodes, files):
    asked, shared = [], []

    def login(host):
        asked.append(host)
        return parts.Registry.USER, parts.Registry.PASSWORD

    with parts.Registry(auth="token") as registry:
        libdepot.build(files, options={"nodes": nodes}, platform=BOTH, tags=[f"{registry.host}/private:1"], push=True,
                       registry_auth=login, docker_config="",
                       on_status=lambda status: shared.extend(status.credential_uses))
        assert set(asked) == {registry.host}
        pushes = [request for request in registry.tokens.requests if request["user_agent"].startswith("libdepot")]
        assert ["repository:private:pull,push"] in [request["scope"] for request in pushes]
        with pytest.raises(libdepot.UnauthenticatedError) as failed:
            libdepot.build(files, options={"nodes": nodes}, platform=BOTH, tags=[f"{registry.host}/private:2"],
                           push=True, registry_auth=lambda host: ("robot", "wrong"), docker_config="")
        assert registry.host in failed.value.message


def test_directories_have_a_folder_for_each_platform(nodes, files, tmp_path):
    libdepot.build(files, options={"nodes": nodes}, platform=[*BOTH, "linux/arm/v7"],
                   exports=[libdepot.Export("local", dest=tmp_path / "out")])
    found = {str(path.relative_to(tmp_path / "out")): path.read_text() for path in (tmp_path / "out").rglob("file")}
    assert found == {"linux_amd64/file": "for amd64\n", "linux_arm64/file": "for arm64\n",
                     "linux_arm_v7/file": "for arm\n"}


@pytest.mark.parametrize("fields, word", [
    ({"exports": ["type=oci,dest=OUT"]}, "type oci"), ({"exports": ["type=docker,dest=OUT"]}, "type docker"),
    ({"exports": ["type=tar,dest=OUT"]}, "type tar"), ({"exports": ["type=local,mode=delete,dest=OUT"]}, "mode=delete"),
])
def test_what_cannot_be_divided_is_refused(depot_on, files, tmp_path, fields, word):
    api, options = depot_on
    fields = {"exports": [spec.replace("OUT", str(tmp_path / "out")) for spec in fields["exports"]]}
    with pytest.raises(libdepot.InvalidArgumentError, match=word) as refused:
        libdepot.build(files, options=options, platform=BOTH, **fields)
    assert "--build-platform" in refused.value.hint
    assert not api.calls("CreateBuild"), "before anybody hears of it"


def test_a_context_that_is_read_once_is_refused(nodes, files, registry):
    import io
    import tarfile
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(files, arcname=".")
    packed.seek(0)
    with pytest.raises(libdepot.InvalidArgumentError, match="read once"):
        libdepot.build(packed, options={"nodes": nodes}, platform=BOTH, tags=[f"{registry.host}/once:1"], push=True)
    path = files.parent / "context.tar"
    path.write_bytes(packed.getvalue())
    libdepot.build(path, options={"nodes": nodes}, platform=BOTH, tags=[f"{registry.host}/again:1"], push=True)
    assert len(parsed(f"{registry.host}/again:1")["manifests"]) == 2


def test_one_node_is_as_one_builder(nodes, machines, files, registry):
    """And of several, those that have nothing to build are not asked."""
    for given in (nodes[:1], [nodes[0], "tcp://127.0.0.1:1,platform=linux/arm64"]):
        tag = f"{registry.host}/single:{len(given)}"
        libdepot.build(files, options={"nodes": given}, platform=["linux/amd64"], tags=[tag], push=True)
        assert "config" in parsed(tag), "an image, no index"
    with libdepot.Client(nodes=nodes) as client, client.new_build() as build:
        assert client.builder == ",".join(each.endpoint for each in machines)
        for machine, platform in zip(machines, ("amd64", "arm64")):
            with build.acquire(platform) as acquired:
                assert acquired.endpoint == machine.endpoint and acquired.platform == platform
        build.finish("success")


@pytest.mark.parametrize("options, word", [
    ({"nodes": ["tcp://127.0.0.1:1"], "builder": "local"}, "either one builder"),
    ({"nodes": ["tcp://127.0.0.1:1,os=linux"]}, "platform=PLATFORM"),
    ({"nodes": ["nonsense"]}, "nonsense"),
])
def test_nodes_that_are_none(options, word):
    with pytest.raises(libdepot.InvalidArgumentError, match=word):
        libdepot.Client(**options)


def test_asyncio(nodes, files, registry):
    tag = f"{registry.host}/aio:1"

    async def build():
        async with libdepot.aio.Client(nodes=nodes) as client:
            return await client.build(files, platform=BOTH, tags=[tag], push=True, build_platform="dynamic")

    assert json.loads(manifest(f"{registry.host}/aio@{asyncio.run(build()).digest}")[0]) == parsed(tag)


def test_the_command_line(nodes, files, registry, run_libdepot, tmp_path):
    tag, meta = f"{registry.host}/cli:1", tmp_path / "meta.json"
    builders = [word for node in nodes for word in ("--builder", node)]
    _, err = run_libdepot("build", files, *builders, "--platform", ",".join(BOTH), "-t", tag, "--push",
                          "--metadata-file", meta, "--progress", "plain")
    assert f"merging manifest list {tag}" in err
    written = json.loads(meta.read_text())
    assert written["image.name"] == tag
    assert written["containerimage.descriptor"]["digest"] == written["containerimage.digest"]
    assert len(parsed(f"{registry.host}/cli@{written['containerimage.digest']}")["manifests"]) == 4
    _, err = run_libdepot("build", files, *builders, "--platform", ",".join(BOTH), "-t", tag, "--push",
                          "--build-platform", "linux/arm64", "--progress", "plain")
    assert "merging manifest list" not in err
