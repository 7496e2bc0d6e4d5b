"""Secrets: from everywhere they may come from, in the steps that mount them and nowhere else."""

import os
import tarfile
import threading

import pytest
from conftest import ROOTFS, outcome, tls_flags

import libdepot
from libdepot import Secret

LIMIT = 500 * 1024
# The mount has no part in the cache key: what a test sees must be its own run.
STEP = ROOTFS + "RUN --network=none --mount=type=secret,id=s,required=true cat /run/secrets/s > /seen\n"


@pytest.fixture
def seen(tls, context, tmp_path):
    """What a step reads as the secret "s"."""
    folder = context(STEP)

    def build(secrets, **fields):
        out = tmp_path / "out.tar"
        libdepot.build(folder, options=tls, secrets=secrets, no_cache=True, exports=[f"type=tar,dest={out}"], **fields)
        with tarfile.open(out) as archive:
            return archive.extractfile("seen").read()
    return build


@pytest.fixture
def refused(tls, context):
    """The error of a build that must not get as far as a builder."""
    folder = context(STEP, "refused")

    def build(secrets, kind=libdepot.Error):
        with pytest.raises(kind) as raised:
            libdepot.build(folder, options={**tls, "builder": "tcp://127.0.0.1:1"}, secrets=secrets)
        return raised.value
    return build


def test_bytes(seen):
    raw = bytes(range(256)) + b"\n \0"
    assert seen({"s": raw}) == raw
    assert seen({"s": b""}) == b""
    assert seen({"s": memoryview(b"view")}) == b"view"


def test_the_largest(seen, refused, tmp_path, monkeypatch):
    assert seen({"s": b"x" * LIMIT}) == b"x" * LIMIT
    large = tmp_path / "large"
    large.write_bytes(b"x" * (LIMIT + 1))
    for secrets in ({"s": b"x" * (LIMIT + 1)}, {"s": Secret.file(large)}, [f"id=s,src={large}"]):
        error = refused(secrets, libdepot.ResourceExhaustedError)
        assert '"s"' in error.message and str(LIMIT) in error.message and error.hop is libdepot.Hop.USAGE


def test_files_and_variables(seen, tmp_path, monkeypatch):
    file = tmp_path / "token"
    file.write_bytes(b" from a file\n")
    monkeypatch.setenv("TOKEN", "from a variable")
    monkeypatch.chdir(tmp_path)
    assert seen({"s": Secret.file(file)}) == b" from a file\n"
    assert seen({"s": Secret.file("token")}) == b" from a file\n"
    assert seen({"s": Secret.env("TOKEN")}) == b"from a variable"
    assert seen({"s": Secret.env("NO_SUCH_VARIABLE")}) == b""


@pytest.mark.parametrize("spec, expected", [
    ("id=s,src=token", b"file"), ("id=s,source=token", b"file"), ("ID=s,type=file,src=token", b"file"),
    ("id=s,env=TOKEN", b"variable"), ("id=s,type=env,src=TOKEN", b"variable"), ("id=s,type=env,env=TOKEN", b"variable"),
    ("id=s,src=nowhere,env=TOKEN", b"variable"), ('"id=s","src=a,b"', b"comma"),
])
def test_specs(seen, tmp_path, monkeypatch, spec, expected):
    (tmp_path / "token").write_bytes(b"file")
    (tmp_path / "a,b").write_bytes(b"comma")
    monkeypatch.setenv("TOKEN", "variable")
    monkeypatch.chdir(tmp_path)
    assert seen([spec]) == expected


def test_an_id_alone(seen, tmp_path, monkeypatch):
    """The variable of that name if there is one, else the file."""
    (tmp_path / "s").write_bytes(b"file")
    monkeypatch.chdir(tmp_path)
    assert seen(["id=s"]) == b"file"
    monkeypatch.setenv("s", "variable")
    assert seen(["id=s"]) == b"variable"


@pytest.mark.parametrize("spec", ["", "s", "src=x", "id=s,type=bytes", "id=s,uid=0", 'id=s,"src=x'])
def test_specs_that_mean_nothing(refused, spec):
    error = refused([spec], libdepot.InvalidArgumentError)
    assert error.hop is libdepot.Hop.USAGE and spec in error.message


def test_files_that_are_not(refused, tmp_path):
    error = refused({"s": Secret.file(tmp_path / "gone")}, libdepot.NotFoundError)
    assert error.hop is libdepot.Hop.LOCAL and '"s"' in error.message and "gone" in error.message
    assert "regular file" in refused({"s": Secret.file(tmp_path)}).message
    os.mkfifo(tmp_path / "pipe")
    error = refused([f"id=s,src={tmp_path / 'pipe'}"])
    assert "regular file" in error.message and "bytes" in error.hint


def test_an_id_that_is_given_twice(refused, tmp_path):
    assert '"s" is given twice' in refused(["id=s,src=x", "id=s,src=y"], libdepot.InvalidArgumentError).message


def test_a_function(seen):
    asked, threads = [], set()

    def give(name):
        asked.append(name)
        threads.add(threading.get_ident())
        return b"by function"

    assert seen({"s": give}, on_status=lambda status: threads.add(threading.get_ident())) == b"by function"
    assert asked == ["s"] and len(threads) == 1


def test_a_function_that_raises(seen):
    def give(name):
        raise KeyError("no vault")

    with pytest.raises(KeyError, match="no vault"):
        seen({"s": give})
    with pytest.raises(TypeError, match="bytes or None, not str"):
        seen({"s": lambda name: "text"})


def test_a_function_that_gives_too_much(seen):
    with pytest.raises(libdepot.ResourceExhaustedError) as raised:
        seen({"s": lambda name: b"x" * (LIMIT + 1)})
    assert '"s" is larger' in raised.value.message and raised.value.ranges[0].start_line == 3


def test_a_missing_one_is_told_with_its_line(seen, tls, context):
    for secrets in ({}, {"other": b"x"}, {"s": lambda name: None}):
        with pytest.raises(libdepot.NotFoundError) as raised:
            seen(secrets)
        error = raised.value
        assert error.hop is libdepot.Hop.SESSION and 'secret "s"' in error.message
        assert "--secret id=s" in error.hint
        assert [source.file for source in error.sources] == ["Dockerfile"] and error.ranges[0].start_line == 3
        assert "cat /run/secrets/s" in error.vertex_name


def test_an_optional_one_is_not_missed(tls, context):
    folder = context(ROOTFS + "RUN --mount=type=secret,id=s test ! -e /run/secrets/s\n")
    libdepot.build(folder, options=tls)
    libdepot.build(folder, options=tls, no_cache=True, secrets={"s": lambda name: None})


def test_a_file_that_goes_during_the_build(tls, context, tmp_path):
    file = tmp_path / "token"
    file.write_bytes(b"x")
    folder = context(ROOTFS + "RUN --mount=type=secret,id=first true\n"
                              "RUN --mount=type=secret,id=s cat /run/secrets/s\n")

    def first(name):
        file.unlink()
        return b""

    with pytest.raises(libdepot.FailedPreconditionError) as raised:
        libdepot.build(folder, options=tls, no_cache=True, secrets={"first": first, "s": Secret.file(file)})
    error = raised.value
    assert error.hop is libdepot.Hop.LOCAL and str(file) in error.message and 'secret "s"' in error.message
    assert error.ranges[0].start_line == 4


def test_no_error_and_no_repr_has_the_bytes(tls, context):
    folder = context(ROOTFS + "RUN --mount=type=secret,id=s exit 3\n")
    request = libdepot.SolveRequest(folder, secrets={"s": b"hush"})
    assert "hush" not in repr(request) and "hush" not in repr(Secret.env("hush".upper()))
    lines = []
    with libdepot.Client(**tls, on_log=lambda level, line: lines.append(line)) as client:
        with pytest.raises(libdepot.SolveError) as raised:
            client.build(request)
    assert "hush" not in str(raised.value) + repr(raised.value.details) + "".join(lines)


def test_wrong_types():
    with pytest.raises(TypeError, match="bytes, a Secret or a function, not str"):
        libdepot.build(".", secrets={"s": "text"})
    with pytest.raises(TypeError, match="list"):
        libdepot.SolveRequest(secrets="id=s")
    with pytest.raises(TypeError):
        Secret()


def test_through_depots_api(depot, api, context, tmp_path):
    folder = context(STEP)
    libdepot.build(folder, options=depot, secrets={"s": b"x"}, no_cache=True)
    assert outcome(api)[0] == "success"


def test_the_flag(run_libdepot, builder, context, tmp_path):
    (tmp_path / "token").write_bytes(b"by flag")
    folder = context(ROOTFS + "RUN --mount=type=secret,id=a --mount=type=secret,id=b "
                              "cat /run/secrets/a /run/secrets/b > /seen\n")
    run_libdepot("build", folder, *tls_flags(builder), "--no-cache", "--secret", f"id=a,src={tmp_path / 'token'}",
                 "--secret", "id=b,env=HOME", "--output", f"type=tar,dest={tmp_path / 'out.tar'}")
    with tarfile.open(tmp_path / "out.tar") as archive:
        assert archive.extractfile("seen").read() == b"by flag" + str(tmp_path / "home").encode()
    _, err = run_libdepot("build", folder, *tls_flags(builder), "--secret", "id=a,src=gone", expect=1)
    assert 'secret "a"' in err and "gone" in err
