"""The builder's books on real builders: workers, disk usage, prune; old ones say what they lack."""

import json
import re
import subprocess
import sys

import parts
import pytest

import libdepot
import libdepot.aio

SMALL = "FROM scratch\nCOPY Dockerfile /x\n"


@pytest.fixture
def own(context):
    """A builder of the test's own, which has built something."""
    with parts.Buildkitd() as started:
        started.built = libdepot.build(context(SMALL + "ENV A=1\n", "own"), builder=started.unix,
                                       exports=["type=oci,dest=/dev/null"])
        yield started


@pytest.fixture
def machine(own):
    with libdepot.Client(builder=own.unix) as client, client.new_build() as build, build.acquire() as leased:
        yield leased


def theirs(builder, *arguments):
    ran = builder.buildctl(*arguments, "--format", "{{json .}}")
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_workers_and_info_are_what_buildctl_says(own, machine):
    (ours,), (judge,) = machine.workers(), theirs(own, "debug", "workers")
    assert ours.id == judge["id"] and ours.labels == judge["labels"]
    assert ours.platforms[0] == f"{judge['platforms'][0]['os']}/{judge['platforms'][0]['architecture']}"
    assert len(ours.platforms) == len(judge["platforms"])
    assert ours.buildkit_version == judge["buildkitVersion"]["version"]
    assert len(ours.gc_policies) == len(judge["gcPolicy"] or [])
    assert machine.workers(f"id=={ours.id}") == [ours] and machine.workers(["id==other"]) == []
    assert machine.info() == libdepot.BuilderInfo(ours.buildkit_version, ours.buildkit_package,
                                                  ours.buildkit_revision, ours.dockerfile_version)


def test_rules_of_the_clean_up():
    with parts.Buildkitd(args=("--oci-worker-gc", "--oci-worker-gc-keepstorage", "5000")) as started:
        with libdepot.Client(builder=started.unix) as client, client.new_build() as build, build.acquire() as leased:
            (worker,) = leased.workers()
        judge = theirs(started, "debug", "workers")[0]["gcPolicy"]
    assert [policy.all for policy in worker.gc_policies] == [rule["all"] for rule in judge]
    assert [policy.keep_duration * 1e9 for policy in worker.gc_policies] == [rule["keepDuration"] for rule in judge]
    assert [list(policy.filters) for policy in worker.gc_policies] == [rule["filter"] or [] for rule in judge]
    assert any(policy.filters for policy in worker.gc_policies) and worker.gc_policies[-1].all


def judged(record):
    return {"id": record.id, "mutable": record.mutable, "inUse": record.in_use, "size": record.size,
            "usageCount": record.usage_count, "parents": list(record.parents) or None,
            "description": record.description, "recordType": record.type, "shared": record.shared}


def test_disk_usage_is_what_buildctl_says(own, machine):
    ours, judge = machine.disk_usage(), theirs(own, "du")
    assert [judged(record) for record in ours.records] == [
        {key: entry[key] for key in judged(ours.records[0])} for entry in judge]
    assert ours.total == sum(entry["size"] for entry in judge) > 0
    assert all(record.created > 1e18 for record in ours.records)
    assert {record.type for record in ours.records} >= {"regular", "source.local"}


def test_filters(machine):
    kinds = {record.type for record in machine.disk_usage(["type=source.local"]).records}
    assert kinds == {"source.local"} == {record.type for record in machine.disk_usage("type==source.local").records}
    either = machine.disk_usage(["type=source.local", "type=regular"])
    assert {record.type for record in either.records} == {"source.local", "regular"}
    assert machine.disk_usage("type=source.local,type=regular").records == ()
    everything = machine.disk_usage().records
    split = [machine.disk_usage(f"mutable={value}").records for value in ("true", "false")]
    assert len(split[0]) + len(split[1]) == len(everything) and all(record.mutable for record in split[0])
    assert machine.disk_usage("until=24h").records == ()
    for bad in ("until=soon", "inuse=false", 'id=="', "=regular"):
        with pytest.raises(libdepot.InvalidArgumentError):
            machine.disk_usage(bad)


def test_prune(own, machine):
    before = machine.disk_usage()
    assert machine.prune("until=24h") == 0
    assert machine.disk_usage() == before
    heard = []
    freed = machine.prune("type=source.local", on_record=heard.append)
    assert freed == sum(record.size for record in heard) > 0
    assert {record.id for record in heard} == {record.id for record in before.records if record.type == "source.local"}
    assert machine.prune(reserved_space="10GB", max_used_space="10GB") == 0
    assert machine.prune(all=True) > 0
    assert theirs(own, "du") in (None, [])


def test_a_callback_ends_a_prune(machine):
    with pytest.raises(ZeroDivisionError):
        machine.prune("type=source.local", on_record=lambda record: 1 // 0)
    with pytest.raises(libdepot.CallbackError) as caught:
        machine.prune("type=regular", all=True, on_record=lambda record: 7)
    assert caught.value.user_code == 7


def test_numbers_that_cannot_be_right(machine):
    for wrong in ({"reserved_space": -1}, {"max_used_space": "ten"}, {"min_free_space": "1 parsec"}):
        with pytest.raises(libdepot.InvalidArgumentError):
            machine.prune(**wrong)
    with pytest.raises(libdepot.CanceledError):
        cancel = libdepot.Cancel()
        cancel.trigger()
        machine.disk_usage(cancel=cancel)


def test_asyncio(own):
    import asyncio

    async def main():
        async with libdepot.aio.Client(builder=own.unix) as client, await client.new_build() as build:
            async with await build.acquire() as leased:
                workers, info, usage = await asyncio.gather(leased.workers(), leased.info(), leased.disk_usage())
                records = await leased.history()
                seen = []
                await leased.history_logs(records[0].ref, seen.append)
                await leased.read_blob(records[0].blobs[0].digest)
                await leased.history_delete(records[0].ref)
                freed = await leased.prune(all=True)
                return workers, info, usage, seen, await leased.history(), freed

    workers, info, usage, seen, left, freed = asyncio.run(main())
    assert workers[0].buildkit_version == info.version
    assert usage.records and any(status.vertexes for status in seen) and left == [] and freed > 0


def test_a_question_is_no_failed_build(api, depot):
    with libdepot.Client(**depot) as client, client.new_build() as build, build.acquire() as leased:
        assert leased.workers()
    (finish,) = api.calls("FinishBuild", at_least=1)
    assert "success" in finish["fields"]


@pytest.mark.parametrize("version", ["v0.13", "v0.20"])
def test_older_builders(version, context):
    with parts.Buildkitd(version=version) as started:
        ref = libdepot.build(context(SMALL), builder=started.unix, exports=["type=oci,dest=/dev/null"]).ref
        with libdepot.Client(builder=started.unix) as client, client.new_build() as build, build.acquire() as leased:
            assert leased.info().version.startswith(version) and leased.workers()[0].buildkit_version
            assert leased.disk_usage().records
            with pytest.raises(libdepot.FailedPreconditionError, match=r"since 0\.22, and it is 0\.") as caught:
                leased.disk_usage("until=1h")
            assert caught.value.hop == libdepot.Hop.MACHINE and caught.value.hint
            assert [record.ref for record in leased.history(limit=1)] == [ref]
            if version == "v0.13":
                with pytest.raises(libdepot.FailedPreconditionError, match=r"since 0\.17, and it is 0\.13"):
                    leased.prune(max_used_space=1)
                with pytest.raises(libdepot.FailedPreconditionError, match=r"since 0\.20, and it is 0\.13"):
                    leased.history("status=error")
            else:
                assert leased.prune(max_used_space="1GB") == 0
                assert leased.history("status=error") == []
            leased.history_delete(ref)
            assert leased.history() == []
            assert leased.prune(all=True) > 0 and leased.disk_usage().total == 0


def words(text):
    return [line.split() for line in text.splitlines()]


def test_the_command_line(run_libdepot, own):
    flags = ["--builder", own.unix]
    out, err = run_libdepot("du", *flags)
    assert err == "" and out.startswith("ID                           RECLAIMABLE   SIZE ")
    rows = words(out)
    assert rows[0] == ["ID", "RECLAIMABLE", "SIZE", "LAST", "ACCESSED"] and len(rows[1][0].rstrip("*")) == 25
    assert re.fullmatch(r"(?s).*^Reclaimable:\t[\d.]+k?B\nTotal:\t\t[\d.]+k?B\n", out, re.M)
    judge = theirs(own, "du")
    lines = [json.loads(line) for line in run_libdepot("du", "--format", "json", *flags)[0].splitlines()]
    assert [line["id"] for line in lines] == [entry["id"] for entry in judge]
    for entry in lines + judge:
        entry.update({key: value or None for key, value in entry.items()})
    assert lines == judge
    verbose = run_libdepot("du", "--verbose", "--filter", "type=source.local", *flags)[0]
    assert set(re.findall(r"(?m)^Type: +(\S+)$", verbose)) == {"source.local"} and "Total:" not in verbose
    assert run_libdepot("debug", "workers", *flags)[0] == own.buildctl("debug", "workers").stdout
    assert run_libdepot("debug", "info", *flags)[0] == own.buildctl("debug", "info").stdout
    details, judged_details = (
        run_libdepot("debug", "workers", "--verbose", *flags)[0], own.buildctl("debug", "workers", "-v").stdout)
    assert [line for line in words(details) if line] == [line for line in words(judged_details) if line]

    refused = run_libdepot("prune", *flags, expect=2)[1]
    assert "WARNING! This will remove all dangling build cache." in refused and "use --force" in refused
    no = subprocess.run([sys.executable, "-m", "libdepot", "prune", *flags], input="n\n", text=True,
                        capture_output=True)
    assert (no.returncode, no.stdout) == (0, "") and len(theirs(own, "du")) == len(judge)
    assert run_libdepot("prune", "--force", "--reserved-space", "10GB", *flags)[0] == "Total:\t0B\n"
    out = run_libdepot("prune", "--force", "--all", *flags)[0]
    assert words(out)[0] == ["ID", "RECLAIMABLE", "SIZE", "LAST", "ACCESSED"] and len(words(out)) == len(judge) + 2
    assert re.search(r"(?m)^Total:\t[\d.]+k?B\n\Z", out) and theirs(own, "du") in (None, [])
    assert "is not a size" in run_libdepot("prune", "--max-used-space", "much", *flags, expect=1)[1]


def test_a_builder_that_is_not_there(run_libdepot, tmp_path):
    for command in (["du"], ["prune", "-f"], ["debug", "info"], ["history", "ls"], ["logs"]):
        err = run_libdepot(*command, "--builder", f"unix://{tmp_path}/none.sock", "--timeout", "1s", expect=1)[1]
        assert err.startswith("ERROR: ") and "none.sock" in err
