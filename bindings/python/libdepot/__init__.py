"""Build container images: on Depot, on a local builder, on any BuildKit.

    import libdepot
    result = libdepot.build(".", tags=["registry.example/app:1"], push=True, on_status=print)
    print(result.digest)

The explicit flow is Client.new_build, Build.acquire, Machine.solve; each is a context manager.
libdepot.aio has the same for asyncio.
"""

from __future__ import annotations

from ._base import LogCallback
from ._books import (
    Blob,
    BuilderInfo,
    BuildFailure,
    Device,
    DiskUsage,
    GcPolicy,
    HistoryRecord,
    PruneCallback,
    UsageRecord,
    Worker,
)
from ._builds import ListedBuild, PullInfo, PullTarget
from ._call import Call, LintWarning, OutlineEntry, Target
from ._client import Build, Client, Machine, build
from ._core import Cancel
from ._core import version as __version__
from ._errors import (
    AbortedError,
    AlreadyExistsError,
    CallbackError,
    CanceledError,
    DataLossError,
    DeadlineExceededError,
    Error,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    PermissionDeniedError,
    ResourceExhaustedError,
    SolveError,
    Source,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
)
from ._local import LocalMachine, LocalProject
from ._request import (
    Cache,
    Context,
    Export,
    File,
    FileData,
    Files,
    LoginCallback,
    RealmCallback,
    Secret,
    SecretCallback,
    SolveRequest,
    SshAgent,
    SshKeys,
    StrPath,
    WriteCallback,
)
from ._result import Attestation, Result, SentFile, Stats
from ._status import CredentialUse, Status, StatusCallback, Vertex, VertexLog, VertexStatus, VertexWarning

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing import Any

    # For wrappers, `**fields: Unpack[RequestFields]`; there for type checkers alone.
    from ._base import ClientOptions as ClientOptions
    from ._codes import Code, Hop, Outcome
    from ._context import ContextFile, Explanation, explain_context, list_context
    from ._progress import Progress, Step, StepState, Trace
    from ._range import Range
    from ._request import RequestFields as RequestFields

__all__ = [
    "AbortedError", "AlreadyExistsError", "Attestation", "Blob", "Build", "BuildFailure", "BuilderInfo", "Cache",
    "Call", "CallbackError", "Cancel", "CanceledError", "Client", "Code", "Context", "ContextFile", "CredentialUse",
    "DataLossError", "DeadlineExceededError", "Device", "DiskUsage", "Error", "Explanation", "Export",
    "FailedPreconditionError", "File", "FileData", "Files", "GcPolicy", "HistoryRecord", "Hop", "InternalError",
    "InvalidArgumentError", "LintWarning", "ListedBuild", "LocalMachine", "LocalProject", "LogCallback",
    "LoginCallback", "Machine", "NotFoundError", "OutOfRangeError", "Outcome", "OutlineEntry",
    "PermissionDeniedError", "Progress", "PruneCallback", "PullInfo", "PullTarget", "Range", "RealmCallback",
    "ResourceExhaustedError", "Result", "Secret", "SecretCallback", "SentFile", "SolveError", "SolveRequest",
    "Source", "SshAgent", "SshKeys", "Stats", "Status", "StatusCallback", "Step", "StepState", "StrPath", "Target",
    "Trace", "UnauthenticatedError", "UnavailableError", "UnimplementedError", "UsageRecord", "Vertex", "VertexLog",
    "VertexStatus", "VertexWarning", "Worker", "WriteCallback", "__version__", "build", "explain_context",
    "list_context",
]

# Imported when somebody asks for a name of theirs: enum and collections take longer than all others.
_LATER = {
    "_codes": ("Code", "Hop", "Outcome"),
    "_context": ("ContextFile", "Explanation", "explain_context", "list_context"),
    "_progress": ("Progress", "Step", "StepState", "Trace"),
    "_range": ("Range",),
}


def __getattr__(name: str) -> Any:
    if name == "aio":  # asyncio is only imported by those who use it
        import importlib

        return importlib.import_module("libdepot.aio")
    for module, names in _LATER.items():
        if name in names:
            return globals().setdefault(name, getattr(__import__(f"{__name__}.{module}", fromlist=[name]), name))
    raise AttributeError(f"module 'libdepot' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
