"""What the API knows of builds: the list of a project's, and how images that were saved are pulled.

Times are nanoseconds since 1970 by the API's clock, None: not there.
"""

from __future__ import annotations

from ._light import dataclass, field

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True)
class ListedBuild:
    """A build of a project's list."""

    id: str
    state: str = "running"  # running, finished, failed, canceled
    created: int | None = None
    finished: int | None = None


@dataclass(frozen=True)
class PullTarget:
    """What was saved: one for a build, one for each target of a bake."""

    name: str = ""  # of a bake's target, whose image is the reference with "-" and this
    tags: tuple[str, ...] = ()  # that it was built under


@dataclass(frozen=True)
class PullInfo:
    """Where a saved image is, and a login that may pull it."""

    reference: str  # "registry.depot.dev/PROJECT:BUILD"; of Client.pull_token() without a tag
    username: str
    password: str = field(repr=False)
    targets: tuple[PullTarget, ...] = ()


_STATES = {0: "unspecified", 1: "running", 2: "finished", 3: "failed", 4: "canceled"}


def make_builds(raw: list[Any]) -> list[ListedBuild]:
    return [ListedBuild(identity, _STATES.get(state, str(state)), created or None, finished or None)
            for identity, state, created, finished in raw]


def make_pull(raw: tuple[Any, ...]) -> PullInfo:
    reference, username, password, targets = raw
    return PullInfo(reference, username, password, tuple([PullTarget(*one) for one in targets]))


def check_limit(limit: int) -> int:
    """0 is the library's default, so nobody may mean "none" by it."""
    if limit < 1:
        raise ValueError(f"a limit is a positive number, not {limit}")
    return limit

