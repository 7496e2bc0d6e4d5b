#!/usr/bin/env python3
"""at_once_test.py PROGRAM: four builds at once on a real builder, that end well and that all fail."""

import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "parts"))
import parts  # noqa: E402


def main(program):
    with parts.Buildkitd(tls=True) as builder, tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        certs = builder.certs
        env = {**os.environ, "DOCKER_CONFIG": str(folder / "none")}

        def run(dockerfile):
            (folder / "Dockerfile").write_text(dockerfile)
            argv = [program, builder.endpoint, builder.server_name, certs.ca, certs.client, certs.client_key,
                    str(folder), "4"]
            return subprocess.run(argv, capture_output=True, text=True, env=env)

        well = run("FROM scratch\nCOPY Dockerfile /\n")
        assert (well.returncode, well.stdout) == (0, "4 builds, 0 failed\n"), well
        badly = run("FROM scratch\nCOPY nothing /\n")
        assert (badly.returncode, badly.stdout) == (1, "4 builds, 4 failed\n"), badly
        assert badly.stderr.count('"/nothing": not found') >= 4, badly.stderr


main(sys.argv[1])
