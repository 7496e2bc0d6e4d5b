"""Fixtures: real builders, registries and the stand-in for Depot's API, and an environment that knows
of none of them. libdepot is the installed one: what is tested is the wheel."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "parts"))
import dockerd  # noqa: E402
import parts  # noqa: E402

HELLO = HERE.parent / "examples/hello"
ENGINE = str(parts.engine())
ROOTFS = "FROM scratch\nCOPY rootfs/ /\n"

# A shell without job control starts its background commands with SIGINT ignored, and children
# inherit that: the tests of Ctrl-C would wait for their builds' natural end.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("error"))


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    for name in list(os.environ):
        if re.match(r"DEPOT_|BUILDKIT_|BUILDX_|DOCKER_|LIBDEPOT_|XDG_|SOURCE_DATE_EPOCH$|[A-Za-z]+_PROXY|CI$|GITHUB_",
                    name):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DOCKER_CONFIG", str(home / "docker"))
    monkeypatch.setenv("DEPOT_TEST_ENGINE", ENGINE)  # HOME was where it is found
    monkeypatch.setenv("LIBDEPOT_ENGINE_DIR", ENGINE)
    monkeypatch.setenv("LIBDEPOT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("LIBDEPOT_RUNTIME_DIR", str(tmp_path / "run"))


@pytest.fixture(scope="session")
def builder():
    with parts.Buildkitd(tls=True) as started:
        yield started


@pytest.fixture(scope="session")
def plain_builder():
    with parts.Buildkitd() as started:
        yield started


@pytest.fixture(scope="session")
def registry():
    with parts.Registry() as started:
        yield started


@pytest.fixture(scope="session")
def docker_engine():
    with dockerd.Dockerd() as started:
        yield started


@pytest.fixture
def api(builder):
    with parts.Standin(builder, token="the-token", project="p1") as started:
        yield started


@pytest.fixture
def depot(api):
    """Options of a client that goes through the stand-in."""
    return {"builder": "depot", "token": "the-token", "project": "p1", "api_url": api.url}


@pytest.fixture
def tls(builder):
    """Options of a client that goes straight to the builder, over mutual TLS."""
    certs = builder.certs
    return {"builder": builder.endpoint, "tls_ca_file": certs.ca, "tls_cert_file": certs.client,
            "tls_key_file": certs.client_key, "tls_server_name": builder.server_name}


@pytest.fixture
def context(tmp_path):
    """Makes a context with this Dockerfile; rootfs/ holds a busybox."""
    def make(dockerfile, name="context"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "Dockerfile").write_text(dockerfile)
        if "rootfs" in dockerfile:
            shutil.copytree(HELLO / "rootfs", folder / "rootfs", symlinks=True)
        return folder
    return make


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Makes client programs that come first in PATH; what one wrote can be read back."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def make(name, body):
        path = folder / name
        path.write_text(f"#!{sys.executable}\nimport json, os, sys, time\nos.chdir({str(folder)!r})\n{body}\n")
        path.chmod(0o755)
        return folder
    return make


@pytest.fixture
def libdepot_command():
    """Starts the command line; what is still running at the end is killed."""
    with contextlib.ExitStack() as stack:
        def start(*arguments, **kwargs):
            argv = [sys.executable, "-m", "libdepot", *map(str, arguments)]
            kwargs = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                      "text": True, **kwargs}
            process = stack.enter_context(subprocess.Popen(argv, **kwargs))
            stack.callback(process.kill)
            return process
        yield start


@pytest.fixture
def run_libdepot(libdepot_command):
    def run(*arguments, expect=0, **kwargs):
        process = libdepot_command(*arguments, **kwargs)
        out, err = process.communicate(timeout=240)
        assert process.returncode == expect, f"{arguments}\n{out}\n{err}"
        return out, err
    return run


def tls_flags(builder):
    certs = builder.certs
    return ["--builder", builder.endpoint, "--tlscacert", certs.ca, "--tlscert", certs.client,
            "--tlskey", certs.client_key, "--tlsservername", builder.server_name]


def outcome(api):
    """How the build was finished, as the server saw it; exactly once."""
    (finish,) = api.calls("FinishBuild", at_least=1)
    (how,) = set(finish["fields"]) - {"build_id"}
    return how, finish["fields"][how]
