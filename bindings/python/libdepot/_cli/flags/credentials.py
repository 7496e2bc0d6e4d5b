"""What a build may know and the image must not: secrets."""

from __future__ import annotations

import argparse

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from libdepot._request import RequestFields


def add_flags(build: argparse.ArgumentParser) -> None:
    add = build.add_argument
    add("--secret", metavar="SPEC", action="append", default=[],
        help='a secret for the steps that mount it: "id=npm,src=token.txt", "id=npm,env=NPM_TOKEN"; may be repeated')


def fields_of(options: argparse.Namespace) -> RequestFields:
    return {"secrets": options.secret}
