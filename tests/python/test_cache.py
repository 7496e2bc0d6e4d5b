"""Caches that go from one builder to another: written by libdepot and by buildctl, read by the other."""

import json
import os
import shutil
import threading

import parts
import pytest
from conftest import ROOTFS, tls_flags

import libdepot

# What was not taken from a cache shows: the step's output is random.
DOCKERFILE = ROOTFS + "RUN head -c 16 /dev/urandom > /random\n"


@pytest.fixture(scope="module")
def second():
    """Another builder, whose own cache is emptied before it is used."""
    with parts.Buildkitd() as started:
        yield started


def clean(builder):
    assert builder.buildctl("prune", "--all").returncode == 0


def random_of(options, folder, tmp_path, **fields):
    """What the random step of this build left, or was taken from a cache."""
    data = []
    libdepot.build(folder, options=options, exports=[libdepot.Export("tar", dest=data.append)], **fields)
    name = tmp_path / "out.tar"
    name.write_bytes(b"".join(data))
    import tarfile
    with tarfile.open(name) as archive:
        return archive.extractfile("random").read()


def buildctl(builder, folder, *arguments):
    ran = builder.buildctl("build", "--frontend", "dockerfile.v0", "--local", f"context={folder}", "--local",
                           f"dockerfile={folder}", *arguments)
    assert ran.returncode == 0, ran.stderr
    return ran.stderr


def index_of(folder):
    return json.loads((folder / "index.json").read_text())


def blobs_of(folder):
    return sorted(path.name for path in (folder / "blobs/sha256").iterdir())


def assert_whole(folder):
    """Every blob is what its name says, and nothing else is left."""
    import hashlib
    for path in (folder / "blobs/sha256").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    for entry in index_of(folder)["manifests"]:
        assert entry["digest"].split(":")[1] in blobs_of(folder)
    assert not list((folder / "ingest").iterdir())
    assert not (folder / "index.json.lock").exists()


def test_a_local_cache_goes_from_builder_to_builder(tls, second, context, tmp_path):
    folder = context(DOCKERFILE)
    cache = tmp_path / "it's, a \"cache\""
    first = random_of(tls, folder, tmp_path, cache_to=[{"type": "local", "dest": cache, "mode": "max"}])
    assert_whole(cache)
    (entry,) = index_of(cache)["manifests"]
    assert entry["annotations"] == {"org.opencontainers.image.ref.name": "latest"}
    clean(second)
    there = {"builder": second.endpoint}
    assert random_of(there, folder, tmp_path) != first, "without the cache it is another one"
    clean(second)
    assert random_of(there, folder, tmp_path, cache_from=[{"type": "local", "src": cache}]) == first
    clean(second)
    by_digest = {"type": "local", "src": cache, "digest": entry["digest"], "tag": "no matter"}
    assert random_of(there, folder, tmp_path, cache_from=[by_digest]) == first


def test_caches_are_the_same_as_buildctls(second, context, tmp_path, monkeypatch):
    folder = context(DOCKERFILE)
    monkeypatch.chdir(tmp_path)  # both name it as it is named to them
    there = {"builder": second.endpoint}
    clean(second)
    ours = random_of(there, folder, tmp_path, cache_to=["type=local,dest=ours,mode=max,tag=v1"])
    buildctl(second, folder, "--export-cache", "type=local,dest=theirs,mode=max,tag=v1")
    assert (tmp_path / "ours/index.json").read_bytes() == (tmp_path / "theirs/index.json").read_bytes()
    assert (tmp_path / "ours/oci-layout").read_bytes() == (tmp_path / "theirs/oci-layout").read_bytes()
    assert blobs_of(tmp_path / "ours") == blobs_of(tmp_path / "theirs")
    # Theirs to us, and ours to them.
    clean(second)
    assert random_of(there, folder, tmp_path, cache_from=["type=local,src=theirs,tag=v1"]) == ours
    clean(second)
    buildctl(second, folder, "--import-cache", "type=local,src=ours,tag=v1", "--output", "type=local,dest=out")
    assert (tmp_path / "out/random").read_bytes() == ours
    # Each adds to what the other wrote.
    buildctl(second, folder, "--export-cache", "type=local,dest=ours,tag=v2")
    libdepot.build(folder, options=there, cache_to=["type=local,dest=theirs,tag=v2"])
    assert (tmp_path / "ours/index.json").read_bytes() == (tmp_path / "theirs/index.json").read_bytes()
    assert len(index_of(tmp_path / "ours")["manifests"]) == 2


def test_a_registry_cache(tls, second, registry, context, tmp_path):
    folder = context(DOCKERFILE)
    ref = f"{registry.host}/cache/app:latest"
    first = random_of(tls, folder, tmp_path, cache_to=[f"type=registry,ref={ref},mode=max"])
    there = {"builder": second.endpoint}
    for spec in (ref, f"type=registry,ref={ref}"):
        clean(second)
        assert random_of(there, folder, tmp_path, cache_from=[spec]) == first
    clean(second)
    # One that is not there is no error, next to one that is.
    assert random_of(there, folder, tmp_path, cache_from=[f"{registry.host}/none,{ref}"]) == first


@pytest.mark.parametrize("how", [{"build_args": {"BUILDKIT_INLINE_CACHE": "1"}}, {"cache_to": ["type=inline"]}])
def test_an_inline_cache(tls, second, registry, context, tmp_path, how):
    folder = context(DOCKERFILE)
    name = f"{registry.host}/inline/app:{len(how)}"
    libdepot.build(folder, options=tls, tags=[name], push=True, **how)
    there = {"builder": second.endpoint}
    clean(second)
    once = random_of(there, folder, tmp_path, cache_from=[name])
    clean(second)
    assert random_of(there, folder, tmp_path, cache_from=[name]) == once


def test_an_import_that_is_not_there_is_left_out(plain_builder, context, tmp_path):
    folder, cache, lines = context("FROM scratch\nCOPY Dockerfile /\n"), tmp_path / "cache", []
    libdepot.build(folder, builder=plain_builder.endpoint, cache_to=[{"type": "local", "dest": cache}])
    (entry,) = index_of(cache)["manifests"]
    broken = tmp_path / "broken"
    shutil.copytree(cache, broken)
    (broken / "blobs/sha256" / entry["digest"].split(":")[1]).unlink()
    nonsense = tmp_path / "nonsense"
    nonsense.mkdir()
    (nonsense / "index.json").write_text("{")
    wrong = [{"type": "local", "src": tmp_path / "nowhere"}, {"type": "local", "src": cache, "tag": "none"},
             {"type": "local", "src": broken}, {"type": "local", "src": nonsense},
             {"type": "local", "src": cache, "digest": "sha256:" + "0" * 64}]
    with libdepot.Client(builder=plain_builder.endpoint, on_log=lambda level, line: lines.append(line)) as client:
        client.build(folder, cache_from=wrong)
    for part in ("nowhere", "tag none", entry["digest"], "nonsense/index.json", "0" * 64):
        assert any("is left out" in line and part in line for line in lines), (part, lines)
    assert not (tmp_path / "nowhere").exists()


def test_the_command_line_says_what_it_left_out(builder, context, tmp_path, run_libdepot):
    folder = context("FROM scratch\nCOPY Dockerfile /\n")
    cache = tmp_path / "cache"
    _, err = run_libdepot("build", *tls_flags(builder), "--cache-from", f"type=local,src={cache}", "--cache-to",
                          f"type=local,dest={cache},mode=max", "--cache-from", "", folder)
    assert f"WARNING: cache import {cache} is left out" in err
    assert_whole(cache)


def test_many_builds_to_one_cache(tls, context, tmp_path):
    folder, cache, failed = context("ARG N\nFROM scratch\nARG N\nCOPY Dockerfile /$N\n"), tmp_path / "cache", []
    with libdepot.Client(**tls) as client:
        def build(number):
            try:
                client.build(folder, build_args={"N": str(number)},
                             cache_to=[{"type": "local", "dest": cache, "tag": f"n{number}", "mode": "max"}])
            except Exception as error:
                failed.append(error)
        threads = [threading.Thread(target=build, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failed
    names = {entry["annotations"]["org.opencontainers.image.ref.name"] for entry in index_of(cache)["manifests"]}
    assert names == {f"n{number}" for number in range(6)}
    assert_whole(cache)


def test_what_nothing_leads_to_is_removed(tls, context, tmp_path):
    folder, cache = context("FROM scratch\nCOPY Dockerfile /\n"), tmp_path / "cache"
    libdepot.build(folder, options=tls, cache_to=[{"type": "local", "dest": cache}])
    old = set(blobs_of(cache))
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /other\n")
    libdepot.build(folder, options=tls, cache_to=[{"type": "local", "dest": cache, "reset": "true"}])
    assert_whole(cache)
    assert old.isdisjoint(blobs_of(cache))


def test_a_blob_that_is_damaged_is_found_and_one_that_was_cut_off_is_mended(second, context, tmp_path):
    folder, cache = context(DOCKERFILE), tmp_path / "cache"
    there = {"builder": second.endpoint}
    first = random_of(there, folder, tmp_path, cache_to=[{"type": "local", "dest": cache, "mode": "max"}])
    layer = max((cache / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    whole = layer.read_bytes()
    layer.chmod(0o644)
    layer.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    clean(second)
    try:
        assert random_of(there, folder, tmp_path, cache_from=[{"type": "local", "src": cache}]) != first
    except libdepot.Error as error:
        assert layer.name in str(error)
    layer.write_bytes(whole[:100])
    random_of(there, folder, tmp_path, cache_to=[{"type": "local", "dest": cache, "mode": "max"}])
    assert_whole(cache)


def test_a_destination_that_cannot_be(api, depot, context, tmp_path):
    """Before anything is sent."""
    folder, file = context("FROM scratch\n"), tmp_path / "file"
    file.write_text("")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "index.json").write_text("[")
    for dest in (file, file / "below", broken):
        with pytest.raises(libdepot.Error) as raised:
            libdepot.build(folder, options=depot, cache_to=[{"type": "local", "dest": dest}])
        assert raised.value.hop is libdepot.Hop.LOCAL and str(dest) in raised.value.message
    assert not api.calls()


def test_a_cache_whose_disk_fails(tls, context, tmp_path):
    folder, cache = context("FROM scratch\nCOPY Dockerfile /\n"), tmp_path / "cache"
    cache.mkdir()
    (cache / "blobs").write_text("in the way")
    with pytest.raises(libdepot.Error) as raised:
        libdepot.build(folder, options=tls, cache_to=[{"type": "local", "dest": cache}])
    assert raised.value.hop is libdepot.Hop.LOCAL and str(cache) in raised.value.message
    libdepot.build(folder, options=tls, cache_to=[{"type": "local", "dest": cache, "ignore-error": "true"}])
    assert not (cache / "index.json").exists()


def test_what_cannot_be_meant_is_refused():
    digest = {"type": "local", "src": "x", "digest": "sha256:1"}
    for field, wrong in [("cache_from", "type=nonsense"), ("cache_from", "type=local"), ("cache_from", "ref=x"),
                         ("cache_from", "type=inline"), ("cache_from", digest), ("cache_to", "type=local,src=x"),
                         ("cache_to", "type=registry"), ("cache_to", "UPPER:"),
                         ("cache_to", "type=local,dest=x,mode=all"), ("cache_to", "type=local,dest=x,dest=y"),
                         ("cache_to", {"type": "local", "dest": "x", "reset": "perhaps"})]:
        with pytest.raises(libdepot.InvalidArgumentError) as raised:
            libdepot.build(".", builder="tcp://127.0.0.1:1", **{field: [wrong]})
        assert raised.value.hop is libdepot.Hop.USAGE
    with pytest.raises(TypeError, match="cache_to"):
        libdepot.SolveRequest(cache_to="type=inline")


def test_keys_are_not_shown(plain_builder, context):
    key = "a-key-that-nobody-may-see"
    request = libdepot.SolveRequest(cache_to=[f"type=s3,secret_access_key={key}"], cache_from=[{"token": key}])
    assert key not in repr(request)
    lines = []
    for wrong in (f'type=s3,secret_access_key="{key}', f"type=s3,secret_access_key=x,{key}", f"token={key}",
                  f"type=gha,token={key},token={key}"):
        with pytest.raises(libdepot.Error) as raised:
            libdepot.build(".", builder="tcp://127.0.0.1:1", cache_from=[wrong])
        assert key not in str(raised.value) + repr(raised.value)
    with libdepot.Client(builder=plain_builder.endpoint, on_log=lambda _, line: lines.append(line)) as client:
        client.build(context("FROM scratch\nCOPY Dockerfile /\n"), cache_from=[
            f"type=gha,token={key},url=http://127.0.0.1:1/"])
    assert key not in "".join(lines)


def test_what_a_runner_has_in_its_environment(plain_builder, context, monkeypatch):
    """The builder is told where the cache is, and that nobody is there shows in its step."""
    folder, names = context("FROM scratch\nCOPY Dockerfile /\n"), []

    def on_status(status):
        names.extend(f"{vertex.name}: {vertex.error}" for vertex in status.vertexes if vertex.error)

    lines = []
    with libdepot.Client(builder=plain_builder.endpoint, on_log=lambda _, line: lines.append(line)) as client:
        client.build(folder, cache_from=["type=gha"])
    assert any("type=gha is left out" in line for line in lines)
    monkeypatch.setenv("ACTIONS_RUNTIME_TOKEN", "e30.eyJhYyI6IltdIn0.x")
    monkeypatch.setenv("ACTIONS_CACHE_URL", "http://127.0.0.1:1/first/")
    libdepot.build(folder, builder=plain_builder.endpoint, cache_from=["type=gha"], on_status=on_status)
    assert any("gha" in name for name in names), names


@pytest.fixture(autouse=True)
def no_runner(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("ACTIONS_", "AWS_")):
            monkeypatch.delenv(name)
