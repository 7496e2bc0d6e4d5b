"""A request in the words of the clients that are programs: libdepot's command line and buildx, which
share theirs, and buildctl. A field that a client has no words for is an error: the scenario then names
another judge."""

from __future__ import annotations

import os


class NoWords(ValueError):
    """This client cannot be asked for that."""


def pairs(mapping: dict) -> list[str]:
    return [key if value is None else f"{key}={value}" for key, value in mapping.items()]


def repeated(flag: str):
    return lambda value: [word for item in (pairs(value) if isinstance(value, dict) else value)
                          for word in (flag, item)]


def one(flag: str):
    return lambda value: [flag, str(value)]


def switch(flag: str):
    return lambda value: [flag] if value else []


def joined(flag: str):
    return lambda value: [flag, value if isinstance(value, str) else ",".join(value)]


def attestation(flag: str):
    return lambda value: [f"{flag}={value if isinstance(value, str) else str(value).lower()}"]


# By field of the request: its flags for `docker buildx build`, which are libdepot's.
DOCKER = {
    "dockerfile": one("--file"), "exports": repeated("--output"), "tags": repeated("--tag"),
    "push": switch("--push"), "build_args": repeated("--build-arg"), "target": one("--target"),
    "platform": joined("--platform"), "no_cache": switch("--no-cache"),
    "labels": repeated("--label"), "no_cache_filter": repeated("--no-cache-filter"), "pull": switch("--pull"),
    "add_hosts": repeated("--add-host"), "network": one("--network"), "shm_size": one("--shm-size"),
    "ulimits": repeated("--ulimit"), "cgroup_parent": one("--cgroup-parent"), "entitlements": repeated("--allow"),
    "annotations": repeated("--annotation"), "attests": repeated("--attest"),
    "provenance": attestation("--provenance"), "sbom": attestation("--sbom"), "call": one("--call"),
    "resources": lambda value: [word for name, limit in value.items() for word in (f"--{name}", str(limit))],
    "secrets": repeated("--secret"), "ssh": repeated("--ssh"), "cache_from": repeated("--cache-from"),
    "context_files": repeated("--context-file"), "ignorefile": one("--ignorefile"),  # libdepot's alone
    "cache_to": repeated("--cache-to"), "build_contexts": repeated("--build-context"),
}


def docker(request: dict) -> list[str]:
    """The words after `build`, the context last."""
    words = []
    for field, value in request.items():
        if field == "context":
            continue
        if field not in DOCKER:
            raise NoWords(f"{field} has no flag")
        words += DOCKER[field](value)
    return [*words, request.get("context", ".")]


def option(name: str):
    return lambda value: ["--opt", f"{name}={value}"]


def options(prefix: str):
    return lambda value: [word for item in pairs(value) for word in ("--opt", f"{prefix}:{item}")]


BUILDCTL = {
    "exports": repeated("--output"), "target": option("target"), "build_args": options("build-arg"),
    "platform": lambda value: ["--opt", "platform=" + (value if isinstance(value, str) else ",".join(value))],
    "no_cache": switch("--no-cache"), "attrs": lambda value: [w for p in pairs(value) for w in ("--opt", p)],
    "locals": repeated("--local"), "labels": options("label"), "secrets": repeated("--secret"),
    "ssh": repeated("--ssh"), "cache_from": repeated("--import-cache"), "cache_to": repeated("--export-cache"),
    "no_cache_filter": lambda value: ["--opt", "no-cache=" + ",".join(value)],
    "entitlements": repeated("--allow"),
}


def buildctl(request: dict) -> list[str]:
    """The words after `build`. What other clients do before they ask is done here by hand."""
    words = ["--frontend", request.get("frontend", "dockerfile.v0")]
    context, dockerfile = request.get("context", "."), request.get("dockerfile")
    if context is not None:
        where = os.path.dirname(dockerfile) or "." if dockerfile else context
        words += ["--local", f"context={context}", "--local", f"dockerfile={where}"]
        if dockerfile:
            words += ["--opt", f"filename={os.path.basename(dockerfile)}"]
    for field, value in request.items():
        if field in ("context", "dockerfile", "frontend"):
            continue
        if field == "build_args":
            value = {name: os.environ.get(name, "") if given is None else given for name, given in value.items()
                     if given is not None or name in os.environ}
        if field not in BUILDCTL:
            raise NoWords(f"buildctl has no words for {field}")
        words += BUILDCTL[field](value)
    return words
