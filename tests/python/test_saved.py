"""Images that are kept in Depot's registry, the list of builds, and pulls: against the stand-in for the API,
with a real builder, registry and Docker Engine."""

import asyncio
import base64
import json
import time

import parts
import pytest
from conftest import outcome, tls_flags

import libdepot

COPY = "FROM scratch\nCOPY Dockerfile /x\n"


def options_of(api):
    (create,) = api.calls("CreateBuild")
    (options,) = create["fields"]["options"]
    return options


def digest_of(registry, name, tag):
    """What the registry has under a tag; None: nothing."""
    import urllib.error
    import urllib.request

    asked = urllib.request.Request(f"http://{registry.host}/v2/{name}/manifests/{tag}", method="HEAD", headers={
        "Accept": "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
                  "application/vnd.docker.distribution.manifest.v2+json"})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked) as answer:
            return answer.headers["Docker-Content-Digest"]
    except urllib.error.HTTPError as error:
        assert error.code == 404
        return None


@pytest.fixture
def place(api, registry, tmp_path):
    """A repository that the API gives, in a real registry, with one tag to push to."""
    name = f"saved-{tmp_path.name.replace('_', '-').lower().strip('-')}"[:60].rstrip("-")
    api.script(additional_tags=[{"tag": f"{registry.host}/{name}:build-1", "push": True}])
    return name


# What the real command line of Depot, 2.102.12, was seen to send for the same flags: the same options, but for
# the canonical form of tags and an output it names before it knows of the saving; and to push.

def test_a_build_is_saved(depot, api, registry, place, context):
    with libdepot.Client(**depot) as client:
        result = client.build(context(COPY), tags=["app:9"], save=True, save_tags=["v1"])
    options = options_of(api)
    assert options["save"] is True and options["save_tags"] == ["v1"] and "push" not in options
    assert options["tags"] == ["docker.io/library/app:9"] and options["command"] == "COMMAND_BUILD"
    assert digest_of(registry, place, "build-1") == result.digest
    assert result.metadata["depot.build"] == {"buildID": "build-1", "projectID": "p1"}
    assert result.image_name == f"{registry.host}/{place}:build-1"  # not as app:9, which nobody asked to push
    assert outcome(api)[0] == "success"


def test_what_is_pushed_is_pushed_too(depot, api, registry, place, context):
    with libdepot.Client(**depot) as client:
        result = client.build(context(COPY), tags=[f"{registry.host}/{place}/own:1"], push=True, save=True)
    assert options_of(api)["push"] is True
    assert digest_of(registry, place, "build-1") == digest_of(registry, f"{place}/own", "1") == result.digest


def test_a_tag_to_save_under_says_save(depot, api, registry, place, context):
    with libdepot.Client(**depot) as client:
        client.build(context(COPY), save_tags=["v1"])
    assert options_of(api)["save"] is True and digest_of(registry, place, "build-1")


def test_beside_another_export(depot, api, registry, place, context, tmp_path):
    out = tmp_path / "out.tar"
    with libdepot.Client(**depot) as client:
        client.build(context(COPY), tags=["app:1"], save=True, exports=[f"type=oci,dest={out}"])
    assert out.stat().st_size > 0 and digest_of(registry, place, "build-1")


def test_step_by_step(depot, api, registry, place, context):
    with libdepot.Client(**depot) as client, client.new_build(save=True, save_tags=["v2"]) as build:
        with build.acquire() as machine:
            machine.solve(context(COPY))
    assert options_of(api)["save_tags"] == ["v2"] and digest_of(registry, place, "build-1")


def test_a_build_that_was_made_without(depot, api, context):
    with libdepot.Client(**depot) as client, client.new_build() as build, build.acquire() as machine:
        with pytest.raises(libdepot.InvalidArgumentError, match="not made for that"):
            machine.solve(context(COPY), save=True)


def test_the_login_of_the_api(depot, api, context):
    with parts.Registry("htpasswd") as registry:
        login = base64.b64encode(f"{registry.USER}:{registry.PASSWORD}".encode()).decode()
        api.script(additional_tags=[{"tag": f"{registry.host}/p1:build-1"}],
                   additional_credentials=[{"host": registry.host, "token": login}])
        with libdepot.Client(**depot) as client:
            assert client.build(context(COPY), save=True).digest


def test_the_login_for_pushes_is_not_for_what_is_saved(depot, api, context, registry, monkeypatch):
    monkeypatch.setenv("DEPOT_PUSH_REGISTRY_USERNAME", "somebody")
    monkeypatch.setenv("DEPOT_PUSH_REGISTRY_PASSWORD", "else")
    with parts.Registry("htpasswd") as locked:
        login = base64.b64encode(f"{locked.USER}:{locked.PASSWORD}".encode()).decode()
        api.script(additional_tags=[{"tag": f"{locked.host}/p1:build-1"}],
                   additional_credentials=[{"host": locked.host, "token": login}])
        with libdepot.Client(**depot) as client:
            assert client.build(context(COPY), tags=[f"{registry.host}/own:1"], push=True, save=True).digest


def test_pushed_by_digest_alone(depot, place, context):
    with libdepot.Client(**depot) as client, pytest.raises(libdepot.InvalidArgumentError, match="by its digest"):
        client.build(context(COPY), save=True, exports=["type=image,name=a,push-by-digest=true,push=true"])


def test_an_api_that_gives_no_place(depot, api, context):
    with libdepot.Client(**depot) as client, pytest.raises(libdepot.UnimplementedError) as raised:
        client.build(context(COPY), save=True)
    assert raised.value.hop is libdepot.Hop.API
    assert outcome(api)[0] == "error"


@pytest.mark.parametrize("tag", ["a:b", "", "-v1", "x" * 129])
def test_tags_that_are_none(depot, api, context, tag):
    with libdepot.Client(**depot) as client, pytest.raises(libdepot.InvalidArgumentError, match="tag"):
        client.build(context(COPY), save_tags=[tag])
    assert api.calls() == []


def test_only_depot_saves(tls, builder, context, run_libdepot):
    with libdepot.Client(**tls) as client:
        for ask in (lambda: client.build(context(COPY), save=True), lambda: client.new_build(save_tags=["v1"]),
                    lambda: client.pull_info("build-1"), lambda: client.pull_token("p1"), lambda: client.pull("p1:v1")):
            with pytest.raises(libdepot.FailedPreconditionError, match="only Depot") as raised:
                ask()
            assert raised.value.hop is libdepot.Hop.USAGE
        with pytest.raises(libdepot.FailedPreconditionError, match="list"):
            client.list_builds()
    _, err = run_libdepot("build", context(COPY, "other"), *tls_flags(builder), "--save", expect=1)
    assert "only Depot" in err and "--push" in err


def environment_of(monkeypatch, api):
    for name, value in {"DEPOT_API_URL": api.url, "DEPOT_TOKEN": "the-token", "DEPOT_PROJECT_ID": "p1"}.items():
        monkeypatch.setenv(name, value)


def test_the_command_line_saves(api, registry, place, context, run_libdepot, monkeypatch):
    environment_of(monkeypatch, api)
    _, err = run_libdepot("build", context(COPY), "--save", "--save-tag", "v1", "--save-tag", "v2",
                          "--progress", "plain")
    assert options_of(api)["save_tags"] == ["v1", "v2"] and digest_of(registry, place, "build-1")
    assert "Saved: libdepot pull build-1\n" in err and "no output was named" not in err


# The list.

def make_builds(client, outcomes):
    for how in outcomes:
        build = client.new_build()
        if how:
            build.finish(how, "why")
        build.close()


def test_builds_are_listed(depot, api):
    api.script(page_size=2)
    with libdepot.Client(**depot) as client:
        before = time.time_ns()
        make_builds(client, ["success", "failed", "canceled"])
        with client.new_build():
            builds = client.list_builds()
            assert [(build.id, build.state) for build in builds] == [
                ("build-4", "running"), ("build-3", "canceled"), ("build-2", "failed"), ("build-1", "finished")]
        assert builds[0].finished is None and before < builds[3].created <= builds[3].finished
        assert [call["fields"]["project_id"] for call in api.calls("ListBuilds")] == ["p1", "p1"]
        assert [build.id for build in client.list_builds("p1", limit=3)] == ["build-4", "build-3", "build-2"]
        assert client.list_builds("p2") == []
        for limit in (0, -1):
            with pytest.raises(ValueError, match="limit"):
                client.list_builds(limit=limit)

    async def again():
        async with libdepot.aio.Client(**depot) as asking:
            return await asking.list_builds(limit=1)
    assert [build.id for build in asyncio.run(again())] == ["build-4"]


def test_a_list_needs_a_project(api):
    with libdepot.Client(builder="depot", token="the-token", api_url=api.url) as client:
        with pytest.raises(libdepot.InvalidArgumentError, match="project"):
            client.list_builds()


def test_the_command_line_lists(depot, api, run_libdepot, monkeypatch):
    environment_of(monkeypatch, api)
    with libdepot.Client(**depot) as client:
        make_builds(client, ["success", "failed"])
    out, _ = run_libdepot("list", "builds")
    header, *rows = [line.split("   ") for line in out.splitlines()]
    assert [cell.strip() for cell in header if cell] == ["BUILD ID", "STATUS", "STARTED", "DURATION (S)"]
    assert [row[0] for row in rows] == ["build-2", "build-1"]
    out, _ = run_libdepot("list", "builds", "--format", "json", "--limit", "1")
    (build,) = [json.loads(line) for line in out.splitlines()]
    assert build["id"] == "build-2" and build["status"] == "failed" and build["duration"] >= 0
    assert time.strptime(build["startTime"].partition(".")[0].rstrip("Z"), "%Y-%m-%dT%H:%M:%S")
    assert "positive" in run_libdepot("list", "builds", "--limit", "0", expect=2)[1]


# Pulls.

INFO = {"username": "x-token", "password": "hunter2", "reference": "registry.test/p1:build-1",
        "options": [{"command": 1, "tags": ["test/saved:1"], "save": True}]}


def test_where_a_saved_image_is(depot, api):
    api.script(pull_info=INFO)
    with libdepot.Client(**depot) as client:
        pull = client.pull_info("build-1")
        assert pull == libdepot.PullInfo("registry.test/p1:build-1", "x-token", "hunter2",
                                         (libdepot.PullTarget("", ("test/saved:1",)),))
        assert "hunter2" not in repr(pull)
        api.script(pull_token="t0ken")
        token = client.pull_token()
        assert (token.reference, token.username, token.password) == ("registry.depot.dev/p1", "x-token", "t0ken")
        with pytest.raises(libdepot.NotFoundError, match="build-9"):
            client.pull_info("build-9")
        api.script(pull_info={**INFO, "options": [{"command": 1}]})
        with pytest.raises(libdepot.FailedPreconditionError, match="not saved"):
            client.pull_info("build-1")

    async def again():
        api.script(pull_info=INFO)
        async with libdepot.aio.Client(**depot) as asking:
            return (await asking.pull_info("build-1")).reference, (await asking.pull_token("p2")).reference
    assert asyncio.run(again()) == ("registry.test/p1:build-1", "registry.depot.dev/p2")
    assert api.calls("GetPullToken")[-1]["fields"] == {"project_id": "p2"}


@pytest.fixture(scope="module")
def locked():
    with parts.Registry("htpasswd") as started:
        yield started


@pytest.fixture
def docker(docker_engine, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", docker_engine.host)
    return docker_engine


@pytest.fixture
def saved(depot, api, locked, context):
    """Images in a registry that wants a login, as a bake of two would leave them; what GetPullInfo says of that."""
    auth = {locked.host: (locked.USER, locked.PASSWORD)}
    with libdepot.Client(**depot) as client:
        for name in ("build-1", "build-1-web"):
            client.build(context(f"{COPY}LABEL name={name}\n", name), tags=[f"{locked.host}/p1:{name}"], push=True,
                         registry_auth=auth)
    info = {**INFO, "reference": f"{locked.host}/p1:build-1", "username": locked.USER, "password": locked.PASSWORD}
    api.reset()
    api.script(pull_info=info)
    return info


def test_a_saved_image_is_pulled(depot, api, saved, docker):
    steps, layers = {}, set()

    def watch(status):
        steps.update({vertex.name: vertex for vertex in status.vertexes})
        layers.update(one.id for one in status.statuses)

    with libdepot.Client(**depot) as client:
        client.pull("build-1", on_status=watch)
        # Under the names of the build, or those that are asked for.
        assert docker.inspect("test/saved:1")["Config"]["Labels"] == {"name": "build-1"}
        client.pull("build-1", tags=["test/other", "test/third:3"], platform="linux/amd64")
    image = docker.inspect(saved["reference"])
    assert docker.inspect("test/other:latest")["Id"] == docker.inspect("test/third:3")["Id"] == image["Id"]
    step = steps[f"pulling {saved['reference']}"]
    assert step.completed >= step.started and not step.error
    assert layers and all(name.startswith("pulling layer ") for name in layers)


def test_targets_of_a_bake_are_pulled(depot, api, saved, docker):
    web = {"command": 2, "target_name": "web", "tags": ["test/web:1"], "save": True}
    api.script(pull_info={**saved, "options": [web, {**web, "target_name": "absent", "tags": ["test/absent:1"]}]})

    async def pull(**options):
        async with libdepot.aio.Client(**depot) as client:
            await client.pull("build-1", **options)

    asyncio.run(pull(targets=["web"]))
    assert docker.inspect("test/web:1")["Config"]["Labels"] == {"name": "build-1-web"}
    asyncio.run(pull(targets=["web"], tags=["test/renamed:1"]))
    assert docker.inspect("test/renamed:1-web")
    with pytest.raises(libdepot.InvalidArgumentError, match="no target 'api'") as raised:
        asyncio.run(pull(targets=["api"]))
    assert "web, absent" in raised.value.hint
    with pytest.raises(libdepot.NotFoundError) as raised:
        asyncio.run(pull())
    assert raised.value.hop is libdepot.Hop.REGISTRY and "build-1-absent" in raised.value.message


def test_a_login_that_is_refused(depot, api, saved, docker):
    api.script(pull_info={**saved, "password": "wr0ng"})
    with libdepot.Client(**depot) as client, pytest.raises(libdepot.UnauthenticatedError) as raised:
        client.pull("build-1")
    assert raised.value.hop is libdepot.Hop.REGISTRY and "wr0ng" not in str(raised.value)


def test_a_status_consumer_ends_a_pull(depot, api, saved, docker):
    with libdepot.Client(**depot) as client:
        with pytest.raises(libdepot.CallbackError):
            client.pull("build-1", on_status=lambda status: 7)
        with pytest.raises(ZeroDivisionError):
            client.pull("build-1", on_status=lambda status: 1 // 0)


def test_a_pull_without_an_engine(depot, api, monkeypatch):
    api.script(pull_info=INFO)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with libdepot.Client(**depot) as client:
        with pytest.raises(libdepot.Error, match="/nowhere/docker.sock") as raised:
            client.pull("build-1")
        assert raised.value.hop is libdepot.Hop.LOCAL
        with pytest.raises(libdepot.InvalidArgumentError, match="podman"):
            client.pull("build-1", into="podman")


def test_a_tag_of_a_project_is_asked_for_by_its_token(depot, api, docker):
    """Depot's registry is not to be had here: the Engine says so, by its name."""
    with libdepot.Client(**depot) as client:
        for what in ("p7:v1", "registry.depot.dev/p7:v1"):
            with pytest.raises(libdepot.Error, match=r"registry\.depot\.dev/p7:v1"):
                client.pull(what)
    assert [call["fields"] for call in api.calls("GetPullToken")] == [{"project_id": "p7"}] * 2


def test_the_command_line_pulls(api, saved, docker, run_libdepot, monkeypatch):
    environment_of(monkeypatch, api)
    _, err = run_libdepot("pull", "build-1", "-t", "test/cli:1", "--progress", "plain")
    assert f"pulling {saved['reference']}" in err and docker.inspect("test/cli:1")
    assert saved["password"] not in err
    api.script()
    _, err = run_libdepot("pull", "build-1", expect=1)
    assert "not found" in err
