#!/usr/bin/env python3
"""cancel.py CONTEXT: cancels a build as soon as one of its RUN steps is running, from another thread."""

import sys
import threading

import libdepot

if len(sys.argv) != 2:
    print(f"usage: {sys.argv[0]} CONTEXT", file=sys.stderr)
    sys.exit(2)
cancel = libdepot.Cancel()  # one switch for any number of calls, from any thread
running = threading.Event()


def on_status(status):
    for vertex in status.vertexes:
        if vertex.started is not None and vertex.completed is None and "] RUN " in vertex.name:
            print("running", vertex.name)
            running.set()


def cancel_when_running():
    running.wait()
    cancel.trigger()


threading.Thread(target=cancel_when_running, daemon=True).start()
try:
    libdepot.build(sys.argv[1], on_status=on_status, cancel=cancel)
except libdepot.CanceledError as error:
    print(f"Canceled: {error}")
else:
    print("OK: it was over before it could be cancelled")
    sys.exit(1)
