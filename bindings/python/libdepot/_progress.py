"""Progress of a build: shown as docker buildx shows it (Progress), or folded into steps (Trace).

    with libdepot.Progress() as progress:
        libdepot.build(".", on_status=progress)
"""

from __future__ import annotations

import codecs
import enum
import sys

from . import _core
from ._errors import CanceledError
from ._light import Callable, dataclass
from ._status import Status, VertexStatus, VertexWarning

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from types import TracebackType
    from typing import TextIO

    from typing_extensions import Self

SUCCESS, FAILED, CANCELED = 1, 2, 3
WARNINGS = {"summary": 0, "expand": 1, "off": 2}


class StepState(enum.IntEnum):
    PENDING = 0  # told of, not begun
    RUNNING = 1
    DONE = 2
    CACHED = 3
    ERROR = 4
    CANCELED = 5


@dataclass(frozen=True)
class Step:
    """What is known of a step: a vertex, or a progress group, which stands for its members. The members are
    steps too; who shows steps leaves out those with a ``group``, and a group that is ``hidden``."""

    digest: str  # of a group: its id
    name: str
    state: StepState
    number: int  # counted from 1 in the order in which they began; 0: not begun
    error: str = ""
    platform: str = ""  # that it runs on, where its name says that: "linux/arm64"
    started: int | None = None  # first; nanoseconds by the builder's clock
    completed: int | None = None  # last; None while it runs
    seconds: float = 0.0  # that it ran, overlaps counted once; until Trace.now
    inputs: tuple[str, ...] = ()  # digests of what it takes from
    intervals: tuple[tuple[int, int | None], ...] = ()
    statuses: tuple[VertexStatus, ...] = ()  # transfers and the like, as they were told last
    warnings: tuple[VertexWarning, ...] = ()
    log_tail: str = ""  # the last lines that it printed, ten at most
    group: str = ""  # digest of the group that it is in
    is_group: bool = False
    hidden: bool = False
    dropped_statuses: int = 0  # there were more than are kept
    dropped_warnings: int = 0
    dropped_log_lines: int = 0  # that came before log_tail


def make_step(digest: str, name: str, state: int, number: int, *rest: object) -> Step:
    """Called by the extension module."""
    return Step(digest, name, StepState(state), number, *rest)  # type: ignore[arg-type]


class Trace:
    """What is known of a build from its status batches so far: the folded model, bounded whatever a builder
    sends. Feed it in an on_status, ``trace.update(status)``, or with recorded lines of JSON."""

    def __init__(self) -> None:
        self._core = _core.Trace()

    def update(self, status: Status) -> None:
        self._core.update_json(status.json.encode())

    def update_json(self, line: str | bytes) -> None:
        """A line of ``--progress=rawjson``. Raises InvalidArgumentError when it is none."""
        self._core.update_json(line.encode() if isinstance(line, str) else line)

    def cancel(self) -> None:
        """The build was cancelled: what still runs ends now."""
        self._core.cancel()

    @property
    def steps(self) -> tuple[Step, ...]:
        """In the order in which the builder told of them."""
        return tuple(self._core.steps())

    @property
    def warnings(self) -> tuple[VertexWarning, ...]:
        """Of all steps, each once."""
        return tuple(self._core.warnings())

    @property
    def now(self) -> int | None:
        """The builder's clock as far as it was seen, in nanoseconds."""
        return self._core.now or None

    @property
    def dropped_steps(self) -> int:
        """How many steps were let go of because there were too many."""
        return self._core.dropped_steps


def _writer(out: TextIO) -> tuple[Callable[[bytes], object] | None, int]:
    """The descriptor of a file, else a function that writes to what looks like one."""
    try:
        fd = out.fileno()
        out.flush()
    except (AttributeError, OSError, ValueError):
        decoder = codecs.getincrementaldecoder("utf-8")("replace")

        def write(text: bytes) -> None:
            out.write(decoder.decode(text))
            out.flush()

        return write, 0
    return None, fd


class Progress:
    """A display. Give it to a build as its on_status, and finish() it, which leaving a ``with`` does."""

    def __init__(self, kind: str = "auto", out: TextIO | None = None, *, width: int = 0, height: int = 0,
                 color: bool | None = None, colors: str = "", log_lines: int = 0, warnings: str = "summary",
                 warnings_hint: str = "", phase: str = "", description: str = "", use_environment: bool = True,
                 replay: bool = False) -> None:
        """kind: "tty", "plain", "rawjson", "quiet", or "auto": $BUILDKIT_PROGRESS, else tty on a terminal and plain
            elsewhere.
        out: default: standard error.
        width, height: of the terminal; 0: asked of it.
        color, colors: whether (None: unless $NO_COLOR), and which ones, as in $BUILDKIT_COLORS.
        log_lines: of a step that runs; 0: $BUILDKIT_TTY_LOG_LINES, else 6.
        warnings: "summary", "expand" (with the lines of the Dockerfile) or "off"; warnings_hint: how to have them
            expanded, for the heading.
        replay: what comes is a recording: plain goes by its times and is the same each time.
        """
        if warnings not in WARNINGS:
            raise ValueError(f"warnings is one of {', '.join(WARNINGS)}, not {warnings!r}")
        write, fd = _writer(sys.stderr if out is None else out)
        self._core = _core.Progress(kind, write, fd, {
            "width": width, "height": height, "color": 0 if color is None else 1 if color else 2, "colors": colors,
            "log_lines": log_lines, "warnings": WARNINGS[warnings], "warnings_hint": warnings_hint, "phase": phase,
            "description": description, "use_environment": 0 if use_environment else -1, "replay": int(replay)})

    @property
    def kind(self) -> str:
        """"tty", "plain", "rawjson" or "quiet"."""
        return self._core.kind

    def __call__(self, status: Status) -> None:
        self._core.update_json(status.json.encode())

    update = __call__

    def update_json(self, line: str | bytes) -> None:
        """A line of ``--progress=rawjson``. Raises InvalidArgumentError when it is none."""
        self._core.update_json(line.encode() if isinstance(line, str) else line)

    def finish(self, failed: bool = False, canceled: bool = False) -> None:
        """The build has ended: writes what is left, and waits for that. Of a cancelled one, what still runs is
        shown as cancelled."""
        self._core.finish(CANCELED if canceled else FAILED if failed else SUCCESS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        # An exit or a Ctrl-C is no Exception, and nor is asyncio's cancellation.
        canceled = error is not None and (isinstance(error, CanceledError) or not isinstance(error, Exception))
        self.finish(failed=error is not None, canceled=canceled)
