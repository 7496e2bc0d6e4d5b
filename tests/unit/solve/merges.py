#!/usr/bin/env python3
"""Records merges.json, which index_merge_test.cc reads: sources in a registry, and the index that
`docker buildx imagetools create` makes of them. Needs root for nothing; compiles buildx the first time."""

import base64
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "parts"))
import parts  # noqa: E402

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker.distribution.manifest."


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Images:
    def __init__(self, registry):
        self.host = registry.host

    def _send(self, method, url, data, kind):
        request = urllib.request.Request(url, data, {"Content-Type": kind}, method=method)
        with urllib.request.urlopen(request) as answer:
            return answer.headers

    def blob(self, data):
        where = self._send("POST", f"http://{self.host}/v2/app/blobs/uploads/", b"", "text/plain")["Location"]
        where += ("&" if "?" in where else "?") + "digest=" + digest_of(data)
        self._send("PUT", where, data, "application/octet-stream")
        return {"digest": digest_of(data), "size": len(data)}

    def manifest(self, document, kind):
        data = json.dumps(document).encode()
        self._send("PUT", f"http://{self.host}/v2/app/manifests/{digest_of(data)}", data, kind)
        return {"mediaType": kind, "digest": digest_of(data), "size": len(data)}, data.decode()

    def image(self, config, docker=False):
        """Descriptor, manifest and config of an image without layers."""
        text = json.dumps(config).encode()
        kind = "application/vnd.docker.container.image.v1+json" if docker else OCI + "config.v1+json"
        document = {"schemaVersion": 2, "mediaType": DOCKER + "v2+json" if docker else OCI + "manifest.v1+json",
                    "config": {"mediaType": kind, **self.blob(text)}, "layers": []}
        descriptor, data = self.manifest(document, document["mediaType"])
        return {"descriptor": json.dumps(descriptor), "bytes": data, "config": text.decode()}

    def index(self, entries, kind=OCI + "index.v1+json", **more):
        descriptor, data = self.manifest({"schemaVersion": 2, "mediaType": kind, "manifests": entries, **more}, kind)
        return {"descriptor": json.dumps(descriptor), "bytes": data, "config": ""}


def listed(image, **more):
    return {**json.loads(image["descriptor"]), **more}


def cases(images):
    amd64 = images.image({"architecture": "amd64", "os": "linux"})
    arm64 = images.image({"architecture": "arm64", "os": "linux", "variant": "v8"})
    odd = images.image({"architecture": "aarch64", "os": "Linux"})
    arm = images.image({"architecture": "arm", "os": "linux", "os.version": "1"})
    docker = images.image({"architecture": "amd64", "os": "linux"}, docker=True)
    docker2 = images.image({"architecture": "s390x", "os": "linux"}, docker=True)
    on_amd64 = {"platform": {"architecture": "amd64", "os": "linux"}}
    on_arm64 = {"platform": {"architecture": "arm64", "os": "linux", "variant": "v8"}}
    index = images.index([listed(amd64, **on_amd64)])
    proof = {"annotations": {"vnd.docker.reference.type": "attestation-manifest",
                             "vnd.docker.reference.digest": json.loads(amd64["descriptor"])["digest"]},
             "platform": {"architecture": "unknown", "os": "unknown"}}
    attested = images.index([listed(amd64, **on_amd64), listed(odd, **proof)])
    full = images.index([listed(
        arm64, urls=["https://a/<b>&c"], annotations={"z": "<&>\u2028é\u0001\b\n\"\\/", "a": ""},
        data=base64.b64encode(b"bytes\xff").decode(), artifactType="x/y", unknown={"is": "dropped"},
        platform={"variant": "v8", "os.features": ["f<1>", "g"], "os.version": "10.0", "os": "linux",
                  "architecture": "arm64"})], annotations={"of": "the source"}, more=1)
    again = images.index([listed(amd64, annotations={"one": "1"}, **on_amd64),
                          listed(amd64, annotations={"one": "2", "two": "2"},
                                 platform={"architecture": "amd64", "os": "linux", "variant": "v2"})])
    docker_list = images.index([listed(docker, **on_amd64)], DOCKER + "list.v2+json")
    annotations = {"annotation-index.title": "<app>", "annotation-index.b": "1",
                   "annotation-manifest-descriptor.all": "x",
                   "annotation-manifest-descriptor[linux/amd64].one": "y"}
    yield "one index stays", [attested], {}
    yield "one manifest stays", [amd64], {}
    yield "one index with annotations", [attested], annotations
    yield "two indexes", [index, images.index([listed(arm64, **on_arm64)])], {}
    yield "attestations are kept", [attested, images.index([listed(arm64, **on_arm64)])], {}
    yield "every field", [full, index], {}
    yield "manifests have their configs' platforms", [amd64, arm64, odd, arm], {}
    yield "a digest is listed once", [again, index, amd64], {}
    yield "Docker's list", [docker_list, docker2], {}
    yield "Docker's list has no annotations", [docker_list, docker2], annotations
    yield "mixed", [docker_list, arm64], {}
    yield "annotations", [attested, full], annotations


def main():
    recorded = []
    with parts.Registry() as registry, tempfile.TemporaryDirectory() as config:
        images = Images(registry)
        for name, sources, attrs in cases(images):
            argv = [parts.buildx(), "imagetools", "create", "--dry-run", "--prefer-index=false", "-t",
                    f"{registry.host}/app:x"]
            for key, value in attrs.items():
                level, _, rest = key.removeprefix("annotation-").partition(".")
                argv += ["--annotation", f"{level}:{rest}={value}"]
            argv += [f"{registry.host}/app@{json.loads(each['descriptor'])['digest']}" for each in sources]
            made = subprocess.run(argv, capture_output=True, text=True, check=True, env={"BUILDX_CONFIG": config})
            recorded.append({"name": name, "sources": sources, "attrs": attrs, "merged": made.stdout[:-1]})
    (HERE / "merges.json").write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
