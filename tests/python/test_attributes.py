"""Every flag of how to build has its effect on a real builder: through the command line and through the
module, in few builds that each show many."""

import json
import os
import re
import tarfile
import urllib.request

import parts
import pytest
from conftest import ROOTFS, tls_flags

import libdepot

# Each step writes what it sees to a file of its own.
PROBE = ROOTFS + """
ARG FROM_FLAG
ARG FROM_ENVIRONMENT
ARG HTTPS_PROXY
RUN mkdir /out && \\
    echo "$FROM_FLAG,$FROM_ENVIRONMENT,$HTTPS_PROXY" > /out/args && \\
    cat /etc/hosts > /out/hosts && \\
    echo "$(ulimit -Sn):$(ulimit -Hn) $(ulimit -Sc)" > /out/ulimits && \\
    df -k /dev/shm > /out/shm && \\
    cat /proc/self/cgroup > /out/cgroup && \\
    { cat /sys/fs/cgroup/memory.max || cat /sys/fs/cgroup/memory/memory.limit_in_bytes; } > /out/memory && \\
    ls /sys/class/net > /out/net
FROM scratch
COPY --from=0 /out /
"""


def files_in(path):
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read().decode() for member in archive if member.isfile()}


def manifests(path):
    """Index descriptors of an OCI archive, and what gives the blob of a digest."""
    with tarfile.open(path) as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}
    return (json.loads(files["index.json"])["manifests"],
            lambda digest: json.loads(files["blobs/" + digest.replace(":", "/")]))


@pytest.fixture(scope="module")
def gateway_builder():
    """One whose worker says what host-gateway is, and which lets builds use the host's network."""
    config = ('  [worker.oci.labels]\n    "org.mobyproject.buildkit.worker.moby.host-gateway-ip" = "10.9.8.7"\n')
    with parts.Buildkitd(config=config, args=("--allow-insecure-entitlement", "network.host",
                                              "--allow-insecure-entitlement", "security.insecure")) as started:
        yield started


def check_probe(seen):
    assert seen["args"] == "flag,env,http://proxy.test:3128\n"
    assert re.search(r"(?m)^10\.0\.0\.7\s+db$", seen["hosts"]) and re.search(r"(?m)^::7\s+db$", seen["hosts"])
    assert re.search(r"(?m)^10\.9\.8\.7\s+me$", seen["hosts"])
    assert seen["ulimits"] == "1000:2000 0\n"
    assert re.search(r"(?m)^\w+\s+32768\s.*/dev/shm$", seen["shm"]), seen["shm"]
    assert "libdepot-test" in seen["cgroup"], seen["cgroup"]
    assert seen["memory"].split()[-1] == str(96 << 20)
    assert seen["net"].split() == ["lo"]


def proxies(home):
    home.mkdir(exist_ok=True)
    (home / "config.json").write_text(json.dumps(
        {"proxies": {"default": {"httpsProxy": "http://proxy.test:3128", "noProxy": "internal.test"}}}))


def test_what_steps_see_by_flags(run_libdepot, gateway_builder, context, tmp_path, monkeypatch):
    proxies(tmp_path / "home/docker")
    monkeypatch.setenv("FROM_ENVIRONMENT", "env")
    run_libdepot("build", context(PROBE), "--builder", gateway_builder.endpoint, "--output",
                 f"type=tar,dest={tmp_path / 'out.tar'}", "--build-arg", "FROM_FLAG=flag", "--build-arg",
                 "FROM_ENVIRONMENT", "--add-host", "db:10.0.0.7,db=[::7]", "--add-host", "me:host-gateway", "--ulimit",
                 "nofile=1000:2000", "--ulimit", "core=0", "--shm-size", "32m", "--cgroup-parent", "libdepot-test",
                 "--resource", "memory=96m", "--network", "none")
    check_probe(files_in(tmp_path / "out.tar"))


def test_what_steps_see_by_the_module(gateway_builder, context, tmp_path, monkeypatch):
    proxies(tmp_path / "home/docker")
    monkeypatch.setenv("FROM_ENVIRONMENT", "env")
    libdepot.build(
        context(PROBE), builder=gateway_builder.endpoint, exports=[f"type=tar,dest={tmp_path / 'out.tar'}"],
        build_args={"FROM_FLAG": "flag", "FROM_ENVIRONMENT": None, "NOT_THERE": None},
        add_hosts=["db:10.0.0.7", "db=::7", "me:host-gateway"], ulimits=["nofile=1000:2000", "core=0"],
        shm_size=32 << 20, cgroup_parent="libdepot-test", resources={"memory": "96m"}, network="none")
    check_probe(files_in(tmp_path / "out.tar"))


def test_entitlements(gateway_builder, context, tmp_path):
    folder = context(ROOTFS + "RUN --network=host ls /sys/class/net > /net\n"
                     "RUN --security=insecure grep CapEff /proc/self/status > /caps\n"
                     "FROM scratch\nCOPY --from=0 /net /caps /\n")
    with pytest.raises(libdepot.Error, match="network.host is not allowed"):
        libdepot.build(folder, builder=gateway_builder.endpoint, entitlements=["security.insecure"])
    libdepot.build(folder, builder=gateway_builder.endpoint, entitlements=["security.insecure", "network.host"],
                   exports=[f"type=tar,dest={tmp_path / 'out.tar'}"])
    seen = files_in(tmp_path / "out.tar")
    assert int(seen["caps"].split()[1], 16) >> 21 & 1, seen["caps"]  # CAP_SYS_ADMIN
    assert seen["net"].split() == sorted(os.listdir("/sys/class/net"))


def test_a_builder_that_lets_nothing_through(builder, tls, context):
    folder = context(ROOTFS + "RUN true\n")
    with pytest.raises(libdepot.Error, match="network.host is not allowed"):
        libdepot.build(folder, options=tls, network="host")
    with pytest.raises(libdepot.FailedPreconditionError, match="host-gateway") as raised:
        libdepot.build(folder, options=tls, add_hosts=["me:host-gateway"])
    assert "label" in raised.value.hint


ANNOTATED = ("--annotation", "plain=1", "--annotation", "index:top=2", "--annotation", "manifest-descriptor:entry=3",
             "--annotation", "manifest[linux/amd64],manifest[linux/arm64]:both=4", "--annotation",
             "manifest[linux/arm64]:arm=5", "--annotation", "index-descriptor:outer=6")


def test_the_image(run_libdepot, builder, context, tmp_path, monkeypatch):
    """Labels, target, platforms, annotations, the date: by flags, in one image of two platforms."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    folder = context("FROM scratch AS wanted\nCOPY Dockerfile /\nLABEL mine=dockerfile\nFROM wanted\nCOPY nothing /\n")
    run_libdepot("build", folder, "-o", f"type=oci,dest={tmp_path / 'out.tar'}", "--target", "wanted", "--label",
                 "empty", "--label", "a=b=c", "--label", "mine=flag", "--platform", "linux/arm64/v8,x86_64",
                 *ANNOTATED, "--provenance=false", *tls_flags(builder))
    (outer,), blob = manifests(tmp_path / "out.tar")
    assert outer["annotations"]["outer"] == "6"
    index = blob(outer["digest"])
    assert index["annotations"] == {"top": "2"}
    by_platform = {entry["platform"]["architecture"]: entry for entry in index["manifests"]}
    assert set(by_platform) == {"amd64", "arm64"}
    for architecture, entry in by_platform.items():
        assert entry["annotations"] == {"entry": "3"}
        manifest = blob(entry["digest"])
        arm = {"arm": "5"} if architecture == "arm64" else {}
        assert manifest["annotations"] == {"plain": "1", "both": "4", **arm}
        config = blob(manifest["config"]["digest"])
        assert config["config"]["Labels"] == {"empty": "", "a": "b=c", "mine": "flag"}
        assert config["created"] == "2023-11-14T22:13:20Z"


def attestations(name):
    """The predicate types of each attestation manifest of an image in a registry."""
    host, _, repository = name.partition("/")
    repository, _, tag = repository.rpartition(":")

    def manifest(reference):
        request = urllib.request.Request(f"http://{host}/v2/{repository}/manifests/{reference}", headers={
            "Accept": "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
                      "application/vnd.docker.distribution.manifest.v2+json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    return [[layer["annotations"]["in-toto.io/predicate-type"] for layer in manifest(entry["digest"])["layers"]]
            for entry in manifest(tag).get("manifests", ())
            if entry.get("annotations", {}).get("vnd.docker.reference.type") == "attestation-manifest"]


def test_provenance(run_libdepot, tls, builder, registry, context, monkeypatch):
    """buildx's default for the command line; for the module, what is asked for."""
    folder, name = context("FROM scratch\nCOPY Dockerfile /\n"), f"{registry.host}/attributes/provenance:1"
    slsa = ["https://slsa.dev/provenance/v1"]

    def by_flags(*flags):
        run_libdepot("build", folder, "-t", name, "--push", *flags, *tls_flags(builder))
        return attestations(name)

    def by_module(**fields):
        libdepot.build(folder, options=tls, tags=[name], push=True, **fields)
        return attestations(name)

    assert by_flags() == [slsa]
    assert by_flags("--provenance=false") == []
    assert by_module() == []
    assert by_module(provenance="mode=max") == by_module(attests=["type=provenance,mode=min"]) == [slsa]
    assert by_module(default_attestations=True) == [slsa]
    assert by_module(default_attestations=True, provenance=False) == []
    monkeypatch.setenv("BUILDX_NO_DEFAULT_ATTESTATIONS", "1")
    assert by_flags() == []
    assert by_flags("--attest", "type=provenance,version=v0.2") == [["https://slsa.dev/provenance/v0.2"]]


def test_an_sbom_is_asked_of_its_generator(tls, registry, context, tmp_path):
    """The one that BuildKit runs by itself is on a registry that no test may need."""
    generator = f"{registry.host}/no/such-generator:1"
    with pytest.raises(libdepot.Error, match="no/such-generator"):
        libdepot.build(context("FROM scratch\nCOPY Dockerfile /\n"), options=tls, sbom=f"generator={generator}",
                       exports=[f"type=oci,dest={tmp_path / 'out.tar'}"])


def test_no_cache_and_pull(tls, registry, context):
    base = f"{registry.host}/attributes/base:1"
    libdepot.build(context(ROOTFS, "base"), options=tls, tags=[base], push=True)
    folder = context(f"FROM {base} AS one\nRUN date +%N > /one\nFROM {base} AS two\nRUN date +%N > /two\n"
                     "FROM scratch\nCOPY --from=one /one /\nCOPY --from=two /two /\n")

    def ran(**fields):
        batches = []
        libdepot.build(folder, options=tls, on_status=batches.append, **fields)
        vertexes = {vertex.name: vertex for batch in batches for vertex in batch.vertexes}
        return {stage for stage in ("one", "two")
                if not next(v for name, v in vertexes.items() if re.match(rf"\[{stage} .* RUN", name)).cached}

    assert ran() == {"one", "two"}
    assert ran() == set()
    assert ran(no_cache_filter=["ONE"]) == {"one"}
    assert ran(no_cache_filter=["one,two"]) == {"one", "two"}
    assert ran(no_cache=True) == {"one", "two"}
    assert ran(pull=True) == set()
    with pytest.raises(libdepot.InvalidArgumentError, match="not both"):
        ran(no_cache=True, no_cache_filter=["one"])


@pytest.mark.parametrize("wrong", [
    {"platform": "linux/"}, {"labels": {"": "x"}}, {"add_hosts": ["db"]}, {"network": "bridge"}, {"shm_size": "much"},
    {"shm_size": -1}, {"ulimits": ["files=1"]}, {"resources": {"disk": "1g"}}, {"resources": {"memory": "x"}},
    {"entitlements": ["root"]}, {"annotations": {"layer:a": "b"}}, {"attests": ["mode=max"]}, {"sbom": "generator"},
    {"provenance": True, "attests": ["type=provenance"]}, {"no_cache_filter": [""]}, {"frontend": "gateway.v0"},
    {"build_args": {"SOURCE_DATE_EPOCH": "-5"}}, {"build_args": {"BUILDKIT_SYNTAX": ""}}, {"call": "a b"},
    {"no_cache": True, "no_cache_filter": ["a"]},
], ids=str)
def test_what_is_wrong_is_told_before_anything_is_sent(wrong, context):
    with pytest.raises(libdepot.InvalidArgumentError) as raised:
        libdepot.build(context("FROM scratch\n"), builder="unix:///nonexistent/buildkitd.sock", **wrong)
    assert raised.value.hop is libdepot.Hop.USAGE and "\n" not in raised.value.message
