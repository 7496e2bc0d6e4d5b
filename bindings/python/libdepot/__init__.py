"""Build container images: on Depot, on a local builder, on any BuildKit.

    import libdepot
    result = libdepot.build(".", tags=["registry.example/app:1"], push=True, on_status=print)
    print(result.digest)

The explicit flow is Client.new_build, Build.acquire, Machine.solve; each is a context manager.
libdepot.aio has the same for asyncio.
"""

from __future__ import annotations

from ._base import Outcome
from ._books import (
    Blob,
    BuilderInfo,
    BuildFailure,
    Device,
    DiskUsage,
    GcPolicy,
    HistoryRecord,
    UsageRecord,
    Worker,
)
from ._builds import ListedBuild, PullInfo, PullTarget
from ._call import Call, LintWarning, OutlineEntry, Target
from ._client import Build, Client, Machine, build
from ._context import ContextFile, Explanation, explain_context, list_context
from ._core import Cancel
from ._core import version as __version__
from ._errors import (
    AbortedError,
    AlreadyExistsError,
    CallbackError,
    CanceledError,
    Code,
    DataLossError,
    DeadlineExceededError,
    Error,
    FailedPreconditionError,
    Hop,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    PermissionDeniedError,
    Range,
    ResourceExhaustedError,
    SolveError,
    Source,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
)
from ._local import LocalMachine, LocalProject
from ._request import Export, File, Secret, SolveRequest, SshAgent, SshKeys
from ._result import Attestation, Result, SentFile, Stats
from ._status import CredentialUse, Status, Vertex, VertexLog, VertexStatus, VertexWarning

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing import Any

    from ._progress import Progress, Step, StepState, Trace

__all__ = [
    "AbortedError", "AlreadyExistsError", "Attestation", "Blob", "Build", "BuildFailure", "BuilderInfo", "Call",
    "CallbackError", "Cancel", "CanceledError", "Client", "Code", "ContextFile", "CredentialUse", "DataLossError",
    "DeadlineExceededError", "Device", "DiskUsage", "Error", "Explanation", "Export", "FailedPreconditionError",
    "File", "GcPolicy", "HistoryRecord", "Hop", "InternalError", "InvalidArgumentError", "LintWarning", "ListedBuild",
    "LocalMachine", "LocalProject", "Machine", "NotFoundError", "OutOfRangeError", "Outcome", "OutlineEntry",
    "PermissionDeniedError", "Progress", "PullInfo", "PullTarget", "Range", "ResourceExhaustedError", "Result",
    "Secret", "SentFile", "SolveError", "SolveRequest", "Source", "SshAgent", "SshKeys", "Stats", "Status", "Step",
    "StepState", "Target", "Trace", "UnauthenticatedError", "UnavailableError", "UnimplementedError", "UsageRecord",
    "Vertex", "VertexLog", "VertexStatus", "VertexWarning", "Worker", "__version__", "build", "explain_context",
    "list_context",
]


def __getattr__(name: str) -> Any:
    if name == "aio":  # asyncio is only imported by those who use it
        import importlib

        return importlib.import_module("libdepot.aio")
    if name in ("Progress", "Step", "StepState", "Trace"):
        from . import _progress

        return globals().setdefault(name, getattr(_progress, name))
    raise AttributeError(f"module 'libdepot' has no attribute {name!r}")
