"""Progress: one status batch, as BuildKit sends them.

Each batch is a delta. A vertex is known by its digest, and a later entry with the same digest
replaces the earlier. Times are nanoseconds since 1970 by the builder's clock, None: not there.
"""

from __future__ import annotations

from ._light import Callable, Later, dataclass, field

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from . import _range
else:
    _range = Later("libdepot._range")


@dataclass(frozen=True)
class Vertex:
    """A build step."""

    digest: str
    name: str
    error: str = ""  # ends with "context canceled" when it was cancelled
    started: int | None = None
    completed: int | None = None
    cached: bool = False
    inputs: tuple[str, ...] = ()
    progress_group_id: str = ""
    progress_group_name: str = ""


@dataclass(frozen=True)
class VertexStatus:
    """Progress of a part of a step, a layer that is pulled for example."""

    id: str
    vertex: str
    name: str = ""
    current: int = 0
    total: int = 0  # 0: not known
    timestamp: int | None = None
    started: int | None = None
    completed: int | None = None


@dataclass(frozen=True)
class VertexLog:
    """What a step printed, cut anywhere."""

    vertex: str
    data: bytes
    timestamp: int | None = None
    stream: int = 1  # 1 stdout, 2 stderr


@dataclass(frozen=True)
class VertexWarning:
    """What a linter or the builder has to say about a step."""

    vertex: str
    message: str
    url: str = ""
    source_file: str = ""
    details: tuple[str, ...] = ()
    ranges: tuple[_range.Range, ...] = ()
    level: int = 0
    excerpt: str = field(default="", repr=False)  # the lines that it points at, as docker buildx shows them


@dataclass(frozen=True)
class CredentialUse:
    """A registry's password, or what stands for it, is about to be given to somebody."""

    host: str  # the registry
    receiver: str = ""  # its token server, "host[:port]"; "": the builder


@dataclass(frozen=True)
class Status:
    """One batch. ``str()`` is its line of JSON, as ``buildctl --progress=rawjson`` prints it."""

    vertexes: tuple[Vertex, ...] = ()
    statuses: tuple[VertexStatus, ...] = ()
    logs: tuple[VertexLog, ...] = ()
    warnings: tuple[VertexWarning, ...] = ()
    json: str = field(default="{}", repr=False)
    credential_uses: tuple[CredentialUse, ...] = ()

    def __str__(self) -> str:
        return self.json


# Called on a thread of the library's, one call at a time. None, 0 or a bool: go on; another int cancels the
# solve, which raises CallbackError; an exception cancels it too, and is what the solve raises.
StatusCallback = Callable[[Status], "int | None"]
