"""Contexts that the builder fetches by itself, from a Git and a web server on loopback."""

import io
import tarfile

import pytest
import web

import libdepot
from libdepot._cli.main import main

DOCKERFILE = "FROM scratch\nCOPY . /\n"
FILES = {"Dockerfile": DOCKERFILE, "top": "1", "sub/Dockerfile": "FROM scratch\nCOPY . /sub/\n", "sub/name": "2",
         "other/D": "FROM scratch\nCOPY top /other\n"}


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    folder = tmp_path_factory.mktemp("git")
    commit = web.repository(folder / "app.git", FILES)
    with web.Web(folder) as server:
        server.commit, server.git = commit, f"{server.url}/git/app.git"
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, text in FILES.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))
        server.files["context.tar.gz"] = packed.getvalue()
        server.files["Dockerfile.only"] = b"FROM scratch\nCOPY Dockerfile.only /got\n"
        yield server


def built(options, context, **fields):
    """The files of the result, without their folders."""
    out = io.BytesIO()
    libdepot.build(context, options=options, exports=[libdepot.Export("tar", dest=out)], **fields)
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        return {entry.name: archive.extractfile(entry).read().decode() for entry in archive if entry.isfile()}


@pytest.mark.parametrize("suffix", ["", "#main", "#main:", "?ref=main", "?branch=main"])
def test_a_repository(tls, remote, suffix):
    assert built(tls, remote.git + suffix) == FILES


@pytest.mark.parametrize("suffix", ["#main:sub", "#:sub", "?subdir=sub", "?ref=main&subdir=sub", "?subdir=sub#main"])
def test_a_folder_of_a_repository(tls, remote, suffix):
    assert built(tls, remote.git + suffix) == {"sub/Dockerfile": FILES["sub/Dockerfile"], "sub/name": "2"}


def test_a_commit_that_is_checked(tls, remote):
    assert built(tls, f"{remote.git}?ref=main&checksum={remote.commit}", dockerfile="other/D") == {"other": "1"}
    with pytest.raises(libdepot.SolveError, match="expected checksum to match 00000000"):
        libdepot.build(f"{remote.git}?ref=main&checksum=00000000", options=tls)


def test_the_dockerfile_lies_here(tls, remote, tmp_path):
    local = tmp_path / "Other"
    local.write_text("FROM scratch\nCOPY sub/name /here\n")
    assert built(tls, remote.git, dockerfile=local) == {"here": "2"}
    assert built(tls, f"{remote.url}/context.tar.gz", dockerfile=local) == {"here": "2"}


def test_an_archive_on_the_web(tls, remote):
    assert built(tls, f"{remote.url}/context.tar.gz") == FILES
    assert built(tls, f"{remote.url}/context.tar.gz", dockerfile="other/D") == {"other": "1"}


def test_what_is_not_there(tls, remote):
    with pytest.raises(libdepot.SolveError, match="404"):
        libdepot.build(f"{remote.url}/none", options=tls)
    with pytest.raises(libdepot.SolveError, match="nothere"):
        libdepot.build(f"{remote.git}#nothere", options=tls)


def test_what_is_wrong_is_told_before_anything_is_sent(remote):
    nobody = {"builder": "tcp://127.0.0.1:1"}  # whoever asked it would get another error
    for suffix in ("#main:../..", "#main:/etc", "?subdir=a%00b", "?checksum=xyz", "?ref=a#b", "?nonsense=1"):
        with pytest.raises(libdepot.InvalidArgumentError) as raised:
            libdepot.build(remote.git + suffix, options=nobody)
        assert raised.value.hop is libdepot.Hop.USAGE
    with pytest.raises(libdepot.InvalidArgumentError, match="outside the context"):
        libdepot.build(remote.git, dockerfile="../Dockerfile", options=nobody)


def test_from_the_command_line(plain_builder, remote, tmp_path, capfd):
    out = tmp_path / "out.tar"
    assert main(["build", "--builder", plain_builder.endpoint, "--progress", "plain", "-o", f"type=tar,dest={out}",
                 f"{remote.git}#main:sub"]) == 0
    with tarfile.open(out) as archive:
        assert "sub/name" in archive.getnames()
    assert main(["build", "--builder", plain_builder.endpoint, f"{remote.git}#main:../sub"]) == 1
    assert "'..'" in capfd.readouterr().err
