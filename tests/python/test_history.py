"""The builds that a builder remembers."""

import json
import re
import shutil

import parts
import pytest
from conftest import HELLO, ROOTFS

import libdepot

GOOD = ROOTFS + "RUN echo it runs\n"
BAD = ROOTFS + "RUN echo it went wrong && exit 3\n"


@pytest.fixture(scope="module")
def remembered(tmp_path_factory):
    """A builder with three builds, the last of which failed."""
    folder = tmp_path_factory.mktemp("history")
    with parts.Buildkitd() as started:
        started.refs = []
        for number, (dockerfile, fields) in enumerate((
                (GOOD, {"labels": {"a": "b"}}),
                (GOOD.replace("scratch", "scratch AS app"), {
                    "target": "app", "build_args": {"X": "1"}, "provenance": "mode=min",
                    "exports": [f"type=oci,dest={folder}/image.tar"]}),
                (BAD, {}))):
            context = folder / str(number)
            context.mkdir()
            (context / "Dockerfile").write_text(dockerfile)
            shutil.copytree(HELLO / "rootfs", context / "rootfs", symlinks=True)
            try:
                result = libdepot.build(context, builder=started.unix, **fields)
                started.refs.append(result.ref)
            except libdepot.SolveError:
                assert dockerfile == BAD
        yield started


@pytest.fixture
def machine(remembered):
    with libdepot.Client(builder=remembered.unix) as client, client.new_build() as build, build.acquire() as leased:
        yield leased


def judge_of(builder):
    ran = builder.buildctl("debug", "histories", "--format", "{{json .}}")
    return {record["Ref"]: record for record in (json.loads(line)["record"] for line in ran.stdout.splitlines())}


def test_the_list_is_what_buildctl_says(remembered, machine):
    records, judge = machine.history(), judge_of(remembered)
    assert [record.ref for record in records[1:]] == remembered.refs[::-1] and len(records) == len(judge) == 3
    for record in records:
        theirs = judge[record.ref]
        assert record.attrs == theirs["FrontendAttrs"] and record.frontend == theirs["Frontend"] == "dockerfile.v0"
        assert record.total_steps == theirs["numTotalSteps"] > 0
        assert record.cached_steps == theirs.get("numCachedSteps", 0)
        assert record.exporter_response == theirs.get("ExporterResponse", {})
        assert record.completed > record.created > 1e18
        assert [blob.kind for blob in record.blobs][0] == "logs"
    failed, app, first = records
    assert (failed.state, app.state, first.state) == ("failed", "completed", "completed")
    assert failed.failure and "exit code: 3" in failed.failure.message and app.failure is None
    assert app.exporters == ("oci",)
    assert app.name == "app" and first.attrs["label:a"] == "b"


def test_limits_and_filters(remembered, machine):
    newest = machine.history(limit=1)
    assert [record.state for record in newest] == ["failed"]
    assert [record.ref for record in machine.history("status=completed")] == remembered.refs[::-1]
    assert machine.history(["status=completed", "status=error"]) == machine.history()
    assert machine.history("status=completed,duration>1h") == [] and machine.history("startedAt<1h") == []
    one = machine.history(ref=remembered.refs[0])
    assert [record.ref for record in one] == remembered.refs[:1]
    assert machine.history(active_only=True) == []
    with pytest.raises(libdepot.NotFoundError, match="no build 'nothing' is in the builder's history"):
        machine.history(ref="nothing")
    for bad in ("name=x", "status>1", "duration=1h"):
        with pytest.raises(libdepot.InvalidArgumentError):
            machine.history(bad)


def test_logs(remembered, machine):
    seen = []
    machine.history_logs(remembered.refs[0], seen.append)
    assert b"".join(log.data for status in seen for log in status.logs) == b"it runs\n"
    assert any(vertex.completed for status in seen for vertex in status.vertexes)
    with pytest.raises(libdepot.NotFoundError):
        machine.history_logs("nothing", seen.append)
    with pytest.raises(ZeroDivisionError):
        machine.history_logs(remembered.refs[0], lambda status: 1 // 0)
    with pytest.raises(libdepot.CallbackError):
        machine.history_logs(remembered.refs[0], lambda status: 5)


def test_what_a_build_left(remembered, machine):
    (app,) = machine.history(ref=remembered.refs[1])
    (provenance,) = [blob for blob in app.blobs if blob.kind == "attestation"]
    assert provenance.type.startswith("https://slsa.dev/provenance/")
    read = machine.read_blob(provenance.digest)
    assert len(read) == provenance.size and "runDetails" in json.loads(read)
    with pytest.raises(libdepot.NotFoundError):
        machine.read_blob("sha256:" + "0" * 64)
    with pytest.raises(libdepot.InvalidArgumentError):
        machine.read_blob("../etc/passwd")


def test_delete(context):
    with parts.Buildkitd() as started:
        ref = libdepot.build(context("FROM scratch\nCOPY Dockerfile /\n"), builder=started.unix).ref
        with libdepot.Client(builder=started.unix) as client, client.new_build() as build, build.acquire() as leased:
            machine_refs = [record.ref for record in leased.history()]
            assert machine_refs == [ref]
            leased.history_logs(ref, lambda status: None)
            (record,) = leased.history(ref=ref)
            leased.history_delete(ref)
            assert leased.history() == [] and judge_of(started) == {}
            with pytest.raises(libdepot.NotFoundError):
                leased.history_delete(ref)
            with pytest.raises(libdepot.NotFoundError):
                leased.read_blob(record.blobs[0].digest)  # gone from the disk, too


def test_the_command_line(run_libdepot, remembered):
    flags = ["--builder", remembered.unix]
    out, err = run_libdepot("history", "ls", *flags)
    rows = [re.split(r" {2,}", line) for line in out.splitlines()]
    assert rows[0] == ["BUILD ID", "NAME", "STATUS", "CREATED AT", "DURATION"] and err == ""
    assert re.findall(r"Error|Completed", out) == ["Error", "Completed", "Completed"] and " app " in out
    lines = [json.loads(line) for line in run_libdepot("history", "ls", "--format", "json", *flags)[0].splitlines()]
    assert [line["ref"] for line in lines[1:]] == remembered.refs[::-1]
    assert set(lines[0]) == {"ref", "name", "status", "created_at", "completed_at", "total_steps", "completed_steps",
                             "cached_steps"}
    assert run_libdepot("history", "ls", "--filter", "status=error", "--filter", "duration<1ns", *flags)[0].count(
        "\n") == 1

    shown = run_libdepot("history", "inspect", remembered.refs[1], *flags)[0]
    for line in (r"Ref:\t\t" + remembered.refs[1], r"Target:\t\tapp", r"Build Steps:\t\d/\d \(\d+% cached\)",
                 r"X\t\t?1"):
        assert re.search(f"(?m)^{line}$", shown), shown
    failed = json.loads(run_libdepot("history", "inspect", "--format", "json", *flags)[0])
    assert failed["Status"] == "failed" and "exit code: 3" in failed["Error"]["Message"]
    attached = run_libdepot("history", "inspect", "attachment", "^1", "--type", "provenance", *flags)[0]
    assert json.loads(attached)

    for command in (["logs"], ["history", "logs"]):
        out, err = run_libdepot(*command, *flags)
        assert out == "" and re.search(r"(?m)^#\d+ \d\.\d+ it went wrong$", err) and "ERROR: " in err
    raw = run_libdepot("logs", remembered.refs[0], "--progress", "rawjson", *flags)[1]
    assert any("vertexes" in json.loads(line) for line in raw.splitlines())
    assert "it runs" in run_libdepot("logs", "^2", *flags)[1]
    assert "none is ^3" in run_libdepot("logs", "^3", *flags, expect=1)[1]
    assert "no build 'nothing'" in run_libdepot("history", "rm", "nothing", *flags, expect=1)[1]
    assert "--all" in run_libdepot("history", "rm", *flags, expect=2)[1]


def test_rm_all(run_libdepot, context):
    with parts.Buildkitd() as started:
        for name in ("a", "b"):
            libdepot.build(context("FROM scratch\nCOPY Dockerfile /\n", name), builder=started.unix)
        run_libdepot("history", "rm", "--all", "--builder", started.unix)
        assert judge_of(started) == {}
