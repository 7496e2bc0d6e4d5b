#!/usr/bin/env python3
"""counts_test.py PROGRAM: what a build puts on the wire, counted by a builder that builds nothing.

Times vary, these do not, or within bounds that tell one way to send from another: a message for each
frame, a frame for each file, an entry sent twice. The figures beside the bounds are buildctl's.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import builders

FILES, PER_FOLDER, LARGE = 2000, 100, 8 << 20
FRAME = 16384


def lay(folder):
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    (folder / "large").write_bytes(os.urandom(LARGE))
    for at in range(FILES):
        sub = folder / f"folder-{at // PER_FOLDER:02}"
        sub.mkdir(exist_ok=True)
        (sub / f"{at:04}").write_bytes(f"{at}\n".encode().ljust(1024))


def build(program, pull, folder):
    with builders.NullBuilder(pull, "127.0.0.1") as builder:
        certs = builder.certs
        argv = [program, builder.endpoint, builder.server_name, certs.ca, certs.client, certs.client_key, str(folder)]
        env = {**os.environ, "DOCKER_CONFIG": str(folder / "none")}
        ran = subprocess.run(argv, capture_output=True, text=True, env=env)
        assert ran.returncode == 0, ran
        return builder.reports(1)[0]


def check(what, got, least, most):
    print(f"{what}: {got}, of {least} to {most}")
    assert least <= got <= most, what


def main(program):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        lay(folder)
        entries = FILES + FILES // PER_FOLDER + 2
        content = LARGE + FILES * 1024 + (folder / "Dockerfile").stat().st_size

        listed = build(program, "none", folder)
        # The Dockerfile's own exchange has an entry, and one where a .dockerignore was looked for has none.
        check("entries of a list", listed["packets"]["STAT"], entries, entries + 6)
        check("messages of a list", listed["outer"]["in"]["messages"], 1, 100)  # 2,100

        sent = build(program, "all", folder)
        check("files", sent["files"], FILES + 2, FILES + 3)
        check("bytes", sent["bytes"], content, content + 100)
        check("messages", sent["outer"]["in"]["messages"], content // (7 * FRAME), 600)  # 6,900
        check("frames of data", sent["inner"]["in"]["DATA"], content // FRAME, 1500)  # 6,800
        # What goes around the content: names, sizes, frames of two HTTP/2 layers.
        check("bytes on the wire", sent["outer"]["in"]["bytes"], content, content + content // 50)


main(sys.argv[1])
