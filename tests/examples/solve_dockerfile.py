#!/usr/bin/env python3
"""solve_dockerfile.py CONTEXT [OUT.tar]
solve_dockerfile.py tcp://HOST:PORT SERVER_NAME CA CERT KEY CONTEXT [OUT.tar]

Builds a directory on the builder that the environment names (or the local one), or on a BuildKit at
an address with mutual TLS, and tells every step on stderr. Without OUT.tar the result stays in the
builder's cache."""

import sys

import libdepot


def on_status(status):
    """Each batch tells what is new; a step comes again when it starts, ends or fails."""
    for vertex in status.vertexes:
        if vertex.completed is not None:
            how = "failed" if vertex.error else "cached" if vertex.cached else "done"
            print(f"{how:7} {vertex.name}", file=sys.stderr)
        elif vertex.started is not None:
            print(f"start   {vertex.name}", file=sys.stderr)
    for log in status.logs:
        sys.stderr.write(log.data.decode(errors="replace"))


arguments = sys.argv[1:]
if len(arguments) not in (1, 2, 6, 7):
    print(f"usage: {sys.argv[0]} [ADDRESS SERVER_NAME CA CERT KEY] CONTEXT [OUT.tar]", file=sys.stderr)
    sys.exit(2)
client = libdepot.Client()
if len(arguments) > 2:
    address, name, ca, cert, key, *arguments = arguments
    client = libdepot.Client(builder=address, tls_server_name=name, tls_ca_file=ca, tls_cert_file=cert,
                             tls_key_file=key)
context, *out = arguments
request = libdepot.SolveRequest(context=context, exports=[libdepot.Export("oci", dest=path) for path in out])
try:
    with client:
        print(client.build(request, on_status=on_status).digest)
except libdepot.Error as error:
    sys.exit(str(error))
