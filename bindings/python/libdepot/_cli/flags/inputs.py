"""What is built: the context and the Dockerfile."""

from __future__ import annotations

import argparse

from ..usage import UsageError

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from libdepot._request import RequestFields


def add_flags(build: argparse.ArgumentParser) -> None:
    add = build.add_argument
    add("context", metavar="CONTEXT",
        help="directory that holds the files; or a Git reference, an http(s) URL of an archive or a Dockerfile, "
             "a tar, - for a tar or a Dockerfile on standard input")
    add("-f", "--file", metavar="PATH", help="the Dockerfile (default: CONTEXT/Dockerfile); - for standard input")
    add("--build-context", metavar="NAME=VALUE", action="append", default=[],
        help="what the Dockerfile means by NAME: a directory, docker-image://NAME, oci-layout://DIR:TAG, a URL")
    add("--cache-from", metavar="SPEC", action="append", default=[],
        help='where to look for layers: "user/app:cache", "type=local,src=DIR", gha, s3, azblob')
    add("--cache-to", metavar="SPEC", action="append", default=[],
        help='where to leave them: "type=registry,ref=NAME,mode=max", "type=local,dest=DIR", inline, ...')


def build_contexts(given: list[str]) -> dict[str, str]:
    out: dict[str, str] = {}
    for text in filter(None, given):
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UsageError("--build-context needs NAME=VALUE")
        out[name] = value  # as docker buildx, the last one counts
    return out


def fields_of(options: argparse.Namespace) -> RequestFields:
    return {"dockerfile": options.file, "build_contexts": build_contexts(options.build_context),
            "cache_from": options.cache_from, "cache_to": options.cache_to}
