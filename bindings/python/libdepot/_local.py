"""The local builder's books: its projects, the machines of each, and what their caches take on the disk.

Times are nanoseconds since 1970, None: not known. Sizes are bytes.
"""

from __future__ import annotations

from ._light import dataclass

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True)
class LocalMachine:
    """The buildkitd of a project and an architecture."""

    architecture: str  # amd64, arm64
    state: str = "unknown"  # unknown, stopped, starting, running, stopping
    pid: int | None = None  # of the process that holds all of its processes
    buildkit_version: str = ""  # "v0.34.2"; "" when it does not run
    builds: int = 0  # that use it


@dataclass(frozen=True)
class LocalProject:
    """A project that has a cache on this computer."""

    id: str
    directory: str = ""  # of its cache
    machines: tuple[LocalMachine, ...] = ()
    builds: int = 0  # under way
    last_used: int | None = None
    cache_size: int | None = None  # on the disk, as `du` counts
    cache_partial: bool = False  # so much at least: there was no time to count all of it


_STATES = {0: "unknown", 1: "stopped", 2: "starting", 3: "running", 4: "stopping"}


def make_projects(raw: list[Any]) -> list[LocalProject]:
    out = []
    for identity, directory, machines, builds, last_used, size, partial in raw:
        made = [LocalMachine(architecture, _STATES.get(state, str(state)), pid or None, version, users)
                for architecture, state, pid, version, users in machines]
        out.append(LocalProject(identity, directory, tuple(made), builds, last_used or None,
                                size if size >= 0 else None, partial))
    return out
