#!/usr/bin/env python3
"""export_test.py PROGRAM: an export of a real builder's, and a build that fails, which leaves nothing."""

import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "parts"))
import parts  # noqa: E402


def main(program):
    with parts.Buildkitd(tls=True) as builder, tempfile.TemporaryDirectory() as folder:
        folder, certs = pathlib.Path(folder), builder.certs
        context, out = folder / "context", folder / "out"
        context.mkdir()
        env = {**os.environ, "DOCKER_CONFIG": str(folder / "none")}

        def run(dockerfile):
            (context / "Dockerfile").write_text(dockerfile)
            argv = [program, builder.endpoint, builder.server_name, certs.ca, certs.client, certs.client_key,
                    str(context), str(out)]
            return subprocess.run(argv, capture_output=True, text=True, env=env)

        badly = run("FROM scratch\nCOPY nothing /\n")
        assert badly.returncode == 1 and '"/nothing": not found' in badly.stderr, badly
        assert not out.exists() or not list(out.iterdir())
        text = "FROM scratch\nCOPY Dockerfile /folder/\n"
        well = run(text)
        assert well.returncode == 0, well
        assert [path.name for path in out.iterdir()] == ["folder"]
        assert (out / "folder/Dockerfile").read_text() == text


main(sys.argv[1])
