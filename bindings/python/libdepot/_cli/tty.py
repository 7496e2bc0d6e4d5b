"""Progress on a terminal: one line per step, the last lines of what runs, redrawn in place."""

from __future__ import annotations

import os
import re
import threading
import time

from libdepot import Status

from .plain import print_failures
from .trace import Step, Trace, amount

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing import TextIO

TICK_SECONDS = 0.1  # a clock is shown, so it has to be redrawn while nothing happens
LOG_LINES = 6
CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.|[\x00-\x08\x0a-\x1f\x7f-\x9f]")
BLUE, CYAN, RED, FAINT, OFF = "\x1b[34m", "\x1b[36m", "\x1b[31m", "\x1b[2m", "\x1b[0m"


def clean(text: str) -> str:
    """What a step prints must not move the cursor of our terminal."""
    return CONTROL.sub("", text.replace("\t", "    "))


class Terminal:
    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.trace = Trace()
        self.began = time.monotonic()
        self.heard = self.began  # when the last batch came; running clocks go on from there
        self.height = 0  # lines drawn last time
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.ticker = threading.Thread(target=self._tick, name="progress", daemon=True)

    def start(self) -> None:
        self.ticker.start()

    def __call__(self, status: Status) -> None:
        with self.lock:
            self.trace.update(status)
            self.heard = time.monotonic()

    def _tick(self) -> None:
        while not self.ended.wait(TICK_SECONDS):
            with self.lock:
                self._draw(whole=False)

    def finish(self, canceled: bool = False) -> None:
        self.ended.set()
        if self.ticker.ident is not None:
            self.ticker.join()
        with self.lock:
            if canceled:
                self.trace.cancel()
            self._draw(whole=True)
            print_failures(self.trace, self.out)

    def _draw(self, whole: bool) -> None:
        width, height = self._size()
        lines = self._lines(width, whole)
        if not whole and len(lines) > height - 1:  # the end of it is where things happen
            lines = [lines[0], *lines[len(lines) - height + 2:]]
        up = f"\x1b[{self.height}A" if self.height else ""
        body = "".join(f"{line}\x1b[K\n" for line in lines)
        self.out.write(f"\x1b[?25l{up}\r{body}\x1b[J\x1b[?25h")
        self.out.flush()
        self.height = len(lines)

    def _size(self) -> tuple[int, int]:
        """Of the terminal that is written to; standard output may be something else."""
        try:
            size = os.get_terminal_size(self.out.fileno())
        except (OSError, ValueError):
            return 80, 24
        return size.columns or 80, size.lines or 24

    def _lines(self, width: int, whole: bool) -> list[str]:
        steps = [s for s in self.trace.steps.values() if not s.vertex.progress_group_id]
        shown = sorted((s for s in steps if s.intervals), key=lambda s: min(s.intervals))
        done = sum(s.completed for s in steps)
        passed = time.monotonic() - self.began
        ended = whole and not any(s.vertex.error for s in steps)
        state = " FINISHED" if ended else ""
        lines = [f"[+] Building {passed:.1f}s ({done}/{len(steps)}){state}"]
        now = self.trace.now + int((time.monotonic() - self.heard) * 1e9)
        for step in shown:
            lines += self._step(step, now, width, whole)
        return lines

    def _step(self, step: Step, now: int, width: int, whole: bool) -> list[str]:
        color = CYAN if step.running else BLUE
        word = ""
        if step.vertex.error:
            color, word = RED, "CANCELED " if step.canceled else "ERROR "
        elif step.vertex.cached and step.completed:
            word = "CACHED "
        lines = [self._row(f" => {word}{clean(step.vertex.name)}", step.seconds(now), width, color)]
        for progress in step.statuses.values():
            if progress.started is not None and (step.running or not progress.completed) and not whole:
                seconds = ((progress.completed or now) - progress.started) / 1e9
                lines.append(self._row(f" => => {clean(progress.id)}{amount(progress)}", seconds, width, color))
        if step.running and not whole:
            lines += [f"{FAINT}{f' => => # {clean(line)}'[:width - 1]}{OFF}" for line in list(step.tail)[-LOG_LINES:]]
        return lines

    @staticmethod
    def _row(text: str, seconds: float, width: int, color: str) -> str:
        clock = f" {max(0.0, seconds):.1f}s"
        room = max(1, width - len(clock) - 1)
        if len(text) > room:
            text = text[:room - 1] + "…"
        return f"{color}{text:<{room}}{clock}{OFF}"
