"""Tables, sizes and times as docker and buildctl print them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing import Any


def printable(text: str) -> str:
    """What a builder sent, on one line and without what a terminal would obey."""
    return "".join([c if c.isprintable() else " " for c in os.fsencode(text).decode(errors="replace")])


def table(rows: Iterable[Sequence[str]]) -> str:
    """Columns as docker's formatter sets them: three blanks apart, ten wide at least."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(10, 3 + max([len(row[at]) for row in cells])) for at in range(len(cells[0]) - 1)]
    return "".join(["".join([cell.ljust(width) for cell, width in zip(row, widths)]) + row[-1] + "\n"
                    for row in cells])


def tabbed(rows: Iterable[Sequence[str]]) -> str:
    """Columns set with tabs of eight."""
    cells = [[printable(cell) for cell in row] for row in rows]
    if not cells:
        return ""
    widths = [(max([len(row[at]) for row in cells]) + 8) // 8 * 8 for at in range(len(cells[0]) - 1)]
    return "".join(["".join([cell + "\t" * ((width - len(cell) + 7) // 8) for cell, width in zip(row, widths)])
                    + row[-1] + "\n" for row in cells])


def size_in_words(size: int) -> str:
    """Four digits of a decimal unit: 12.35MB."""
    value, units = float(size), ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
    unit = 0
    while value >= 1000 and unit < len(units) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.4g}{units[unit]}"


def span_in_words(seconds: float) -> str:
    """As docker says how long ago something was."""
    whole = int(seconds)
    hours = int(seconds / 3600 + 0.5)
    for below, words in (
            (1, "Less than a second"), (2, "1 second"), (60, f"{whole} seconds"), (120, "About a minute"),
            (3600, f"{whole // 60} minutes")):
        if seconds < below:
            return words
    for below, words in (
            (2, "About an hour"), (48, f"{hours} hours"), (24 * 14, f"{hours // 24} days"),
            (24 * 60, f"{hours // 24 // 7} weeks"), (24 * 365 * 2, f"{hours // 24 // 30} months")):
        if hours < below:
            return words
    return f"{int(seconds / 3600) // 24 // 365} years"


def ago(nanoseconds: int | None) -> str:
    """By this computer's clock."""
    return "" if nanoseconds is None else span_in_words(max(0.0, time.time() - nanoseconds / 1e9)) + " ago"


def duration(seconds: float) -> str:
    return f"{seconds:.1f}s" if seconds < 60 else f"{int(seconds // 60)}m {int(seconds) % 60:2}s"


def rfc3339(nanoseconds: int | None) -> str | None:
    if nanoseconds is None:
        return None
    whole, rest = divmod(nanoseconds, 1_000_000_000)
    fraction = f".{rest:09}".rstrip("0").rstrip(".")
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + fraction + "Z"


def json_line(what: Mapping[str, Any]) -> str:
    import json

    return json.dumps(what, ensure_ascii=False, separators=(",", ":")) + "\n"


def put(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
