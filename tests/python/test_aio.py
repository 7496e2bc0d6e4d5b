"""libdepot.aio on a real builder."""

import asyncio
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOTFS, outcome

import libdepot
import libdepot.aio

SMALL = "FROM scratch\nCOPY Dockerfile /x\n"
SLEEP = ROOTFS + "RUN echo it runs && sleep 600\n"
PATIENCE = 60  # seconds until what should take one is taken for a hang


def runs(status):
    return any(b"it runs" in log.data for log in status.logs)


def test_the_loop_goes_on_and_callbacks_run_on_it(tls, context):
    async def main():
        loop, seen, ticks = asyncio.get_running_loop(), [], 0

        async def on_status(status):
            await asyncio.sleep(0)
            assert asyncio.get_running_loop() is loop
            seen.append(status)

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        result = await libdepot.aio.build(context(SMALL), options=tls, on_status=on_status)
        ticking.cancel()
        return result, seen, ticks

    result, seen, ticks = asyncio.run(main())
    assert result.ref and ticks > 1
    assert any(vertex.completed for status in seen for vertex in status.vertexes)


def test_two_builds_at_once(tls, context):
    async def main():
        async with libdepot.aio.Client(**tls) as client:
            return await asyncio.gather(client.build(context(SMALL + "ENV A=1\n", "a")),
                                        client.build(context(SMALL + "ENV A=2\n", "b")))

    one, two = asyncio.run(main())
    assert one.ref != two.ref


def test_the_flow(depot, api, context):
    async def main():
        async with libdepot.aio.Client(**depot) as client, await client.new_build() as build:
            async with await build.acquire() as machine:
                await machine.connect()
                return await machine.solve(context(SMALL))

    assert asyncio.run(main()).build_id
    assert outcome(api)[0] == "success"


def test_a_cancelled_task_cancels_the_build(depot, api, context):
    async def main():
        running = asyncio.Event()

        def on_status(status):
            if runs(status):
                running.set()

        async def flow():
            async with libdepot.aio.Client(**depot) as client, await client.new_build() as build:
                async with await build.acquire() as machine:
                    await machine.solve(context(SLEEP), on_status=on_status)

        task = asyncio.create_task(flow())
        await running.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert libdepot._core.live_calls() == 0  # it waited for the end

    asyncio.run(main())
    assert outcome(api)[0] == "canceled"


def test_a_cancelled_task_cancels_its_callback(depot, api, context):
    """One that waits for what never comes, and would be called for each of the batches that are there."""
    async def main():
        waiting, calls, ended = asyncio.Event(), [], []

        async def on_status(status):
            calls.append(status)
            waiting.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.sleep(0)
                ended.append(status)
                raise

        async with libdepot.aio.Client(**depot) as client:
            task = asyncio.create_task(client.build(context(SMALL), on_status=on_status, no_cache=True))
            await waiting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert libdepot._core.live_calls() == 0
        return calls, ended

    calls, ended = asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert len(calls) == 1 and ended == calls
    assert outcome(api)[0] == "canceled"


def test_a_full_queue_whose_reader_is_gone(tls, context):
    class Gone(Exception):
        pass

    async def main():
        queue = asyncio.Queue(maxsize=1)

        async def build():
            await libdepot.aio.build(context(SMALL), options=tls, on_status=queue.put, no_cache=True)

        async def read():
            await queue.get()
            raise Gone

        building, reading = asyncio.create_task(build()), asyncio.create_task(read())
        with pytest.raises(Gone):
            await reading
        building.cancel()
        with pytest.raises(asyncio.CancelledError):
            await building

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert libdepot._core.live_calls() == 0


def test_a_deadline_of_asyncios(tls, context):
    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(libdepot.aio.build(context(SLEEP), options=tls), 2)

    asyncio.run(main())
    assert libdepot._core.live_calls() == 0


def test_errors_and_exceptions_of_callbacks(tls, context):
    class Mine(Exception):
        pass

    async def on_status(status):
        raise Mine

    async def main():
        with pytest.raises(libdepot.SolveError):
            await libdepot.aio.build(context(ROOTFS + "RUN exit 3\n", "a"), options=tls)
        with pytest.raises(Mine):
            await libdepot.aio.build(context(SMALL, "b"), options=tls, on_status=on_status)
        with pytest.raises(libdepot.CallbackError) as raised:
            await libdepot.aio.build(context(SMALL, "c"), options=tls, on_status=lambda status: 5)
        assert raised.value.user_code == 5

    asyncio.run(main())


def test_a_switch(tls, context):
    async def main():
        cancel = libdepot.Cancel()
        with pytest.raises(libdepot.CanceledError):
            await libdepot.aio.build(context(SLEEP), options=tls, cancel=cancel,
                                     on_status=lambda status: cancel.trigger() if runs(status) else None)

    asyncio.run(main())


def test_ctrl_c(plain_builder, context):
    script = f"""
import asyncio, libdepot.aio
def on_status(status):
    for log in status.logs:
        if b"it runs" in log.data:
            print("it runs", flush=True)
try:
    asyncio.run(libdepot.aio.build({str(context(SLEEP))!r}, builder={plain_builder.unix!r}, on_status=on_status))
except KeyboardInterrupt:
    print("interrupted", libdepot._core.live_calls())
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "it runs\n"
            # asyncio has no wake-up for a signal between its last look and its wait: until it waits.
            time.sleep(.3)
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=30)[0] == "interrupted 0\n"
        finally:
            process.kill()
