"""`libdepot list builds` and `pull`: what the API knows of a project's builds, and what they saved."""

from __future__ import annotations

import argparse
import sys
import time

from libdepot import ListedBuild

from .flags import builders, results
from .machines import add_format, add_parser, timeout_of
from .table import json_line, put, rfc3339, table
from .usage import Formatter, Parser, UsageError

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from .machines import Commands

HEADER = ("BUILD ID", "STATUS", "STARTED", "DURATION (S)")


def add_commands(commands: Commands) -> None:
    listing = commands.add_parser("list", allow_abbrev=False, formatter_class=Formatter,
                                  help="the builds of a project")
    actions = listing.add_subparsers(dest="action", metavar="WHAT", required=True, parser_class=Parser)
    builds = add_parser(actions, "builds", "the builds of a project",
                        "The builds of a Depot project, or of the local builder, the newest first.", asks=False)
    builders.add_flags(builds)
    builds.add_argument("--limit", metavar="N", type=int, default=100, help="the newest so many (default: 100)")
    builds.add_argument("--timeout", metavar="DURATION", help="how long to wait for an answer: 20s, 5m (default: 30s)")
    add_format(builds)
    builds.set_defaults(run=run_builds)

    pull = add_parser(commands, "pull", "pull a saved image into the Docker Engine",
                      "Have the Docker Engine pull the image of a build that was made with --save.", asks=False)
    pull.add_argument("what", metavar="BUILD_ID|PROJECT:TAG", help="a build, or a tag that one was saved under")
    pull.add_argument("-t", "--tag", metavar="NAME", action="append", default=[],
                      help="name for the image (default: those that it was built under); may be repeated")
    pull.add_argument("--target", metavar="NAME", action="append", default=[],
                      help="target of a bake (default: all); may be repeated")
    pull.add_argument("--platform", metavar="OS/ARCH", help="of an image of several (default: the Engine's own)")
    pull.add_argument("--into", metavar="docker://HOST", help="which Engine (default: that which docker would use)")
    pull.add_argument("--timeout", metavar="DURATION", help="of it all: 90s, 10m (default: 1h)")
    results.add_progress_flags(pull)
    pull.add_argument("-q", "--quiet", action="store_const", const="quiet", dest="progress",
                      help="as --progress quiet")
    builders.add_flags(pull)
    pull.set_defaults(run=run_pull)


def duration_of(build: ListedBuild) -> int:
    """In whole seconds, of one that runs until now."""
    ended = time.time_ns() if build.finished is None else build.finished
    return max(0, ended - (build.created or ended)) // 1_000_000_000


def run_builds(options: argparse.Namespace) -> int:
    if options.limit < 1:
        raise UsageError("--limit takes a positive number")
    warnings: list[str] = []
    try:
        with builders.client_of(options, warnings) as client:
            builds = client.list_builds(limit=options.limit, timeout=timeout_of(options))
    finally:
        sys.stderr.write("".join([f"WARNING: {line}\n" for line in warnings]))
    if options.format == "json":
        put("".join([json_line({"id": build.id, "status": build.state, "startTime": rfc3339(build.created),
                                "duration": duration_of(build)}) for build in builds]))
        return 0
    put(table([HEADER, *[(build.id, build.state, started_of(build), str(duration_of(build))) for build in builds]]))
    return 0


def run_pull(options: argparse.Namespace) -> int:
    warnings: list[str] = []
    try:
        with builders.client_of(options, warnings) as client:
            with results.display_of(options, sys.stderr, description=client.builder) as display:
                client.pull(options.what, tags=options.tag, targets=options.target, platform=options.platform,
                            into=options.into, on_status=display, timeout=timeout_of(options))
    finally:
        sys.stderr.write("".join([f"WARNING: {line}\n" for line in warnings]))
    return 0


def started_of(build: ListedBuild) -> str:
    """Whole seconds, as Depot's own command line shows them."""
    return "" if build.created is None else rfc3339(build.created // 1_000_000_000 * 1_000_000_000) or ""
