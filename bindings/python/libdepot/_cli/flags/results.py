"""What is asked and shown, and written when it is done."""

from __future__ import annotations

import argparse
import os

from libdepot import Progress

from ..usage import BOOLS, UsageError
from .outputs import split_csv

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from libdepot import Result, Status
    from libdepot._request import RequestFields


def add_flags(build: argparse.ArgumentParser) -> None:
    add = build.add_argument
    add("--call", metavar="METHOD", default="build",
        help='ask about the build instead of building: check, outline, targets; "check,format=json,ignorestatus=true" '
             "(default: build)")
    add("--check", action="store_const", const="check", dest="call", help="as --call check")
    add("--print", dest="call", help=argparse.SUPPRESS)  # as docker buildx called it once
    add_progress_flags(build)
    add("-q", "--quiet", action="store_const", const="quiet", dest="progress", help="as --progress quiet")
    add("--metadata-file", metavar="PATH", help="write the result's metadata as JSON")
    add("--iidfile", metavar="PATH", help="write the image's digest")
    add("--stats", action="store_true", help="tell how long each part took, and how much was moved")
    add("--list-context", action="store_true",
        help="list what local directories sent, largest first; without a build: libdepot context ls")


def add_progress_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--progress", choices=("auto", "tty", "plain", "rawjson", "quiet", "none"), default="auto",
                        help="how to show progress (default: auto, which $BUILDKIT_PROGRESS sets); quiet prints the "
                             "image's digest alone, none nothing")
    parser.add_argument("-D", "--debug", action="store_true",
                        help="show what the warnings of the build are about, with the lines of the Dockerfile")


def display_of(options: argparse.Namespace, out: TextIO, *, description: str = "", replay: bool = False) -> Progress:
    return Progress(options.progress, out, description=description, replay=replay,
                    warnings="expand" if options.debug else "summary", warnings_hint="use --debug to expand")


class CallFlag:
    """What --call says: the method, how to print the answer, and whether its status is the command's."""

    def __init__(self, given: str) -> None:
        self.method, self.format, self.ignore_status = "", "", False
        for field in split_csv(given):
            key, equals, value = field.partition("=")
            if not equals and self.method:
                raise UsageError(f"--call '{given}' names two methods")
            if not equals:
                self.method = field
            elif key == "format":
                self.format = value
            elif key == "ignorestatus" and value in BOOLS:
                self.ignore_status = BOOLS[value]
            else:
                raise UsageError(f"--call '{given}': '{field}' is neither format=FORMAT nor ignorestatus=true")
        self.method = self.method or "build"


def fields_of(options: argparse.Namespace) -> RequestFields:
    return {"call": CallFlag(options.call).method, "record_context": options.list_context,
            "record_provenance": provenance_detail() if options.metadata_file else None}


class Metadata:
    """Of the metadata file: what $BUILDX_METADATA_WARNINGS adds to the result's."""

    def __init__(self, display: Callable[[Status], None]) -> None:
        self._display = display
        self._warnings: list[object] | None = [] if BOOLS.get(os.environ.get("BUILDX_METADATA_WARNINGS", "")) else None

    def __call__(self, status: Status) -> None:
        if status.warnings and self._warnings is not None:
            import json
            self._warnings += json.loads(status.json)["warnings"]
        self._display(status)

    def text(self, result: Result) -> str:
        if self._warnings is None:
            return result.metadata_json
        import json
        return json.dumps({**result.metadata, "buildx.build.warnings": self._warnings}, indent=2, sort_keys=True,
                          ensure_ascii=False)


def provenance_detail() -> str:
    """Of a metadata file, as $BUILDX_METADATA_PROVENANCE sets it."""
    given = os.environ.get("BUILDX_METADATA_PROVENANCE", "")
    if given in ("min", "max", "disabled"):
        return given
    return "min" if BOOLS.get(given, True) else "disabled"
