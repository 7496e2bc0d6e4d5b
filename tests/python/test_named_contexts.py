"""Named contexts of every kind, against the same build by buildctl."""

import io
import json
import pathlib
import shutil
import subprocess
import tarfile

import parts
import pytest

import libdepot

BASE = "FROM scratch\nCOPY file /from-base\nENV WHO=base\n"
USES = "FROM base\nCOPY --from=more /file /from-more\n"


def files_of(folder, options, **fields):
    """What the build gives: {name: content}."""
    out = io.BytesIO()
    libdepot.build(folder, options=options, exports=[libdepot.Export("tar", dest=out)], **fields)
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}


@pytest.fixture
def more(tmp_path):
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "file").write_text("more")
    (folder / "ignored").write_text("")
    (folder / ".dockerignore").write_text("ignored\n")
    return folder


@pytest.fixture
def layout(plain_builder, context, tmp_path):
    """An OCI layout with two images, "v1" and "v2", unpacked from what a build exported."""
    folder = context(BASE, name="base")
    target = tmp_path / "lay@out"
    for tag in ("v1", "v2"):
        (folder / "file").write_text(f"base {tag}")
        archive = tmp_path / f"{tag}.tar"
        libdepot.build(folder, builder=plain_builder.endpoint, exports=[libdepot.Export("oci", dest=archive)])
        subprocess.run([parts.program("skopeo", "skopeo"), "copy", f"oci-archive:{archive}", f"oci:{target}:{tag}"],
                       check=True, capture_output=True)
    return target


def entries(layout):
    return {entry["annotations"]["org.opencontainers.image.ref.name"]: entry
            for entry in json.loads((layout / "index.json").read_text())["manifests"]}


def blob(layout, digest):
    return layout / "blobs" / digest.replace(":", "/")


def test_directories_and_layouts(tls, context, more, layout):
    folder = context(USES)
    digest = entries(layout)["v1"]["digest"]
    for value, expected in [(f"oci-layout://{layout}:v1", b"base v1"), (f"oci-layout://{layout}:v2", b"base v2"),
                            (f"oci-layout://{layout}@{digest}", b"base v1"),
                            (f"oci-layout://{layout}:v2@{digest}", b"base v1")]:
        files = files_of(folder, tls, build_contexts={"base": value, "more": more})
        assert files == {"from-base": expected, "from-more": b"more"}
    alone = files_of(context("FROM scratch\nCOPY --from=more / /\n", name="alone"), tls,
                     build_contexts={"more": more})
    assert sorted(alone) == [".dockerignore", "file"], "it has a .dockerignore of its own"


def test_the_same_image_as_buildctls(second, context, more, layout, tmp_path):
    folder = context(USES)
    digest = entries(layout)["v1"]["digest"]
    epoch = {"SOURCE_DATE_EPOCH": "1700000000"}
    output = "type=oci,dest={},rewrite-timestamp=true"
    ours = libdepot.build(folder, builder=second.endpoint, exports=[output.format(tmp_path / "ours.tar")],
                          build_args=epoch, build_contexts={"base": f"oci-layout://{layout}:v1", "more": more})
    assert second.buildctl("prune", "--all").returncode == 0
    metadata = tmp_path / "metadata.json"
    ran = second.buildctl(
        "build", "--frontend", "dockerfile.v0", "--local", f"context={folder}", "--local", f"dockerfile={folder}",
        "--local", f"more={more}", "--opt", "context:more=local:more", "--oci-layout", f"store={layout}",
        "--opt", f"context:base=oci-layout://store@{digest}", "--opt", "build-arg:SOURCE_DATE_EPOCH=1700000000",
        "--output", output.format(tmp_path / "theirs.tar"), "--metadata-file", str(metadata))
    assert ran.returncode == 0, ran.stderr
    assert ours.digest == json.loads(metadata.read_text())["containerimage.digest"]


@pytest.fixture(scope="module")
def second():
    with parts.Buildkitd() as started:
        yield started


def test_an_image_in_place_of_another(tls, registry, context):
    folder = context(BASE, name="base")
    (folder / "file").write_text("in a registry")
    name = f"{registry.host}/named/base:1"
    libdepot.build(folder, options=tls, tags=[name], push=True)
    uses = context("FROM docker.io/library/alpine:3\n")
    for key in ("alpine:3", "docker.io/library/alpine:3"):
        assert files_of(uses, tls, build_contexts={key: f"docker-image://{name}"}) == {
            "from-base": b"in a registry"}
    assert files_of(context("FROM alpine\n", name="latest"), tls, build_contexts={
        "docker.io/library/alpine:latest": "docker-image://scratch", "alpine::linux/riscv64": "docker-image://x",
    }) == {}


def test_directories_called_like_the_builds_own(tls, context, more):
    other = more.parent / "other"
    shutil.copytree(more, other)
    (other / "file").write_text("other")
    folder = context("FROM scratch\nCOPY --from=context file /1\nCOPY --from=dockerfile file /2\nCOPY Dockerfile /3\n")
    files = files_of(folder, tls, build_contexts={"context": more, "dockerfile": str(other)})
    assert files == {"1": b"more", "2": b"other", "3": (folder / "Dockerfile").read_bytes()}


def test_a_layout_with_one_image_needs_no_tag(tls, context, layout):
    index = json.loads((layout / "index.json").read_text())
    index["manifests"] = index["manifests"][:1]
    (layout / "index.json").write_text(json.dumps(index))
    assert files_of(context("FROM base\n"), tls, build_contexts={"base": f"oci-layout://{layout}"}) == {
        "from-base": b"base v1"}


@pytest.fixture
def refused(api, depot, context):
    """The error of a build that must not get as far as asking for a builder."""
    folder = context("FROM base\n")

    def build(value, code, *words, name="base"):
        with pytest.raises(libdepot.Error) as raised:
            libdepot.build(folder, options=depot, build_contexts={name: value})
        assert raised.value.code is code, raised.value
        for word in words:
            assert word in raised.value.message, raised.value.message
        assert not api.calls()
        return raised.value
    return build


def test_a_layout_that_is_not_whole(refused, layout):
    manifest = entries(layout)["v1"]["digest"]
    image = json.loads(blob(layout, manifest).read_text())
    parts_ = [manifest, image["config"]["digest"], image["layers"][0]["digest"]]
    for digest in parts_:
        path = blob(layout, digest)
        data = path.read_bytes()
        path.unlink()
        refused(f"oci-layout://{layout}:v1", libdepot.Code.NOT_FOUND, digest, str(layout))
        path.write_bytes(data[:-1])
        refused(f"oci-layout://{layout}:v1", libdepot.Code.DATA_LOSS, digest, str(layout))
        path.write_bytes(data)
    blob(layout, manifest).write_bytes(blob(layout, manifest).read_bytes().replace(b"config", b"c0nfig", 1))
    refused(f"oci-layout://{layout}:v1", libdepot.Code.DATA_LOSS, manifest)


def test_a_layout_in_which_it_is_not(refused, layout, tmp_path):
    error = refused(f"oci-layout://{layout}:none", libdepot.Code.NOT_FOUND, "tag none", str(layout))
    assert "v1" in error.hint and "v2" in error.hint
    wrong = "sha256:" + "0" * 64
    refused(f"oci-layout://{layout}@{wrong}", libdepot.Code.NOT_FOUND, wrong)
    refused(f"oci-layout://{tmp_path}/nowhere", libdepot.Code.NOT_FOUND, "nowhere")
    (tmp_path / "empty").mkdir()
    refused(f"oci-layout://{tmp_path}/empty", libdepot.Code.NOT_FOUND, "index.json")
    (tmp_path / "empty/index.json").write_text("{")
    refused(f"oci-layout://{tmp_path}/empty", libdepot.Code.DATA_LOSS, "index.json")


def test_a_blob_that_goes_while_it_is_built_from(second, context, layout):
    """What the builder had of it is gone; the error names what it looked for."""
    manifest = entries(layout)["v1"]["digest"]
    layer = json.loads(blob(layout, manifest).read_text())["layers"][0]["digest"]
    assert second.buildctl("prune", "--all").returncode == 0
    data = blob(layout, layer).read_bytes()

    def on_status(status):
        blob(layout, layer).unlink(missing_ok=True)

    with pytest.raises(libdepot.Error) as raised:
        libdepot.build(context("FROM base\nCOPY Dockerfile /x\n"), builder=second.endpoint, on_status=on_status,
                       build_contexts={"base": f"oci-layout://{layout}:v1"})
    assert layer in raised.value.message
    blob(layout, layer).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(libdepot.Error) as raised:
        libdepot.build(context("FROM base\nCOPY Dockerfile /y\n", name="other"), builder=second.endpoint,
                       build_contexts={"base": f"oci-layout://{layout}:v1"})
    assert layer in raised.value.message


def test_what_cannot_be_right(refused, tmp_path):
    invalid = libdepot.Code.INVALID_ARGUMENT
    (tmp_path / "file").write_text("")
    for value, word in [("", "no value"), ("target:other", "target"), ("docker-image://UPPER", "UPPER"),
                        ("oci-layout://x@sha256:1", "sha256:1"), ("oci-layout://", "directory"),
                        ("ftp://example.test/x", "ftp"), ("https://", "host"),
                        (str(tmp_path / "file"), "not a directory")]:
        refused(value, invalid, word)
    for name in ("", "Upper", "a b", "x::", "x::linux/a/b/c", "x::li nux/amd64", "../x"):
        refused(str(tmp_path), invalid, name=name)
    refused(str(tmp_path / "nowhere"), libdepot.Code.NOT_FOUND, "nowhere", "base")


def test_from_the_command_line(plain_builder, context, more, layout, tmp_path, run_libdepot):
    out = tmp_path / "out.tar"
    run_libdepot("build", "--builder", plain_builder.endpoint, "--build-context", f"base=oci-layout://{layout}:v2",
                 "--build-context", f"more={more}", "-o", f"type=tar,dest={out}", context(USES))
    with tarfile.open(out) as archive:
        assert archive.extractfile("from-base").read() == b"base v2"
    _, err = run_libdepot("build", "--build-context", "nothing", pathlib.Path("."), expect=2)
    assert "--build-context" in err
