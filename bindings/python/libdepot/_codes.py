"""The numbers of the C API. Imported by who looks at one: enum takes longer to import than all of this package."""

from __future__ import annotations

import enum


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


class Outcome(enum.IntEnum):
    """How a build ended."""

    SUCCESS = 1
    FAILED = 2
    CANCELED = 3
