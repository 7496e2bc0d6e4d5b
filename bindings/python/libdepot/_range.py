"""A place in a source file. Imported for the first one that there is: collections is dear."""

from __future__ import annotations

import collections

from ._light import typing

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    class Range(typing.NamedTuple):
        """A place in a source file. Lines are 1-based, characters 0-based."""

        start_line: int
        start_character: int
        end_line: int
        end_character: int
else:
    Range = collections.namedtuple("Range", "start_line start_character end_line end_character")
    Range.__doc__ = """A place in a source file. Lines are 1-based, characters 0-based."""
    Range.__annotations__ = Range.__new__.__annotations__ = dict.fromkeys(Range._fields, int)
