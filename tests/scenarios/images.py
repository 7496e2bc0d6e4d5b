"""What came out of a build, as plain values: the files of a tar or of an image, its config, its index."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pathlib
import stat
import tarfile


def listing(archive: tarfile.TarFile) -> dict[str, tuple]:
    """Path -> (kind, mode, owner, time, link, digest of the content). Times in whole seconds."""
    out = {}
    for member in archive:
        content = archive.extractfile(member).read() if member.isreg() else b""
        out[member.name.rstrip("/")] = (member.type, member.mode, (member.uid, member.gid), int(member.mtime),
                                        member.linkname, hashlib.sha256(content).hexdigest() if content else "")
    return out


def folder(path: pathlib.Path) -> dict[str, tuple]:
    """The same of a directory, without owners: they are whoever builds."""
    out = {}
    for found in sorted(path.rglob("*")):
        info = found.lstat()
        link = os.readlink(found) if found.is_symlink() else ""
        content = found.read_bytes() if stat.S_ISREG(info.st_mode) else b""
        mode = 0 if link else stat.S_IMODE(info.st_mode)
        out[str(found.relative_to(path))] = (stat.S_IFMT(info.st_mode), mode, info.st_mtime_ns, link,
                                             info.st_nlink if content else 0,
                                             hashlib.sha256(content).hexdigest())
    return out


def layout(path: pathlib.Path) -> dict[str, list]:
    """Of an OCI layout: what its index names, and its blobs, each of which has to be what it is called."""
    names = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
    named = [[manifest["digest"], *(manifest.get("annotations", {}).get(name, "") for name in names)]
             for manifest in json.loads((path / "index.json").read_text())["manifests"]]
    blobs = sorted(blob.name for blob in (path / "blobs/sha256").iterdir())
    for name in blobs:
        assert hashlib.sha256((path / "blobs/sha256" / name).read_bytes()).hexdigest() == name, path
    return {"named": sorted(named), "blobs": blobs}


def texts(archive: tarfile.TarFile) -> dict[str, str]:
    """Regular files alone; a link is "-> target"."""
    out = {}
    for member in archive:
        name = member.name.removeprefix("./").rstrip("/")
        if member.isreg():
            out[name] = archive.extractfile(member).read().decode(errors="replace")
        elif member.issym():
            out[name] = f"-> {member.linkname}"
        elif member.isdir():
            out[name] = "/"
        elif member.islnk():
            out[name] = out.get(member.linkname.removeprefix("./"), "")
    return out


class Image:
    """An OCI layout in a tar (the exports oci and docker) or in a directory."""

    def __init__(self, path: pathlib.Path):
        self._blobs: dict[str, bytes] = {}
        if path.is_dir():
            self._blobs = {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}
        else:
            with tarfile.open(path) as archive:
                self._blobs = {m.name: archive.extractfile(m).read() for m in archive if m.isreg()}
        self.index = json.loads(self._blobs["index.json"])

    def blob(self, digest: str) -> bytes:
        return self._blobs["blobs/" + digest.replace(":", "/")]

    def manifests(self) -> list[tuple[dict, dict]]:
        """(descriptor, manifest) of every image, attestations too; an index is opened."""
        out = []

        def visit(descriptor):
            document = json.loads(self.blob(descriptor["digest"]))
            if "manifests" in document:
                for inner in document["manifests"]:
                    visit(inner)
            else:
                out.append((descriptor, document))
        for descriptor in self.index["manifests"]:
            visit(descriptor)
        return out

    def images(self) -> list[tuple[dict, dict]]:
        return [(d, m) for d, m in self.manifests()
                if (d.get("annotations") or {}).get("vnd.docker.reference.type") != "attestation-manifest"]

    def predicates(self) -> set[str]:
        return {layer["annotations"]["in-toto.io/predicate-type"] for d, m in self.manifests()
                if (d.get("annotations") or {}).get("vnd.docker.reference.type") == "attestation-manifest"
                for layer in m["layers"]}

    def config(self) -> dict:
        return json.loads(self.blob(self.images()[0][1]["config"]["digest"]))

    def files(self) -> dict[str, str]:
        """Of the first image's layers, one above the other; whiteouts remove."""
        out: dict[str, str] = {}
        for layer in self.images()[0][1]["layers"]:
            with tarfile.open(fileobj=io.BytesIO(self.blob(layer["digest"]))) as archive:
                for name, text in texts(archive).items():
                    folder, _, base = name.rpartition("/")
                    if base.startswith(".wh."):
                        gone = (folder + "/" if folder else "") + base[4:]
                        out = {n: t for n, t in out.items() if n != gone and not n.startswith(gone + "/")}
                    else:
                        out[name] = text
        return out
