"""The local builder, and what it knows of clients that leave: by Ctrl-C, and without a word."""

import contextlib
import os
import pathlib
import re
import select
import signal
import sqlite3
import subprocess
import sys
import time

import parts
import pytest
from conftest import ENGINE, ROOTFS

import libdepot

SLEEP = ROOTFS + "RUN echo it runs && sleep 600\n"
PATIENCE = 90  # seconds until something is taken for a hang


class Builderd:
    """libdepot-builderd of the wheel, where LIBDEPOT_RUNTIME_DIR has clients look for one. Machines stop
    as soon as nobody has a lease of them; a lease lasts a little longer than two reports are apart."""

    idle_timeout = "0"

    def __init__(self, folder):
        runtime, self.state = os.environ["LIBDEPOT_RUNTIME_DIR"], pathlib.Path(os.environ["LIBDEPOT_STATE_DIR"])
        program = pathlib.Path(libdepot.__file__).with_name("libdepot-builderd")
        self.process = parts.Process("builderd", [
            str(program), "--runtime-dir", runtime, "--state-dir", str(self.state),
            "--buildkitd", f"{ENGINE}/buildkitd", "--runc", f"{ENGINE}/runc",
            "--lease-expiry", "8", "--idle-timeout", self.idle_timeout, "--exit-after", "600"],
            folder / "builderd-out", namespace=True)
        self.process.wait_for("ready")

    @property
    def log(self):
        return (self.state / "builderd.log").read_text()

    def build(self):
        """Project and status of its one build; ListBuilds numbers them: 1 running, 4 canceled."""
        with contextlib.closing(sqlite3.connect(f"file:{self.state}/builderd.db?mode=ro", uri=True)) as database:
            (found,) = database.execute("SELECT project, status FROM builds")
        return found

    def machines(self):
        """pidfds of everything below it."""
        found, look = [], [self.process.pid]
        while look:
            # What ended since it was listed has no pidfd to be had.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                parent = look.pop()
                for child in pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
                    look.append(int(child))
                    found.append(os.pidfd_open(int(child)))
        return found


def all_end(processes):
    for process in processes:
        if not select.select([process], [], [], PATIENCE)[0]:
            return False
        os.close(process)
    return True


@pytest.fixture
def builderd(tmp_path):
    started = Builderd(tmp_path)
    yield started
    started.process.stop()


def until_it_runs(stream):
    for line in stream:
        if line.rstrip().endswith(" it runs"):
            return
    raise AssertionError("it ended before its step ran")


def test_ctrl_c_is_told_to_the_local_builder(libdepot_command, builderd, context):
    process = libdepot_command("build", context(SLEEP), "--builder", "local", "--progress", "plain")
    until_it_runs(process.stderr)
    machines = builderd.machines()
    assert len(machines) >= 2 and builderd.build()[1] == 1
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait(PATIENCE) == 130, rest
    assert time.monotonic() - began <= 10  # takes one; this guards against a hang
    assert builderd.build()[1] == 4
    assert re.search(r"build \S+ canceled", builderd.log)
    assert all_end(machines)
    assert "has been silent" not in builderd.log


def test_the_machine_of_a_killed_process_is_freed(builderd, context):
    script = ("import libdepot, sys\n"
              "def on_status(status):\n"
              "    for log in status.logs: print('', log.data.decode(), flush=True)\n"
              "libdepot.build(sys.argv[1], builder='local', on_status=on_status)\n")
    argv = [sys.executable, "-c", script, str(context(SLEEP))]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as run:
        try:
            until_it_runs(run.stdout)
            machines = builderd.machines()
            assert len(machines) >= 2
            assert "has been silent" not in builderd.log
        finally:
            run.kill()
    assert all_end(machines), builderd.log
    assert f"has been silent and loses machine {builderd.build()[0]}/" in builderd.log
    assert builderd.process.process.poll() is None
    # And it can be had again.
    assert libdepot.build(context("FROM scratch\nCOPY Dockerfile /x\n", "next"), builder="local").ref
