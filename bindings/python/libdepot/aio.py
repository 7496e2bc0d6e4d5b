"""The same for asyncio: ``result = await libdepot.aio.build(".", tags=[...], on_status=print)``.

Status callbacks run on the event loop and may be coroutine functions; the next batch waits for them.
Cancelling a task cancels its call and the callback that is under way, and the task ends when both have:
nothing is left running.
Functions that an export is written to run on a thread of the library's.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
from collections.abc import Awaitable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Union

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
from ._codes import Outcome
from ._errors import Error
from ._local import LocalProject, make_projects
from ._progress import Progress
from ._request import Context, SolveRequest, StrPath
from ._result import Result, make_result
from ._status import Status, StatusCallback

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from ._base import ClientOptions
    from ._request import RequestFields

AsyncStatusCallback = Callable[[Status], Union[int, None, Awaitable[Union[int, None]]]]

__all__ = ["AsyncStatusCallback", "Build", "Client", "Machine", "build"]


async def _run(call: _core.Call, on_status: StatusCallback | None = None) -> Any:
    """Runs the call on a thread of its own. A second cancellation leaves it to end by itself."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    cancelled: asyncio.CancelledError | None = None
    loop.add_reader(call.fileno(), _set, ended)
    try:
        call.start()
        while not ended.done():
            try:
                await asyncio.shield(ended)
            except asyncio.CancelledError as error:
                if isinstance(on_status, _OnLoop):
                    on_status.stop()
                if cancelled is not None:
                    raise
                cancelled = error
                call.cancel()
    finally:
        loop.remove_reader(call.fileno())
    if cancelled is not None:
        raise cancelled
    return call.result()


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _on_loop(on_status: AsyncStatusCallback | None) -> StatusCallback | None:
    if on_status is None or isinstance(on_status, Progress):
        return on_status  # a display has a thread of its own
    return _OnLoop(on_status)


class _OnLoop:
    """Calls `on_status` on the running loop; the library's thread waits for its answer."""

    def __init__(self, on_status: AsyncStatusCallback) -> None:
        self._function = on_status
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[int | None] | None = None  # the loop holds tasks weakly
        self._stopped = False

    def __call__(self, status: Status) -> int | None:
        answer: concurrent.futures.Future[int | None] = concurrent.futures.Future()
        self._loop.call_soon_threadsafe(self._begin, status, answer)
        return answer.result()

    def stop(self) -> None:
        """The call is cancelled, which cannot end before its callback has: that is cancelled, too."""
        self._stopped = True
        if self._task is not None:
            self._task.cancel()

    def _begin(self, status: Status, answer: concurrent.futures.Future[int | None]) -> None:
        if self._stopped:
            answer.set_result(None)
            return
        self._task = self._loop.create_task(self._ask(status))
        self._task.add_done_callback(functools.partial(self._ended, answer))

    async def _ask(self, status: Status) -> int | None:
        answer = self._function(status)
        return await answer if isinstance(answer, Awaitable) else answer

    def _ended(self, answer: concurrent.futures.Future[int | None], task: asyncio.Task[int | None]) -> None:
        self._task = None
        if task.cancelled():
            # What a callback says is told to Depot as a failure: a cancelled build shall be told as that.
            answer.set_result(None) if self._stopped else answer.cancel()
        elif error := task.exception():
            answer.set_exception(error)
        else:
            answer.set_result(task.result())


class Client(BaseClient):
    """Which builder, and how to reach it."""

    async def new_build(self, *, project: str | None = None, token: str | None = None,
                        build_id: str | None = None, context_dir: StrPath | None = None, tags: Sequence[str] = (),
                        save: bool = False, save_tags: Sequence[str] = (), timeout: float | None = None,
                        cancel: _core.Cancel | None = None) -> Build:
        """As libdepot.Client.new_build."""
        call = self._new_build(project, token, build_id, context_dir, tags, save, save_tags, timeout, cancel)
        return Build(await _run(call))

    async def build(self, context: SolveRequest | Context | None = ".", *, build_platform: str | None = None,
                    on_status: AsyncStatusCallback | None = None, timeout: float | None = None,
                    cancel: _core.Cancel | None = None, **fields: Unpack[RequestFields]) -> Result:
        """As libdepot.Client.build."""
        on_loop = _on_loop(on_status)
        call = self._build(context, fields, build_platform, on_loop, timeout, cancel)
        return make_result(await _run(call, on_loop))

    async def local_projects(self, project: str | None = None, *, timeout: float | None = None,
                             cancel: _core.Cancel | None = None) -> list[LocalProject]:
        """As libdepot.Client.local_projects."""
        return make_projects(await _run(self._local_projects(project, timeout, cancel)))

    async def local_stop(self, project: str | None = None, *, force: bool = False, timeout: float | None = None,
                         cancel: _core.Cancel | None = None) -> int:
        """As libdepot.Client.local_stop."""
        return int(await _run(self._local_stop(project, force, timeout, cancel)))

    async def local_reset(self, project: str, *, force: bool = False, timeout: float | None = None,
                          cancel: _core.Cancel | None = None) -> int:
        """As libdepot.Client.local_reset."""
        return int(await _run(self._local_reset(project, force, timeout, cancel)))

    async def list_builds(self, project: str | None = None, *, limit: int = 100, token: str | None = None,
                          context_dir: StrPath | None = None, timeout: float | None = None,
                          cancel: _core.Cancel | None = None) -> list[ListedBuild]:
        """As libdepot.Client.list_builds."""
        return make_builds(await _run(self._list_builds(project, token, context_dir, limit, timeout, cancel)))

    async def pull_info(self, build_id: str, *, token: str | None = None, timeout: float | None = None,
                        cancel: _core.Cancel | None = None) -> PullInfo:
        """As libdepot.Client.pull_info."""
        return make_pull(await _run(self._pull_info(build_id, token, timeout, cancel)))

    async def pull_token(self, project: str | None = None, *, token: str | None = None,
                         context_dir: StrPath | None = None, timeout: float | None = None,
                         cancel: _core.Cancel | None = None) -> PullInfo:
        """As libdepot.Client.pull_token."""
        return make_pull(await _run(self._pull_token(project, token, context_dir, timeout, cancel)))

    async def pull(self, what: str, *, tags: Sequence[str] = (), targets: Sequence[str] = (),
                   platform: str | None = None, into: str | None = None, token: str | None = None,
                   on_status: AsyncStatusCallback | None = None, timeout: float | None = None,
                   cancel: _core.Cancel | None = None) -> None:
        """As libdepot.Client.pull."""
        on_loop = _on_loop(on_status)
        await _run(self._pull(what, tags, targets, platform, into, token, on_loop, timeout, cancel), on_loop)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, failure: BaseException | None,
                        traceback: TracebackType | None) -> None:
        self.close()


class Build(BaseBuild):
    """One registered build, finished by how the block ended, as libdepot.Build."""

    async def acquire(self, platform: str | None = None, *, timeout: float | None = None,
                      cancel: _core.Cancel | None = None) -> Machine:
        """As libdepot.Build.acquire, awaited: ``async with await build.acquire() as machine``."""
        return Machine(await _run(self._acquire(platform, timeout, cancel)), self)

    async def finish(self, outcome: Outcome | str, message: str = "") -> None:
        """As libdepot.Build.finish."""
        await _run(self._finish(outcome, message))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, failure: BaseException | None,
                        traceback: TracebackType | None) -> None:
        try:
            if not self._finished:
                await self.finish(*self._outcome(failure))
        except Error as error:
            if failure is None:
                raise
            add_note(failure, f"and the build could not be finished: {error.message}")
        finally:
            self.close()


class Machine(BaseMachine):
    """One leased BuildKit, as libdepot.Machine."""

    async def connect(self, *, timeout: float | None = None, cancel: _core.Cancel | None = None) -> None:
        """As libdepot.Machine.connect."""
        await _run(self._connect(timeout, cancel))

    async def solve(self, request: SolveRequest | Context | None = ".", *,
                    on_status: AsyncStatusCallback | None = None, timeout: float | None = None,
                    cancel: _core.Cancel | None = None, **fields: Unpack[RequestFields]) -> Result:
        """As libdepot.Machine.solve."""
        on_loop = _on_loop(on_status)
        try:
            raw = await _run(self._solve(request, fields, on_loop, timeout, cancel), on_loop)
        except BaseException as failure:
            self._build._solve_ended(failure)
            raise
        self._build._solve_ended(None)
        return make_result(raw)

    async def workers(self, filters: Sequence[str] | str = (), *, timeout: float | None = None,
                      cancel: _core.Cancel | None = None) -> list[Worker]:
        """As libdepot.Machine.workers."""
        with self._question():
            return make_workers(await _run(self._workers(filters, timeout, cancel)))

    async def info(self, *, timeout: float | None = None, cancel: _core.Cancel | None = None) -> BuilderInfo:
        """As libdepot.Machine.info."""
        with self._question():
            return BuilderInfo(*await _run(self._info(timeout, cancel)))

    async def disk_usage(self, filters: Sequence[str] | str = (), *, timeout: float | None = None,
                         cancel: _core.Cancel | None = None) -> DiskUsage:
        """As libdepot.Machine.disk_usage."""
        with self._question():
            return make_usage(await _run(self._disk_usage(filters, timeout, cancel)))

    async def prune(self, filters: Sequence[str] | str = (), *, all: bool = False, reserved_space: int | str = 0,
                    max_used_space: int | str = 0, min_free_space: int | str = 0,
                    on_record: PruneCallback | None = None, timeout: float | None = None,
                    cancel: _core.Cancel | None = None) -> int:
        """As libdepot.Machine.prune."""
        with self._question():
            call = self._prune(filters, all, reserved_space, max_used_space, min_free_space, on_record, timeout,
                               cancel)
            return int(await _run(call))

    async def history(self, filters: Sequence[str] | str = (), *, ref: str | None = None, limit: int = 0,
                      active_only: bool = False, timeout: float | None = None,
                      cancel: _core.Cancel | None = None) -> list[HistoryRecord]:
        """As libdepot.Machine.history."""
        with self._question():
            return make_history(await _run(self._history(filters, ref, limit, active_only, timeout, cancel)))

    async def history_logs(self, ref: str, on_status: AsyncStatusCallback, *, timeout: float | None = None,
                           cancel: _core.Cancel | None = None) -> None:
        """As libdepot.Machine.history_logs."""
        on_loop = _on_loop(on_status)
        assert on_loop is not None
        with self._question():
            await _run(self._history_logs(ref, on_loop, timeout, cancel), on_loop)

    async def history_delete(self, ref: str, *, timeout: float | None = None,
                             cancel: _core.Cancel | None = None) -> None:
        """As libdepot.Machine.history_delete."""
        with self._question():
            await _run(self._history_delete(ref, timeout, cancel))

    async def read_blob(self, digest: str, *, timeout: float | None = None,
                        cancel: _core.Cancel | None = None) -> bytes:
        """As libdepot.Machine.read_blob."""
        with self._question():
            return bytes(await _run(self._read_blob(digest, timeout, cancel)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, failure: BaseException | None,
                        traceback: TracebackType | None) -> None:
        self.close()


async def build(context: SolveRequest | Context | None = ".", *, client: Client | None = None,
                options: ClientOptions | None = None, builder: str | None = None, token: str | None = None,
                project: str | None = None, build_platform: str | None = None,
                on_status: AsyncStatusCallback | None = None, timeout: float | None = None,
                cancel: _core.Cancel | None = None,
                **fields: Unpack[RequestFields]) -> Result:
    """As libdepot.build."""
    if client is not None:
        if options or builder or token or project:
            raise TypeError("give either a client, or the options of one")
        return await client.build(context, build_platform=build_platform, on_status=on_status, timeout=timeout,
                                  cancel=cancel, **fields)
    given: ClientOptions = {"builder": builder, "token": token, "project": project}
    given.update(options or {})
    async with Client(**given) as made:
        return await made.build(context, build_platform=build_platform, on_status=on_status, timeout=timeout,
                                cancel=cancel, **fields)
