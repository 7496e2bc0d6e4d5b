"""The clients that build a scenario: libdepot from Python, from C++ and from its command line, and the
judges, buildctl and buildx. Each gives an Outcome; none raises for a build that failed."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import parts
import words

import libdepot

HERE = pathlib.Path(__file__).resolve().parent
LIBRARY = parts.ROOT / "build/release/capi"


@dataclasses.dataclass
class Outcome:
    """What a client says of its build."""

    who: str
    response: dict = dataclasses.field(default_factory=dict)  # the exporters' answer, by its wire keys
    error: dict | None = None  # hop, code, message; of a judge the message alone
    text: str = ""  # what it printed, for a failed test

    @property
    def digest(self) -> str:
        return self.response.get("containerimage.digest", "")


def run(argv, folder, env):
    return subprocess.run([str(word) for word in argv], cwd=folder, env=env, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=240)


def python(builder, request, folder, env):
    """In this process, whose directory and environment the test has set to folder and env."""
    try:
        result = libdepot.build(builder=builder.unix, **request)
    except libdepot.Error as error:
        return Outcome("python", error={"hop": error.hop.name.lower(), "code": error.code.name.lower(),
                                         "message": str(error)}, text=str(error))
    except (TypeError, ValueError) as error:
        return Outcome("python", error={"hop": "usage", "code": "invalid_argument", "message": str(error)})
    return Outcome("python", response=result.exporter_response)


def cpp(builder, request, folder, env):
    ran = run([compiled(), builder.unix, json.dumps(request)], folder, env)
    if ran.returncode > 1 or ran.returncode < 0:
        raise AssertionError(f"cpp ended with {ran.returncode}: {ran.stderr}")
    said = json.loads(ran.stdout)
    error = said.get("error")
    if error:
        error["code"] = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", error["code"]).lower()
    return Outcome("cpp", response=said.get("response", {}), error=error, text=ran.stderr)


def with_metadata(who, argv, folder, env):
    """A program that writes what it got to --metadata-file."""
    with tempfile.TemporaryDirectory() as scratch:
        metadata = pathlib.Path(scratch, "metadata.json")
        ran = run([*argv[0], "--metadata-file", metadata, *argv[1]], folder, env)
        if ran.returncode:
            return Outcome(who, error={"message": ran.stderr}, text=ran.stderr)
        return Outcome(who, response=json.loads(metadata.read_text() if metadata.exists() else "{}"), text=ran.stderr)


def command(builder, request, folder, env):
    """Without the default attestations that it shares with buildx, whose bytes name the build."""
    env = {**env, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    argv = [sys.executable, "-m", "libdepot", "build", "--builder", builder.unix, "--progress", "plain"]
    return with_metadata("command", (argv, words.docker(request)), folder, env)


def buildctl(builder, request, folder, env):
    argv = [parts.engine() / "buildctl", "--addr", builder.unix, "build", "--progress", "plain"]
    return with_metadata("buildctl", (argv, words.buildctl(request)), folder, env)


def buildx(builder, request, folder, env):
    """Without its default attestations, whose bytes name the build."""
    with tempfile.TemporaryDirectory() as config:
        env = {**env, "BUILDX_CONFIG": config, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
        made = run([parts.buildx(), "create", "--name", "judge", "--driver", "remote", builder.unix], folder, env)
        assert made.returncode == 0, made.stderr
        argv = [parts.buildx(), "build", "--builder", "judge", "--progress", "plain"]
        return with_metadata("buildx", (argv, words.docker(request)), folder, env)


OURS = {"python": python, "cpp": cpp, "command": command}
JUDGES = {"buildctl": buildctl, "buildx": buildx}

_compiled: list[str] = []
_refused: list[str] = []  # what the compiler said, once


def compiled() -> str:
    """The C++ client, made once."""
    assert not _refused, _refused[0]
    if not _compiled:
        folder = parts.ROOT / "build/scenarios"
        folder.mkdir(parents=True, exist_ok=True)
        program = folder / "client"
        sources = [HERE / "client.cc", *(parts.ROOT / "capi/include/depot").iterdir(),
                   *(parts.ROOT / "bindings/cpp/depot").iterdir()]
        if not program.exists() or program.stat().st_mtime < max(path.stat().st_mtime for path in sources):
            made = subprocess.run(
                ["c++", "-std=c++17", "-Wall", "-Wextra", "-Werror", HERE / "client.cc",
                 f"-I{parts.ROOT / 'capi/include'}", f"-I{parts.ROOT / 'bindings/cpp'}", f"-L{LIBRARY}",
                 f"-Wl,-rpath,{LIBRARY}", "-ldepot", "-o", program], capture_output=True, text=True)
            if made.returncode:
                _refused.append(made.stderr)
                raise AssertionError(made.stderr)
        _compiled.append(str(program))
    return _compiled[0]


def environment(extra):
    """What a client sees: PATH and the test's own places, and what the scenario says."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_CONFIG", "TMPDIR") if name in os.environ}
    return {**kept, **extra}

