"""Contexts that are no directory, or more than one: text, bytes, functions, streams; and what of a
context is sent, and why."""

import asyncio
import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
import tarfile
import threading

import pytest
from conftest import tls_flags

import libdepot
from libdepot._cli.main import main

COPY = "FROM scratch\nCOPY . /\n"
NOBODY = {"builder": "tcp://127.0.0.1:1"}  # whoever asked it would get another error


def built(options, context, **fields):
    """The files of the result, and their modes where they are not 0644."""
    out = io.BytesIO()
    libdepot.build(context, options=options, exports=[libdepot.Export("tar", dest=out)], **fields)
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        return {entry.name: archive.extractfile(entry).read() if entry.mode == 0o644
                else (archive.extractfile(entry).read(), entry.mode) for entry in archive if entry.isfile()}


def packed(files, mode="w", format=tarfile.USTAR_FORMAT, mtime=0):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=format) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(data), mtime
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


# A Dockerfile, or ignore rules, that are text.

def test_a_dockerfile_alone(tls):
    assert built(tls, None, dockerfile_text="FROM scratch\nCOPY --chmod=644 <<x /greeting\nhello\nx\n") == {
        "greeting": b"hello\n"}


def test_a_dockerfile_as_text_and_the_files_of_a_folder(tls, context):
    folder = context("NONSENSE\n")
    (folder / "a").write_bytes(b"1")
    os.chmod(folder / "a", 0o644)
    assert built(tls, folder, dockerfile_text=b"FROM scratch\nCOPY a /b\n") == {"b": b"1"}


def test_a_relative_dockerfile_is_one_here_or_in_the_context(tls, context, tmp_path, monkeypatch):
    folder = context("NONSENSE\n")
    (folder / "sub").mkdir()
    (folder / "sub/Only").write_text("FROM scratch\nCOPY --chmod=644 <<x /there\nx\n")
    monkeypatch.chdir(tmp_path)
    assert list(built(tls, folder, dockerfile="sub/Only")) == ["there"]
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/Only").write_text("FROM scratch\nCOPY --chmod=644 <<x /here\nx\n")
    assert list(built(tls, folder, dockerfile="sub/Only")) == ["here"]


def test_the_text_is_in_the_error(tls):
    with pytest.raises(libdepot.Error) as raised:
        libdepot.build(None, options=tls, dockerfile_text="FROM scratch\n\nNONSENSE\n")
    assert raised.value.sources[0].file == "Dockerfile" and raised.value.ranges[0].start_line == 3


@pytest.mark.parametrize("own", [False, True])
def test_ignore_rules_as_text(tls, context, own):
    folder = context(COPY)
    for name in ("a", "b"):
        (folder / name).write_bytes(b"")
        os.chmod(folder / name, 0o644)
    (folder / ("Dockerfile.dockerignore" if own else ".dockerignore")).write_text("b\n")
    assert set(built(tls, folder, ignore_text="*\n!b\n")) == {"b"}


# Files that are bytes and functions.

def test_a_context_of_bytes(tls):
    files = {"Dockerfile": COPY, "a/b": b"\0\xff", "run": libdepot.File("#!", mode=0o755), "empty": b""}
    assert built(tls, None, files=files) == {
        "Dockerfile": COPY.encode(), "a/b": b"\0\xff", "run": (b"#!", 0o755), "empty": b""}


def test_a_dockerfile_of_another_name_among_the_files(tls):
    files = {"docker/D": "FROM scratch\nCOPY a /\n", "a": b"1", "docker/D.dockerignore": "none\n"}
    assert built(tls, None, files=files, dockerfile="docker/D") == {"a": b"1"}


def test_files_over_a_folder(tls, context):
    folder = context(COPY)
    for name in ("kept", "hidden", "d/kept"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"disk")
        os.chmod(folder / name, 0o644)
    os.chmod(folder / "Dockerfile", 0o644)
    (folder / ".dockerignore").write_text("*.tmp\n")
    files = {"hidden": "given", "d/given": "given", "new/x.tmp": "", "new/x": "given", "a.log": "", "a.tmp": "",
             ".dockerignore": "*.log\na.tmp\n"}
    got = built(tls, folder, files=files)
    assert got.pop(".dockerignore") == b"*.log\na.tmp\n"
    assert got == {"Dockerfile": COPY.encode(), "kept": b"disk", "hidden": b"given", "d/kept": b"disk",
                   "d/given": b"given", "new/x": b"given", "new/x.tmp": b""}
    assert built(tls, folder, files={"Dockerfile": "FROM scratch\nCOPY kept /only\n"}) == {"only": b"disk"}


def test_what_changed_is_seen_and_what_did_not_is_not_sent_again(tls, context):
    """The builder compares times: of the same size and name, they are all it has."""
    def counted(files):
        steps = {}
        def on_status(status):
            for vertex in status.vertexes:
                steps[vertex.name] = vertex.cached
        got = built(tls, None, files={"Dockerfile": "FROM scratch\nCOPY a b /\n", **files}, on_status=on_status)
        (copied,) = [cached for name, cached in steps.items() if "COPY" in name]
        return got, copied
    one, two = {"a": b"one", "b": b"same"}, {"a": b"two", "b": b"same"}
    assert counted(one)[0] == one
    assert counted(two)[0] == two
    assert counted(two) == (two, True)
    assert counted(one)[0] == one


def test_a_large_file_and_a_function(tls):
    calls, large = [], os.urandom(3_000_000)

    def content():
        calls.append(threading.current_thread() is threading.main_thread())
        return large
    got = built(tls, None, files={"Dockerfile": "FROM scratch\nCOPY a b /\n", "a": content, "b": large})
    assert got == {"a": large, "b": large}
    assert calls == [False]


def test_a_function_that_raises(tls):
    def content():
        raise LookupError("mine")
    with pytest.raises(LookupError, match="mine"):
        libdepot.build(None, options=tls, files={"Dockerfile": COPY, "a": content})
    with pytest.raises(TypeError, match="must return bytes, not str"):
        libdepot.build(None, options=tls, files={"Dockerfile": COPY, "a": lambda: "text"})


def test_files_of_another_local_directory(tls):
    got = built(tls, None, files={"Dockerfile": "FROM scratch\nCOPY --from=more x /\n"}, locals={"more": {"x": b"1"}},
                attrs={"context:more": "local:more"})
    assert got == {"x": b"1"}


def test_with_asyncio(tls):
    out = io.BytesIO()
    asyncio.run(libdepot.aio.build(None, options=tls, files={"Dockerfile": COPY, "a": lambda: b"1"},
                                   exports=[libdepot.Export("tar", dest=out)]))
    assert b"Dockerfile" in out.getvalue()


@pytest.mark.parametrize("fields, why", [
    ({"files": {"../a": ""}}, "'..'"), ({"files": {"/a": ""}}, "absolute"), ({"files": {"a": "", "a/b": ""}}, "below"),
    ({"files": {"a/b": "", "a": ""}}, "below"), ({"files": {"a/": ""}}, "directory"), ({"files": {"": ""}}, "path"),
    ({"files": {"a": libdepot.File("", mode=0o100644)}}, "mode"), ({"files": {"a": ""}}, "Dockerfile"),
    ({"dockerfile_text": "FROM scratch", "dockerfile": "D"}, "another one"),
    ({"files": {"a": ""}, "context": "https://host/repository.git"}, "remote context"),
    ({"ignore_text": "", "context": "https://host/repository.git"}, "local context"),
])
def test_what_cannot_be_is_told_before_anything_is_sent(fields, why):
    with pytest.raises(libdepot.Error, match=why) as raised:
        libdepot.build(fields.pop("context", None), options=NOBODY, **fields)
    assert raised.value.hop is libdepot.Hop.USAGE


def test_what_is_no_content():
    with pytest.raises(TypeError, match="'a'.*not int"):
        libdepot.build(None, options=NOBODY, files={"a": 3})
    with pytest.raises(ValueError, match="null"):
        libdepot.build(None, options=NOBODY, files={"a\0b": ""})


# Streams.

FILES = {"Dockerfile": COPY.encode(), "a": b"1", "d/b": b"2" * 100_000}


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress], ids=["tar", "gz", "bz2", "xz"])
def test_a_tar_in_a_file_object(tls, pack):
    assert built(tls, io.BytesIO(pack(packed(FILES)))) == FILES


def test_a_tar_as_python_makes_them(tls):
    """Its first header is one of extended attributes, which builders take for no tar's beginning."""
    assert built(tls, io.BytesIO(packed(FILES, format=tarfile.PAX_FORMAT, mtime=1.5))) == FILES


def test_a_tar_on_the_disk_is_good_for_many_builds(tls, tmp_path):
    path = tmp_path / "context.tar"
    path.write_bytes(packed(FILES))
    for _ in range(2):
        assert built(tls, path) == FILES
    own = tmp_path / "Own"
    own.write_text("FROM scratch\nCOPY a /own\n")
    assert built(tls, path, dockerfile=own) == {"own": b"1"}


def test_a_stream_is_good_for_one(tls):
    request = libdepot.SolveRequest(context=io.BytesIO(packed(FILES)))
    libdepot.build(request, options=tls)
    with pytest.raises(libdepot.InvalidArgumentError, match="empty"):
        libdepot.build(request, options=tls)


@pytest.mark.parametrize("cut, why", [(1600, "ends inside a, of whose 1"), (100_000, "ends inside d/b"),
                                      (700, "ends inside Dockerfile")])
def test_a_tar_that_ends_early(tls, cut, why):
    files = dict(reversed(FILES.items())) if cut == 100_000 else FILES
    with pytest.raises(libdepot.DataLossError, match=why) as raised:
        libdepot.build(io.BytesIO(packed(files)[:cut]), options=tls)
    assert raised.value.hop is libdepot.Hop.LOCAL


def test_a_tar_that_lies_about_a_size(tls):
    whole = packed(FILES)
    entry = tarfile.TarInfo("Dockerfile")
    entry.size = len(COPY) + 512
    with pytest.raises(libdepot.DataLossError, match="no entry begins at byte .* that Dockerfile says"):
        libdepot.build(io.BytesIO(entry.tobuf(tarfile.USTAR_FORMAT) + whole[512:]), options=tls)


def test_a_compressed_tar_that_ends_early(tls):
    with pytest.raises(libdepot.SolveError, match="EOF"):
        libdepot.build(io.BytesIO(gzip.compress(packed(FILES))[:200]), options=tls)


def test_a_stream_that_raises(tls):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 50_000:
                raise LookupError("mine")
            return super().read(min(size, 20_000))
    with pytest.raises(LookupError, match="mine"):
        libdepot.build(Broken(packed(FILES)), options=tls)


def test_a_pipe_that_stalls_is_left_by_a_cancel(tls):
    ours, theirs = os.pipe()
    cancel = libdepot.Cancel()

    def on_status(status):
        if any("remote build context" in vertex.name for vertex in status.vertexes):
            cancel.trigger()  # the builder reads, and nothing more comes
    try:
        os.write(theirs, packed(FILES)[:20_000])
        with pytest.raises(libdepot.CanceledError):
            libdepot.build(f"/dev/fd/{ours}", options=tls, cancel=cancel, on_status=on_status)
    finally:
        os.close(ours)
        os.close(theirs)


def command(builder, *arguments, **kwargs):
    return subprocess.run([sys.executable, "-m", "libdepot", "build", *tls_flags(builder), "--progress", "plain",
                           *map(str, arguments)], capture_output=True, timeout=120, **kwargs)


def names_in(path):
    with tarfile.open(path) as archive:
        return {entry.name for entry in archive if entry.isfile()}


def test_standard_input(builder, tmp_path):
    out = tmp_path / "out.tar"
    output = ["-o", f"type=tar,dest={out}"]
    ran = command(builder, *output, "-", input=packed(FILES))
    assert ran.returncode == 0, ran.stderr
    assert names_in(out) == set(FILES)
    ran = command(builder, *output, "-", input=b"FROM scratch\nCOPY <<x /greeting\nhello\nx\n")
    assert ran.returncode == 0, ran.stderr
    assert names_in(out) == {"greeting"}
    (tmp_path / "c").mkdir()
    (tmp_path / "c/file").write_text("")
    ran = command(builder, *output, "-f", "-", tmp_path / "c", input=b"FROM scratch\nCOPY file /\n")
    assert ran.returncode == 0, ran.stderr
    assert names_in(out) == {"file"}


@pytest.mark.parametrize("arguments, given, why", [
    (["-"], b"", "empty"), (["-f", "-", "-"], b"", "standard input"),
    (["-f", "D", "-"], b"FROM scratch\n", "another one")])
def test_standard_input_that_cannot_be(arguments, given, why):
    ran = subprocess.run([sys.executable, "-m", "libdepot", "build", "--builder", "tcp://127.0.0.1:1", *arguments],
                         input=given, capture_output=True, timeout=60)
    assert ran.returncode == 1 and why in ran.stderr.decode()


# What is sent, and why.

@pytest.fixture
def ignoring(context):
    folder = context(COPY)
    for name, size in (("big", 5000), ("small", 10), ("out/a", 1), ("out/keep", 2)):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x" * size)
    (folder / ".dockerignore").write_text("# comment\nout\n!out/keep\n")
    return folder


def test_which_rule_it_was(ignoring):
    ignored = libdepot.explain_context("out/a", ignoring)
    assert ignored == libdepot.Explanation(False, str(ignoring / ".dockerignore"), 2, "out", "out")
    kept = libdepot.explain_context(ignoring / "out/keep", ignoring)
    assert (kept.sent, kept.line, kept.rule, kept.matched) == (True, 3, "!out/keep", "out/keep")
    assert libdepot.explain_context("big", ignoring) == libdepot.Explanation(True, "", 0, "", "")
    assert libdepot.explain_context("big", ignoring, ignore_text="b*").rule == "b*"
    with pytest.raises(libdepot.NotFoundError, match="none"):
        libdepot.explain_context("none", ignoring)


def test_the_list_is_what_a_build_gets(tls, ignoring):
    listed = {file.path: file.size for file in libdepot.list_context(ignoring)}
    assert listed["big"] == 5000 and "out/a" not in listed
    out = io.BytesIO()
    libdepot.build(ignoring, options=tls, exports=[libdepot.Export("tar", dest=out)])
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        assert {entry.name: entry.size for entry in archive if entry.isfile()} == listed


def test_the_result_lists_what_was_sent(tls, ignoring):
    (ignoring / "big").write_bytes(os.urandom(5000))  # not of an earlier test
    first = libdepot.build(ignoring, options=tls, record_context=True).sent_files
    sent = {file.path: file for file in first if file.local == "context"}
    assert sent["big"] == libdepot.SentFile("context", "big", 5000, True)
    assert sent.keys() == {file.path for file in libdepot.list_context(ignoring)}
    assert [file.path for file in first if file.local == "dockerfile"] == ["Dockerfile"]
    again = libdepot.build(ignoring, options=tls, record_context=True).sent_files
    assert [file.transferred for file in again if file.path == "big"] == [False]
    assert libdepot.build(ignoring, options=tls).sent_files == []


def test_the_context_command(ignoring, capsys, monkeypatch):
    assert main(["context", "ls", str(ignoring)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "     5kB  big" and "5.06kB in 5 files" in err
    monkeypatch.chdir(ignoring)
    assert main(["context", "explain", "out/a", "big"]) == 0
    assert capsys.readouterr().out == ("ignored out/a: 'out' in .dockerignore, line 2, matches out\n"
                                       "sent    big: no rule matches it\n")
    assert main(["context", "explain", "none"]) == 1
    assert main(["context"]) == 2
