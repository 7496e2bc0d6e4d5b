"""Exports that cannot be made: of disks, of destinations, of builders and registries that fail on the way.
Nothing half-written is left, what was there before still is, and the error says which of several it was."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time

import parts
import pytest
from conftest import HELLO, HERE

import libdepot

COPY = "FROM scratch\nCOPY files /files\n"


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("export", ["type=tar,dest={}/out", "type=docker,dest={}/out", "type=local,dest={}/out",
                                    "type=oci,tar=false,dest={}/out"])
def test_a_full_disk(tls, small_disk, export):
    """Also of a directory, where what was written before it was full stays, as whole files."""
    with pytest.raises(libdepot.ResourceExhaustedError) as raised:
        libdepot.build(HELLO, options=tls, exports=[export.format(small_disk)])
    assert raised.value.hop is libdepot.Hop.LOCAL and "No space left" in raised.value.message
    assert str(small_disk) in raised.value.message
    left = [path for path in small_disk.rglob("*") if path.is_file()]
    if "local" not in export and "tar=false" not in export:
        assert left == []
    assert all(path.stat().st_size < 64 << 10 for path in left)
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    libdepot.build(HELLO, options=tls, exports=[export.format(small_disk)])


@pytest.fixture
def read_only(tmp_path):
    folder = tmp_path / "read-only"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("export", ["type=tar,dest={}/out", "type=local,dest={}/out", "type=oci,tar=false,dest={}/out"])
def test_a_destination_that_cannot_be_written(read_only, export):
    """Known before anybody is asked: nobody listens there."""
    with pytest.raises(libdepot.Error) as raised:
        libdepot.build(HELLO, builder="tcp://127.0.0.1:1", exports=[export.format(read_only)])
    assert raised.value.hop is libdepot.Hop.LOCAL, raised.value
    assert str(read_only) in raised.value.message and "Read-only file system" in raised.value.message


@pytest.mark.parametrize("flag", ["--metadata-file", "--iidfile"])
def test_a_result_that_cannot_be_written(read_only, tmp_path, run_libdepot, flag):
    """Known before anybody is asked, and told by the name as it was given."""
    (tmp_path / "file").write_text("precious")
    for given, why in (("none/out", "none is no directory"), ("file/out", "file is no directory"),
                       (read_only, "is a directory"), ("read-only/out", "read-only cannot be written to")):
        err = run_libdepot("build", HELLO, flag, given, "--builder", "tcp://127.0.0.1:1", expect=2, cwd=tmp_path)[1]
        assert err == f"ERROR: {flag} {given}: {why}\n"
    assert (tmp_path / "file").read_text() == "precious"


def test_a_destination_of_the_wrong_kind(tmp_path):
    (tmp_path / "file").write_text("")
    for export, message in ((f"type=local,dest={tmp_path}/file", "file.*[Nn]ot a directory"),
                            (f"type=oci,tar=false,dest={tmp_path}/file", "file.*[Nn]ot a directory"),
                            (f"type=tar,dest={tmp_path}", "is a directory"),
                            (f"type=oci,dest={tmp_path}/file/below", "file.*[Nn]ot a directory")):
        with pytest.raises(libdepot.Error) as raised:
            libdepot.build(HELLO, builder="tcp://127.0.0.1:1", exports=[export])
        assert raised.value.hop in (libdepot.Hop.LOCAL, libdepot.Hop.USAGE), export
        assert re.search(message, raised.value.message), raised.value.message
    assert (tmp_path / "file").read_text() == ""


def test_a_builder_that_stops_while_it_sends_a_file(tmp_path, context):
    folder = context(COPY)
    (folder / "files").mkdir()
    (folder / "files/big").write_bytes(os.urandom(64 << 20))
    image = tmp_path / "image.tar"
    image.write_text("the old one")
    seen = []
    with parts.Buildkitd() as builder:
        def kill(data):
            if not seen:
                builder.process.kill()
            seen.append(len(data))

        with pytest.raises(libdepot.UnavailableError) as raised:
            libdepot.build(folder, builder=builder.endpoint,
                           exports=[libdepot.Export("oci", dest=image), libdepot.Export("tar", kill)])
    assert seen and 0 not in seen, "the end of an export that has not ended"
    assert raised.value.hop is libdepot.Hop.MACHINE and raised.value.retryable
    assert image.read_text() == "the old one"
    assert {path.name for path in tmp_path.iterdir()} == {"image.tar", "home", "context"}


def test_a_builder_that_stops_while_it_sends_a_directory(tmp_path, context):
    folder = context(COPY)
    (folder / "files").mkdir()
    for number in range(1500):
        (folder / f"files/{number}").write_bytes(os.urandom(1 << 16))
    out = tmp_path / "out"
    with parts.Buildkitd() as builder:
        def kill():
            # BuildKit sends four files at a time: of twenty some are whole.
            while not (out / "files").is_dir() or len(list((out / "files").iterdir())) < 20:
                if over.wait(0.001):
                    return
            builder.process.kill()

        over = threading.Event()
        watcher = threading.Thread(target=kill)
        watcher.start()
        try:
            with pytest.raises(libdepot.UnavailableError) as raised:
                libdepot.build(folder, builder=builder.endpoint, exports=[f"type=local,dest={out}"])
        finally:
            over.set()
            watcher.join()
    assert raised.value.hop is libdepot.Hop.MACHINE and raised.value.retryable
    left = list((out / "files").iterdir())
    assert 0 < len(left) < 1500
    for path in left:  # each is whole, and under its own name
        assert path.read_bytes() == (folder / "files" / path.name).read_bytes()


# As its own peak: what wait4() tells of a child has the peak of whoever made it in it.
BUILD_AND_TELL = """import json, libdepot, re, sys
libdepot.build(sys.argv[1], options=json.loads(sys.argv[2]), exports=[sys.argv[3]])
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""


def test_a_slow_disk(tls, context, tmp_path):
    """The build waits for the disk and nobody else does: it ends well, all is there, and what came meanwhile was
    held back on the wire and not kept in memory."""
    slow = tmp_path / "slow.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", HERE / "slow_disk.c", "-o", slow], check=True)
    folder = context(COPY)
    (folder / "files").mkdir()
    (folder / "files/large").write_bytes(os.urandom(80 << 20))
    for number in range(1000):
        (folder / f"files/{number}").write_bytes(os.urandom(1 << 10))
    out = tmp_path / "out"
    peaks = []
    for speed in ({}, {"LD_PRELOAD": str(slow), "SLOW_DISK_FILE_US": "2000", "SLOW_DISK_MIB_US": "50000"}):
        began = time.monotonic()
        ran = subprocess.run([sys.executable, "-c", BUILD_AND_TELL, folder, json.dumps(tls), f"type=local,dest={out}"],
                             env={**os.environ, **speed}, capture_output=True, text=True, timeout=240)
        assert ran.returncode == 0, ran.stderr
        peaks.append(int(ran.stdout))
        if speed:
            assert time.monotonic() - began > 80 * 0.05 + 1000 * 0.002, "the disk was not slow"
    assert {path.name: path.read_bytes() for path in (out / "files").iterdir()} == {
        path.name: path.read_bytes() for path in (folder / "files").iterdir()}
    assert peaks[1] < peaks[0] + (16 << 10), peaks  # KiB


def test_one_name_of_several_that_cannot_be_pushed(tls, registry):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        nowhere = f"127.0.0.1:{taken.getsockname()[1]}"
        good = f"{registry.host}/one-of-two-{os.urandom(4).hex()}"
        with pytest.raises(libdepot.Error) as raised:
            libdepot.build(HELLO, options=tls, tags=[f"{good}:1", f"{nowhere}/app:1"], push=True)
    assert raised.value.hop is libdepot.Hop.REGISTRY
    assert nowhere in raised.value.message and "connection refused" in raised.value.message


def test_a_refused_push_names_host_and_repository(tls):
    with parts.Registry("htpasswd") as refusing, pytest.raises(libdepot.UnauthenticatedError) as raised:
        libdepot.build(HELLO, options=tls, tags=[f"{refusing.host}/team/app:1"], push=True)
    assert f"{refusing.host}/team/app" in raised.value.message or f"{refusing.host}/v2/team/app" in raised.value.message
    assert "401" in raised.value.message and raised.value.hint and not raised.value.retryable
