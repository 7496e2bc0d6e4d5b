"""What is built: the context and the Dockerfile."""

from __future__ import annotations

import argparse
import os

import libdepot

from ..usage import UsageError

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing import BinaryIO

    from libdepot._request import RequestFields


def add_flags(build: argparse.ArgumentParser) -> None:
    add = build.add_argument
    add("context", metavar="CONTEXT",
        help="directory that holds the files; or a Git reference, an http(s) URL of an archive or a Dockerfile, "
             "a tar, - for a tar or a Dockerfile on standard input")
    add("-f", "--file", metavar="PATH", help="the Dockerfile (default: CONTEXT/Dockerfile); - for standard input")
    add("--context-file", metavar="PATH=FILE", action="append", default=[],
        help="a file that lies elsewhere, as PATH in the context, over what the directory has there; its mode comes "
             "with it")
    add("--ignorefile", metavar="FILE", help="the ignore rules, instead of any .dockerignore")
    add("--build-context", metavar="NAME=VALUE", action="append", default=[],
        help="what the Dockerfile means by NAME: a directory, docker-image://NAME, oci-layout://DIR:TAG, a URL")
    add("--cache-from", metavar="SPEC", action="append", default=[],
        help='where to look for layers: "user/app:cache", "type=local,src=DIR", gha, s3, azblob')
    add("--cache-to", metavar="SPEC", action="append", default=[],
        help='where to leave them: "type=registry,ref=NAME,mode=max", "type=local,dest=DIR", inline, ...')


def context_files(given: list[str]) -> dict[str, libdepot.File]:
    out: dict[str, libdepot.File] = {}
    for text in given:
        path, equals, file = text.partition("=")
        if not path or not equals or not file:
            raise UsageError("--context-file needs PATH=FILE")
        if path in out:
            raise UsageError(f"--context-file gives {path} twice")
        with opened(file, "--context-file") as source:
            out[path] = libdepot.File(source.read(), mode=os.fstat(source.fileno()).st_mode & 0o777)
    return out


def opened(path: str, flag: str) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise UsageError(f"{flag} {path}: {error.strerror}") from None


def ignore_text(path: str | None) -> bytes | None:
    if path is None:
        return None
    with opened(path, "--ignorefile") as source:
        return source.read()


def build_contexts(given: list[str]) -> dict[str, str]:
    out: dict[str, str] = {}
    for text in filter(None, given):
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UsageError("--build-context needs NAME=VALUE")
        out[name] = value  # as docker buildx, the last one counts
    return out


def fields_of(options: argparse.Namespace) -> RequestFields:
    return {"dockerfile": options.file, "files": context_files(options.context_file),
            "ignore_text": ignore_text(options.ignorefile), "build_contexts": build_contexts(options.build_context),
            "cache_from": options.cache_from, "cache_to": options.cache_to}
