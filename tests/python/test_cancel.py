"""Cancels: by a switch, by Ctrl-C, by a signal handler, at each stage; and forks."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time

import parts
import pytest
from conftest import HELLO, ROOTFS, outcome

import libdepot

SLEEP = ROOTFS + "RUN echo it runs && sleep 600\n"
PATIENCE = 30  # seconds until what should take one is taken for a hang


def when_running(then):
    """A status callback that calls `then` once, when the step has printed something."""
    called = []

    def on_status(status):
        if any(b"it runs" in log.data for log in status.logs) and not called:
            called.append(True)
            then()
    return on_status


def test_a_switch_stops_a_solve(depot, api, context):
    cancel = libdepot.Cancel()
    began = []

    def trigger():
        began.append(time.monotonic())
        threading.Thread(target=cancel.trigger).start()

    with libdepot.Client(**depot) as client:
        with pytest.raises(libdepot.CanceledError) as raised:
            client.build(context(SLEEP), cancel=cancel, on_status=when_running(trigger))
    assert time.monotonic() - began[0] < PATIENCE
    assert cancel.triggered and raised.value.code is libdepot.Code.CANCELLED
    assert outcome(api)[0] == "canceled"


def test_a_switch_may_be_triggered_in_the_callback(tls, context):
    cancel = libdepot.Cancel()
    with pytest.raises(libdepot.CanceledError):
        libdepot.build(context(SLEEP), options=tls, cancel=cancel, on_status=when_running(cancel.trigger))


def test_a_switch_triggered_before_lets_nothing_begin(depot, api):
    cancel = libdepot.Cancel()
    cancel.trigger()
    with libdepot.Client(**depot) as client:
        with pytest.raises(libdepot.CanceledError):
            client.new_build(cancel=cancel)
        with pytest.raises(libdepot.CanceledError):
            client.build(HELLO, cancel=cancel)
    assert [call["method"] for call in api.calls()] == []


def test_a_switch_stops_several_calls(tls, context):
    cancel = libdepot.Cancel()
    both = threading.Barrier(2, action=cancel.trigger)
    errors = []

    def build(folder):
        try:
            libdepot.build(folder, options=tls, cancel=cancel, on_status=when_running(both.wait))
        except BaseException as error:
            errors.append(type(error))

    # Different names, so that the builder does not run the two as one.
    threads = [threading.Thread(target=build, args=(context(SLEEP + f"# {i}\nENV I={i}\n", f"c{i}"),)) for i in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [libdepot.CanceledError] * 2


def test_a_release_stops_the_solve(tls, context):
    with libdepot.Client(**tls) as client, client.new_build() as build, build.acquire() as machine:
        release = when_running(lambda: threading.Thread(target=machine.release).start())
        with pytest.raises(libdepot.CanceledError):
            machine.solve(context(SLEEP), on_status=release)


def test_a_release_in_a_callback_while_much_waits(tls, context):
    """More status than is kept: the stream is held back while the callback lets go of the machine."""
    much = ROOTFS + "RUN echo it runs && head -c 12000000 /dev/zero | tr '\\0' 'x' | fold -w 80 && sleep 600\n"
    with libdepot.Client(**tls) as client, client.new_build() as build, build.acquire() as machine:
        seen = threading.Event()

        def release():
            seen.wait(2)  # time for the builder to send more; nothing depends on how much
            machine.release()

        with pytest.raises(libdepot.CanceledError):
            machine.solve(context(much), on_status=when_running(release))


def test_a_timeout(tls, context):
    with pytest.raises(libdepot.DeadlineExceededError):
        libdepot.build(context(SLEEP), options=tls, timeout=2)


def test_ctrl_c_in_the_flow(depot, api, context):
    folder = context(SLEEP)
    with pytest.raises(KeyboardInterrupt), libdepot.Client(**depot) as client, client.new_build() as build:
        with build.acquire() as machine:
            machine.solve(folder, on_status=when_running(lambda: os.kill(os.getpid(), signal.SIGINT)))
    assert outcome(api)[0] == "canceled"
    assert libdepot._core.live_calls() == 0


def test_a_handler_that_raises_cancels_and_one_that_does_not_goes_unnoticed(tls, context):
    class Alarm(Exception):
        pass

    heard = []

    def note(number, frame):
        heard.append(number)
        os.kill(os.getpid(), signal.SIGUSR2)

    def alarm(number, frame):
        raise Alarm

    before = signal.signal(signal.SIGUSR1, note), signal.signal(signal.SIGUSR2, alarm)
    try:
        with pytest.raises(Alarm):
            libdepot.build(context(SLEEP), options=tls,
                           on_status=when_running(lambda: os.kill(os.getpid(), signal.SIGUSR1)))
    finally:
        signal.signal(signal.SIGUSR1, before[0])
        signal.signal(signal.SIGUSR2, before[1])
    assert heard == [signal.SIGUSR1]


def test_a_wakeup_descriptor_of_the_callers_is_put_back_and_hears(tls, context):
    read, write = os.pipe2(os.O_NONBLOCK)
    before = signal.set_wakeup_fd(write)
    heard = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    try:
        libdepot.build(context("FROM scratch\nCOPY Dockerfile /x\n"), options=tls,
                       on_status=lambda status: os.kill(os.getpid(), signal.SIGUSR1))
        assert signal.set_wakeup_fd(before) == write
        assert signal.SIGUSR1 in os.read(read, 1000)
    finally:
        signal.set_wakeup_fd(before)
        signal.signal(signal.SIGUSR1, heard)
        os.close(read)
        os.close(write)


def read_until(stream, wanted):
    lines = []
    for line in stream:
        lines.append(line)
        if wanted in line:
            return "".join(lines)
    raise AssertionError(f"no {wanted!r} in:\n{''.join(lines)}")


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_command_line_stops_and_tells_depot(libdepot_command, builder, context, number, code):
    with parts.Standin(builder, token="the-token", project="p1") as api:
        env = {**os.environ, "DEPOT_API_URL": api.url, "DEPOT_TOKEN": "the-token", "DEPOT_PROJECT_ID": "p1"}
        process = libdepot_command("build", context(SLEEP), "--progress", "plain", env=env)
        read_until(process.stderr, " it runs\n")
        began = time.monotonic()
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait(PATIENCE) == code, rest
        assert time.monotonic() - began <= 10  # takes one; this guards against a hang
        assert "CANCELED" in rest and rest.endswith("ERROR: canceled\n") and "Traceback" not in rest
        assert outcome(api)[0] == "canceled"


def test_ctrl_c_while_the_api_does_not_answer(libdepot_command, context):
    """Before there is a machine, or anything else that could be asked to stop."""
    with parts.Standin(token="the-token", project="p1") as api:
        api.script(faults=[{"method": "CreateBuild", "kind": "hang"}])
        env = {**os.environ, "DEPOT_API_URL": api.url, "DEPOT_TOKEN": "the-token", "DEPOT_PROJECT_ID": "p1"}
        process = libdepot_command("build", context(SLEEP), env=env)
        api.calls("CreateBuild", at_least=1, timeout=PATIENCE)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130


def test_a_second_ctrl_c_does_not_wait_for_the_goodbye(libdepot_command, builder, context):
    """Depot does not answer FinishBuild, which has half a minute for it."""
    with parts.Standin(builder, token="the-token", project="p1") as api:
        api.script(faults=[{"method": "FinishBuild", "kind": "hang"}])
        env = {**os.environ, "DEPOT_API_URL": api.url, "DEPOT_TOKEN": "the-token", "DEPOT_PROJECT_ID": "p1"}
        process = libdepot_command("build", context(SLEEP), "--progress", "plain", env=env)
        read_until(process.stderr, " it runs\n")
        process.send_signal(signal.SIGINT)
        assert api.calls("FinishBuild", at_least=1, timeout=PATIENCE)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(PATIENCE) == 130 and rest.endswith("ERROR: canceled\n"), rest
        (finish,) = api.calls("FinishBuild")
        assert "canceled" in finish["fields"]


def test_a_thread_left_behind_does_not_keep_the_program(plain_builder, context, tmp_path):
    """A daemon thread is building when the program ends: it ends in order, and the step stops."""
    script = f"""
import libdepot, threading
running = threading.Event()
def on_status(status):
    if any(b"it runs" in log.data for log in status.logs):
        running.set()
def build():
    libdepot.build({str(context(SLEEP))!r}, builder={plain_builder.unix!r}, on_status=on_status)
threading.Thread(target=build, daemon=True).start()
running.wait()
print("ends")
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout) == (0, "ends\n"), ran.stderr


def in_fork(function):
    """What `function` gives in a forked child; None when the child hangs."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = function()
        except BaseException as error:
            answer = [type(error).__name__, str(error)]
        os.write(write, json.dumps(answer).encode())
        os._exit(0)
    os.close(write)
    try:
        if not select.select([read], [], [], PATIENCE)[0]:
            os.kill(child, signal.SIGKILL)
            return None
        return json.loads(os.read(read, 100000))
    finally:
        os.close(read)
        os.waitpid(child, 0)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_refused(tls, context):
    folder = context("FROM scratch\nCOPY Dockerfile /x\n")
    cancel = libdepot.Cancel()
    with libdepot.Client(**tls) as client, client.new_build() as build, build.acquire() as machine:
        machine.solve(folder)
        for use in (lambda: client.build(folder), lambda: client.builder, lambda: machine.solve(folder),
                    machine.release, lambda: build.finish("success"), lambda: libdepot.build(folder, options=tls),
                    cancel.trigger, libdepot.Client):
            kind, text = in_fork(lambda use=use: use() and None)
            assert kind == "FailedPreconditionError" and "fork" in text, (kind, text)

        def drop():
            nonlocal client, build, machine
            client = build = machine = None
            return "dropped"

        assert in_fork(drop) == "dropped"
        machine.solve(folder)  # ours all the same


def test_a_fork_before_the_first_use_is_fine(plain_builder, context):
    folder = context("FROM scratch\nCOPY Dockerfile /x\n")
    script = f"""
import os, libdepot
if os.fork() == 0:
    libdepot.build({str(folder)!r}, builder={plain_builder.unix!r})
    os._exit(7)
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert ran.stdout == "7\n", ran.stderr
