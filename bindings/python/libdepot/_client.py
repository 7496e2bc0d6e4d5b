"""The blocking classes. Every call drops the GIL, and ends within a moment of Ctrl-C."""

from __future__ import annotations

from . import _core
from ._base import BaseBuild, BaseClient, BaseMachine, add_note
from ._books import (
    BuilderInfo,
    DiskUsage,
    HistoryRecord,
    PruneCallback,
    Worker,
    make_history,
    make_usage,
    make_workers,
)
from ._builds import ListedBuild, PullInfo, make_builds, make_pull
from ._errors import Error
from ._light import Later, Sequence
from ._local import LocalProject, make_projects
from ._request import Context, SolveRequest, StrPath
from ._result import Result, make_result
from ._status import StatusCallback

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from . import _codes
    from ._base import ClientOptions
    from ._request import RequestFields
else:
    _codes = Later("libdepot._codes")


class Client(BaseClient):
    """Which builder, and how to reach it. May be shared by threads."""

    def new_build(self, *, project: str | None = None, token: str | None = None, build_id: str | None = None,
                  context_dir: StrPath | None = None, tags: Sequence[str] = (), save: bool = False,
                  save_tags: Sequence[str] = (), timeout: float | None = None,
                  cancel: _core.Cancel | None = None) -> Build:
        """Registers a build. With a plain BuildKit address nothing is sent.

        build_id joins that build and does not create one; context_dir is where to look for
        depot.json; tags are told to the API for its build list; timeout is in seconds.
        save: what it builds is kept in Depot's registry, and under save_tags, too.
        """
        call = self._new_build(project, token, build_id, context_dir, tags, save, save_tags, timeout, cancel)
        return Build(call.wait())

    def build(self, context: SolveRequest | Context | None = ".", *, build_platform: str | None = None,
              on_status: StatusCallback | None = None, timeout: float | None = None,
              cancel: _core.Cancel | None = None, **fields: Unpack[RequestFields]) -> Result:
        """The whole flow in one call; keyword arguments as SolveRequest has them.

        build_platform: the machines that build several platforms. "amd64", "arm64": one of that kind for all
            of them; "dynamic": one for each platform, side by side, joined to one image when it is pushed;
            None: "dynamic" with Depot and with several nodes, else one machine.
        """
        return make_result(self._build(context, fields, build_platform, on_status, timeout, cancel).wait())

    def local_projects(self, project: str | None = None, *, timeout: float | None = None,
                       cancel: _core.Cancel | None = None) -> list[LocalProject]:
        """The local builder's projects (or that one), with their machines and the sizes of their caches.

        Of this computer and user, whichever builder the client has. Starts nothing: where the local builder does
        not run, they are read from the disk. timeout: five minutes, of which the most goes into the sizes.
        """
        return make_projects(self._local_projects(project, timeout, cancel).wait())

    def local_stop(self, project: str | None = None, *, force: bool = False, timeout: float | None = None,
                   cancel: _core.Cancel | None = None) -> int:
        """Stops the machines of a project of the local builder, or all, and returns how many there were.

        FailedPreconditionError when builds use one, unless force: then they fail, by CanceledError. Caches stay.
        """
        return int(self._local_stop(project, force, timeout, cancel).wait())

    def local_reset(self, project: str, *, force: bool = False, timeout: float | None = None,
                    cancel: _core.Cancel | None = None) -> int:
        """Stops a project's machines, as local_stop, and removes its cache; returns the bytes that were freed.

        NotFoundError when the project has none. timeout: an hour.
        """
        return int(self._local_reset(project, force, timeout, cancel).wait())

    def list_builds(self, project: str | None = None, *, limit: int = 100, token: str | None = None,
                    context_dir: StrPath | None = None, timeout: float | None = None,
                    cancel: _core.Cancel | None = None) -> list[ListedBuild]:
        """A project's builds, the newest first; of Depot, or of the local builder.

        project: default: the client's, else that of the depot.json above context_dir.
        """
        return make_builds(self._list_builds(project, token, context_dir, limit, timeout, cancel).wait())

    def pull_info(self, build_id: str, *, token: str | None = None, timeout: float | None = None,
                  cancel: _core.Cancel | None = None) -> PullInfo:
        """Where the image is that a build saved, and a login that may pull it.

        FailedPreconditionError for a build that was not saved, and with another builder than Depot.
        """
        return make_pull(self._pull_info(build_id, token, timeout, cancel).wait())

    def pull_token(self, project: str | None = None, *, token: str | None = None, context_dir: StrPath | None = None,
                   timeout: float | None = None, cancel: _core.Cancel | None = None) -> PullInfo:
        """A login that may pull all that a project saved, and the project's repository."""
        return make_pull(self._pull_token(project, token, context_dir, timeout, cancel).wait())

    def pull(self, what: str, *, tags: Sequence[str] = (), targets: Sequence[str] = (), platform: str | None = None,
             into: str | None = None, token: str | None = None, on_status: StatusCallback | None = None,
             timeout: float | None = None, cancel: _core.Cancel | None = None) -> None:
        """Has a Docker Engine pull a saved image: a build's id, or "PROJECT:TAG".

        tags: names for the image; default: those that it was built under. targets: of a bake; default: all.
        into: "docker://HOST"; default: the Engine that docker would use. timeout: an hour.
        """
        self._pull(what, tags, targets, platform, into, token, on_status, timeout, cancel).wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None,
                 traceback: object) -> None:
        self.close()


class Build(BaseBuild):
    """One registered build. As a context manager it is finished by how the block ended: success when
    something was built and nothing failed, canceled by a cancel or Ctrl-C, else failed."""

    def acquire(self, platform: str | None = None, *, timeout: float | None = None,
                cancel: _core.Cancel | None = None) -> Machine:
        """Leases a machine: "amd64" or "arm64", default: this computer's. timeout: 5 minutes."""
        return Machine(self._acquire(platform, timeout, cancel).wait(), self)

    def finish(self, outcome: _codes.Outcome | str, message: str = "") -> None:
        """Tells the API how the build ended. Once: a second call does nothing."""
        self._finish(outcome, message).wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None,
                 traceback: object) -> None:
        try:
            if not self._finished:
                self.finish(*self._outcome(failure))
        except Error as error:
            if failure is None:
                raise
            add_note(failure, f"and the build could not be finished: {error.message}")
        finally:
            self.close()


class Machine(BaseMachine):
    """One leased BuildKit, kept alive until it is released. Several threads may solve on it."""

    def connect(self, *, timeout: float | None = None, cancel: _core.Cancel | None = None) -> None:
        """Connects; solve() does it when it was not done."""
        self._connect(timeout, cancel).wait()

    def solve(self, request: SolveRequest | Context | None = ".", *, on_status: StatusCallback | None = None,
              timeout: float | None = None, cancel: _core.Cancel | None = None,
              **fields: Unpack[RequestFields]) -> Result:
        """Builds. Blocks until the result is exported, or failed."""
        try:
            result = make_result(self._solve(request, fields, on_status, timeout, cancel).wait())
        except BaseException as failure:
            self._build._solve_ended(failure)
            raise
        self._build._solve_ended(None)
        return result

    def workers(self, filters: Sequence[str] | str = (), *, timeout: float | None = None,
                cancel: _core.Cancel | None = None) -> list[Worker]:
        """The builder's workers; filters in containerd's syntax."""
        with self._question():
            return make_workers(self._workers(filters, timeout, cancel).wait())

    def info(self, *, timeout: float | None = None, cancel: _core.Cancel | None = None) -> BuilderInfo:
        """Which BuildKit it is; FailedPreconditionError from one before 0.11."""
        with self._question():
            return BuilderInfo(*self._info(timeout, cancel).wait())

    def disk_usage(self, filters: Sequence[str] | str = (), *, timeout: float | None = None,
                   cancel: _core.Cancel | None = None) -> DiskUsage:
        """What the builder's cache holds, sorted by size.

        filters: several are "or", commas in one "and": BuildKit's ("type==regular", "inuse", "description~=RE")
            or docker's ("type=regular", "shared=true", "until=24h": not used since then).
        """
        with self._question():
            return make_usage(self._disk_usage(filters, timeout, cancel).wait())

    def prune(self, filters: Sequence[str] | str = (), *, all: bool = False, reserved_space: int | str = 0,
              max_used_space: int | str = 0, min_free_space: int | str = 0, on_record: PruneCallback | None = None,
              timeout: float | None = None, cancel: _core.Cancel | None = None) -> int:
        """Removes what is not in use from the builder's cache, and returns the bytes that were freed.

        filters: as disk_usage; "until=24h" keeps what was used since. all: internal records and those of
        frontends, too. Sizes are bytes or texts ("10GB", units of 1024): reserved_space is always allowed to
        keep, max_used_space kept at most, min_free_space of the disk free afterwards (both since BuildKit 0.17).
        on_record is called with each record that was removed. timeout: an hour.
        """
        with self._question():
            call = self._prune(filters, all, reserved_space, max_used_space, min_free_space, on_record, timeout,
                               cancel)
            return int(call.wait())

    def history(self, filters: Sequence[str] | str = (), *, ref: str | None = None, limit: int = 0,
                active_only: bool = False, timeout: float | None = None,
                cancel: _core.Cancel | None = None) -> list[HistoryRecord]:
        """The builds that the builder remembers: those that run, then the newest.

        filters: several are "or", commas in one "and": ref, status (running, completed, error, canceled) and
            repository with = or !=, startedAt, completedAt and duration with <, <=, > or >=; since BuildKit 0.20.
        ref: that build alone, NotFoundError without it. limit: the newest so many.
        """
        with self._question():
            return make_history(self._history(filters, ref, limit, active_only, timeout, cancel).wait())

    def history_logs(self, ref: str, on_status: StatusCallback, *, timeout: float | None = None,
                     cancel: _core.Cancel | None = None) -> None:
        """What went on in a build, from its first step on, as solve() tells it."""
        with self._question():
            self._history_logs(ref, on_status, timeout, cancel).wait()

    def history_delete(self, ref: str, *, timeout: float | None = None, cancel: _core.Cancel | None = None) -> None:
        """Removes a build from the history, and what it left."""
        with self._question():
            self._history_delete(ref, timeout, cancel).wait()

    def read_blob(self, digest: str, *, timeout: float | None = None, cancel: _core.Cancel | None = None) -> bytes:
        """The bytes of a blob that a HistoryRecord names, held against the digest."""
        with self._question():
            return bytes(self._read_blob(digest, timeout, cancel).wait())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None,
                 traceback: object) -> None:
        self.close()


def build(context: SolveRequest | Context | None = ".", *, client: Client | None = None,
          options: ClientOptions | None = None, builder: str | None = None, token: str | None = None,
          project: str | None = None, build_platform: str | None = None, on_status: StatusCallback | None = None,
          timeout: float | None = None, cancel: _core.Cancel | None = None,
          **fields: Unpack[RequestFields]) -> Result:
    """Builds in one call: ``libdepot.build(".", tags=["registry.example/app:1"], push=True)``.

    Which builder: client, or builder, token and project (and further options) as Client takes them.
    What to build: the context and keyword arguments as SolveRequest has them, or a SolveRequest.
    """
    if client is not None:
        if options or builder or token or project:
            raise TypeError("give either a client, or the options of one")
        return client.build(context, build_platform=build_platform, on_status=on_status, timeout=timeout,
                            cancel=cancel, **fields)
    given: ClientOptions = {"builder": builder, "token": token, "project": project}
    given.update(options or {})
    with Client(**given) as made:
        return made.build(context, build_platform=build_platform, on_status=on_status, timeout=timeout,
                          cancel=cancel, **fields)
