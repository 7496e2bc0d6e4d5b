"""The same tree gives the same image as buildctl's client, to the byte. Each has a builder of its own, so
that neither finds what the other brought."""

import json
import os
import subprocess
import tarfile

import parts
import pytest

import libdepot

DOCKERFILE = "FROM scratch\nCOPY . /\nCOPY --chown=7:8 tree/sub /chowned/\n"
IGNORE = "# nothing of this\n**/*.log\n!tree/keep.log\nDockerfile\n"


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "context"
    sub = folder / "tree/sub"
    sub.mkdir(parents=True)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / ".dockerignore").write_text(IGNORE)
    (folder / "tree/keep.log").write_text("kept")
    (folder / "tree/drop.log").write_text("dropped")
    (sub / "plain").write_bytes(os.urandom(100_000))
    (sub / "empty").write_bytes(b"")
    (sub / "setuid").write_text("s")
    (sub / "setuid").chmod(0o4755)
    (sub / "late").write_text("late")
    os.utime(sub / "late", ns=(0, 4_000_000_000_123_456_789))
    (sub / "käse ☃ 'x'\n").write_text("a name")
    os.symlink("../keep.log", sub / "link")
    os.symlink("nowhere", sub / "dangling")
    os.link(sub / "plain", sub / "hard")
    os.setxattr(sub / "plain", "user.test", b"\0value")
    with open(sub / "sparse", "wb") as file:
        file.truncate(3_000_000)
        file.seek(2_000_000)
        file.write(b"x")
    os.mkfifo(sub / "fifo")
    (folder / "tree/sticky").mkdir(mode=0o755)
    (folder / "tree/sticky").chmod(0o1777)
    os.chown(sub / "empty", 1234, 4321)
    return folder


def test_digests_are_equal(tree, tmp_path):
    output = "type=oci,dest={},rewrite-timestamp=true"
    with parts.Buildkitd() as builder:
        ours = libdepot.build(tree, builder=builder.endpoint, exports=[output.format(tmp_path / "ours.tar")],
                              build_args={"SOURCE_DATE_EPOCH": "1700000000"})
    with parts.Buildkitd() as builder:
        metadata = tmp_path / "metadata.json"
        ran = builder.buildctl(
            "build", "--frontend", "dockerfile.v0", "--local", f"context={tree}", "--local", f"dockerfile={tree}",
            "--opt", "build-arg:SOURCE_DATE_EPOCH=1700000000", "--output", output.format(tmp_path / "theirs.tar"),
            "--metadata-file", str(metadata))
        assert ran.returncode == 0, ran.stderr
    theirs = json.loads(metadata.read_text())["containerimage.digest"]
    assert ours.digest == theirs
    names = subprocess.run([parts.program("skopeo", "skopeo"), "copy", f"oci-archive:{tmp_path / 'ours.tar'}",
                            f"dir:{tmp_path / 'unpacked'}"], check=True, capture_output=True)
    assert names.returncode == 0
    layer = json.loads((tmp_path / "unpacked/manifest.json").read_text())["layers"][0]["digest"].split(":")[1]
    with tarfile.open(tmp_path / "unpacked" / layer) as archive:
        files = set(archive.getnames())
    assert "tree/keep.log" in files and "tree/drop.log" not in files and "tree/sub/link" in files
