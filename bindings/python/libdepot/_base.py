"""What the blocking and the asyncio classes share: everything but the waiting."""

from __future__ import annotations

import os
import sys

from . import _check, _core
from ._books import PruneCallback, list_of, on_raw, size_of
from ._builds import check_limit
from ._check import milliseconds
from ._errors import CanceledError, Error
from ._light import Callable, Later, Mapping, Sequence
from ._request import Context, SolveRequest, StrPath, lower, make_request
from ._status import StatusCallback

TYPE_CHECKING = False  # typing's; see _light

# Level (as logging has them) and line, on any thread.
LogCallback = Callable[[int, str], object]
# logging's DEBUG to ERROR, whose numbers its documentation settles: importing it for them takes longer
# than importing all of this package, and many programs never do.
_LEVELS = {1: 10, 2: 20, 3: 30, 4: 40}
_INFO = 20

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import TypedDict

    from . import _codes

    class ClientOptions(TypedDict, total=False):
        """The keyword arguments of Client."""

        builder: str | None
        nodes: Sequence[str]
        token: str | None
        project: str | None
        api_url: str | None
        ca_file: StrPath | None
        proxy: str | None
        tls_ca_file: StrPath | None
        tls_cert_file: StrPath | None
        tls_key_file: StrPath | None
        tls_server_name: str | None
        allow_plaintext: bool
        use_environment: bool
        builderd_path: StrPath | None
        engine_dir: StrPath | None
        state_dir: StrPath | None
        product: str | None
        max_message_size: int
        on_log: LogCallback | None
else:
    _codes = Later("libdepot._codes")


def native(on_status: StatusCallback | None) -> StatusCallback | _core.Progress | None:
    """A display is told by the library itself, without a Status of Python's for each batch."""
    progress: Any = sys.modules.get("libdepot._progress")
    if progress is None or type(on_status) is not progress.Progress:
        return on_status
    display: Any = on_status
    core: _core.Progress = display._core
    return core


def texts(options: Mapping[str, StrPath | None]) -> dict[str, str | bytes]:
    return {name: _check.path(name, value, "a str") for name, value in options.items() if value is not None}


class BaseClient:
    def __init__(self, *, builder: str | None = None, nodes: Sequence[str] = (), token: str | None = None,
                 project: str | None = None, api_url: str | None = None, ca_file: StrPath | None = None,
                 proxy: str | None = None, tls_ca_file: StrPath | None = None, tls_cert_file: StrPath | None = None,
                 tls_key_file: StrPath | None = None, tls_server_name: str | None = None,
                 allow_plaintext: bool = False, use_environment: bool = True,
                 builderd_path: StrPath | None = None, engine_dir: StrPath | None = None,
                 state_dir: StrPath | None = None, product: str | None = None, max_message_size: int = 0,
                 on_log: LogCallback | None = None) -> None:
        """Which builder, and how to reach it. Makes no connection and starts nothing.

        builder: "auto" (default: Depot when a token is found, else $BUILDKIT_HOST, else the local
            builder), "depot", "local", "docker" (the BuildKit of the Docker Engine that docker would
            use), or an address: unix:///path, tcp://host:port, docker-container://NAME,
            podman-container://NAME, nerdctl-container://NAME, kube-pod://POD, ssh://HOST, docker://HOST.
        nodes: several addresses instead, each with the platforms that it is to build, "tcp://host:port,
            platform=linux/arm64" (without: what its workers tell). build() divides platforms among them.
        token, project, api_url, ca_file, proxy: for Depot; default: the environment, depot.json.
        tls_*: PEM files and the name to verify, for a tcp:// builder. All unset: plain text, which is
            refused for an address that is not loopback unless allow_plaintext.
        builderd_path, engine_dir, state_dir: of the local builder.
        product: goes at the end of the user agent, "app/1.2".
        max_message_size: largest gRPC message accepted, bytes; 0: 128 MiB.
        """
        options = texts({
            "builder": builder, "token": token, "project": project, "api_url": api_url, "ca_file": ca_file,
            "proxy": proxy, "tls_ca_file": tls_ca_file, "tls_cert_file": tls_cert_file,
            "tls_key_file": tls_key_file, "tls_server_name": tls_server_name, "builderd_path": builderd_path,
            "engine_dir": engine_dir, "state_dir": state_dir, "product": product})
        log = None if on_log is None else _log_with_levels(on_log)
        addresses = [os.fsencode(node) for node in list_of(nodes)]
        self._core = _core.Client(options, addresses, _check.switch("allow_plaintext", allow_plaintext),
                                  _check.switch("use_environment", use_environment),
                                  _check.number("max_message_size", max_message_size), log)

    @property
    def builder(self) -> str:
        """The builder that the options and the environment lead to: "local", "depot" or an address; several
        addresses after commas."""
        return self._core.builder

    def close(self) -> None:
        """Lets go of the client. Builds and machines made from it go on."""
        self._core.close()

    def _new_build(self, project: str | None, token: str | None, build_id: str | None,
                   context_dir: StrPath | None, tags: Sequence[str], save: bool, save_tags: Sequence[str],
                   timeout: float | None, cancel: _core.Cancel | None) -> _core.Call:
        options = texts({"project": project, "token": token, "build_id": build_id, "context_dir": context_dir})
        return _core.new_build(self._core, options, _check.texts("tags", tags), _check.switch("save", save),
                               _check.texts("save_tags", save_tags), milliseconds(timeout), cancel)

    def _list_builds(self, project: str | None, token: str | None, context_dir: StrPath | None, limit: int,
                     timeout: float | None, cancel: _core.Cancel | None) -> _core.Call:
        options = texts({"project": project, "token": token, "context_dir": context_dir})
        return _core.list_builds(self._core, options, check_limit(limit), milliseconds(timeout), cancel)

    def _pull_info(self, build_id: str, token: str | None, timeout: float | None,
                   cancel: _core.Cancel | None) -> _core.Call:
        if not build_id:
            raise ValueError("no build is named")
        return _core.pull_info(self._core, build_id, texts({"token": token}), milliseconds(timeout), cancel)

    def _pull_token(self, project: str | None, token: str | None, context_dir: StrPath | None, timeout: float | None,
                    cancel: _core.Cancel | None) -> _core.Call:
        options = texts({"project": project, "token": token, "context_dir": context_dir})
        return _core.pull_info(self._core, "", options, milliseconds(timeout), cancel)

    def _build(self, context: SolveRequest | Context | None, fields: Mapping[str, Any],
               build_platform: str | None, on_status: StatusCallback | None, timeout: float | None,
               cancel: _core.Cancel | None) -> _core.Call:
        request = make_request(context, fields)
        # The library looks for depot.json where the request's context is.
        return _core.build(self._core, {}, [], build_platform or "", lower(request), native(on_status),
                           milliseconds(timeout), cancel)

    def _local_projects(self, project: str | None, timeout: float | None, cancel: _core.Cancel | None) -> _core.Call:
        return _core.local_projects(self._core, project, milliseconds(timeout), cancel)

    def _local_stop(self, project: str | None, force: bool, timeout: float | None,
                    cancel: _core.Cancel | None) -> _core.Call:
        return _core.local_stop(self._core, project, force, milliseconds(timeout), cancel)

    def _local_reset(self, project: str, force: bool, timeout: float | None,
                     cancel: _core.Cancel | None) -> _core.Call:
        return _core.local_reset(self._core, project, force, milliseconds(timeout), cancel)

    def _pull(self, what: str, tags: Sequence[str], targets: Sequence[str], platform: str | None, into: str | None,
              token: str | None, on_status: StatusCallback | None, timeout: float | None,
              cancel: _core.Cancel | None) -> _core.Call:
        options = texts({"token": token, "platform": platform, "into": into})
        return _core.pull(self._core, what, options, _check.texts("tags", tags), _check.texts("targets", targets),
                          native(on_status), milliseconds(timeout), cancel)


def _log_with_levels(on_log: LogCallback) -> LogCallback:
    return lambda level, line: on_log(_LEVELS.get(level, _INFO), line)


class BaseBuild:
    def __init__(self, core: _core.Build) -> None:
        self._core = core
        self._finished = False
        self._solved = 0
        self._failure: BaseException | None = None  # the first solve that failed

    @property
    def id(self) -> str:
        return self._core.id

    @property
    def project(self) -> str:
        return self._core.project

    @property
    def url(self) -> str:
        """Page of the build for a person; "" with a local or plain builder."""
        return self._core.url

    def close(self) -> None:
        """Lets go of the build. If it was not finished it is reported as failed."""
        self._core.close()

    def _acquire(self, platform: str | None, timeout: float | None, cancel: _core.Cancel | None) -> _core.Call:
        return _core.acquire(self._core, platform or "", milliseconds(timeout), cancel)

    def _finish(self, outcome: _codes.Outcome | str, message: str) -> _core.Call:
        if isinstance(outcome, str):
            try:
                outcome = _codes.Outcome[outcome.upper()]
            except KeyError:
                raise ValueError(f"outcome is success, failed or canceled, not {outcome!r}") from None
        call = _core.finish(self._core, _codes.Outcome(outcome), message)
        self._finished = True  # told once; whether that arrived is what the call says
        return call

    def _solve_ended(self, failure: BaseException | None) -> None:
        """A question to the builder counts as a solve."""
        if failure is None:
            self._solved += 1
        elif self._failure is None:
            self._failure = failure

    def _outcome(self, failure: BaseException | None) -> tuple[_codes.Outcome, str]:
        """How a `with` block ended. Success takes more than coming to the end of it: a solve, and none
        that failed. Whoever handled a failure and means success says so by finish()."""
        Outcome = _codes.Outcome
        failure = failure or self._failure
        if failure is not None:
            stopped = not isinstance(failure, (Exception, SystemExit))  # Ctrl-C, a cancelled task
            canceled = stopped or isinstance(failure, CanceledError)
            message = failure.message if isinstance(failure, Error) else f"{type(failure).__name__}: {failure}"
            return (Outcome.CANCELED, "") if canceled else (Outcome.FAILED, message)
        if not self._solved:
            return Outcome.FAILED, "nothing was built"
        return Outcome.SUCCESS, ""


class BaseMachine:
    def __init__(self, core: _core.Machine, build: BaseBuild) -> None:
        self._core = core
        self._build = build

    @property
    def endpoint(self) -> str:
        return self._core.endpoint

    @property
    def platform(self) -> str:
        """ "amd64" or "arm64"."""
        return self._core.platform

    def release(self) -> None:
        """Gives the machine back; a solve under way ends with CanceledError. As often as one likes."""
        self._core.release()

    def close(self) -> None:
        """Releases, and lets go of the machine."""
        try:
            self._core.release()
        except Error as error:
            if "closed" not in error.message:
                raise
        self._core.close()

    def _connect(self, timeout: float | None, cancel: _core.Cancel | None) -> _core.Call:
        return _core.connect(self._core, milliseconds(timeout), cancel)

    def _solve(self, request: SolveRequest | Context | None, fields: Mapping[str, Any],
               on_status: StatusCallback | None, timeout: float | None, cancel: _core.Cancel | None) -> _core.Call:
        lowered = lower(make_request(request, fields))
        return _core.solve(self._core, lowered, native(on_status), milliseconds(timeout), cancel)

    def _question(self) -> Question:
        return Question(self._build)

    def _workers(self, filters: Sequence[str] | str, timeout: float | None,
                 cancel: _core.Cancel | None) -> _core.Call:
        return _core.workers(self._core, list_of(filters), milliseconds(timeout), cancel)

    def _info(self, timeout: float | None, cancel: _core.Cancel | None) -> _core.Call:
        return _core.info(self._core, milliseconds(timeout), cancel)

    def _disk_usage(self, filters: Sequence[str] | str, timeout: float | None,
                    cancel: _core.Cancel | None) -> _core.Call:
        return _core.disk_usage(self._core, list_of(filters), milliseconds(timeout), cancel)

    def _prune(self, filters: Sequence[str] | str, all: bool, reserved_space: int | str, max_used_space: int | str,
               min_free_space: int | str, on_record: PruneCallback | None, timeout: float | None,
               cancel: _core.Cancel | None) -> _core.Call:
        return _core.prune(self._core, list_of(filters), all, size_of(reserved_space), size_of(max_used_space),
                           size_of(min_free_space), on_raw(on_record), milliseconds(timeout), cancel)

    def _history(self, filters: Sequence[str] | str, ref: str | None, limit: int, active_only: bool,
                 timeout: float | None, cancel: _core.Cancel | None) -> _core.Call:
        return _core.history(self._core, list_of(filters), ref or "", limit, active_only, milliseconds(timeout), cancel)

    def _history_logs(self, ref: str, on_status: StatusCallback, timeout: float | None,
                      cancel: _core.Cancel | None) -> _core.Call:
        return _core.history_logs(self._core, ref, on_status, milliseconds(timeout), cancel)

    def _history_delete(self, ref: str, timeout: float | None, cancel: _core.Cancel | None) -> _core.Call:
        return _core.history_delete(self._core, ref, milliseconds(timeout), cancel)

    def _read_blob(self, digest: str, timeout: float | None, cancel: _core.Cancel | None) -> _core.Call:
        return _core.read_blob(self._core, digest, milliseconds(timeout), cancel)


class Question:
    """A question to the builder, for how the build that it is asked in ends: as a solve."""

    def __init__(self, build: BaseBuild) -> None:
        self.build = build

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, traceback: object) -> None:
        self.build._solve_ended(failure)


def add_note(failure: BaseException, text: str) -> None:
    """Python 3.11 shows notes in tracebacks; before, the error is lost beside the first one."""
    note = getattr(failure, "add_note", None)
    if note is not None:
        note(text)
