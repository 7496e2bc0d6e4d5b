"""How it is built: what the frontend is told."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable

from ..usage import BOOLS, UsageError

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from libdepot._request import RequestFields

# Hidden flags of docker build, each short for a --resource.
RESOURCE_FLAGS = (("-m", "--memory"), ("--memory-swap",), ("-c", "--cpu-shares"), ("--cpu-period",), ("--cpu-quota",),
                  ("--cpuset-cpus",), ("--cpuset-mems",))

# Others were for the builder before BuildKit. docker buildx takes them, hidden, and says of these that they do nothing.
DEPRECATED = {
    "isolation": "isolation flag is deprecated with BuildKit.",
    "security_opt": 'security-opt flag is deprecated. "RUN --security=insecure" should be used with BuildKit.',
    "squash": "experimental flag squash is removed with BuildKit. You should squash inside build using a multi-stage "
              "Dockerfile for efficiency.",
}


def add_flags(build: argparse.ArgumentParser) -> None:
    where = build.add_argument_group("how to build")

    def add(flag: str, metavar: str, about: str) -> None:
        where.add_argument(flag, metavar=metavar, help=about)

    def add_list(flag: str, metavar: str, about: str) -> None:
        where.add_argument(flag, metavar=metavar, action="append", default=[], help=about)

    add_list("--build-arg", "NAME=VALUE", "set a build argument; NAME alone takes it from the environment")
    add_list("--label", "KEY=VALUE", "a label of the image")
    add("--target", "STAGE", "the stage to build")
    add_list("--platform", "PLATFORM", "linux/amd64, linux/arm64 (default: $DOCKER_DEFAULT_PLATFORM)")
    where.add_argument("--build-platform", choices=("dynamic", "linux/amd64", "linux/arm64"),
                       help="the machine that builds all platforms; dynamic: one for each that is asked for, side by "
                            "side (default: dynamic on Depot and with several builders, else one)")
    where.add_argument("--no-cache", action="store_true", help="run every step again")
    add_list("--no-cache-filter", "STAGE", "run the steps of this stage again")
    where.add_argument("--pull", action="store_true", help="ask the registry for each image")
    add_list("--add-host", "HOST:IP", 'a name in the steps\' /etc/hosts; the IP may be "host-gateway"')
    add("--network", "MODE", "network of the steps: default, none, host")
    add("--shm-size", "SIZE", "of the steps' /dev/shm: 64m")
    add_list("--ulimit", "NAME=SOFT[:HARD]", "a limit of the steps: nofile=1024:2048")
    add_list("--resource", "KEY=VALUE", "what the steps may use: memory=2g, cpu-quota=50000, cpuset-cpus=0-3")
    add("--cgroup-parent", "NAME", "cgroup of the steps")
    add_list("--allow", "ENTITLEMENT", "let the build use network.host, security.insecure or device[=NAME]")
    add_list("--annotation", "[LEVEL:]KEY=VALUE", "an annotation of the image: manifest (default), index, "
             "manifest-descriptor, index-descriptor, manifest[PLATFORM]")
    add_list("--attest", "SPEC", '"type=sbom,generator=IMAGE", "type=provenance,mode=max"')
    add("--sbom", "true|false|ATTRS", 'as --attest type=sbom: "true", "generator=IMAGE"')
    add("--provenance", "true|false|ATTRS", "as --attest type=provenance (default: mode=min for images, unless "
        "$BUILDX_NO_DEFAULT_ATTESTATIONS)")
    for flags in RESOURCE_FLAGS:
        where.add_argument(*flags, dest="resource", action="append", help=argparse.SUPPRESS,
                           type=(flags[-1][2:] + "={}").format)
    for flag in ("--compress", "--force-rm", "--rm", "--squash"):
        where.add_argument(flag, action="store_true", help=argparse.SUPPRESS)
    for flag in ("--isolation", "--security-opt"):
        where.add_argument(flag, action="append", help=argparse.SUPPRESS)


def warnings_of(options: argparse.Namespace) -> list[str]:
    return [text for name, text in DEPRECATED.items() if getattr(options, name)]


def pairs(flag: str, given: Iterable[str]) -> dict[str, str | None]:
    out: dict[str, str | None] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name:
            raise UsageError(f"{flag} needs NAME=VALUE")
        out[name] = value if equals else None
    return out


def build_args(given: Iterable[str]) -> dict[str, str | None]:
    """As the CLIs do, with the date that reproducible builds are given in the environment."""
    out = pairs("--build-arg", given)
    if os.environ.get("SOURCE_DATE_EPOCH"):
        out.setdefault("SOURCE_DATE_EPOCH", None)
    return out


def annotated(given: Iterable[str]) -> dict[str, str]:
    out = {}
    for key, value in pairs("--annotation", given).items():
        if value is None:
            raise UsageError(f"annotation '{key}' is not KEY=VALUE")
        out[key] = value
    return out


def wants_default_attestations() -> bool:
    given = os.environ.get("BUILDX_NO_DEFAULT_ATTESTATIONS")
    if given is None:
        return True
    if given in BOOLS:
        return not BOOLS[given]
    raise UsageError(f"BUILDX_NO_DEFAULT_ATTESTATIONS is neither true nor false: '{given}'")


def fields_of(options: argparse.Namespace) -> RequestFields:
    default_platform = os.environ.get("DOCKER_DEFAULT_PLATFORM")
    return {
        "build_args": build_args(options.build_arg),
        "labels": {key: value or "" for key, value in pairs("--label", options.label).items()},
        "target": options.target,
        "platform": options.platform or default_platform or None,
        "no_cache": options.no_cache,
        "no_cache_filter": options.no_cache_filter,
        "pull": options.pull,
        "add_hosts": options.add_host,
        "network": options.network,
        "shm_size": options.shm_size,
        "ulimits": options.ulimit,
        "resources": resources(options.resource),
        "cgroup_parent": options.cgroup_parent,
        "entitlements": [each for each in options.allow if each],
        "annotations": annotated(options.annotation),
        "attests": options.attest,
        "sbom": options.sbom or None,
        "provenance": options.provenance or None,
        "default_attestations": wants_default_attestations(),
    }


def resources(given: Iterable[str]) -> dict[str, str | int]:
    out: dict[str, str | int] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"resource '{text}' is not KEY=VALUE")
        out[key.strip()] = value
    return out
