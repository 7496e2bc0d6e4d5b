#!/usr/bin/env python3
"""Runs one example against real parts and looks at what came of it.

    run_example.py STEM PROGRAM [BUILDERD]

Every stem has its cases below; what the stand-in for Depot's API and the builder received is looked at,
not only what the program says. PROGRAM may be in any language.
"""

import contextlib
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "parts"))
import parts  # noqa: E402

STEM, PROGRAM, BUILDERD = "", [], ""
HELLO = HERE / "hello"
ROOTFS = "FROM scratch\nCOPY rootfs/ /\n"


def wait_until_gone(*argv):
    """Returns when no process with these arguments is left."""
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            pidfd = os.pidfd_open(int(entry.name))
        except OSError:
            continue
        try:
            mine = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1] == list(argv)
            if mine and not select.select([pidfd], [], [], 20)[0]:
                raise AssertionError(f"{argv} is still running")
        except OSError:
            pass  # it has just gone
        finally:
            os.close(pidfd)


class Example(unittest.TestCase):
    """A folder of its own, and an environment that knows of no builder and no account."""

    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.base = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="depot-example-")))
        self.env = {k: v for k, v in os.environ.items() if not re.match(r"DEPOT_|BUILDKIT_|LIBDEPOT_|XDG_", k)}
        self.env.update(HOME=str(self.base), DOCKER_CONFIG=str(self.base / "docker"),
                        LIBDEPOT_STATE_DIR=str(self.base / "state"), LIBDEPOT_RUNTIME_DIR=str(self.base / "run"),
                        LIBDEPOT_ENGINE_DIR=str(parts.engine()), LIBDEPOT_BUILDERD=BUILDERD)

    def context(self, dockerfile):
        folder = self.base / "context"
        folder.mkdir()
        (folder / "Dockerfile").write_text(dockerfile)
        shutil.copytree(HELLO / "rootfs", folder / "rootfs", symlinks=True)
        return folder

    def run_program(self, *args, expect=0, locally=False):
        argv = [*PROGRAM, *map(str, args)]
        if locally:
            # What the local builder starts ends with this namespace, as soon as the program has.
            argv = [parts.program("unshare", "util-linux"), "--mount", "--pid", "--fork", "--kill-child",
                    "--mount-proc", "--propagation", "private", "sh", "-c", '"$@"; exit $?', "sh", *argv]
        ran = subprocess.run(argv, capture_output=True, text=True, env=self.env, cwd=self.base, timeout=240)
        self.assertEqual(ran.returncode, expect, f"{argv}\n{ran.stdout}\n{ran.stderr}\n{self.logs()}")
        return ran

    def logs(self):
        """The ends of the local builder's logs, for when a test fails."""
        found = [*self.base.glob("state/**/*.log"), *self.base.glob("run/**/*.log")]
        return "\n".join(f"{p}:\n{p.read_text(errors='replace')[-3000:]}" for p in found)

    def assert_is_hello(self, tar, said):
        """The OCI archive holds the image whose digest the program printed, and it is that of hello."""
        with tarfile.open(tar) as archive:
            def blob(digest):
                return json.load(archive.extractfile("blobs/" + digest.replace(":", "/")))
            (listed,) = json.load(archive.extractfile("index.json"))["manifests"]
            self.assertIn(listed["digest"], said)
            top = blob(listed["digest"])
            image = top if "config" in top else blob(top["manifests"][0]["digest"])
            self.assertEqual(blob(image["config"]["digest"])["config"]["Entrypoint"], ["/usr/bin/hello"])


class Hello(Example):
    def test_one_call_on_the_local_builder(self):
        ran = self.run_program(HELLO, self.base / "out.tar", locally=True)
        self.assertIn("libdepot 0.1.0\n", ran.stdout)
        self.assertIn("builder: local\n", ran.stdout)
        self.assert_is_hello(self.base / "out.tar", ran.stdout)

    def test_a_context_that_is_not_there(self):
        ran = self.run_program(self.base / "missing", self.base / "out.tar", expect=1)
        self.assertIn("missing", ran.stderr)
        self.assertFalse((self.base / "out.tar").exists())


class SolveDockerfile(Example):
    def test_at_an_address_with_mutual_tls(self):
        with parts.Buildkitd(tls=True) as builder:
            certs = builder.certs
            address = [builder.endpoint, builder.server_name, certs.ca, certs.client, certs.client_key]
            ran = self.run_program(*address, HELLO, self.base / "out.tar")
            self.assert_is_hello(self.base / "out.tar", ran.stdout)
            self.assertRegex(ran.stderr, r"start\s+\[base \d/\d\] RUN")
            self.assertRegex(ran.stderr, r"done\s+\[base \d/\d\] RUN")
            self.assertIn("it greets world", ran.stderr)
            again = self.run_program(*address, HELLO)
            self.assertRegex(again.stderr, r"cached\s+\[base \d/\d\] RUN")

            (self.base / "Dockerfile").write_text("FROM scratch\nCOPY nothing /\n")
            failed = self.run_program(*address, self.base, self.base / "failed.tar", expect=1)
            self.assertRegex(failed.stderr, r"failed\s+\[1/1\] COPY nothing")
            self.assertIn("nothing", failed.stderr)
            self.assertFalse((self.base / "failed.tar").exists())

    def test_on_the_builder_of_the_environment(self):
        with parts.Buildkitd() as builder:
            self.env["BUILDKIT_HOST"] = builder.unix
            ran = self.run_program(HELLO, self.base / "out.tar")
            self.assert_is_hello(self.base / "out.tar", ran.stdout)

    def test_usage(self):
        self.assertIn("usage: ", self.run_program(expect=2).stderr)


class DepotFlow(Example):
    TOKEN, PROJECT = "the-token", "p1"

    def setUp(self):
        super().setUp()
        self.builder = self.stack.enter_context(parts.Buildkitd(tls=True))
        self.api = self.stack.enter_context(parts.Standin(self.builder, self.TOKEN, self.PROJECT))
        self.env["DEPOT_API_URL"] = self.api.url

    def flow(self, context, expect):
        return self.run_program(context, "--token", self.TOKEN, "--project", self.PROJECT, expect=expect)

    def assert_flow(self, outcome):
        """The whole flow reached the server, in order, and ended once, with this outcome."""
        calls = [c for c in self.api.calls() if c["status"] == 200]
        order = [c["method"] for c in calls]
        self.assertEqual(order[0], "CreateBuild")
        self.assertEqual(order[-1], "FinishBuild")
        self.assertEqual(order.count("FinishBuild"), 1)
        self.assertEqual(order.count("CreateBuild"), 1)
        self.assertIn("GetBuildKitConnection", order)
        self.assertIn("ReportBuildHealth", order)
        self.assertEqual(calls[0]["authorization"], f"Bearer {self.TOKEN}")
        self.assertEqual(calls[0]["fields"]["project_id"], self.PROJECT)
        finish = calls[-1]["fields"]
        self.assertEqual(set(finish) - {"build_id"}, {outcome}, finish)
        return finish

    def test_success(self):
        ran = self.flow(HELLO, 0)
        finish = self.assert_flow("success")
        self.assertIn(f"build {finish['build_id']} ", ran.stdout)
        self.assertRegex(ran.stdout, r"(?m)^solved \S+$")
        batches = [json.loads(line) for line in ran.stderr.splitlines() if line.startswith("{")]
        names = [v["name"] for b in batches for v in b.get("vertexes") or []]
        self.assertTrue([n for n in names if "RUN ./hello" in n], names)

    def test_token_and_project_of_the_environment(self):
        self.env.update(DEPOT_TOKEN=self.TOKEN, DEPOT_PROJECT_ID=self.PROJECT)
        self.run_program(HELLO)
        self.assert_flow("success")

    def test_a_dockerfile_that_fails(self):
        ran = self.flow(self.context(ROOTFS + "RUN echo it went wrong && exit 3\n"), 1)
        self.assertIn("exit code: 3", self.assert_flow("error")["error"]["error"])
        self.assertIn("it went wrong", ran.stderr)
        self.assertIn("Dockerfile:3", ran.stderr)

    def test_an_interrupt_cancels(self):
        context = self.context(ROOTFS + "RUN echo it runs && sleep 600\n")
        argv = [*PROGRAM, str(context), "--token", self.TOKEN, "--project", self.PROJECT]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.env) as program:
            self.addCleanup(program.kill)
            seen = []
            for line in program.stderr:
                seen.append(line)
                if '"vertex"' in line and '"logs"' in line:  # the step's own output
                    break
            program.send_signal(signal.SIGINT)
            seen.append(program.stderr.read())
            self.assertEqual(program.wait(60), 130, "".join(seen))
        self.assert_flow("canceled")

    def test_a_refused_token(self):
        ran = self.run_program(HELLO, "--token", "another", "--project", self.PROJECT, expect=1)
        self.assertEqual([c["method"] for c in self.api.calls()], ["CreateBuild"])
        self.assertNotIn("another", ran.stderr)

    def test_no_token(self):
        ran = self.run_program(HELLO, expect=1)
        self.assertIn("DEPOT_TOKEN", ran.stderr)
        self.assertEqual(self.api.calls(), [])


class Cancel(Example):
    def test_a_running_step_is_cancelled(self):
        seconds = 100000 + os.getpid()  # no other sleeps as long
        context = self.context(ROOTFS + f"RUN sleep {seconds}\n")
        with parts.Buildkitd() as builder:
            self.env["BUILDKIT_HOST"] = builder.unix
            ran = self.run_program(context)
            self.assertIn(f"] RUN sleep {seconds}\n", ran.stdout)
            self.assertIn("Canceled: ", ran.stdout)
            wait_until_gone("sleep", str(seconds))  # the builder stopped the step too

    def test_a_build_that_is_over_first(self):
        with parts.Buildkitd() as builder:
            self.env["BUILDKIT_HOST"] = builder.unix
            ran = self.run_program(self.context(ROOTFS), expect=1)
            self.assertIn("OK: ", ran.stdout)


CASES = {"hello": Hello, "solve_dockerfile": SolveDockerfile, "depot_flow": DepotFlow, "cancel": Cancel}

if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in CASES:
        raise SystemExit(__doc__)
    STEM, PROGRAM = sys.argv[1], [sys.argv[2]]
    if sys.argv[2].endswith(".py"):
        PROGRAM = [sys.executable, sys.argv[2]]
    BUILDERD = sys.argv[3] if len(sys.argv) > 3 else ""
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(CASES[STEM])
    sys.exit(not unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful())
