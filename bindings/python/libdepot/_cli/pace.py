"""Plain progress at buildx's pace: the first batch at once, then ten times a second at most."""

from __future__ import annotations

import threading
import time

from libdepot import Status

from .plain import Plain

INTERVAL = 0.1  # seconds; what starts and ends between two prints is one line


class Paced:
    """Batches are collected as they come and printed when the interval is over, from a thread that
    sleeps while there is nothing to print: a step's last words must not wait for the next step's."""

    def __init__(self, plain: Plain) -> None:
        self.plain = plain
        self.lock = threading.Lock()
        self.news = threading.Condition(self.lock)
        self.waiting = False  # something was collected and not yet printed
        self.stopped = False
        self.printed = -INTERVAL  # by the monotonic clock
        self.failure: BaseException | None = None  # of the thread: told to the next batch
        self.printer = threading.Thread(target=self._run, name="progress", daemon=True)

    def start(self) -> None:
        self.printer.start()

    def __call__(self, status: Status) -> None:
        with self.lock:
            if self.failure is not None:
                raise self.failure
            self.plain.collect(status)
            if time.monotonic() - self.printed >= INTERVAL:
                self._print()
            elif not self.waiting:
                self.waiting = True
                self.news.notify()

    def _print(self) -> None:
        self.waiting = False
        self.plain.print()
        self.printed = time.monotonic()

    def _run(self) -> None:
        with self.lock:
            while not self.stopped:
                self.news.wait_for(lambda: self.waiting or self.stopped)
                left = INTERVAL - (time.monotonic() - self.printed)
                if left > 0:
                    self.news.wait_for(lambda: self.stopped, left)
                if self.waiting and not self.stopped:
                    try:
                        self._print()
                    except BaseException as error:  # a closed pipe: the build is to end of it
                        self.failure = error
                        return

    def finish(self, canceled: bool = False) -> None:
        with self.lock:
            self.stopped = True
            self.news.notify()
        if self.printer.ident is not None:
            self.printer.join()
        self.plain.finish(canceled)
