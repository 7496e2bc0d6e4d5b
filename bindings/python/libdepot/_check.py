"""What a caller gives is of the types that it has to be of: told before the extension sees it.

A complaint names the field, what that takes, and the type of what it was given. It never has the value, which may
be a password or a key.
"""

from __future__ import annotations

import os

from ._light import Callable, Iterator, Mapping

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing import Any

LONGEST = 10**9  # seconds: what the clocks can add to now, and more than anybody waits


def wrong(field: str, takes: str, given: object) -> TypeError:
    return TypeError(f"{field} must be {takes}, not {type(given).__name__}")


def text(field: str, given: object) -> str:
    if not isinstance(given, str):
        raise wrong(field, "a str", given)
    return given


def text_or_none(field: str, given: object) -> str | None:
    if given is not None and not isinstance(given, str):
        raise wrong(field, "a str or None", given)
    return given


def text_or_int(field: str, given: object) -> str:
    if not isinstance(given, (str, int)):
        raise wrong(field, "a str or an int", given)
    return str(given)


def data(field: str, given: object, takes: str = "bytes or a str") -> bytes:
    if isinstance(given, str):
        return given.encode()
    if not isinstance(given, (bytes, bytearray, memoryview)):
        raise wrong(field, takes, given)
    return bytes(given)


def path(field: str, given: Any, takes: str = "a path") -> bytes:
    if not isinstance(given, (str, bytes, os.PathLike)):
        raise wrong(field, takes, given)
    return os.fsencode(given)


def switch(field: str, given: object) -> bool:
    if given is not None and not hasattr(type(given), "__bool__"):  # text has none: "false" would be true
        raise wrong(field, "a bool", given)
    return bool(given)


def number(field: str, given: object, takes: str = "an int", most: int = 2**63 - 1) -> int:
    if not isinstance(given, int):
        raise wrong(field, takes, given)
    if not 0 <= given <= most:
        raise ValueError(f"{field} must be {takes}, from 0 to {most}")
    return given


def login(field: str, given: object) -> tuple[str, str]:
    if not isinstance(given, (tuple, list)):
        raise wrong(field, "a tuple (user, password)", given)
    if len(given) != 2 or not all(isinstance(part, str) for part in given):
        types = ", ".join([type(part).__name__ for part in given])
        raise TypeError(f"{field} must be a tuple (user, password) of two str, not of ({types})")
    user, password = given
    return user, password


def items(field: str, given: Any) -> Iterator[Any]:
    if isinstance(given, (str, bytes, Mapping)) or not hasattr(given, "__iter__"):
        raise wrong(field, "a list", given)
    return iter(given)


def texts(field: str, given: object) -> list[str]:
    return [text(f"each of {field}", each) for each in items(field, given)]


def pairs(field: str, given: object, check: Callable[[str, Any], Any] = text,
          takes: str = "a dict") -> list[tuple[str, Any]]:
    """The items of a dictionary, as `check(field, value)` gives its values."""
    if not isinstance(given, Mapping):
        raise wrong(field, takes, given)
    return [(text(f"each key of {field}", key), check(f"{field}[{key!r}]", value)) for key, value in given.items()]


def as_it_is(field: str, given: Any) -> Any:
    """For pairs() whose values are looked at later."""
    return given


def milliseconds(seconds: Any) -> int:
    """Of a timeout. 0 means the library's default, so nothing that was asked for may become 0."""
    if seconds is None:
        return 0
    if not hasattr(type(seconds), "__float__"):
        raise wrong("timeout", "a number of seconds or None", seconds)
    if not 0 < seconds <= LONGEST:
        raise ValueError(f"timeout must be a positive number of seconds (at most {LONGEST}) or None, not {seconds}")
    import math

    return max(1, int(math.ceil(seconds * 1000)))
