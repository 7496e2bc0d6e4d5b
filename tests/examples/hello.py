#!/usr/bin/env python3
"""hello.py [CONTEXT [OUT.tar]]: builds a directory's Dockerfile into an OCI image, in one call."""

import sys

import libdepot

context = sys.argv[1] if len(sys.argv) > 1 else "tests/examples/hello"
out = sys.argv[2] if len(sys.argv) > 2 else "hello.tar"

print("libdepot", libdepot.__version__)
try:
    with libdepot.Client() as client:
        print("builder:", client.builder)
        result = client.build(context, exports=[libdepot.Export("oci", dest=out)])
except libdepot.Error as error:
    sys.exit(str(error))
print(f"{out}: {result.digest}")
