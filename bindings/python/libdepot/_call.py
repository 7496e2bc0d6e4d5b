"""Calls: what a frontend tells about a build instead of building it."""

from __future__ import annotations

from ._light import Later, dataclass

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing import Any

    from . import _range
else:
    _range = Later("libdepot._range")


@dataclass(frozen=True)
class LintWarning:
    """One finding of a check."""

    rule: str  # "StageNameCasing"
    description: str = ""
    url: str = ""
    detail: str = ""  # what is wrong here
    source_file: str = ""
    ranges: tuple[_range.Range, ...] = ()


@dataclass(frozen=True)
class OutlineEntry:
    """One thing that a build takes."""

    kind: str  # arg, secret, ssh, cache
    name: str
    description: str = ""
    value: str = ""  # of an argument
    required: bool = False
    ranges: tuple[_range.Range, ...] = ()


@dataclass(frozen=True)
class Target:
    """One stage that can be built."""

    name: str  # "" for a stage without a name
    description: str = ""
    base: str = ""  # image or stage that it begins with
    platform: str = ""
    is_default: bool = False
    ranges: tuple[_range.Range, ...] = ()


@dataclass(frozen=True)
class Call:
    """The answer to a call: as JSON, as text, and what it means.

    ``warnings`` and ``error`` are of a check, ``name``, ``description`` and ``outline`` of an outline,
    ``targets`` of the targets.
    """

    method: str  # "lint" for a check
    json: str
    text: str  # as docker buildx prints it
    status: int = 0  # 1 for a check that has found something
    warnings: tuple[LintWarning, ...] = ()
    error: str = ""  # why the Dockerfile could not be checked to its end
    name: str = ""
    description: str = ""
    outline: tuple[OutlineEntry, ...] = ()
    targets: tuple[Target, ...] = ()


_KINDS = {1: "arg", 2: "secret", 3: "ssh", 4: "cache"}


def make_call(raw: dict[str, Any]) -> Call:
    def ranges(given: Any) -> tuple[_range.Range, ...]:
        return tuple([_range.Range(*one) for one in given])

    # Each entry is a tuple of the fields in their order.
    raw["warnings"] = tuple([LintWarning(rule, about, url, detail, file, ranges(places))
                             for rule, about, url, detail, file, places in raw["warnings"]])
    raw["outline"] = tuple([OutlineEntry(_KINDS.get(kind, str(kind)), name, about, value, required, ranges(places))
                            for kind, name, about, value, required, places in raw["outline"]])
    raw["targets"] = tuple([Target(name, about, base, platform, default, ranges(places))
                            for name, about, base, platform, default, places in raw["targets"]])
    return Call(**raw)
