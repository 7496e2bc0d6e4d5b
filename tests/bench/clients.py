"""The programs that are compared: libdepot's, and its peers. Each is a command of this build at this
builder with this context."""

import os
import shlex

import builders

parts = builders.parts
ROOT = parts.ROOT
CLIENT_ARGS = "{endpoint} {server_name} {ca} {cert} {key} {context}"


def program(tail):
    """A program of the build directories; the faster one first."""
    for build in ("build/release", "build/dev"):
        path = ROOT / build / tail
        if os.access(path, os.X_OK) and path.is_file():
            return str(path)
    raise SystemExit(f"bench: no {tail} is built (cmake --build --preset dev); build it or give --client")


def libdepot(args):
    return args.client or f"{shlex.quote(program('tests/examples/solve_dockerfile_c'))} {CLIENT_ARGS}"


def buildctl(_):
    return (f"{shlex.quote(str(parts.engine() / 'buildctl'))} --addr {{endpoint}} --tlscacert {{ca}} --tlscert {{cert}}"
            " --tlskey {key} --tlsservername {server_name} build --progress plain --frontend dockerfile.v0"
            " --local context={context} --local dockerfile={context}")


PEERS = {"buildctl": buildctl}


def command(template, builder, context):
    values = {"endpoint": builder.endpoint, "server_name": builder.server_name, "ca": builder.certs.ca,
              "cert": builder.certs.client, "key": builder.certs.client_key, "context": str(context)}
    return [word.format(**values) for word in shlex.split(template)]
