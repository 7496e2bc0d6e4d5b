"""`libdepot replay`: a recorded build once more, in any display."""

from __future__ import annotations

import argparse
import sys

from .flags.results import add_progress_flags, display_of
from .usage import Formatter, Parser

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing import BinaryIO

    # argparse's own name for what add_subparsers() gives
    Commands = argparse._SubParsersAction[Parser]


def add_command(commands: Commands) -> None:
    replay = commands.add_parser("replay", allow_abbrev=False, formatter_class=Formatter,
                                 help="show a recorded build",
                                 description="Show a build that was recorded by --progress=rawjson (of this program, "
                                             "docker buildx or buildctl), in any display. No builder is asked.")
    replay.add_argument("file", metavar="FILE", nargs="?", default="-",
                        help="the recording; - (default): standard input")
    add_progress_flags(replay)
    replay.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.file == "-":
        return show(sys.stdin.buffer, options)
    with open(options.file, "rb") as recording:
        return show(recording, options)


def show(recording: BinaryIO, options: argparse.Namespace) -> int:
    """What is no batch was printed beside them (how the build ended, mostly): it comes at the end."""
    others: list[bytes] = []
    with display_of(options, sys.stdout, replay=True) as progress:
        for line in recording:
            if line.startswith(b"{"):
                progress.update_json(line)
            elif line.strip():
                others.append(line)
    sys.stdout.flush()
    sys.stderr.write(b"".join(others).decode(errors="replace"))
    sys.stderr.flush()
    return 0
