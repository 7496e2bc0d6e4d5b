"""What a build tells of itself afterwards: its steps as the builder counts them, its bytes and its parts."""

import dataclasses
import json
import os
import re
import subprocess

import parts
import pytest
from conftest import tls_flags

import libdepot
from libdepot._cli.main import main

COPY = "FROM scratch\nCOPY big /\nCOPY Dockerfile /other/\n"


@pytest.fixture
def folder(context):
    made = context(COPY)
    (made / "big").write_bytes(os.urandom(100_000))
    (made / "not-copied").write_bytes(b"x" * 5000)
    return made


def test_steps_are_those_of_the_builders_history(tls, folder):
    for round_ in range(2):
        with libdepot.Client(**tls) as client, client.new_build() as build, build.acquire() as machine:
            result = machine.solve(libdepot.SolveRequest(context=folder, exports=["type=oci,dest=/dev/null"]))
            (record,) = machine.history(ref=result.ref)
        stats = result.stats
        assert (stats.steps, stats.cached_steps, stats.completed_steps) == (
            record.total_steps, record.cached_steps, record.completed_steps), round_
    assert stats.cached_steps >= 2


def test_bytes_that_were_moved(tls, folder, tmp_path):
    image = tmp_path / "image.tar"
    first = libdepot.build(folder, options=tls, exports=[f"type=oci,dest={image}"]).stats
    assert first.context_files >= 2  # the Dockerfile and what it copies
    assert 100_000 <= first.context_bytes <= first.sent_bytes < 105_000
    assert first.context_entries >= first.context_files
    assert first.export_bytes == image.stat().st_size
    again = libdepot.build(folder, options=tls, exports=["type=local,dest=" + str(tmp_path / "out")]).stats
    assert again.context_bytes < 1000 and again.export_bytes == 100_000 + len(COPY)


def test_parts_of_the_time(depot, tls, folder, registry):
    name = f"{registry.host}/{os.urandom(4).hex()}"
    stats = libdepot.build(folder, options=depot,
                           exports=[f"type=image,name={name},push=true,registry.insecure=true"]).stats
    assert stats.acquire > 0 and stats.connect > 0
    assert stats.solve > stats.export > stats.push > 0 and stats.context > 0
    with libdepot.Client(**tls) as client, client.new_build() as build, build.acquire() as machine:
        machine.connect()
        stats = machine.solve(libdepot.SolveRequest(context=folder)).stats
    assert stats.acquire == 0 and stats.export == stats.push == 0 and stats.export_bytes == 0


def test_the_flags(builder, folder, capsys):
    assert main(["build", *tls_flags(builder), "--progress", "none", "--stats", "--list-context", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(r"^Time: acquire \d+\.\d\ds, connect \d+\.\d\ds, solve \d+\.\d\ds( \(context [^)]*\))?$",
                     err, re.M)
    assert re.search(r"^Steps: \d+, \d+ cached\nSent: 100kB in \d+ of \d+ entries; received: 0B\n"
                     r"Sent 100kB in \d+ of 3 files, largest first; \"=\": the builder had it\n"
                     r"   100kB   big\n", err, re.M)
    assert re.search(r"^ +48B [ =] Dockerfile  \(dockerfile\)$", err, re.M)


def test_a_context_file_that_cannot_be_read(folder, tmp_path, capsys):
    for flags, message in ((["--context-file", "a=" + str(tmp_path / "none")], "--context-file .*none: No such file"),
                           (["--context-file", "a"], "needs PATH=FILE"),
                           (["--context-file", "a=/dev/null", "--context-file", "a=/dev/null"], "gives a twice"),
                           (["--ignorefile", str(tmp_path)], "--ignorefile .*: Is a directory")):
        assert main(["build", *flags, str(folder)]) == 2
        assert re.search(message, capsys.readouterr().err)


def metadata_of_both(builder, words, tmp_path):
    """Our metadata file and buildx's, of the same build."""
    ours, theirs = tmp_path / "ours.json", tmp_path / "theirs.json"
    assert main(["build", "--builder", builder.unix, "--metadata-file", str(ours), *words]) == 0
    for argv in (["create", "--name", "judge", "--driver", "remote", builder.unix],
                 ["build", "--builder", "judge", "--metadata-file", str(theirs), *words]):
        ran = subprocess.run([parts.buildx(), *argv], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
    return ours, theirs


@pytest.mark.parametrize("version", ["true", "mode=max,version=v1", "mode=max,version=v0.2"])
@pytest.mark.parametrize("detail", ["", "max"])
def test_the_provenance_in_the_metadata_is_buildxs(plain_builder, folder, tmp_path, monkeypatch, version, detail):
    """What names the build itself is left out: its reference, its times, what the builder measured."""
    monkeypatch.setenv("BUILDX_CONFIG", str(tmp_path / "buildx"))
    monkeypatch.setenv("BUILDX_METADATA_PROVENANCE", detail)
    words = ["--progress", "plain", "--provenance", version, "--output", "type=oci,dest=/dev/null", str(folder)]
    ours, theirs = metadata_of_both(plain_builder, words, tmp_path)

    def read(path):
        whole = json.loads(path.read_text())
        provenance = whole["buildx.build.provenance"]
        metadata = provenance.get("metadata", {})
        for name in ("buildInvocationID", "buildStartedOn", "buildFinishedOn"):
            assert metadata.pop(name, "") or not detail
        if metadata:  # what the builder measured, and the digests of steps that name the session
            measured = metadata["https://mobyproject.org/buildkit@v1#metadata"]
            measured.pop("sysUsage", None)
            measured.pop("source", None)
        steps = provenance.get("buildConfig", {})
        if steps:
            provenance["buildConfig"] = sorted(steps), len(steps["llbDefinition"])
        return provenance

    assert read(ours) == read(theirs)
    assert ("buildConfig" in read(ours)) == (detail == "max")


@pytest.mark.parametrize("asked", ["1", "true", "", "no"])
def test_the_warnings_in_the_metadata_are_buildxs(plain_builder, folder, tmp_path, monkeypatch, asked):
    monkeypatch.setenv("BUILDX_CONFIG", str(tmp_path / "buildx"))
    monkeypatch.setenv("BUILDX_METADATA_PROVENANCE", "disabled")
    monkeypatch.setenv("BUILDX_METADATA_WARNINGS", asked)
    (folder / "Dockerfile").write_text("from scratch as x\nCOPY big /\nENV name value\n")
    words = ["--progress", "plain", "--output", "type=oci,dest=/dev/null", str(folder)]
    ours, theirs = metadata_of_both(plain_builder, words, tmp_path)

    def read(path):
        text = re.sub(r"sha256:[0-9a-f]{64}", "a digest", path.read_text())  # the session is in it
        warnings = json.loads(text).get("buildx.build.warnings")
        for warning in warnings or ():
            assert warning["sourceInfo"].pop("definition")["def"]
        return warnings and sorted(warnings, key=lambda one: one["short"])

    assert read(ours) == read(theirs)
    assert len(read(ours) or ()) == (2 if asked in ("1", "true") else 0)
    assert list(json.loads(ours.read_text())) == sorted(json.loads(ours.read_text()))


def test_the_metadata_has_what_buildxs_has(plain_builder, folder, tmp_path, monkeypatch, run_libdepot):
    monkeypatch.setenv("BUILDX_CONFIG", str(tmp_path / "buildx"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    words = ["--progress", "plain", "--provenance", "false", "--output", "type=oci,dest=/dev/null", str(folder)]
    ours, theirs = (json.loads(path.read_text()) for path in metadata_of_both(plain_builder, words, tmp_path))
    assert theirs.pop("buildx.build.ref").startswith("judge/judge0/")
    ref = ours.pop("buildx.build.ref")
    assert re.fullmatch(r"remote/(amd64|arm64)/[0-9a-z]{25}", ref)
    for metadata in (ours, theirs):  # what names the build itself
        metadata.pop("buildx.build.provenance")
    assert ours == theirs and "containerimage.digest" in ours

    found = json.loads(run_libdepot("history", "inspect", ref, "--format", "json", "--builder", plain_builder.unix)[0])
    assert found["Ref"] == ref.rpartition("/")[2]
    run_libdepot("history", "rm", ref, "--builder", plain_builder.unix)
    assert "no build" in run_libdepot("history", "inspect", ref, "--builder", plain_builder.unix, expect=1)[1]


def test_a_call_is_no_build_to_come_back_to(plain_builder, folder):
    request = libdepot.SolveRequest(context=folder, call="outline")
    with libdepot.Client(builder=plain_builder.unix) as client, client.new_build() as build, build.acquire() as machine:
        assert "buildx.build.ref" not in machine.solve(request).metadata
        assert "buildx.build.ref" in machine.solve(dataclasses.replace(request, call="build")).metadata


def test_attestations_that_a_build_made(tls, folder):
    with libdepot.Client(**tls) as client, client.new_build() as build, build.acquire() as machine:
        request = libdepot.SolveRequest(context=folder, provenance=True, exports=["type=oci,dest=/dev/null"])
        plain = machine.solve(request)
        assert plain.attestations == () and "buildx.build.provenance" not in plain.metadata
        result = machine.solve(dataclasses.replace(request, record_provenance="min"))
        (made,) = result.attestations
        assert made.type.startswith("https://slsa.dev/provenance/") and made.platform == ""
        predicate = machine.read_blob(made.digest)
        assert len(predicate) == made.size and json.loads(predicate)
        assert result.metadata["buildx.build.provenance"]["buildType"] == "https://mobyproject.org/buildkit@v1"
        with pytest.raises(libdepot.InvalidArgumentError, match="'min' or 'max'"):
            machine.solve(dataclasses.replace(request, record_provenance="some"))
