"""The scenarios as data: a file of tests/scenarios/data is a list of objects, each one build.

    name      unique; the test's name
    about     what it shows, when the name does not say it
    files     the context: path -> text, or {"text" | "base64" | "link": ..., "mode": "0755"}; a path that
              ends with "/" is an empty directory, or one with a busybox: {"rootfs": true}. A leading "@/"
              puts a file beside the context ({here}/).
    request   what is built, by the names of libdepot.SolveRequest; every client speaks these in its own words
    env       environment of the client
    before    requests that the same client makes first, e.g. one that fills a cache; or {"untar": FILE, "to":
              FOLDER}
    judged    what the judge is asked for instead, where it has other words for the same
    commanded what the command line is asked for, likewise
    judge     who else builds it: "buildctl" (default), "buildx", or null where no other client can
    same      what has to be equal in all clients: "digest" (default), "files", "nothing"
    since     the first version of BuildKit that can do it (default: the oldest of tests/parts/engines)
    expect    what has to be there: "files" {path: text, or null for absent} of the image, "written" the same
              of {out}, "config" and "annotations" (of
              the image, a subset), "platforms", "attestations" (predicate types), "response" {key: regular
              expression}, "error" {"hop", "code", "message": regular expression}

In strings, {here} is the folder with the context, {context} the context, {out} the client's own folder for
what it writes, {registry} the address of a registry, {web} that of an HTTP server whose root is {here}.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import pathlib
import shutil
import zlib

HERE = pathlib.Path(__file__).resolve().parent
ROOTFS = HERE.parent / "examples/hello/rootfs"  # of packaging/rootfs
KEYS = {"name", "about", "files", "request", "env", "before", "judge", "judged", "commanded", "same", "since", "expect"}
EXPECTATIONS = {"files", "written", "config", "annotations", "platforms", "attestations", "response", "error"}


@dataclasses.dataclass
class Scenario:
    name: str
    topic: str
    request: dict
    files: dict = dataclasses.field(default_factory=dict)
    about: str = ""
    env: dict = dataclasses.field(default_factory=dict)
    before: list = dataclasses.field(default_factory=list)
    judge: str | None = "buildctl"
    judged: dict | None = None
    commanded: dict | None = None
    same: str = "digest"
    since: str = ""
    expect: dict = dataclasses.field(default_factory=dict)

    def runs_on(self, version: str) -> bool:
        """Whether a builder of this version ("v0.13"; "": today's) can do it."""
        return not version or not self.since or number(self.since) <= number(version)


def number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.lstrip("v").split("."))


def load() -> list[Scenario]:
    scenarios, names = [], set()
    for path in sorted(HERE.glob("data/*.json")):
        for entry in json.loads(path.read_text()):
            unknown = set(entry) - KEYS | set(entry.get("expect", {})) - EXPECTATIONS
            if unknown:
                raise ValueError(f"{path.name}: {entry.get('name')}: {', '.join(sorted(unknown))}")
            scenario = Scenario(topic=path.stem, **entry)
            if scenario.name in names:
                raise ValueError(f"{path.name}: a second {scenario.name}")
            names.add(scenario.name)
            scenarios.append(scenario)
    return scenarios


def fill(value, places: dict[str, str]):
    """With its placeholders replaced; other braces stay."""
    if isinstance(value, str):
        for name, place in places.items():
            value = value.replace("{" + name + "}", place)
        return value
    if isinstance(value, list):
        return [fill(item, places) for item in value]
    if isinstance(value, dict):
        return {fill(key, places): fill(item, places) for key, item in value.items()}
    return value


def write_files(scenario: Scenario, here: pathlib.Path) -> None:
    context = here / "context"
    context.mkdir()
    for name, what in scenario.files.items():
        path = here / name[2:] if name.startswith("@/") else context / name
        if name.endswith("/"):
            if what:
                shutil.copytree(ROOTFS, path, symlinks=True)
            else:
                path.mkdir(parents=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        entry = {"text": what} if isinstance(what, str) else what
        if "link" in entry:
            path.symlink_to(entry["link"])
            continue
        path.write_bytes(base64.b64decode(entry["base64"]) if "base64" in entry else entry["text"].encode())
        if "mode" in entry:
            path.chmod(int(entry["mode"], 8))
    # The same in every run: what a builder has cached depends on it. Of a file by its content: buildctl, as
    # others do, takes for unchanged what has the size and the time of its last build.
    for folder, folders, names in os.walk(here, topdown=False):
        for name in [*folders, *names]:
            path = pathlib.Path(folder, name)
            seed = zlib.crc32(path.read_bytes()) % 100_000_000 if path.is_file() and not path.is_symlink() else 0
            os.utime(path, (1700000000 - seed, 1700000000 - seed), follow_symlinks=False)
