"""The terminal display on a terminal's screen: a recorded build of twenty steps, cell by cell."""

import os
import pathlib
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl

import pyte
import pytest

STREAMS = pathlib.Path(__file__).resolve().parent.parent / "progress/streams"


def recorded(name):
    return [line.split(" ", 1)[1] for line in (STREAMS / name).read_text().splitlines()]


def on_screen(code, width, height, **env):
    """What a program in Python leaves on a terminal of that size, and what it wrote."""
    ours, theirs = pty.openpty()
    inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    with subprocess.Popen([sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs,
                          env={**inherited, "TERM": "xterm", **env}) as run:
        os.close(theirs)
        screen, written = pyte.Screen(width, height), b""
        stream = pyte.ByteStream(screen)
        while True:
            try:
                data = os.read(ours, 10000)
            except OSError:  # the other side is closed
                break
            if not data:
                break
            written += data
            stream.feed(data)
        assert run.wait(60) == 0, written
    os.close(ours)
    return screen, written


def show(name, width, height, kind="tty", **env):
    return on_screen(f"""
import libdepot
with libdepot.Progress({kind!r}) as progress:
    for line in {recorded(name)!r}:
        progress.update_json(line)
""", width, height, **env)


def text(screen):
    return "\n".join(line.rstrip() for line in screen.display).rstrip("\n")


def test_twenty_steps():
    screen, _ = show("twenty", 80, 40)
    expected = (pathlib.Path(__file__).parent / "twenty.screen").read_text()
    assert text(screen) + "\n" == expected
    colors = {cell.fg for row in range(1, 30) for cell in (screen.buffer[row][1],)}
    assert colors == {"blue"}
    assert not screen.cursor.hidden and screen.cursor.x == 0


@pytest.mark.parametrize("width", [40, 80, 200])
def test_every_line_ends_with_its_clock(width):
    screen, _ = show("parallel", width, 60)
    lines = text(screen).splitlines()
    assert lines[0].startswith("[+] Building ") and "FINISHED" in lines[0]
    assert len(lines) > 10
    for line in lines[1:]:
        assert re.search(r" \d+\.\ds$", line) and len(line) == width - 1, line


def test_no_color():
    assert b"\x1b[34m" in show("twenty", 80, 40)[1]
    written = show("twenty", 80, 40, NO_COLOR="1")[1]
    assert re.findall(rb"\x1b\[[0-9;]*m", written) == []
    assert b"\x1b[32m" in show("twenty", 80, 40, BUILDKIT_COLORS="run=green")[1]


def test_a_failure():
    screen, _ = show("failure", 80, 60)
    lines = text(screen).splitlines()
    assert any(line.startswith(" => ERROR [2/2] RUN for i in") for line in lines)
    assert screen.buffer[lines.index(next(line for line in lines if "ERROR" in line))][1].fg == "red"
    assert [line.split(" ", 1)[1] for line in lines if re.match(r"\d\.\d{3} ", line)] == \
        [*(f"line {i}" for i in range(1, 16)), "it went wrong"]


def test_auto_takes_it_on_a_terminal():
    assert text(show("cached", 80, 40, "auto")[0]).startswith("[+] Building")
    assert text(show("cached", 80, 40, "auto", TERM="dumb")[0]).startswith("#1 ")
    assert text(show("cached", 80, 40, "auto", BUILDKIT_PROGRESS="plain")[0]).startswith("#1 ")


def test_a_resize_leaves_nothing_behind():
    """The program itself changes the size between two frames."""
    screen, written = on_screen(f"""
import fcntl, os, struct, termios, time, libdepot
lines = {recorded("twenty")!r}
with libdepot.Progress("tty") as progress:
    for at, line in enumerate(lines):
        progress.update_json(line)
        width, height = ((100, 30), (60, 20), (80, 40))[min(2, at * 3 // len(lines))]
        fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
""", 80, 40)
    assert text(screen).splitlines()[0].endswith("FINISHED") or "FINISHED" in text(screen)


def test_what_a_step_prints_moves_no_cursor():
    written = show("ansi", 80, 40)[1]
    assert b"\x1b[2J" not in written and b"\x1b[31m" not in written and b"\x1b[H" not in written
