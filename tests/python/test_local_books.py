"""The local builder's books, on the real one: list, stop, reset, and what becomes of builds meanwhile."""

import asyncio
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
from conftest import ROOTFS
from test_local import PATIENCE, SLEEP, Builderd, all_end, until_it_runs

import libdepot
import libdepot.aio

LARGE = ROOTFS + "RUN head -c 30000000 /dev/urandom > /large && echo it ran\n"


class Idling(Builderd):
    """Machines stay after their builds."""

    idle_timeout = "600"


@pytest.fixture
def builderd(tmp_path):
    started = Idling(tmp_path)
    yield started
    started.process.stop()


@pytest.fixture
def client():
    with libdepot.Client(builder="local") as made:
        yield made


def build(context, project=None, **options):
    """Whether its RUN came from the cache."""
    seen = []
    with libdepot.Client(builder="local", project=project) as made:
        made.build(context, on_status=lambda status: seen.extend(status.vertexes), **options)
    return any(vertex.cached for vertex in seen if " RUN " in vertex.name)


def machines_of(client, project):
    (found,) = client.local_projects(project)
    return found.machines


def test_a_cache_grows_survives_a_stop_and_goes_with_a_reset(builderd, client, context):
    assert client.local_projects() == []
    large = context(LARGE)
    build(context("FROM scratch\nCOPY Dockerfile /x\n", "small"), "p")
    (small,) = client.local_projects()
    assert not build(large, "p")
    (grown,) = client.local_projects()
    assert grown.id == "p" and grown.cache_size - small.cache_size > 25_000_000 and not grown.cache_partial
    assert grown.builds == 0 and grown.last_used >= small.last_used > 1e18
    judged = int(subprocess.run(["du", "-xs", "--block-size=1", grown.directory], capture_output=True, text=True,
                                check=True).stdout.split()[0])
    assert abs(grown.cache_size - judged) < 1_000_000  # the builder's own files move meanwhile
    (machine,) = grown.machines
    assert machine.state == "running" and re.fullmatch(r"v\d+\.\d+\.\d+", machine.buildkit_version)

    running = builderd.machines()  # machine.pid is one of the builder's namespace
    assert len(running) >= 2
    assert client.local_stop("other") == 0
    assert client.local_stop("p") == 1
    assert all_end(running) and builderd.machines() == []
    (stopped,) = machines_of(client, "p")
    assert (stopped.state, stopped.pid, stopped.buildkit_version) == ("stopped", None, "")
    assert build(large, "p")  # it has its cache
    assert machines_of(client, "p")[0].pid not in (None, machine.pid)

    assert client.local_reset("p") > 25_000_000
    assert client.local_projects() == [] and list((builderd.state / "projects").iterdir()) == []
    with pytest.raises(libdepot.NotFoundError, match="no project p"):
        client.local_reset("p")
    assert not build(large, "p")
    assert client.local_projects()[0].cache_size > 25_000_000


def test_each_platform_has_a_machine_of_its_own_when_asked_for(builderd, client, context, tmp_path):
    where = context("FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /file\n")
    for name in ("amd64", "arm64"):
        (where / name).write_text(name)
    for build_platform, machines in ((None, {"amd64"}), ("dynamic", {"amd64", "arm64"})):
        out = tmp_path / f"out-{build_platform}"
        with libdepot.Client(builder="local", project=f"of-{len(machines)}") as own:
            own.build(where, platform=["linux/amd64", "linux/arm64"], build_platform=build_platform,
                      exports=[f"type=local,dest={out}"])
        (project,) = client.local_projects(f"of-{len(machines)}")
        assert {machine.architecture for machine in project.machines} == machines
        assert {path.name: (path / "file").read_text() for path in out.iterdir()} == {
            "linux_amd64": "amd64", "linux_arm64": "arm64"}


def test_a_project_in_use_is_refused(builderd, client, context):
    with libdepot.Client(builder="local", project="p") as own, own.new_build() as held, held.acquire() as leased:
        leased.connect()
        (project,) = client.local_projects()
        assert (project.builds, [machine.builds for machine in project.machines]) == (1, [1])
        for refused in (client.local_stop, lambda: client.local_stop("p"), lambda: client.local_reset("p")):
            with pytest.raises(libdepot.FailedPreconditionError, match="a build uses the machines of project p") as why:
                refused()
            assert why.value.hop == libdepot.Hop.BUILDER and "force" in why.value.hint
        assert leased.workers()  # unharmed
        assert build(context("FROM scratch\nCOPY Dockerfile /x\n"), "q") is False
        assert client.local_reset("q") > 0  # one project's builds are not another's
    assert client.local_stop() == 1


@pytest.mark.parametrize("how", ["stop", "reset"])
def test_by_force_a_build_fails_and_says_why(builderd, client, context, libdepot_command, how):
    process = libdepot_command("build", context(SLEEP), "--builder", "local", "--project", "p", "--progress", "plain")
    until_it_runs(process.stderr)
    machines = builderd.machines()
    assert len(machines) >= 2
    if how == "stop":
        assert client.local_stop(force=True) == 1
    else:
        assert client.local_reset("p", force=True) > 0
    assert all_end(machines)
    rest = process.stderr.read()
    assert process.wait(PATIENCE) == 1, rest
    assert "ERROR: the local builder ended the build: its machine was stopped by force" in rest
    assert builderd.build() == ("p", 3)  # failed
    assert (how == "stop") == (builderd.state / "projects/p").exists()
    assert build(context("FROM scratch\nCOPY Dockerfile /x\n", "next"), "p") is False


def test_in_python_a_build_that_is_stopped_by_force_is_canceled(builderd, client, context):
    script = ("import libdepot, sys\n"
              "def on_status(status):\n"
              "    for log in status.logs: print('', log.data.decode(), flush=True)\n"
              "try:\n"
              "    libdepot.build(sys.argv[1], builder='local', project='p', on_status=on_status)\n"
              "except libdepot.CanceledError as error:\n"
              "    print(error.hop.name, error.message, '-', error.hint)\n")
    argv = [sys.executable, "-c", script, str(context(SLEEP))]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as run:
        try:
            until_it_runs(run.stdout)
            assert client.local_stop("p", force=True) == 1
            assert run.stdout.read().splitlines()[-1].startswith("BUILDER the local builder ended the build")
            assert run.wait(PATIENCE) == 0
        finally:
            run.kill()


def test_without_the_local_builder_nothing_starts(client, tmp_path, run_libdepot):
    state, runtime = (pathlib.Path(os.environ[name]) for name in ("LIBDEPOT_STATE_DIR", "LIBDEPOT_RUNTIME_DIR"))
    assert client.local_projects() == [] and client.local_stop() == 0
    assert run_libdepot("ls")[0].split() == ["PROJECT", "MACHINES", "BUILDS", "CACHE", "LAST", "USED"]
    assert not state.exists() and not runtime.exists()
    blob = state / "projects/p/amd64/root/blob"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(bytes(range(256)) * 1000)
    (project,) = client.local_projects()
    assert project.cache_size >= 256_000
    assert project.machines == (libdepot.LocalMachine("amd64", "stopped"),)
    assert client.local_stop("p") == 0
    assert client.local_reset("p") >= 256_000
    assert not runtime.exists() and list((state / "projects").iterdir()) == []


def test_when_the_local_builder_has_ended(builderd, client, context):
    large = context(LARGE)
    build(large, "p")
    builderd.process.stop()
    (project,) = client.local_projects()
    assert [machine.state for machine in project.machines] == ["stopped"] and project.cache_size > 25_000_000
    assert client.local_stop() == 0
    assert client.local_reset("p") > 25_000_000
    assert client.local_projects() == []


def test_arguments_and_cancel(builderd, client):
    for project in ("", "../p", "a b", ".trash-1"):
        for call in (client.local_projects, client.local_stop, client.local_reset):
            with pytest.raises(libdepot.InvalidArgumentError, match="project id"):
                call(project)
    cancel = libdepot.Cancel()
    cancel.trigger()
    for call in (client.local_projects, client.local_stop):
        with pytest.raises(libdepot.CanceledError):
            call(cancel=cancel)
    with pytest.raises(ValueError, match="positive"):
        client.local_projects(timeout=0)
    client.close()
    with pytest.raises(libdepot.FailedPreconditionError, match="closed"):
        client.local_projects()


def test_asyncio(builderd, context):
    async def main():
        async with libdepot.aio.Client(builder="local", project="p") as client:
            await client.build(context("FROM scratch\nCOPY Dockerfile /x\n"))
            listed, again = await asyncio.gather(client.local_projects(), client.local_projects("p"))
            stopped = await client.local_stop()
            return listed, again, stopped, await client.local_reset("p"), await client.local_projects()

    listed, again, stopped, freed, left = asyncio.run(main())
    assert [project.id for project in listed] == [project.id for project in again] == ["p"]
    assert stopped == 1 and freed > 0 and left == []


def test_the_command_line(builderd, client, context, run_libdepot):
    for project in ("p", "q"):
        build(context("FROM scratch\nCOPY Dockerfile /x\n", project), project)
    out, err = run_libdepot("ls")
    assert err == ""
    rows = [re.split(r" {3,}", line) for line in out.splitlines()]
    assert rows[0] == ["PROJECT", "MACHINES", "BUILDS", "CACHE", "LAST USED"]
    assert [row[0] for row in rows[1:]] == ["p", "q"]
    assert all(re.fullmatch(r"a\w+64 running", row[1]) and row[2] == "0" and re.fullmatch(r"[\d.]+[kM]B", row[3])
               and row[4].endswith(" ago") for row in rows[1:])
    lines = [json.loads(line) for line in run_libdepot("ls", "--format", "json")[0].splitlines()]
    projects = client.local_projects()
    assert [line["id"] for line in lines] == ["p", "q"]
    assert [line["directory"] for line in lines] == [project.directory for project in projects]
    assert lines[0]["machines"][0]["pid"] == projects[0].machines[0].pid
    assert lines[0]["machines"][0]["state"] == "running" and lines[0]["cacheSize"] > 4096
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", lines[0]["lastUsedAt"])

    assert "takes PROJECTs, or --all" in run_libdepot("stop", expect=2)[1]
    assert "takes PROJECTs, or --all" in run_libdepot("stop", "p", "--all", expect=2)[1]
    running = builderd.machines()
    assert run_libdepot("stop", "p", "nobody")[0] == "Stopped:\t1\n"
    assert run_libdepot("stop", "--all")[0] == "Stopped:\t1\n"
    assert all_end(running) and builderd.machines() == []

    refused = run_libdepot("reset", "p", expect=2)[1]
    assert "This will remove the build cache of project p." in refused and "use --yes" in refused
    no = subprocess.run([sys.executable, "-m", "libdepot", "reset", "p"], input="n\n", text=True, capture_output=True)
    assert (no.returncode, no.stdout) == (0, "") and len(client.local_projects()) == 2
    assert re.fullmatch(r"Total:\t[\d.]+[kM]B\n", run_libdepot("reset", "p", "-y")[0])
    assert re.fullmatch(r"Total:\t[\d.]+[kM]B\n", run_libdepot("reset", "q", "--force")[0])
    assert "no project q" in run_libdepot("reset", "q", "-y", expect=1)[1]

    with libdepot.Client(builder="local", project="p") as own, own.new_build() as held, held.acquire() as leased:
        leased.connect()
        for command in (["stop", "--all"], ["reset", "p", "--yes"]):
            assert "a build uses the machines of project p" in run_libdepot(*command, expect=1)[1]
        assert leased.workers()
