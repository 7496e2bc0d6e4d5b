"""The displays: batches in, text out."""

import io
import threading

import libdepot
import pytest
from libdepot import Range, Source, Status, Vertex, VertexLog, VertexStatus, VertexWarning
from libdepot._cli import pace
from libdepot._cli.excerpt import print_excerpt
from libdepot._cli.pace import Paced
from libdepot._cli.plain import Plain
from libdepot._cli.trace import Trace
from libdepot._cli.tty import Terminal, clean

S = 1_000_000_000
T = 1_700_000_000 * S


def plain(*batches):
    out = io.StringIO()
    display = Plain(out)
    for batch in batches:
        display(batch)
    display.finish()
    return out.getvalue()


def vertex(digest, name, start=None, end=None, **more):
    return Vertex(digest, name, started=None if start is None else T + int(start * S),
                  completed=None if end is None else T + int(end * S), **more)


def log(digest, data, at):
    return VertexLog(digest, data, T + int(at * S), 1)


def test_plain_is_buildxs():
    load = "[internal] load build definition from Dockerfile"
    got = plain(
        Status(vertexes=(vertex("a", load),)),
        Status(vertexes=(vertex("a", load, 0),)),
        Status(statuses=(VertexStatus("transferring dockerfile:", "a", "", 31, 0, T + S, T, T + S // 50),)),
        Status(vertexes=(vertex("a", load, 0, 0.12),)),
        Status(vertexes=(vertex("b", "[2/3] RUN x"), vertex("c", "[3/3] RUN y"))),
        Status(vertexes=(vertex("b", "[2/3] RUN x", 1, 1, cached=True),)),
        Status(vertexes=(vertex("c", "[3/3] RUN y", 2),), logs=(log("c", b"one\ntw", 2.5),)),
        Status(logs=(log("c", b"o\n", 14),)),
        Status(vertexes=(vertex("c", "[3/3] RUN y", 2, 15, error="exit code: 3"),)),
    )
    assert got == f"""\
#1 {load}
#1 transferring dockerfile: 31B 0.0s done
#1 DONE 0.1s

#2 [2/3] RUN x
#2 CACHED

#3 [3/3] RUN y
#3 0.500 one
#3 0.500 two
#3 ERROR: exit code: 3
------
 > [3/3] RUN y:
0.500 one
0.500 two
------
"""


def test_a_step_keeps_the_screen_until_it_ends():
    got = plain(
        Status(vertexes=(vertex("a", "A", 0), vertex("b", "B", 0))),
        Status(logs=(log("b", b"from b\n", 1),)),
        Status(logs=(log("a", b"from a\n", 2),)),
        Status(vertexes=(vertex("a", "A", 0, 3),)),
        Status(logs=(log("b", b"again b\n", 3),)),
        Status(vertexes=(vertex("b", "B", 0, 3, error="x: context canceled"),)),
    )
    assert got == """\
#1 A
#1 2.000 from a
#1 DONE 3.0s

#2 B
#2 1.000 from b
#2 3.000 again b
#2 CANCELED
"""


def test_a_step_gives_the_screen_away_when_its_turn_is_over():
    got = plain(
        Status(vertexes=(vertex("a", "A", 0), vertex("b", "B", 0))),
        Status(logs=(log("a", b"from a\n", 5.5), log("b", b"from b\n", 6))),
        Status(vertexes=(vertex("a", "A", 0, 7),)),
        Status(vertexes=(vertex("b", "B", 0, 8),)),
    )
    assert got == """\
#1 A
#1 5.500 from a
#1 ...

#2 B
#2 6.000 from b
#2 ...

#1 A
#1 DONE 7.0s

#2 B
#2 DONE 8.0s
"""


def test_of_a_cancelled_build_no_step_is_left_running():
    out = io.StringIO()
    display = Plain(out)
    display(Status(vertexes=(vertex("a", "A", 0), vertex("b", "B", 0), vertex("c", "C", 0, 1)),
                   logs=(log("a", b"no end", 1),)))
    display.finish(canceled=True)
    assert out.getvalue() == """\
#1 C
#1 DONE 1.0s

#2 A
#2 CANCELED

#3 B
#3 CANCELED
"""


def test_a_last_line_without_its_end_a_warning_and_a_transfer():
    got = plain(
        Status(vertexes=(vertex("a", "A", 0),), warnings=(VertexWarning("a", "this is old"),)),
        Status(statuses=(VertexStatus("layer", "a", "", 0, 2_000_000, T, T, None),)),
        Status(statuses=(VertexStatus("layer", "a", "", 10, 2_000_000, T + 1, T, None),)),  # too little to tell
        Status(statuses=(VertexStatus("layer", "a", "", 1_500_000, 2_000_000, T + 2 * S, T, None),)),
        Status(statuses=(VertexStatus("layer", "a", "", 2_000_000, 2_000_000, T + 3 * S, T, T + 3 * S),)),
        Status(logs=(log("a", b"no end", 3),)),
        Status(vertexes=(vertex("a", "A", 0, 4),)),
        Status(vertexes=(vertex("a", "A", 0, 4),)),  # told twice
    )
    assert got == """\
#1 A
#1 WARN: this is old
#1 layer 0B / 2.00MB
#1 layer 1.50MB / 2.00MB 2.0s
#1 layer 2.00MB / 2.00MB 3.0s done
#1 3.000 no end
#1 DONE 4.0s
"""


def test_a_transfer_told_twice_in_a_batch_is_one_line():
    got = plain(Status(vertexes=(vertex("a", "A", 0, 1),),
                       statuses=(VertexStatus("transferring context:", "a", "", 0, 0, T, T, None),
                                 VertexStatus("transferring context:", "a", "", 105, 0, T, T, T))))
    assert got == """\
#1 A
#1 transferring context: 105B done
#1 DONE 1.0s
"""


class Watched(io.StringIO):
    """Tells when a text was written; can be a pipe that nobody reads any more."""

    def __init__(self, awaited, broken=False):
        super().__init__()
        self.awaited, self.broken, self.there = awaited, broken, threading.Event()

    def write(self, text):
        if self.broken:
            raise BrokenPipeError
        written = super().write(text)
        if self.awaited in self.getvalue():
            self.there.set()
        return written


def test_what_comes_between_two_prints_is_printed_without_a_further_batch():
    out = Watched("#1 DONE")
    display = Paced(Plain(out))
    display.start()
    display(Status(vertexes=(vertex("a", "A", 0),)))
    assert out.getvalue() == "#1 A\n"  # the first one at once
    display(Status(statuses=(VertexStatus("layer", "a", "", 0, 0, T, T, None),)))
    display(Status(vertexes=(vertex("a", "A", 0, 1),),
                   statuses=(VertexStatus("layer", "a", "", 31, 0, T, T, T),)))
    assert out.there.wait(60)
    display.finish()
    assert out.getvalue().endswith("#1 layer 31B done\n#1 DONE 1.0s\n")


def test_the_end_prints_what_was_held_back(monkeypatch):
    monkeypatch.setattr(pace, "INTERVAL", 3600)
    out = io.StringIO()
    display = Paced(Plain(out))
    display.printed = -3600.0
    display.start()
    display(Status(vertexes=(vertex("a", "A", 0),)))
    display(Status(statuses=(VertexStatus("layer", "a", "", 0, 0, T, T, None),)))
    display(Status(vertexes=(vertex("a", "A", 0, 1),),
                   statuses=(VertexStatus("layer", "a", "", 31, 0, T, T, T),)))
    assert out.getvalue() == "#1 A\n"
    display.finish()
    assert out.getvalue() == "#1 A\n#1 layer 31B done\n#1 DONE 1.0s\n"
    assert not display.printer.is_alive()


def test_a_pipe_that_nobody_reads_ends_the_build():
    out = Watched("#1 A")
    display = Paced(Plain(out))
    display.start()
    display(Status(vertexes=(vertex("a", "A", 0),)))
    out.broken = True
    with pytest.raises(BrokenPipeError):
        display(Status(vertexes=(vertex("a", "A", 0, 1),)))
        display.printer.join(60)
        display(Status())


def test_of_a_carriage_return_the_last_state_is_shown():
    assert "#1 1.000 100%\n" in plain(Status(vertexes=(vertex("a", "A", 0),), logs=(log("a", b"1%\r50%\r100%\n", 1),)))


def test_what_belongs_to_no_step_is_left_out():
    assert plain(Status(logs=(log("x", b"?\n", 1),), statuses=(VertexStatus("i", "x"),),
                        warnings=(VertexWarning("x", "?"),))) == ""


def test_overlapping_runs_of_a_step_count_once():
    trace = Trace()
    for start, end in ((0, 2), (1, 3), (10, 11)):
        trace.update(Status(vertexes=(vertex("a", "A", start, end),)))
    assert trace.steps["a"].seconds(T) == 4


def test_a_step_that_starts_again_is_running():
    trace = Trace()
    trace.update(Status(vertexes=(vertex("a", "A", 0, 1),)))
    assert trace.steps["a"].completed
    trace.update(Status(vertexes=(vertex("a", "A", 2),)))
    assert trace.steps["a"].running


def test_a_terminal_gets_one_line_for_a_step_and_no_control_of_the_steps():
    out = io.StringIO()
    display = Terminal(out)
    display(Status(vertexes=(vertex("a", "[1/2] A", 0, 1, cached=True), vertex("b", "[2/2] \x1b[2JB", 1)),
                   logs=(log("b", b"\x1b[31mred\x07\n", 1.5),)))
    display._draw(whole=False)
    text = out.getvalue()
    assert "(1/2)" in text and "=> CACHED [1/2] A" in text and "=> [2/2] B" in text and "=> => # 0.500 red" in text
    assert "\x1b[2J" not in text and "\x07" not in text
    display(Status(vertexes=(vertex("b", "[2/2] B", 1, 2, error="exit code: 1"),)))
    display.finish()
    assert "FINISHED" not in out.getvalue()
    assert "=> ERROR [2/2] B" in out.getvalue() and "\n > [2/2] B:\n" in out.getvalue()


def test_cleaning():
    assert clean("\x1b]0;title\x07a\tb\x1b[1;2Hc\x9b\r") == "a    bc"


def test_the_excerpt_marks_the_lines():
    source = Source("Dockerfile", b"FROM a\n\nRUN b \\\n\tc\nRUN d\nRUN e\nRUN f\n", (Range(3, 0, 4, 2),))
    out = io.StringIO()
    print_excerpt(libdepot.SolveError("x", sources=(source,)), out)
    assert out.getvalue() == """\
Dockerfile:3
--------------------
   1 |     FROM a
   2 |     """ + """
   3 | >>> RUN b \\
   4 | >>>     c
   5 |     RUN d
   6 |     RUN e
--------------------
"""


def test_an_excerpt_of_nonsense_is_harmless():
    for ranges in ((), (Range(99, 0, 100, 0),), (Range(-5, 0, 2**31 - 1, 0),), (Range(0, 0, 0, 0),)):
        print_excerpt(libdepot.SolveError("x", sources=(Source("D", b"\xff\n", ranges),)), io.StringIO())
