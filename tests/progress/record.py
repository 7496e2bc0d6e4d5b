#!/usr/bin/env python3
"""Records the streams in streams/: builds on a real buildkitd, each batch as buildctl tells it.

    record.py [NAME...]

A line is the nanoseconds since the first batch, a space, and the batch as JSON. They were recorded once and
are kept: a test of the displays needs no builder, and what a builder says differs each time.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "parts"))
import parts  # noqa: E402

ROOTFS = HERE.parent / "examples/hello/rootfs"
BASE = "FROM scratch AS base\nCOPY rootfs/ /\n"

SUCCESS = BASE + "".join(f"RUN echo step {i} && sleep 0.2\n" for i in range(4)) + "COPY big /big\n"
FAILURE = BASE + "RUN for i in $(seq 15); do echo line $i; sleep 0.05; done; echo it went wrong >&2; exit 3\n"
PARALLEL = BASE + "".join(
    f"FROM base AS {name}\nRUN for i in $(seq {count}); do echo {name} says $i; sleep {pause}; done; "
    f"echo {name} > /{name}\n" for name, count, pause in (("fast", 60, 0.2), ("slow", 12, 1.1), ("late", 3, 4.5))
) + "FROM scratch\n" + "".join(f"COPY --from={name} /{name} /\n" for name in ("fast", "slow", "late"))
WARNINGS = BASE.replace("FROM scratch AS base", "from scratch as Base").replace("base\n", "Base\n") + \
    "ENV a b\nMAINTAINER somebody\nRUN echo warned\nCMD echo x\n"
ANSI = BASE + (
    "RUN printf '\\033[31mred\\033[0m\\n\\ttabbed\\n'; for i in 1 2 3 4; do printf \"\\r$i of 4\"; sleep 0.3; done; "
    "printf '\\ndone\\n'; printf '\\033[2J\\033[Hhome\\n'; printf 'na\\303\\257ve \\346\\227\\245\\346\\234\\254\\n'; "
    "printf 'no utf-8: \\377\\n'\n")
PARTIAL = BASE + (
    "RUN printf 'begins'; sleep 0.5; printf ' goes on'; sleep 0.5; echo ' ends'; printf 'never ends'\n"
    "FROM base AS other\nRUN for i in $(seq 20); do printf .; sleep 0.3; done\n"
    "FROM base\nRUN for i in $(seq 12); do printf \"$i \"; echo; printf half; sleep 0.5; done; exit 7\n"
    "COPY --from=other /etc /other\n")
LONG = BASE + "RUN head -c 30000 /dev/zero | tr '\\0' x; echo; " \
    "for i in $(seq 400); do echo this is line number $i; done\n"
LINK = BASE + "FROM scratch\nCOPY --link rootfs/etc big /a/\nCOPY --link --chown=1:2 <<one <<two /b/\n1\none\n2\ntwo\n"
TWENTY = BASE + "".join(
    f"FROM base AS s{i}\nRUN sleep 0.{i % 3 + 1}; echo of stage {i} | tee /s{i}\nRUN echo again {i}; sleep 0.3\n"
    for i in range(8)) + "FROM scratch\n" + "".join(f"COPY --from=s{i} /s{i} /\n" for i in range(8))
CANCELLED = BASE + "RUN for i in $(seq 100); do echo tick $i; sleep 0.2; done\n"


class Recorder:
    def __init__(self, builder, registry, folder):
        self.builder, self.registry, self.folder = builder, registry, folder
        shutil.copytree(ROOTFS, folder / "rootfs", symlinks=True)
        with (folder / "big").open("wb") as big:
            for _ in range(40):
                big.write(os.urandom(1 << 20))

    def __call__(self, name, dockerfile, *arguments, stop_after=""):
        (self.folder / "Dockerfile").write_text(dockerfile)
        argv = [str(parts.engine() / "buildctl"), "--addr", self.builder.endpoint, "build", "--progress=rawjson",
                "--frontend=dockerfile.v0", f"--local=context={self.folder}", f"--local=dockerfile={self.folder}",
                *arguments]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as ran, \
                (HERE / f"streams/{name}").open("w") as out:
            began = 0
            for line in ran.stderr:
                if not line.startswith("{"):
                    continue
                began = began or time.monotonic_ns()
                out.write(f"{time.monotonic_ns() - began} {line}")
                if stop_after and stop_after in line:
                    ran.send_signal(signal.SIGINT)
                    stop_after = ""
        print(name, (HERE / f"streams/{name}").stat().st_size)


def main(names):
    with parts.Buildkitd() as builder, parts.Registry() as registry, tempfile.TemporaryDirectory() as folder:
        record = Recorder(builder, registry, pathlib.Path(folder))
        image = f"{registry.host}/progress/base"
        every = {
            "success": lambda: record("success", SUCCESS, f"--output=type=image,name={image},push=true"),
            "cached": lambda: record("cached", SUCCESS),
            "pull": lambda: (builder.buildctl("prune", "--all"),
                             record("pull", f"FROM {image}\nRUN echo pulled\n", "--output=type=oci,dest=/dev/null")),
            "failure": lambda: record("failure", FAILURE),
            "parallel": lambda: record("parallel", PARALLEL),
            "warnings": lambda: record("warnings", WARNINGS),
            "ansi": lambda: record("ansi", ANSI),
            "partial": lambda: record("partial", PARTIAL),
            "long": lambda: record("long", LONG),
            "groups": lambda: record("groups", LINK),
            "platforms": lambda: record("platforms", "FROM scratch\nCOPY big /a\nCOPY rootfs/etc /b\n",
                                        "--opt=platform=linux/amd64,linux/arm64"),
            "twenty": lambda: record("twenty", TWENTY, "--no-cache"),
            "cancelled": lambda: record("cancelled", CANCELLED, stop_after="dGljayA"),
        }
        for name in names or every:
            every[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
