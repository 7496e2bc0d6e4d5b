"""The arguments of the command line, and the request that they make."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import libdepot

from . import books, builds, context, history, local, replay
from .flags import attributes, builders, credentials, inputs, outputs, results
from .usage import Formatter, Parser

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing import BinaryIO

    from libdepot._request import RequestFields


def make_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="libdepot", allow_abbrev=False, formatter_class=Formatter,
                    description="Build container images on Depot, on a local builder, on any BuildKit.")
    parser.add_argument("--version", action="version", version=f"libdepot {libdepot.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    build = commands.add_parser("build", allow_abbrev=False, formatter_class=Formatter, help="build an image",
                                description="Build an image from the Dockerfile in CONTEXT.")
    for topic in (inputs, outputs, attributes, credentials, results, builders):
        topic.add_flags(build)
    books.add_commands(commands)
    history.add_commands(commands)
    local.add_commands(commands)
    builds.add_commands(commands)
    context.add_command(commands)
    replay.add_command(commands)
    return parser


def request_of(options: argparse.Namespace, stdout: BinaryIO) -> libdepot.SolveRequest:
    fields: RequestFields = {}
    fields.update(inputs.fields_of(options))
    fields.update(outputs.fields_of(options, stdout))
    fields.update(attributes.fields_of(options))
    fields.update(credentials.fields_of(options))
    fields.update(results.fields_of(options))
    return libdepot.SolveRequest(context=options.context, **fields)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    return make_parser().parse_args(sys.argv[1:] if arguments is None else arguments)
