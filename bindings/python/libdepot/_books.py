"""The builder's books: its workers, what its cache holds, which builds it remembers.

Times are nanoseconds since 1970 by the builder's clock, None: not there. Sizes are bytes.
"""

from __future__ import annotations

from . import _core
from ._light import Callable, Later, Sequence, dataclass, field

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing import Any

    from . import _codes
else:
    _codes = Later("libdepot._codes")


@dataclass(frozen=True)
class GcPolicy:
    """A rule by which a worker cleans its cache by itself. 0: no such limit."""

    all: bool = False  # internal records and those of frontends, too
    keep_duration: float = 0.0  # seconds within which what was used is kept
    reserved_space: int = 0
    max_used_space: int = 0
    min_free_space: int = 0
    filters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Device:
    """A device (CDI) that a step may ask for; since BuildKit 0.20."""

    name: str
    auto_allow: bool = False
    on_demand: bool = False


@dataclass(frozen=True)
class Worker:
    """What does the work in a builder."""

    id: str
    platforms: tuple[str, ...] = ()  # "linux/amd64", the native one first
    labels: dict[str, str] = field(default_factory=dict)
    buildkit_version: str = ""  # "v0.34.2"; "" before 0.11
    buildkit_package: str = ""
    buildkit_revision: str = ""
    dockerfile_version: str = ""  # of the built-in frontend; "" before 0.30
    gc_policies: tuple[GcPolicy, ...] = ()
    devices: tuple[Device, ...] = ()


@dataclass(frozen=True)
class BuilderInfo:
    """Which BuildKit a builder is."""

    version: str  # "v0.34.2"
    package: str = ""
    revision: str = ""
    dockerfile_version: str = ""  # of the built-in frontend; "" before 0.30


@dataclass(frozen=True)
class UsageRecord:
    """One record of a builder's cache."""

    id: str
    type: str = ""  # regular, source.local, source.git.checkout, exec.cachemount, frontend, internal
    description: str = ""  # what made it
    size: int = 0
    created: int | None = None
    last_used: int | None = None
    usage_count: int = 0
    in_use: bool = False  # cannot be removed now
    mutable: bool = False
    shared: bool = False
    parents: tuple[str, ...] = ()


@dataclass(frozen=True)
class DiskUsage:
    """What a cache holds, sorted by size, and the sums of that."""

    records: tuple[UsageRecord, ...]
    total: int = 0
    reclaimable: int = 0  # of records that are not in use
    shared: int = 0


@dataclass(frozen=True)
class Blob:
    """What a build left with its builder: Machine.read_blob() reads it."""

    kind: str  # logs, trace, error, result, attestation
    digest: str
    type: str = ""  # predicate type of an attestation, else the media type
    platform: str = ""
    size: int = 0


@dataclass(frozen=True)
class BuildFailure:
    """Why a build of the history failed, or was cancelled."""

    code: _codes.Code
    message: str
    text: str = field(default="", repr=False)  # as a person wants to read it, several lines


@dataclass(frozen=True)
class HistoryRecord:
    """A build that a builder remembers."""

    ref: str  # as Result.ref
    name: str = ""  # as docker buildx calls it
    state: str = "running"  # running, completed, failed, canceled
    created: int | None = None
    completed: int | None = None
    total_steps: int = 0
    completed_steps: int = 0
    cached_steps: int = 0
    warnings: int = 0
    pinned: bool = False
    frontend: str = ""
    attrs: dict[str, str] = field(default_factory=dict)  # of the frontend
    exporters: tuple[str, ...] = ()
    exporter_response: dict[str, str] = field(default_factory=dict)
    blobs: tuple[Blob, ...] = ()
    failure: BuildFailure | None = None


# Called with each record that was removed, on a thread of the library's. None or 0: go on; another int
# ends the prune, which raises CallbackError; an exception ends it too, and is what the prune raises.
PruneCallback = Callable[[UsageRecord], "int | None"]

_KINDS = {1: "logs", 2: "trace", 3: "error", 4: "result", 5: "attestation"}
_STATES = {1: "running", 2: "completed", 3: "failed", 4: "canceled"}


def size_of(given: int | str) -> int:
    return _core.parse_size(given) if isinstance(given, str) else given


def list_of(filters: Sequence[str] | str) -> list[str]:
    return [filters] if isinstance(filters, str) else list(filters)


def make_workers(raw: list[Any]) -> list[Worker]:
    return [Worker(*[*what, tuple([GcPolicy(*one) for one in policies]), tuple([Device(*one) for one in devices])])
            for *what, policies, devices in raw]


def make_record(raw: tuple[Any, ...]) -> UsageRecord:
    identity, kind, description, size, created, last_used, *rest = raw
    return UsageRecord(identity, kind, description, size, created or None, last_used or None, *rest)


def make_usage(raw: tuple[Any, ...]) -> DiskUsage:
    records, total, reclaimable, shared = raw
    return DiskUsage(tuple([make_record(one) for one in records]), total, reclaimable, shared)


def make_history(raw: list[Any]) -> list[HistoryRecord]:
    out = []
    for ref, name, state, created, completed, *rest, blobs, failure in raw:
        left = [Blob(_KINDS.get(kind, str(kind)), *of) for kind, *of in blobs]
        why = None if failure is None else BuildFailure(_codes.Code(failure[0]), *failure[1:])
        out.append(HistoryRecord(*[ref, name, _STATES.get(state, str(state)), created or None, completed or None,
                                   *rest, tuple(left), why]))
    return out


def on_raw(on_record: PruneCallback | None) -> Callable[[tuple[Any, ...]], int | None] | None:
    return None if on_record is None else lambda raw: on_record(make_record(raw))
