"""The lines of the Dockerfile that an error points at, as buildx shows them."""

from __future__ import annotations

from libdepot import Error, Source

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing import TextIO

AROUND = 2
RULE = "--------------------"


def print_excerpt(error: Error, out: TextIO) -> None:
    for source in error.sources:
        _print_source(source, out)


def _print_source(source: Source, out: TextIO) -> None:
    if not source.ranges:
        return
    lines = source.data.decode("utf-8", "replace").split("\n")
    first = max(1, min(r.start_line for r in source.ranges))
    last = min(len(lines), max(r.end_line for r in source.ranges))
    if first > len(lines):
        return
    marked = {line for r in source.ranges for line in range(r.start_line, min(r.end_line, len(lines)) + 1)}
    out.write(f"{source.file}:{first}\n{RULE}\n")
    for number in range(max(1, first - AROUND), min(len(lines), last + AROUND) + 1):
        mark = ">>>" if number in marked else "   "
        text = lines[number - 1].rstrip("\r").replace("\t", "    ")
        out.write(f"{number:4} | {mark} {text}\n")
    out.write(f"{RULE}\n")
