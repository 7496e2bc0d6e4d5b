"""The command line on a real builder."""

import io
import json
import os
import pty
import re
import subprocess
import sys
import tarfile

import pytest
from conftest import HELLO, ROOTFS, outcome, tls_flags

from libdepot._cli.main import write_file

SMALL = "FROM scratch\nCOPY Dockerfile /x\n"


def test_hello_to_a_file_with_plain_progress(run_libdepot, builder, tmp_path):
    out, err = run_libdepot("build", HELLO, "--output", f"type=oci,dest={tmp_path / 'hello.tar'}", "--progress",
                            "plain", "--no-cache", "--metadata-file", tmp_path / "meta.json", "--iidfile",
                            tmp_path / "iid", *tls_flags(builder))
    assert out == ""
    assert re.search(r"(?m)^#1 \[internal\] load build definition from Dockerfile$", err)
    assert re.search(r"(?m)^#\d+ \d+\.\d{1,3} it greets world$", err)
    assert re.search(r"(?m)^#\d+ DONE \d+\.\ds$", err)
    digest = (tmp_path / "iid").read_text()
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)
    meta = json.loads((tmp_path / "meta.json").read_text())
    assert meta["containerimage.digest"] == digest == meta["containerimage.descriptor"]["digest"]
    with tarfile.open(tmp_path / "hello.tar") as archive:
        assert json.load(archive.extractfile("index.json"))["manifests"][0]["digest"] == digest
    again = run_libdepot("build", HELLO, "--progress", "plain", *tls_flags(builder))[1]
    assert re.search(r"(?m)^#\d+ CACHED$", again)


def test_a_file_that_is_not_ours_is_not_written_through(tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    target = folder / "target"
    target.write_text("precious")
    planted = folder / f"iid.{os.getpid()}.tmp"
    planted.symlink_to(target)
    with pytest.raises(FileExistsError):
        write_file(str(folder / "iid"), "sha256:")
    assert target.read_text() == "precious" and planted.is_symlink()
    planted.unlink()
    write_file(str(folder / "iid"), "sha256:")
    assert sorted(os.listdir(folder)) == ["iid", "target"]


def test_a_file_that_cannot_be_written_has_the_name_that_was_given(tmp_path):
    for given in (tmp_path / "none/iid", tmp_path):
        with pytest.raises(OSError) as raised:
            write_file(str(given), "sha256:")
        assert raised.value.filename == str(given) and ".tmp" not in str(raised.value)
    assert os.listdir(tmp_path) == ["home"]


@pytest.mark.parametrize("given", ["-", "type=tar"])
def test_to_standard_output(builder, context, libdepot_command, given):
    process = libdepot_command("build", context(SMALL), "-o", given, *tls_flags(builder), text=False)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    with tarfile.open(fileobj=io.BytesIO(out)) as archive:
        assert archive.getnames() == ["x"]


def test_quiet_prints_the_digest_alone(run_libdepot, builder, registry, context):
    out, err = run_libdepot("build", context(SMALL), "--progress", "quiet", "--push", "-t",
                            f"{registry.host}/cli/quiet", *tls_flags(builder))
    assert re.fullmatch(r"sha256:[0-9a-f]{64}\n", out) and err == ""


def test_quiet_with_an_output_on_standard_output(builder, context, libdepot_command):
    """The output alone is there, as docker buildx has it, and the digest nowhere."""
    where = context(SMALL)
    for given, member in (("type=tar", "x"), ("type=oci", "index.json")):
        process = libdepot_command("build", where, "-q", "-o", given, *tls_flags(builder), text=False)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0 and err == b"", err
        assert out.endswith(bytes(512))  # a tar's end
        with tarfile.open(fileobj=io.BytesIO(out)) as archive:
            assert member in archive.getnames()


def test_rawjson_is_buildctls(run_libdepot, builder, context):
    folder = context(ROOTFS + "RUN echo it runs\n")
    ours = [json.loads(line) for line in
            run_libdepot("build", folder, "--progress", "rawjson", *tls_flags(builder))[1].splitlines()]
    ran = builder.buildctl("build", "--progress=rawjson", "--frontend", "dockerfile.v0", "--local",
                           f"context={folder}", "--local", f"dockerfile={folder}")
    theirs = [json.loads(line) for line in ran.stderr.splitlines()]

    def shape(batches):
        found = {}
        for batch in batches:
            for kind, items in batch.items():
                for item in items or ():
                    found.setdefault(kind, set()).update(item)
        return found

    def steps(batches):
        return {v["name"] for b in batches for v in b.get("vertexes") or ()}  # digests are of each session

    assert steps(ours) == steps(theirs) and steps(ours)
    for kind in ("vertexes", "statuses"):
        unknown = shape(ours)[kind] ^ shape(theirs)[kind]
        assert unknown <= {"cached", "error", "inputs", "total", "current", "completed", "started"}, unknown


def test_a_failure_shows_the_lines_and_the_log(run_libdepot, builder, context):
    folder = context(ROOTFS + "RUN echo it went wrong && exit 3\n")
    out, err = run_libdepot("build", folder, "--progress", "plain", *tls_flags(builder), expect=1)
    assert out == ""
    assert re.search(r"(?m)^#\d+ ERROR: process .* exit code: 3$", err)
    assert re.search(r"(?ms)^------\n > \[2/2\] RUN .*:\n\d\.\d+ it went wrong\n------$", err)
    assert re.search(r"(?m)^Dockerfile:3$", err)
    assert re.search(r"(?m)^   3 \| >>> RUN echo it went wrong && exit 3$", err)
    assert re.search(r"(?m)^ERROR: .*exit code: 3", err)


def test_a_terminal_sees_it_live(builder, context):
    folder = context(ROOTFS + "RUN echo it runs\n")
    ours, theirs = pty.openpty()
    argv = [sys.executable, "-m", "libdepot", "build", str(folder), *tls_flags(builder)]
    with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"}) as run:
        os.close(theirs)
        seen = b""
        while True:
            try:
                data = os.read(ours, 10000)
            except OSError:  # the other side is closed
                break
            if not data:
                break
            seen += data
        assert run.wait(60) == 0, seen
    os.close(ours)
    text = seen.decode(errors="replace")
    assert re.search(r"\[\+\] Building \d+\.\ds \(\d+/\d+\) FINISHED", text)
    assert re.search(r"=> (CACHED )?\[2/2\] RUN echo it runs", text)


def test_depot_with_a_token_of_the_environment(run_libdepot, api, context):
    env = {**os.environ, "DEPOT_API_URL": api.url, "DEPOT_TOKEN": "the-token", "DEPOT_PROJECT_ID": "p1"}
    out, err = run_libdepot("build", context(SMALL), "--progress", "plain", env=env)
    assert "the-token" not in out + err
    assert "WARNING: no output was named" in err
    assert outcome(api)[0] == "success"


def test_what_is_kept_nowhere_is_warned_of(run_libdepot, builder, registry, context, tmp_path):
    """Also when it has a name, as docker buildx does: that keeps nothing."""
    where, name = context(SMALL), f"{registry.host}/cli/kept"

    def warning(*flags):
        err = run_libdepot("build", where, "--progress", "plain", *flags, *tls_flags(builder))[1]
        return [line for line in err.splitlines() if line.startswith("WARNING")]

    expected = ["WARNING: no output was named: the result stays in the builder's cache. To keep it, use --push, "
                "--load or --output"]
    assert warning() == warning("-t", name) == expected
    assert warning("-t", name, "--push") == warning("-o", f"type=oci,dest={tmp_path / 'x.tar'}") == []
    assert warning("--check") == []


def test_a_refused_token_is_named_nowhere(run_libdepot, api, context):
    env = {**os.environ, "DEPOT_API_URL": api.url}
    out, err = run_libdepot("build", context(SMALL), "--token", "s3cret", "--project", "p1", env=env, expect=1)
    assert err.startswith("ERROR: ") and "s3cret" not in out + err


def test_auto_takes_the_host_of_the_environment(run_libdepot, plain_builder, context):
    run_libdepot("build", context(SMALL), "--progress", "quiet",
                 env={**os.environ, "BUILDKIT_HOST": plain_builder.unix})


def test_when_nothing_fits_the_error_says_what_was_tried(run_libdepot, context, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    env = {**os.environ, "PATH": str(empty), "LIBDEPOT_ENGINE_DIR": str(empty)}
    out, err = run_libdepot("build", context(SMALL), env=env, expect=1)
    assert err.startswith("ERROR: ")
    for word in ("DEPOT_TOKEN", "BUILDKIT_HOST", "buildkitd"):
        assert word in err, err


def test_wrong_usage(run_libdepot, context):
    assert run_libdepot("build", expect=2)[1].startswith("ERROR: ")
    assert run_libdepot("build", "--nonsense", ".", expect=2)[1].startswith("ERROR: unknown flag: --nonsense")
    assert "libdepot 0.1.0" in run_libdepot("--version")[0]
    folder = context(SMALL)
    assert "type" in run_libdepot("build", folder, "-o", "dest=x", "--builder", "local", expect=1)[1]
    missing = run_libdepot("build", folder / "missing", "--builder", "local", expect=1)[1]
    assert missing.startswith("ERROR: ") and "missing" in missing
