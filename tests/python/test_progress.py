"""Displays and the folded model from Python: lines of JSON in, text or steps out. What the displays print is held
against BuildKit's own by tests/progress."""

import base64
import io
import json
import subprocess
import sys
import threading
import time

import libdepot
import pytest
from conftest import ROOTFS
from libdepot import Progress, StepState, Trace

SECOND = 1_000_000_000
BEGAN = 1_700_000_000


def at(seconds):
    whole, nanoseconds = divmod(round(seconds * SECOND), SECOND)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(BEGAN + whole)) + f".{nanoseconds:09}Z"


def vertex(digest, name, start=None, end=None, **more):
    times = {"started": start, "completed": end}
    return {"digest": digest, "name": name, **{k: at(v) for k, v in times.items() if v is not None}, **more}


def status(id, vertex, current, total, when, start, end=None):
    done = {} if end is None else {"completed": at(end)}
    return {"id": id, "vertex": vertex, "current": current, "total": total, "timestamp": at(when), "started": at(start),
            **done}


def log(digest, data, when):
    return {"vertex": digest, "stream": 1, "data": base64.b64encode(data).decode(), "timestamp": at(when)}


def warning(digest, message, line=2):
    def encoded(text):
        return base64.b64encode(text.encode()).decode()
    return {"vertex": digest, "level": 1, "short": encoded(message), "detail": [encoded("what it is about")],
            "url": "https://docs.example/rule",
            "sourceInfo": {"filename": "Dockerfile", "data": encoded("from scratch\nENV a b\n")},
            "range": [{"start": {"line": line}, "end": {"line": line}}]}


def batch(*vertexes, **lists):
    return json.dumps({"vertexes": vertexes, **lists})


def show(*batches, kind="plain", canceled=False, **options):
    out = io.StringIO()
    display = Progress(kind, out, replay=True, **options)
    for line in batches:
        display.update_json(line)
    display.finish(canceled=canceled)
    return out.getvalue()


def test_plain_is_buildxs():
    # Also in what it keeps of a line that came in pieces, for the end.
    load = "[internal] load build definition from Dockerfile"
    assert show(
        batch(vertex("a", load)),
        batch(vertex("a", load, 0)),
        batch(statuses=[status("transferring dockerfile:", "a", 31, 0, 0.02, 0, 0.02)]),
        batch(vertex("a", load, 0, 0.12)),
        batch(vertex("b", "[2/3] RUN x"), vertex("c", "[3/3] RUN y")),
        batch(vertex("b", "[2/3] RUN x", 1, 1, cached=True)),
        batch(vertex("c", "[3/3] RUN y", 2), logs=[log("c", b"one\ntw", 2.5)]),
        batch(logs=[log("c", b"o\n", 14)]),
        batch(vertex("c", "[3/3] RUN y", 2, 15, error="exit code: 3")),
    ) == f"""\
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
o
------
"""


def test_of_a_cancelled_build_no_step_is_left_running():
    assert show(batch(vertex("a", "A", 0)), batch(vertex("b", "B", 0, 1)), canceled=True) == """\
#1 A
#1 ...

#2 B
#2 DONE 1.0s

#1 A
#1 CANCELED
"""


WARNED = batch(vertex("a", "A", 0, 1), warnings=[warning("a", "old"), warning("a", "older", 1), warning("a", "old")])


def test_warnings_at_the_end_are_docker_buildxs():
    assert show(WARNED, warnings_hint="use --debug to expand").endswith("""
#1 DONE 1.0s

 2 warnings found (use --debug to expand):
 - old
 - older
""")
    assert show(WARNED, warnings="off").endswith("#1 DONE 1.0s\n")
    assert show(batch(vertex("a", "A", 0, 1), warnings=[warning("a", "old")]), warnings="expand").endswith("""
 1 warning found:
 - old
what it is about
More info: https://docs.example/rule
Dockerfile:2
--------------------
   1 |     from scratch
   2 | >>> ENV a b
   3 |     \n--------------------

""")
    with pytest.raises(ValueError, match="summary, expand, off"):
        Progress(warnings="loud")


def test_rawjson_quiet_and_what_there_is_not():
    assert show(WARNED, kind="rawjson").count("\n") == 1
    assert show(WARNED, kind="quiet") == show(WARNED, kind="none") == ""
    for kind in ("tty", "nonsense"):
        with pytest.raises(libdepot.InvalidArgumentError, match=kind):
            Progress(kind, io.StringIO())
    with pytest.raises(libdepot.InvalidArgumentError, match="JSON"):
        show("ERROR: failed")


def test_auto_is_what_the_environment_says(monkeypatch):
    assert Progress(out=io.StringIO()).kind == "plain"
    monkeypatch.setenv("BUILDKIT_PROGRESS", "rawjson")
    assert Progress(out=io.StringIO()).kind == "rawjson"
    assert Progress("plain", io.StringIO()).kind == "plain"
    assert Progress(out=io.StringIO(), use_environment=False).kind == "plain"


def test_what_writing_raises_comes_back_by_the_next_batch():
    class Refuses(io.StringIO):
        def write(self, text):
            raise KeyError("mine")

    display = Progress("plain", Refuses())
    with pytest.raises(KeyError, match="mine"):
        while True:
            display.update_json(batch(vertex("a", "A", 0, 1)))


def test_a_display_is_told_by_the_library_itself(plain_builder, context):
    folder, out = context(ROOTFS + "RUN echo it runs\n"), io.StringIO()
    with Progress("plain", out) as progress:
        libdepot.build(folder, builder=plain_builder.endpoint, no_cache=True, on_status=progress)
    assert "it runs\n" in out.getvalue() and "DONE" in out.getvalue()
    # And as a function of one's own may.
    out, seen = io.StringIO(), []
    with Progress("plain", out) as progress:
        libdepot.build(folder, builder=plain_builder.endpoint, on_status=lambda s: (seen.append(s), progress(s))[1])
    assert seen and "CACHED" in out.getvalue()


def test_what_writing_raises_ends_the_build(plain_builder, context):
    class Refuses(io.StringIO):
        def write(self, text):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        libdepot.build(context(ROOTFS + "RUN sleep 300\n"), builder=plain_builder.endpoint,
                       on_status=Progress("plain", Refuses()))


def test_displays_that_only_their_build_knows(plain_builder, context):
    class Refuses(io.StringIO):
        def write(self, text):
            raise KeyError("mine")

    folder = context("FROM scratch\nCOPY Dockerfile /\n")
    with libdepot.Client(builder=plain_builder.endpoint) as client:
        for _ in range(20):  # the thread of a build lets go of its display, as a rule
            client.build(folder, on_status=Progress("plain", io.StringIO()))
            try:
                client.build(folder, on_status=Progress("plain", Refuses()))
            except KeyError as error:  # unless it was through before anything was written
                assert error.args == ("mine",)


def test_asyncio_too(plain_builder, context):
    import asyncio

    out = io.StringIO()

    async def run():
        with Progress("plain", out) as progress:
            await libdepot.aio.build(context(ROOTFS), builder=plain_builder.endpoint, on_status=progress)

    asyncio.run(run())
    assert "DONE" in out.getvalue() or "CACHED" in out.getvalue()


def test_a_trace_has_steps():
    trace = Trace()
    assert trace.steps == () and trace.now is None
    trace.update_json(batch(vertex("a", "[linux/arm64 stage 1/2] A"), vertex("b", "B")))
    assert [step.state for step in trace.steps] == [StepState.PENDING] * 2
    trace.update_json(batch(vertex("b", "B", 1, inputs=["a"]), logs=[log("b", b"one\ntwo", 2)],
                            statuses=[status("layer", "b", 1, 2, 3, 2)]))
    trace.update_json(batch(vertex("a", "[linux/arm64 stage 1/2] A", 2, 2, cached=True)))
    trace.update_json(batch(warnings=[warning("b", "old"), warning("b", "older", 1), warning("b", "old")]))
    a, b = trace.steps
    assert (a.state, a.number, a.platform, a.seconds) == (StepState.CACHED, 2, "linux/arm64", 0)
    assert (b.state, b.number, b.inputs, b.log_tail) == (StepState.RUNNING, 1, ("a",), "one\ntwo")
    assert b.intervals[-1] == ((BEGAN + 1) * SECOND, None) and b.completed is None
    assert (b.statuses[0].id, b.statuses[0].current, b.statuses[0].vertex) == ("layer", 1, "b")
    assert [w.message for w in b.warnings] == [w.message for w in trace.warnings] == ["old", "older"]
    assert trace.warnings[0].excerpt.startswith("Dockerfile:2\n----")
    assert trace.now == (BEGAN + 3) * SECOND
    trace.cancel()
    assert trace.steps[1].state == StepState.CANCELED
    with pytest.raises(libdepot.InvalidArgumentError):
        trace.update_json("null")


def test_a_trace_of_a_build_and_of_its_recording(plain_builder, context):
    live, lines = Trace(), []

    def on_status(status):
        live.update(status)
        lines.append(status.json)

    libdepot.build(context(ROOTFS + "RUN echo it runs\n"), builder=plain_builder.endpoint, on_status=on_status)
    recorded = Trace()
    for line in lines:
        recorded.update_json(line)
    assert recorded.steps == live.steps
    assert {step.state for step in live.steps} <= {StepState.DONE, StepState.CACHED}
    assert any(step.name == "[2/2] RUN echo it runs" for step in live.steps)


def test_an_error_has_the_lines_as_buildx_shows_them(plain_builder, context):
    with pytest.raises(libdepot.SolveError) as raised:
        libdepot.build(context(ROOTFS + "RUN exit 3\nENV a=b\n"), builder=plain_builder.endpoint)
    assert raised.value.sources[0].excerpt == """\
Dockerfile:3
--------------------
   1 |     FROM scratch
   2 |     COPY rootfs/ /
   3 | >>> RUN exit 3
   4 |     ENV a=b
   5 |     \n--------------------
"""


LINT = ROOTFS.replace("FROM scratch", "FROM scratch as Base") + "ENV a b\n"


def test_the_command_line_shows_the_warnings(run_libdepot, plain_builder, context):
    argv = ["build", context(LINT), "--progress", "plain", "--builder", plain_builder.endpoint]
    err = run_libdepot(*argv)[1]
    assert "\n 3 warnings found (use --debug to expand):\n - " in err
    assert "More info" not in err
    err = run_libdepot(*argv, "--debug")[1]
    assert "\n 3 warnings found:\n - " in err
    assert "More info: https://docs.docker.com/go/dockerfile/rule/" in err
    assert "\n   3 | >>> ENV a b\n" in err
    assert "warning" not in run_libdepot(*argv[:-3], "rawjson", *argv[-2:])[1].splitlines()[-1].split("{")[0]


def test_replay_shows_a_recording(run_libdepot, plain_builder, context, tmp_path):
    argv = ["build", context(ROOTFS + "RUN echo it runs\n"), "--builder", plain_builder.endpoint, "--no-cache"]
    recording = tmp_path / "recording"
    recording.write_text(run_libdepot(*argv, "--progress", "rawjson")[1])
    out, err = run_libdepot("replay", "--progress", "plain", recording)
    assert err == "" and " it runs\n" in out
    assert run_libdepot("replay", recording)[0] == out  # no terminal: the same
    assert run_libdepot("replay", "--progress", "rawjson", recording)[0] == recording.read_text()
    given = subprocess.run([sys.executable, "-m", "libdepot", "replay", "--progress=plain"], capture_output=True,
                           input=recording.read_bytes() + b"ERROR: how it ended\n")
    assert (given.stdout.decode(), given.stderr) == (out, b"ERROR: how it ended\n")
    assert run_libdepot("replay", tmp_path / "missing", expect=1)[1].startswith("ERROR: ")
    recording.write_text("{\n")
    assert "JSON" in run_libdepot("replay", recording, expect=1)[1]


def test_many_threads_make_and_end_displays():
    def work():
        for _ in range(20):
            assert show(batch(vertex("a", "A", 0, 1))) == "#1 A\n#1 DONE 1.0s\n"

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_display_that_nobody_ends_does_not_keep_the_process():
    code = ("import libdepot, sys; p = libdepot.Progress('plain', type('O', (), {'write': lambda s, t: 0, "
            "'flush': lambda s: 0})()); p.update_json('{\"vertexes\":[{\"digest\":\"a\"}]}')")
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
