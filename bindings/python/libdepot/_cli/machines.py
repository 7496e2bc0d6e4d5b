"""What the commands that ask a builder share: its flags, and the way to it."""

from __future__ import annotations

import argparse
import sys

import libdepot

from .flags import builders
from .usage import Formatter, Parser

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Commands = argparse._SubParsersAction[Parser]  # argparse's own name for what add_subparsers() gives
    T = TypeVar("T")


def add_parser(commands: Commands, name: str, help: str, description: str = "", asks: bool = True) -> Parser:
    parser = commands.add_parser(name, allow_abbrev=False, formatter_class=Formatter, help=help,
                                 description=description or f"{help[0].upper()}{help[1:]}.")
    if asks:
        builders.add_flags(parser)
        parser.add_argument("--platform", metavar="amd64|arm64", help="which machine (default: this computer's kind)")
        parser.add_argument("--timeout", metavar="DURATION", help="how long to wait for an answer: 20s, 5m")
    return parser


def add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("table", "json"), default="table",
                        help="json: one object a line (default: table)")


def named(text: str) -> str:
    if text and "=" not in text:
        raise argparse.ArgumentTypeError("bad format of filter (expected name=value)")
    return text


def add_filter(parser: argparse.ArgumentParser, example: str, check: Callable[[str], str] = str) -> None:
    parser.add_argument("--filter", metavar="FILTER", action="append", default=[], type=check,
                        help=f"those alone that are so: {example}; may be repeated, then all must be true")


def filters_of(options: argparse.Namespace) -> list[str]:
    """All of them must be true, as docker has it; several of the library's are alternatives."""
    given = [each for each in options.filter if each]
    return [",".join(given)] if given else []


def timeout_of(options: argparse.Namespace) -> float | None:
    if options.timeout is None:
        return None
    from libdepot import _core

    return _core.parse_duration(options.timeout) / 1000 or None


def on_machine(options: argparse.Namespace, ask: Callable[[libdepot.Machine], T]) -> T:
    """Calls `ask` with a machine of the builder that the flags name."""
    warnings: list[str] = []
    try:
        with builders.client_of(options, warnings) as client, client.new_build() as build:
            with build.acquire(options.platform, timeout=timeout_of(options)) as machine:
                return ask(machine)
    finally:
        sys.stderr.write("".join([f"WARNING: {line}\n" for line in warnings]))
