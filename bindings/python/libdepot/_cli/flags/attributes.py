"""How it is built: what the frontend is told."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from ..usage import UsageError

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from libdepot._request import RequestFields


def add_flags(build: argparse.ArgumentParser) -> None:
    add = build.add_argument
    add("--build-arg", metavar="NAME=VALUE", action="append", default=[],
        help="set a build argument; NAME alone takes it from the environment")
    add("--target", metavar="STAGE", help="the stage to build")
    add("--platform", metavar="PLATFORM", action="append", default=[], help="linux/amd64, linux/arm64")
    add("--no-cache", action="store_true", help="run every step again")


def build_args(given: Iterable[str]) -> dict[str, str | None]:
    out: dict[str, str | None] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name:
            raise UsageError("--build-arg needs NAME=VALUE")
        out[name] = value if equals else None
    return out


def fields_of(options: argparse.Namespace) -> RequestFields:
    return {"build_args": build_args(options.build_arg), "target": options.target,
            "platform": options.platform or None, "no_cache": options.no_cache}
