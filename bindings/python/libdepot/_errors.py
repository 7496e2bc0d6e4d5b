"""Errors: a code to branch on, the hop that failed, and where in the Dockerfile."""

from __future__ import annotations

import collections
import enum

from ._light import dataclass, field, typing

TYPE_CHECKING = False  # typing's; see _light


class Code(enum.IntEnum):
    """google.rpc.Code, the numbers that BuildKit, gRPC and the Depot API share."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16

    @classmethod
    def _missing_(cls, value: object) -> Code:
        return cls.UNKNOWN  # a newer library's


class Hop(enum.IntEnum):
    """Which hop of the build failed."""

    NONE = 0
    USAGE = 1  # the arguments of the call
    LOCAL = 2  # files, memory or disk of this machine
    API = 3  # the Depot API
    PROXY = 4  # an HTTP proxy on the way
    BUILDER = 5  # starting the local builder
    MACHINE = 6  # the connection to the machine's BuildKit
    SESSION = 7  # BuildKit asking us for files and credentials
    SOLVE = 8  # the build itself, as BuildKit reports it
    REGISTRY = 9  # a registry or its token server
    HELPER = 10  # a credential helper program
    CALLBACK = 11  # a callback of the caller's

    @classmethod
    def _missing_(cls, value: object) -> Hop:
        return cls.NONE


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


@dataclass(frozen=True)
class Source:
    """A source file (a Dockerfile) that an error points at, as BuildKit read it."""

    file: str
    data: bytes = field(repr=False)
    ranges: tuple[Range, ...]
    excerpt: str = field(default="", repr=False)  # the lines around, as docker buildx shows them


class Error(Exception):
    """What failed, on which hop, and what to do. ``str()`` is the whole of it, for a person."""

    message: str  # one line
    code: Code
    hop: Hop
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

    def __init__(self, message: str = "", *, code: int = Code.UNKNOWN, hop: int = Hop.NONE, hint: str = "",
                 retryable: bool = False, vertex: str = "", vertex_name: str = "", exit_code: int | None = None,
                 log_tail: str = "", user_code: int = 0, sources: tuple[Source, ...] = (),
                 details: tuple[tuple[str, bytes], ...] = (), text: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = Code(code)
        self.hop = Hop(hop)
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
    def ranges(self) -> tuple[Range, ...]:
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


BY_CODE: dict[Code, type[Error]] = {
    Code.CANCELLED: CanceledError,
    Code.INVALID_ARGUMENT: InvalidArgumentError,
    Code.DEADLINE_EXCEEDED: DeadlineExceededError,
    Code.NOT_FOUND: NotFoundError,
    Code.ALREADY_EXISTS: AlreadyExistsError,
    Code.PERMISSION_DENIED: PermissionDeniedError,
    Code.RESOURCE_EXHAUSTED: ResourceExhaustedError,
    Code.FAILED_PRECONDITION: FailedPreconditionError,
    Code.ABORTED: AbortedError,
    Code.OUT_OF_RANGE: OutOfRangeError,
    Code.UNIMPLEMENTED: UnimplementedError,
    Code.INTERNAL: InternalError,
    Code.UNAVAILABLE: UnavailableError,
    Code.DATA_LOSS: DataLossError,
    Code.UNAUTHENTICATED: UnauthenticatedError,
}


def class_of(code: int, hop: int) -> type[Error]:
    """Callback and solve by their hop; a build that was stopped or cut off, and all others, by code."""
    if hop == Hop.CALLBACK:
        return CallbackError
    if hop == Hop.SOLVE and code not in (Code.CANCELLED, Code.DEADLINE_EXCEEDED, Code.UNAVAILABLE):
        return SolveError
    return BY_CODE.get(Code(code), Error)


def make(fields: dict[str, typing.Any]) -> Error:
    """The exception for what the C API said. Called by the extension module."""
    fields = dict(fields)
    if fields.get("exit_code", -1) == -1:
        fields["exit_code"] = None
    fields["sources"] = tuple(Source(name, data, tuple(Range(*r) for r in ranges), *excerpt)
                              for name, data, ranges, *excerpt in fields.get("sources", ()))
    fields["details"] = tuple(fields.get("details", ()))
    if fields.get("user_code") and not fields.get("hint"):
        # `lambda status: file.write(...)` has one without anybody having meant it.
        fields["hint"] = f"the callback returned {fields['user_code']}: to go on it has to return None"
        if fields.get("text"):
            fields["text"] += f"\n{fields['hint']}"
    return class_of(fields["code"], fields["hop"])(fields.pop("message"), **fields)
