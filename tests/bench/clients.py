"""The programs that are compared: libdepot's, and its peers. Each is a command of this build at this
builder with this context."""

import os
import shlex
import subprocess

import builders
import engine

parts = builders.parts
ROOT = parts.ROOT
ARGUMENTS = "{endpoint} {server_name} {ca} {cert} {key} {context}"


class Missing(SystemExit):
    """A program is not there that a case needs."""


def program(tail):
    """A program of the build directories; the faster one first."""
    for build in ("build/release", "build/dev"):
        path = ROOT / build / tail
        if os.access(path, os.X_OK) and path.is_file():
            return shlex.quote(str(path))
    raise Missing(f"bench: no {tail} is built (cmake --build --preset dev); build it or give --client")


def buildctl():
    return (f"{shlex.quote(str(parts.engine() / 'buildctl'))} --addr {{endpoint}} --tlscacert {{ca}} --tlscert {{cert}}"
            " --tlskey {key} --tlsservername {server_name} build --progress plain --frontend dockerfile.v0"
            " --local context={context} --local dockerfile={context}")


def depot_go():
    return f"{parts.go_build(builders.HERE / 'peers/depotgo', 'depotgo')} {ARGUMENTS}"


def buildx():
    """Its builder is made by prepare()."""
    return f"{shlex.quote(parts.buildx())} build --builder bench --progress plain {{context}}"


def docker_py():
    python = engine.fetched(engine.INSTALL, "docker-py")
    return (f"{shlex.quote(python)} {shlex.quote(str(builders.HERE / 'peers/dockerpy.py'))}"
            " {endpoint} {ca} {cert} {key} {context}")


def prepare(who, argv, builder, env):
    """Before the first run at a builder; not measured."""
    if who == "buildx":
        certs = builder.certs
        keys = f"cacert={certs.ca},cert={certs.client},key={certs.client_key},servername={builder.server_name}"
        for words in (["rm", "--force", "bench"],
                      ["create", "--name", "bench", "--driver", "remote", "--driver-opt", keys, builder.endpoint]):
            ran = subprocess.run([argv[0], *words], capture_output=True, text=True, env=env)
        if ran.returncode:
            raise parts.PartError(f"buildx create: {ran.stderr}")


# The same program with each of the ways to link the library; the second where packaging/static made it.
OURS = ("libdepot", "self")
SELF = ROOT / "build/static/capi"


def ours(command):
    return {who: (command, 1) for who in OURS if who != "self" or (SELF / "libdepot.so.0").exists()}


def environment(who):
    # Not LD_LIBRARY_PATH, for which the loader looks for every library in twenty folders that are not there:
    # where a library is installed it does not, and that is what is measured.
    return {"LD_PRELOAD": str(SELF / "libdepot.so.0")} if who == "self" else {}


PEERS = {"buildctl": buildctl, "depot-go": depot_go, "buildx": buildx, "docker-py": docker_py}
DEFAULT_PEERS = ["buildctl", "depot-go", "buildx"]
# Builds nothing: what it takes is in everybody's time.
FLOOR = "floor"
# They build on a builder of another kind, which they send the whole context. What that takes is shown;
# our shares are of what the others take.
LEGACY = {"docker-py": engine.Engine}


def peers(args, copies=1):
    return {name: (PEERS[name](), copies) for name in args.peer}


def programs(args):
    """By name: the command, and how many of it are run at once. Ours come first."""
    client = args.client or f"{program('tests/examples/solve_dockerfile_c')} {ARGUMENTS}"
    return {**ours(client), **peers(args)}


def at_once(args):
    """One process of ours does what takes a peer one for each build."""
    client = f"{program('tests/bench/at_once')} {ARGUMENTS} {args.builds}"
    return {**ours(client), **peers(args, args.builds)}


def exports(result):
    """Each writes the files of the result to {out}, which is not there before; `result`: how many of how many
    bytes those are."""
    return lambda args: exporters(args, *result(args))


def exporters(args, files, size):
    client = f"{program('tests/bench/export')} {ARGUMENTS} {{out}}"
    words = {"depot-go": " {out}", "buildctl": " --output type=local,dest={out}",
             "buildx": " --output type=local,dest={out}"}
    return {**ours(client), **{who: (command + words[who], copies) for who, (command, copies) in peers(args).items()
                               if who in words},
            FLOOR: (f"{program('tests/bench/floor')} {{out}} {files} {size}", 1)}


def python(args):
    interpreter = args.python or ROOT / ".venv/bin/python"
    if not os.access(interpreter, os.X_OK):
        raise Missing(f"bench: no {interpreter} with the module in it (packaging/setup); make it or give --python")
    script = ROOT / "tests/examples/solve_dockerfile.py"
    return {**ours(f"{shlex.quote(str(interpreter))} {shlex.quote(str(script))} {ARGUMENTS}"), **peers(args)}


def command(template, builder, context, out):
    values = {"endpoint": builder.endpoint, "server_name": builder.server_name, "ca": builder.certs.ca,
              "cert": builder.certs.client, "key": builder.certs.client_key,
              "context": str(context), "out": str(out)}
    return [word.format(**values) for word in shlex.split(template)]
