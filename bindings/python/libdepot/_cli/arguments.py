"""The arguments of `libdepot build`, spelled as `docker buildx build` and `depot build` spell them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence

import libdepot

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing import BinaryIO, NoReturn


class UsageError(Exception):
    pass


class Formatter(argparse.HelpFormatter):
    """As wide as shutil.get_terminal_size() says: argparse makes one of these for every argument, and
    would import shutil, with the compressors of its archives, for the width."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=columns() - 2)


def columns() -> int:
    try:
        width = int(os.environ.get("COLUMNS", ""))
    except ValueError:
        width = 0
    if width <= 0:
        try:
            width = os.get_terminal_size(1).columns
        except OSError:
            pass
    return width if width > 0 else 80


class Parser(argparse.ArgumentParser):
    """Reports what is wrong without repeating values: one may be a token."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments: "):
            words = message.split(": ", 1)[1].split()
            flags = [word.split("=", 1)[0] for word in words if word.startswith("-")]
            message = f"unknown flag: {flags[0]}" if flags else f"{self.prog} takes one CONTEXT"
        raise UsageError(f"{message}\nSee '{self.prog} --help'.")


def make_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="libdepot", allow_abbrev=False, formatter_class=Formatter,
                    description="Build container images on Depot, on a local builder, on any BuildKit.")
    parser.add_argument("--version", action="version", version=f"libdepot {libdepot.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    build = commands.add_parser("build", allow_abbrev=False, formatter_class=Formatter, help="build an image",
                                description="Build an image from the Dockerfile in CONTEXT.")
    build.add_argument("context", metavar="CONTEXT", help="directory that holds the files")
    add = build.add_argument
    add("-f", "--file", metavar="PATH", help="the Dockerfile (default: CONTEXT/Dockerfile)")
    add("-t", "--tag", metavar="NAME", action="append", default=[], help="name of the image; may be repeated")
    add("--push", action="store_true", help="push the image under its names")
    add("-o", "--output", metavar="SPEC", action="append", default=[],
        help='where the result goes: "type=oci,dest=hello.tar", "type=docker,dest=-"; may be repeated')
    add("--build-arg", metavar="NAME=VALUE", action="append", default=[],
        help="set a build argument; NAME alone takes it from the environment")
    add("--target", metavar="STAGE", help="the stage to build")
    add("--platform", metavar="PLATFORM", action="append", default=[], help="linux/amd64, linux/arm64")
    add("--no-cache", action="store_true", help="run every step again")
    add("--progress", choices=("auto", "plain", "rawjson", "quiet"), default="auto",
        help="how to show progress (default: auto); quiet prints the image's digest alone")
    add("-q", "--quiet", action="store_const", const="quiet", dest="progress", help="as --progress quiet")
    add("--metadata-file", metavar="PATH", help="write the result's metadata as JSON")
    add("--iidfile", metavar="PATH", help="write the image's digest")
    where = build.add_argument_group("builder")
    add = where.add_argument
    add("--builder", metavar="auto|local|depot|ADDRESS", default="auto",
        help="auto: Depot with a token, else $BUILDKIT_HOST, else a local one that starts by itself; "
             "ADDRESS: unix:///path, tcp://host:port (default: auto)")
    add("--project", metavar="ID", help="Depot project (default: $DEPOT_PROJECT_ID, depot.json)")
    add("--token", metavar="TOKEN", help="Depot token; $DEPOT_TOKEN is not seen by other users as this is")
    add("--tlscacert", metavar="PEM", help="CA that signed the certificate of a tcp:// builder")
    add("--tlscert", metavar="PEM", help="client certificate")
    add("--tlskey", metavar="PEM", help="its key")
    add("--tlsservername", metavar="NAME", help="name to verify in the builder's certificate")
    return parser


def build_args(given: Iterable[str]) -> dict[str, str | None]:
    out: dict[str, str | None] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name:
            raise UsageError("--build-arg needs NAME=VALUE")
        out[name] = value if equals else None
    return out


def split_csv(line: str) -> list[str]:
    """One line of CSV as encoding/csv of Go reads it, which is how BuildKit's tools read --output."""
    fields: list[str] = []
    at, end = 0, len(line)
    while True:
        field = ""
        if line.startswith('"', at):
            at += 1
            while True:
                close = line.find('"', at)
                if close < 0:
                    raise UsageError(f"'{line}': a quote is not closed")
                field += line[at:close]
                at = close + 1
                if not line.startswith('"', at):
                    break
                field += '"'
                at += 1
            if at < end and line[at] != ",":
                raise UsageError(f"'{line}': text after a closing quote")
        else:
            comma = line.find(",", at)
            comma = end if comma < 0 else comma
            field = line[at:comma]
            if '"' in field:
                raise UsageError(f"'{line}': a bare quote in a field")
            at = comma
        fields.append(field)
        if at >= end:
            return fields
        at += 1


def export_of(spec: str, stdout: BinaryIO) -> libdepot.Export | str:
    """What --output says. The library reads all of them but those to standard output: dest=-."""
    fields = ["type=tar", "dest=-"] if spec == "-" else split_csv(spec)
    pairs = [(key.lower(), value) for key, _, value in (field.partition("=") for field in fields)]
    if ("dest", "-") not in pairs or any("=" not in field for field in fields):
        return spec
    names = [key for key, _ in pairs]
    if len(set(names)) != len(names):
        raise UsageError(f"output '{spec}': a key is given twice")
    attrs = dict(pairs)
    kind = attrs.pop("type", "")
    if not kind:
        raise UsageError(f"output '{spec}' has no type")
    del attrs["dest"]
    return libdepot.Export(kind, dest=stdout, attrs=attrs)


def request_of(options: argparse.Namespace, stdout: BinaryIO) -> libdepot.SolveRequest:
    exports = [export_of(spec, stdout) for spec in options.output]
    to_stdout = [export for export in exports if not isinstance(export, str)]
    if len(to_stdout) > 1:
        raise UsageError("only one --output may go to standard output")
    if to_stdout and getattr(stdout, "isatty", lambda: False)():
        raise UsageError("standard output is a terminal: redirect it to a file")
    if to_stdout and options.progress == "quiet":
        raise UsageError("--progress quiet and an --output to standard output exclude each other")
    return libdepot.SolveRequest(
        context=options.context, dockerfile=options.file, exports=exports, tags=options.tag, push=options.push,
        build_args=build_args(options.build_arg), target=options.target, platform=options.platform or None,
        no_cache=options.no_cache)


def client_of(options: argparse.Namespace) -> libdepot.Client:
    return libdepot.Client(
        builder=options.builder, token=options.token, project=options.project, tls_ca_file=options.tlscacert,
        tls_cert_file=options.tlscert, tls_key_file=options.tlskey, tls_server_name=options.tlsservername)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    return make_parser().parse_args(sys.argv[1:] if arguments is None else arguments)
