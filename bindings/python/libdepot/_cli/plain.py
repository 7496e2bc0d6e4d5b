"""Progress as lines, as buildx's plain progress prints them."""

from __future__ import annotations

from libdepot import Status, VertexStatus

from .trace import Change, Step, Trace, amount

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing import TextIO

MIN_DELTA = 0.05  # of a transfer, before it is printed again
MIN_TIME = 5_000_000_000  # nanoseconds after which it is printed again all the same


TURN = 5_000_000_000  # how long a step keeps the screen while another has something to say


class Plain:
    """One step at a time has the screen. It keeps it until it ends, or its turn is over and another
    one has something to say; a step that ends says so at once."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.trace = Trace()
        self.count = 0
        self.current: Step | None = None
        self.taken = 0  # when the current step took the screen, by the builder's clock
        self.waiting: dict[str, Change] = {}  # by digest: what has not been printed
        self.printed: dict[tuple[str, str], VertexStatus] = {}
        self.ended: set[str] = set()

    def __call__(self, status: Status) -> None:
        self.collect(status)
        self.print()

    def collect(self, status: Status) -> None:
        for change in self.trace.update(status):
            if not change.step.vertex.progress_group_id:
                digest = change.step.vertex.digest
                self.waiting[digest] = self.waiting[digest].followed_by(change) if digest in self.waiting else change

    def print(self) -> None:
        self._print_completed()
        if self.current is None or self.trace.now - self.taken >= TURN:
            others = [digest for digest, change in self.waiting.items()
                      if change.step is not self.current and self._speaks(change)]
            if others:
                self._print_waiting(self.current)
                self._print(self.waiting.pop(others[0]))
        self._print_waiting(self.current)
        self.out.flush()

    def _print_completed(self) -> None:
        completed = [change for change in self.waiting.values() if change.step.completed]
        completed.sort(key=lambda change: (change.step is not self.current, change.step.ended))
        for change in completed:
            del self.waiting[change.step.vertex.digest]
            self._print(change)

    def _print_waiting(self, step: Step | None) -> None:
        if step is not None and step.vertex.digest in self.waiting:
            self._print(self.waiting.pop(step.vertex.digest))

    @staticmethod
    def _speaks(change: Change) -> bool:
        """Not if it was only announced: a step gets its number when it starts."""
        return bool(change.step.intervals or change.lines or change.statuses or change.warnings)

    def _print(self, change: Change) -> None:
        step = change.step
        if not self._speaks(change):
            return
        news = change.lines or change.statuses or change.warnings
        if step.completed and step.vertex.digest in self.ended and not news:
            return  # told again what was told
        self._take_screen(step)
        say = f"#{step.index} "
        open_transfer = False
        for progress in change.statuses.values():
            open_transfer = open_transfer or progress.completed is None
            if self._worth_printing(step, progress):
                self.out.write(f"{say}{progress.id}{amount(progress)}{self._time(progress)}\n")
        for warning in change.warnings:
            self.out.write(f"{say}WARN: {warning.message}\n")
        for line in change.lines:
            self.out.write(f"{say}{line}\n")
        if step.completed and not open_transfer:
            self._end(step)

    def _take_screen(self, step: Step) -> None:
        if step is self.current:
            return
        if self.current is not None:
            self.out.write(f"#{self.current.index} ...\n")
        if step.index == 0:
            self.count += 1
            step.index = self.count
            if self.count > 1:
                self.out.write("\n")
        else:
            self.out.write("\n")
        self.out.write(f"#{step.index} {step.vertex.name}\n")
        self.current = step
        self.taken = self.trace.now

    def _end(self, step: Step) -> None:
        self.current = None
        self.ended.add(step.vertex.digest)
        if step.vertex.error:
            what = "CANCELED" if step.canceled else f"ERROR: {step.vertex.error}"
        elif step.vertex.cached:
            what = "CACHED"
        else:
            what = f"DONE {step.seconds(self.trace.now):.1f}s"
        self.out.write(f"#{step.index} {what}\n")

    def _worth_printing(self, step: Step, progress: VertexStatus) -> bool:
        key = (step.vertex.digest, progress.id)
        last = self.printed.get(key)
        if last is not None and progress.completed is None:
            grown = (progress.current - last.current) / progress.total if progress.total else 0.0
            waited = (progress.timestamp or 0) - (last.timestamp or 0)
            if grown < MIN_DELTA and waited < MIN_TIME:
                return False
        if last is not None and last.completed is not None and progress.completed == last.completed:
            return False
        self.printed[key] = progress
        return True

    def _time(self, progress: VertexStatus) -> str:
        end = progress.completed or self.trace.now
        seconds = (end - progress.started) / 1e9 if progress.started is not None else 0.0
        text = f" {seconds:.1f}s" if seconds > 0.01 else ""
        return text + (" done" if progress.completed is not None else "")

    def finish(self, canceled: bool = False) -> None:
        """The build has ended: what was held back, and what failed once more, with its log's end.
        Of a cancelled build the builder may not have told how its steps ended."""
        if canceled:
            for step in self.trace.cancel():
                self.waiting.setdefault(step.vertex.digest, Change(step))
        self._print_waiting(self.current)
        for digest in list(self.waiting):
            self._print(self.waiting.pop(digest))
        print_failures(self.trace, self.out)


def print_failures(trace: Trace, out: TextIO) -> None:
    for step in trace.failed():
        out.write(f"------\n > {step.vertex.name}:\n")
        for line in step.tail:
            out.write(f"{line}\n")
        out.write("------\n")
    out.flush()
