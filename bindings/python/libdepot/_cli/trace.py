"""What is known of a build from its status batches so far, for the displays."""

from __future__ import annotations

import collections

from libdepot import Status, Vertex, VertexStatus, VertexWarning
from libdepot._light import dataclass, field

CANCELED = "context canceled"
TAIL_LINES = 10


@dataclass
class Step:
    index: int  # as it is shown, 0: not yet
    vertex: Vertex
    statuses: dict[str, VertexStatus] = field(default_factory=dict)
    warnings: list[VertexWarning] = field(default_factory=list)
    # Each start with the completion that followed; a step may run again (a cache lookup, then work).
    intervals: dict[int, int | None] = field(default_factory=dict)
    partial: bytes = b""  # a log line without its end so far
    partial_time: int | None = None
    tail: collections.deque[str] = field(default_factory=lambda: collections.deque(maxlen=TAIL_LINES))

    @property
    def running(self) -> bool:
        return bool(self.intervals) and any(end is None for end in self.intervals.values())

    @property
    def completed(self) -> bool:
        return bool(self.intervals) and not self.running

    @property
    def canceled(self) -> bool:
        return self.vertex.error.endswith(CANCELED)

    @property
    def started(self) -> int:
        return max(self.intervals, default=0)

    @property
    def ended(self) -> int:
        return max((end or 0 for end in self.intervals.values()), default=0)

    def seconds(self, now: int) -> float:
        """How long it ran, overlaps counted once."""
        total, reached = 0, 0
        for start, end in sorted(self.intervals.items()):
            stop = now if end is None else end
            total += max(0, stop - max(start, reached))
            reached = max(reached, stop)
        return total / 1e9


@dataclass
class Change:
    """What a batch changed in a step."""

    step: Step
    # The latest of each id: a transfer that starts and ends in one batch is one line.
    statuses: dict[str, VertexStatus] = field(default_factory=dict)
    warnings: list[VertexWarning] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)  # "0.123 what it printed"

    def followed_by(self, later: Change) -> Change:
        return Change(self.step, self.statuses | later.statuses, self.warnings + later.warnings,
                      self.lines + later.lines)


class Trace:
    def __init__(self) -> None:
        self.steps: dict[str, Step] = {}
        self.now = 0  # the builder's clock, as far as it was seen

    def update(self, status: Status) -> list[Change]:
        changes: dict[str, Change] = {}

        def change(digest: str) -> Change | None:
            step = self.steps.get(digest)
            if step is None:
                return None
            return changes.setdefault(digest, Change(step))

        for vertex in status.vertexes:
            step = self.steps.setdefault(vertex.digest, Step(0, vertex))
            step.vertex = vertex
            if vertex.started is not None:
                step.intervals[vertex.started] = vertex.completed
                self._saw(vertex.started)
                self._saw(vertex.completed)
                if vertex.completed is not None:  # earlier runs ended too, whether that was told or not
                    for start, end in step.intervals.items():
                        step.intervals[start] = vertex.completed if end is None else end
            changes.setdefault(vertex.digest, Change(step))
        for progress in status.statuses:
            found = change(progress.vertex)
            if found is not None:
                found.step.statuses[progress.id] = progress
                found.statuses[progress.id] = progress
                self._saw(progress.timestamp)
        for warning in status.warnings:
            found = change(warning.vertex)
            if found is not None:
                found.step.warnings.append(warning)
                found.warnings.append(warning)
        for log in status.logs:
            found = change(log.vertex)
            if found is not None:
                self._saw(log.timestamp)
                self._log(found, log.data, log.timestamp)
        for found in changes.values():
            if found.step.completed and found.step.partial:
                self._log(found, b"\n", None)
        return list(changes.values())

    def _saw(self, time: int | None) -> None:
        self.now = max(self.now, time or 0)

    def _log(self, change: Change, data: bytes, time: int | None) -> None:
        """Logs are cut anywhere; a line has the time of its first byte."""
        step = change.step
        *whole, rest = (step.partial + data).split(b"\n")
        first = step.partial_time if step.partial else time
        for line in whole:
            seconds = max(0, (first or step.started) - step.started) / 1e9
            digits = 3 if seconds < 10 else 2 if seconds < 100 else 1
            text = line.decode("utf-8", "replace").rstrip("\r").rsplit("\r", 1)[-1]
            shown = f"{seconds:.{digits}f} {text}"
            change.lines.append(shown)
            step.tail.append(shown)
            first = time
        if rest and (whole or not step.partial):
            step.partial_time = first
        step.partial = rest

    def cancel(self) -> list[Step]:
        """The build was cancelled: what still runs ends now. Gives those steps."""
        import dataclasses

        steps = [step for step in self.steps.values() if step.running and not step.vertex.progress_group_id]
        for step in steps:
            step.vertex = dataclasses.replace(step.vertex, completed=self.now, error=CANCELED)
            step.intervals = {start: self.now if end is None else end for start, end in step.intervals.items()}
        return steps

    def failed(self) -> list[Step]:
        return [step for step in self.steps.values() if step.vertex.error and not step.canceled]


def units(count: int) -> str:
    """Bytes as go-units' %.2f of units.Bytes prints them: 1.50kB, 3.42MB."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000:
            return f"{count}B" if unit == "B" else f"{value:.2f}{unit}"
        value /= 1000
    return f"{value:.2f}PB"


def amount(status: VertexStatus) -> str:
    if status.total:
        return f" {units(status.current)} / {units(status.total)}"
    return f" {units(status.current)}" if status.current else ""
