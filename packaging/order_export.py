#!/usr/bin/env python3
"""Has a program that looks at what it runs build a directory that the builder has not, and export the result.

    order_export.py PROGRAM    # tests/bench/export.c
"""

import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/parts"))
import parts  # noqa: E402

with tempfile.TemporaryDirectory(prefix="depot-order-") as base, parts.Buildkitd(tls=True) as builder:
    context = pathlib.Path(base) / "context"
    (context / "small").mkdir(parents=True)
    (context / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    (context / "large").write_bytes(os.urandom(8 << 20))
    for at in range(500):
        (context / f"small/{at}").write_text(f"{at}\n")
    certs = builder.certs
    subprocess.run([sys.argv[1], builder.endpoint, builder.server_name, certs.ca, certs.client, certs.client_key,
                    context, context.parent / "out"], check=True)
