"""The README's first command, run as it stands there in this tree, which is set up already."""

import os
import re
import subprocess

import parts
import pytest
from test_readme import README, ROOT, inspect


@pytest.fixture
def newcomer(tmp_path, monkeypatch):
    """A user with nothing of libdepot's but what the set-up left in the cache."""
    for name in [name for name in os.environ if name.startswith("LIBDEPOT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(parts.CACHE.parent))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("LIBDEPOT_STATE_DIR", str(tmp_path / "state"))  # root's is the machine's
    return tmp_path


def unshare(*options):
    return [parts.program("unshare", "util-linux"), *options]


def test_the_first_command_twice(newcomer):
    command = re.search(r"^packaging/depot build .*$", README, re.M)[0].split()
    assert command[-1] == "type=oci,dest=hello.tar"
    command[-1] = f"type=oci,dest={newcomer / 'hello.tar'}"
    # The local builder that the first run starts serves the second, and ends with this namespace.
    argv = unshare("--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")
    argv += ["sh", "-c", '"$@" 2>"$LOGS/first" && mv "$LOGS/hello.tar" "$LOGS/first.tar" && "$@" 2>"$LOGS/second"']
    ran = subprocess.run([*argv, "sh", *command], cwd=ROOT, env={**os.environ, "LOGS": str(newcomer)}, timeout=600,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    first, second = ((newcomer / name).read_text() if (newcomer / name).exists() else ""
                     for name in ("first", "second"))
    assert ran.returncode == 0, f"{first}\n{second}"
    assert ran.stdout == ""
    assert "it greets world" in first
    assert re.search(r"(?m)^#\d+ CACHED$", second)
    assert not re.search(r"(?m)^(setup|install|rootfs|depot): ", second), "the second run set something up"
    for image in ("first.tar", "hello.tar"):
        assert "sha256:" in inspect(newcomer / image)


@pytest.mark.parametrize("arguments", [[], ["--builder", "local"], ["--builder=auto"]])
def test_what_needs_root_is_said_before_any_work(newcomer, arguments):
    argv = ["packaging/depot", "build", "tests/examples/hello", *arguments]
    ran = subprocess.run([*unshare("--user", "--map-user=1000"), *argv], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stderr == f"depot: the local builder needs root: sudo {' '.join(argv)}\n"


@pytest.mark.parametrize("address", ["--builder", "BUILDKIT_HOST"])
def test_other_builders_need_no_root(newcomer, plain_builder, monkeypatch, address):
    where = ["--builder", plain_builder.endpoint] if address == "--builder" else []
    if not where:
        monkeypatch.setenv(address, plain_builder.endpoint)
    argv = ["packaging/depot", "build", str(ROOT / "tests/examples/hello"), "--progress", "quiet", *where,
            "--output", f"type=oci,dest={newcomer / 'hello.tar'}"]
    ran = subprocess.run([*unshare("--user", "--map-user=1000"), *argv], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() in inspect(newcomer / "hello.tar")
