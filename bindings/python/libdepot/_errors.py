"""Errors: a code to branch on, the hop that failed, and where in the Dockerfile.

Raising one imports nothing, for what failed may be that no file can be opened. The first look at `code` or `hop`
does: who changes root or user before that names libdepot.Code before.
"""

from __future__ import annotations

from ._light import Later, dataclass, field, typing

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from . import _codes, _range
else:
    _codes, _range = Later("libdepot._codes"), Later("libdepot._range")

# Numbers of Code and Hop, as Error needs them before anybody looks at one.
_CANCELLED, _UNKNOWN, _DEADLINE_EXCEEDED, _UNAVAILABLE = 1, 2, 4, 14
_NONE, _SOLVE, _CALLBACK = 0, 8, 11


@dataclass(frozen=True)
class Source:
    """A source file (a Dockerfile) that an error points at, as BuildKit read it."""

    file: str
    data: bytes = field(repr=False)
    ranges: tuple[_range.Range, ...]
    excerpt: str = field(default="", repr=False)  # the lines around, as docker buildx shows them


class Error(Exception):
    """What failed, on which hop, and what to do. ``str()`` is the whole of it, for a person."""

    message: str  # one line
    hint: str  # what to do about it, "" when nothing better than the message is known
    retryable: bool  # the same call may well succeed if it is made again
    vertex: str  # digest of the failing build step, "" when none failed
    vertex_name: str
    exit_code: int | None  # of the failing process
    log_tail: str  # the last lines that the failing step printed
    user_code: int  # what a callback returned to stop the solve
    sources: tuple[Source, ...]  # innermost first
    details: tuple[tuple[str, bytes], ...]  # of the gRPC status: type URL, bytes
    text: str

    def __init__(self, message: str = "", *, code: int = _UNKNOWN, hop: int = _NONE, hint: str = "",
                 retryable: bool = False, vertex: str = "", vertex_name: str = "", exit_code: int | None = None,
                 log_tail: str = "", user_code: int = 0, sources: tuple[Source, ...] = (),
                 details: tuple[tuple[str, bytes], ...] = (), text: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code, self.hop = code, hop
        self.hint = hint
        self.retryable = retryable
        self.vertex = vertex
        self.vertex_name = vertex_name
        self.exit_code = exit_code
        self.log_tail = log_tail
        self.user_code = user_code
        self.sources = sources
        self.details = details
        self.text = text or (f"{message}\n{hint}" if hint else message)

    @property
    def code(self) -> _codes.Code:
        """What kind of failure it is; to branch on, where the class does not say it."""
        return _codes.Code(self._code)

    @code.setter
    def code(self, number: int) -> None:
        self._code = number

    @property
    def hop(self) -> _codes.Hop:
        """Which hop of the build failed."""
        return _codes.Hop(self._hop)

    @hop.setter
    def hop(self, number: int) -> None:
        self._hop = number

    @property
    def ranges(self) -> tuple[_range.Range, ...]:
        """Where in the innermost source file; empty when the error points nowhere."""
        return self.sources[0].ranges if self.sources else ()

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[typing.Any, ...]:
        return type(self), (self.message,), self.__dict__


class CanceledError(Error):
    """Cancelled: by a Cancel, by a signal, by the release of the machine."""


class CallbackError(Error):
    """A callback stopped the solve by what it returned (see ``user_code``)."""


class SolveError(Error):
    """The build itself failed, as BuildKit reports it: the Dockerfile, a step, a source, a push."""


class InvalidArgumentError(Error):
    pass


class DeadlineExceededError(Error):
    pass


class NotFoundError(Error):
    pass


class AlreadyExistsError(Error):
    pass


class PermissionDeniedError(Error):
    pass


class ResourceExhaustedError(Error):
    pass


class FailedPreconditionError(Error):
    pass


class AbortedError(Error):
    pass


class OutOfRangeError(Error):
    pass


class UnimplementedError(Error):
    pass


class InternalError(Error):
    pass


class UnavailableError(Error):
    pass


class DataLossError(Error):
    pass


class UnauthenticatedError(Error):
    pass


BY_CODE: dict[int, type[Error]] = {
    1: CanceledError,
    3: InvalidArgumentError,
    4: DeadlineExceededError,
    5: NotFoundError,
    6: AlreadyExistsError,
    7: PermissionDeniedError,
    8: ResourceExhaustedError,
    9: FailedPreconditionError,
    10: AbortedError,
    11: OutOfRangeError,
    12: UnimplementedError,
    13: InternalError,
    14: UnavailableError,
    15: DataLossError,
    16: UnauthenticatedError,
}


def class_of(code: int, hop: int) -> type[Error]:
    """Callback and solve by their hop; a build that was stopped or cut off, and all others, by code."""
    if hop == _CALLBACK:
        return CallbackError
    if hop == _SOLVE and code not in (_CANCELLED, _DEADLINE_EXCEEDED, _UNAVAILABLE):
        return SolveError
    return BY_CODE.get(code, Error)


def make(fields: dict[str, typing.Any]) -> Error:
    """The exception for what the C API said. Called by the extension module."""
    fields = dict(fields)
    if fields.get("exit_code", -1) == -1:
        fields["exit_code"] = None
    fields["sources"] = tuple(Source(name, data, tuple(_range.Range(*r) for r in ranges), *excerpt)
                              for name, data, ranges, *excerpt in fields.get("sources", ()))
    fields["details"] = tuple(fields.get("details", ()))
    if fields.get("user_code") and not fields.get("hint"):
        # `lambda status: file.write(...)` has one without anybody having meant it.
        fields["hint"] = f"the callback returned {fields['user_code']}: to go on it has to return None"
        if fields.get("text"):
            fields["text"] += f"\n{fields['hint']}"
    return class_of(fields["code"], fields["hop"])(fields.pop("message"), **fields)
