"""What of a local context a builder may get, and why. No builder is asked."""

from __future__ import annotations

import os

from ._light import dataclass
from ._request import Context, SolveRequest, StrPath, lower, make_request

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._request import RequestFields


@dataclass(frozen=True)
class Explanation:
    """Why a path of a context is sent or ignored: by the last rule that matches it, if one does."""

    sent: bool
    file: str  # the ignore file with the rule; "" when no rule matched
    line: int
    rule: str  # as it stands there
    matched: str  # what it matched: the path itself, or a directory above it


@dataclass(frozen=True)
class ContextFile:
    """A file of a context that is not ignored."""

    path: str
    size: int


def explain_context(path: StrPath, context: SolveRequest | Context | None = ".",
                    **fields: Unpack[RequestFields]) -> Explanation:
    """Which rule of which ignore file sends or ignores a path of the context.

    The path is relative to the context, or absolute and in its directory. The context and keyword
    arguments are those of build().
    """
    return Explanation(*lower(make_request(context, fields)).explain_context(os.fsencode(path)))


def list_context(context: SolveRequest | Context | None = ".",
                 **fields: Unpack[RequestFields]) -> list[ContextFile]:
    """The files of the context that are not ignored, with their sizes: what a build may send.

    The context and keyword arguments are those of build().
    """
    return [ContextFile(*file) for file in lower(make_request(context, fields)).list_context()]
