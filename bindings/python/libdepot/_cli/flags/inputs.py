"""What is built: the context and the Dockerfile."""

from __future__ import annotations

import argparse

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from libdepot._request import RequestFields


def add_flags(build: argparse.ArgumentParser) -> None:
    add = build.add_argument
    add("context", metavar="CONTEXT",
        help="directory that holds the files; or a Git reference, an http(s) URL of an archive or a Dockerfile, "
             "a tar, - for a tar or a Dockerfile on standard input")
    add("-f", "--file", metavar="PATH", help="the Dockerfile (default: CONTEXT/Dockerfile); - for standard input")


def fields_of(options: argparse.Namespace) -> RequestFields:
    return {"dockerfile": options.file}
