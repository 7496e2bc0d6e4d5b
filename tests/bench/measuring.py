"""Runs a case: every program in turn, round after round, each run measured by measure.c."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import builders
import callgrind
import clients

METRICS = ("wall", "cpu", "rss")


class Stuck(Exception):
    """A program did not end. Peers do: exports of many files are known for it (moby/buildkit#2950)."""


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Bench:
    """What all cases of one run share: the measuring program, and the directories they build."""

    def __init__(self, base, args, network):
        self.base, self.args, self.network = base, args, network
        self.out = base / "output"
        self.exported = (args.out or base).resolve() / "depot-bench-exported"
        (base / "tmp").mkdir()  # depot-go leaves its keys there
        self.env = {**os.environ, "DOCKER_CONFIG": str(base / "no-docker-config"), "TMPDIR": str(base / "tmp"),
                    "BUILDX_CONFIG": str(base / "buildx")}
        # The module's byte code is written by the first warm-up, as pip writes it, if it is not there yet.
        self.env.pop("PYTHONDONTWRITEBYTECODE", None)
        if args.callgrind:
            callgrind.prepare(args.callgrind)
        self.measure = str(base / "measure")
        made = subprocess.run(["cc", "-O2", "-static", "-o", self.measure, str(builders.HERE / "measure.c")],
                              capture_output=True, text=True)
        if made.returncode:
            raise SystemExit(f"bench: measure.c does not compile:\n{made.stderr}")

    def context(self, case):
        folder = self.base / case.lay.__name__
        if not folder.exists():
            folder.mkdir()
            say(f"laying out: {case.about}")
            case.lay(folder, self.args)
        case.prepare(folder)
        return folder

    def once(self, name, argv, copies, builder):
        shutil.rmtree(self.exported, ignore_errors=True)
        measured = [self.measure, str(self.out), "-n", str(copies)]
        if self.network.namespace:
            measured += ["-ns", self.network.namespace]
        measured += argv
        env = {**self.env, **clients.environment(name)}
        before = builders.cpu_seconds(builder)
        # In a session of its own, so that it is ended with what it started.
        with subprocess.Popen(measured, stdout=subprocess.PIPE, text=True, env=env, start_new_session=True) as ran:
            try:
                told = ran.communicate(timeout=self.args.patience)[0]
            except subprocess.TimeoutExpired:
                os.killpg(ran.pid, signal.SIGKILL)
                raise Stuck(f"{name} did not end in {self.args.patience} s") from None
        if ran.returncode:
            raise SystemExit(f"bench: {name} could not be measured")
        got = json.loads(told)
        if got["status"]:
            end = "\n".join(self.out.read_text(errors="replace").splitlines()[-20:])
            raise SystemExit(f"bench: {name} ended with {got['status']}:\n{end}")
        out = {"wall": got["wall"], "cpu": got["user"] + got["sys"], "rss": got["rss_kib"] / 1024,
               "builder_cpu": builders.cpu_seconds(builder) - before}
        if name != clients.FLOOR and (told := builder.reports(1)):
            out["builder"] = told[0]
        return out

    def run(self, name, case):
        # An Engine is of the machine's own network.
        legacy = case.legacy and not self.network.namespace
        programs = {who: command for who, command in case.programs(self.args).items()
                    if legacy or who not in clients.LEGACY}
        context = self.context(case)
        with contextlib.ExitStack() as stack:
            builder = stack.enter_context(case.builder(self.network.address, self.args))
            theirs = {who: stack.enter_context(clients.LEGACY[who]()) if who in clients.LEGACY else builder
                      for who in programs}
            commands = {who: (clients.command(template, theirs[who], context, self.exported), copies)
                        for who, (template, copies) in programs.items()}
            for who, (argv, _) in commands.items():
                clients.prepare(who, argv, theirs[who], self.env)
            say(f"{name}: warming up")
            rounds = self.args.rounds or case.rounds
            taken = {who: [] for who in commands}
            for at in range(-case.warmups, rounds):
                for who in list(commands) if at % 2 else list(commands)[::-1]:
                    case.before(theirs[who], context)
                    try:
                        run = self.once(who, *commands[who], theirs[who])
                    except Stuck as stuck:
                        if who not in self.args.peer:
                            raise SystemExit(f"bench: {stuck}") from None
                        say(f"{name}: {stuck}, and is left out")
                        del commands[who], taken[who]
                        continue
                    if at >= 0:
                        taken[who].append(run)
            say(f"{name}: {rounds} rounds done")
            self.compare(taken)
            shutil.rmtree(self.exported, ignore_errors=True)
            out = {"runs": taken}
            if self.args.callgrind and isinstance(builder, builders.NullBuilder):
                say(f"{name}: once more under valgrind")
                profile = pathlib.Path(self.args.callgrind) / f"callgrind.{name}"
                out["callgrind"] = callgrind.count(commands["libdepot"][0], builder, self.env, profile)
        return out

    @staticmethod
    def compare(taken):
        """Who sent something else than the others has no time to be compared."""
        sent = {who: {tuple(told[what] for what in ("stats", "files", "bytes")) for run in runs
                      if (told := run.get("builder"))} for who, runs in taken.items()}
        got = {who: {tuple(told[what] for what in ("files", "bytes")) for run in runs
                     if (told := run.get("builder", {}).get("exported"))} for who, runs in taken.items()}
        for what in (sent, got):
            if len(set().union(*what.values())) > 1:
                raise SystemExit(f"bench: entries, files and bytes are not those of all: {what}")
