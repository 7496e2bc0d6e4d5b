"""`libdepot context`: what of a context is sent, and which ignore rule says so."""

from __future__ import annotations

import argparse
import os
import sys

import libdepot

from .usage import Formatter, Parser

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing import TextIO

    # argparse's own name for what add_subparsers() gives
    Commands = argparse._SubParsersAction[Parser]


def add_command(commands: Commands) -> None:
    context = commands.add_parser("context", allow_abbrev=False, formatter_class=Formatter,
                                  help="what of a context is sent, and why",
                                  description="What of a local context is sent to a builder, and which rule of an "
                                              "ignore file says so. No builder is asked.")
    actions = context.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)
    listing = actions.add_parser("ls", allow_abbrev=False, formatter_class=Formatter, help="the files, largest first",
                                 description="The files of CONTEXT that are not ignored, largest first.")
    listing.add_argument("context", metavar="CONTEXT", nargs="?", default=".", help="a directory (default: .)")
    explain = actions.add_parser("explain", allow_abbrev=False, formatter_class=Formatter,
                                 help="which rule sends or ignores a path",
                                 description="Which rule sends or ignores each PATH, which is relative to the context.")
    explain.add_argument("paths", metavar="PATH", nargs="+", help="a path in the context")
    explain.add_argument("--context", metavar="DIR", default=".", help="the context (default: .)")
    for parser in (listing, explain):
        parser.set_defaults(run=run)
        parser.add_argument("-f", "--file", metavar="PATH",
                            help="the Dockerfile, whose own ignore file counts (default: CONTEXT/Dockerfile)")


def in_words(size: int) -> str:
    """As docker writes sizes: three digits of a decimal unit."""
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    return f"{size}B" if unit == "B" else f"{value:.3g}{unit}"


def printable(path: str) -> str:
    """What a terminal is shown, and what is no UTF-8 as it is."""
    return os.fsencode(path).decode(errors="replace")


def list_sent(files: list[libdepot.SentFile], out: TextIO) -> None:
    """What a build's local directories sent, and which of it the builder had already."""
    new = [file for file in files if file.transferred]
    out.write(f"Sent {in_words(sum(file.size for file in new))} in {len(new)} of {len(files)} "
              f"file{'' if len(files) == 1 else 's'}, largest first; \"=\": the builder had it\n")
    for file in sorted(files, key=lambda file: -file.size):
        local = "" if file.local == "context" else f"  ({file.local})"
        out.write(f"{in_words(file.size):>8} {' ' if file.transferred else '='} {printable(file.path)}{local}\n")
    out.flush()


def run(options: argparse.Namespace) -> int:
    if options.action == "ls":
        files = libdepot.list_context(options.context, dockerfile=options.file)
        total = sum(file.size for file in files)
        sys.stderr.write(f"{in_words(total)} in {len(files)} file{'' if len(files) == 1 else 's'}, largest first\n")
        sys.stderr.flush()
        for file in sorted(files, key=lambda file: -file.size):
            print(f"{in_words(file.size):>8}  {printable(file.path)}")
        sys.stdout.flush()
        return 0
    for path in options.paths:
        found = libdepot.explain_context(path, options.context, dockerfile=options.file)
        verdict = f"{'sent' if found.sent else 'ignored':<8}{path}: "
        if not found.file:
            print(verdict + "no rule matches it")
            continue
        print(f"{verdict}'{found.rule}' in {printable(found.file)}, line {found.line}, matches "
              f"{printable(found.matched)}")
    return 0
