#!/usr/bin/env python3
"""A program that does not end is ended, with what it started, and said to be stuck."""

import argparse
import os
import pathlib
import select
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import measuring  # noqa: E402
import network  # noqa: E402


class Nobody:
    """A builder that nothing is asked of; its process is ours."""

    process = argparse.Namespace(pid=os.getpid())

    @staticmethod
    def reports(_):
        return []


def ends(pid):
    """Whether it does: it was killed, which takes the time that the machine has for it."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with open(process, "rb"):
        return bool(select.select([process], [], [], 50)[0])


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        args = argparse.Namespace(out=None, callgrind=None, patience=2)
        bench = measuring.Bench(folder, args, network.Loopback())
        told = folder / "pid"
        try:
            bench.once("a peer", ["sh", "-c", f'sleep 1000 & echo $! > "{told}"; wait'], 1, Nobody)
        except measuring.Stuck as stuck:
            assert "a peer did not end in 2 s" in str(stuck), stuck
        else:
            raise AssertionError("it ended")
        assert ends(int(told.read_text()))
        quick = bench.once("another", ["true"], 1, Nobody)
        assert quick["wall"] < 1000 and quick["rss"] > 0, quick
        try:
            bench.once("a third", ["sh", "-c", "echo why; exit 3"], 1, Nobody)
        except SystemExit as failed:
            assert "ended with 3" in str(failed) and "why" in str(failed), failed
        else:
            raise AssertionError("it did not fail")


main()
