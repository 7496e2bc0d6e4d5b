"""Where the result goes, and under which names."""

from __future__ import annotations

import argparse

import libdepot

from ..usage import BOOLS, UsageError

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing import BinaryIO

    from libdepot._request import RequestFields


def add_flags(build: argparse.ArgumentParser) -> None:
    add = build.add_argument
    add("-t", "--tag", metavar="NAME", action="append", default=[], help="name of the image; may be repeated")
    add("--push", action="store_true", help="push the image under its names")
    add("--load", action="store_true", help="load the image into the Docker Engine; short for --output type=docker")
    add("--save", action="store_true", help="keep the image in Depot's registry, for `libdepot pull`")
    add("--save-tag", metavar="TAG", action="append", default=[],
        help="keep it there under this tag of the project, too; may be repeated, and says --save by itself")
    add("-o", "--output", metavar="SPEC", action="append", default=[],
        help='where the result goes: "type=oci,dest=hello.tar", "type=docker,dest=-"; may be repeated')


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


def is_tar(attrs: dict[str, str]) -> bool:
    kind = attrs.get("type")
    return kind == "tar" or kind == "oci" and BOOLS.get(attrs.get("tar", ""), True)


def export_of(spec: str, stdout: BinaryIO) -> libdepot.Export | str:
    """What --output says. The library reads all of them but those to standard output: dest=-, which a tar
    without a destination has, too, as with docker buildx."""
    fields = ["type=tar", "dest=-"] if spec == "-" else split_csv(spec)
    pairs = [(key.lower(), value) for key, _, value in (field.partition("=") for field in fields)]
    attrs = dict(pairs)
    here = ("dest", "-") in pairs or (not attrs.get("dest") and is_tar(attrs))
    if not here or any("=" not in field for field in fields):
        return spec
    names = [key for key, _ in pairs]
    if len(set(names)) != len(names):
        raise UsageError(f"output '{spec}': a key is given twice")
    kind = attrs.pop("type", "")
    if not kind:
        raise UsageError(f"output '{spec}' has no type")
    attrs.pop("dest", None)
    return libdepot.Export(kind, dest=stdout, attrs=attrs)


def fields_of(options: argparse.Namespace, stdout: BinaryIO) -> RequestFields:
    exports = [export_of(spec, stdout) for spec in options.output]
    here = [export for export in exports if isinstance(export, libdepot.Export)]
    if len(here) > 1:
        raise UsageError("only one --output may go to standard output")
    if here and getattr(stdout, "isatty", lambda: False)():
        raise UsageError(f"output type={here[0].type} needs dest=FILE: standard output is a terminal")
    return {"exports": exports, "tags": options.tag, "push": options.push, "load": options.load,
            "save": options.save, "save_tags": options.save_tag}
