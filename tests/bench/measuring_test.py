#!/usr/bin/env python3
"""A program that does not end is ended, with what it started, and said to be stuck; a peer is left out of
the case then, and the others are measured as if it had not been there."""

import argparse
import contextlib
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
    endpoint = server_name = ""
    certs = argparse.Namespace(ca="", client="", client_key="")

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


def case_of(programs):
    return argparse.Namespace(about="nothing", lay=lambda folder, args: None, prepare=lambda folder: None,
                              programs=lambda args: {who: (command, 1) for who, command in programs.items()},
                              builder=lambda address, args: contextlib.nullcontext(Nobody),
                              before=lambda builder, folder: None, legacy=False, warmups=1, rounds=2)


def whole_cases(bench):
    # The second time it is in a round that counts.
    again = bench.base / "again"
    stuck = f"sh -c 'if [ -e {again} ]; then sleep 1000; fi; touch {again}'"
    taken = bench.run("stuck", case_of({"libdepot": "true", "buildctl": "true", "depot-go": stuck}))["runs"]
    assert {who: len(runs) for who, runs in taken.items()} == {"libdepot": 2, "buildctl": 2}, taken
    try:
        bench.run("ours", case_of({"libdepot": "sleep 1000", "buildctl": "true"}))
    except SystemExit as failed:
        assert "libdepot did not end" in str(failed), failed
    else:
        raise AssertionError("ours was left out")


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        args = argparse.Namespace(out=None, callgrind=None, patience=2, rounds=None, peer=["buildctl", "depot-go"])
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
        whole_cases(bench)


main()
