"""The parts themselves: they start, do what they are for, and leave nothing behind."""

import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import parts

PART = str(pathlib.Path(__file__).resolve().parent / "part")


def start(*words):
    process = subprocess.Popen([PART, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    assert line, f"part {' '.join(words)} did not start"
    return process, json.loads(line)


def wait_until_gone(pid):
    """Returns when the process has ended; pidfd is readable then."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([fd], [], [], 20)[0], f"process {pid} is still there"
    finally:
        os.close(fd)


def test_end_of_standard_input_stops_everything_and_removes_its_files():
    process, info = start("buildkitd", "--tls", "standin", "--token", "t", "registry", "--auth", "token")
    assert os.path.exists(info["buildkitd"]["ca"])
    process.stdin.close()
    assert process.wait(30) == 0
    process.stdout.close()
    for part in info.values():
        wait_until_gone(part["pid"])
    assert not os.path.exists(info["buildkitd"]["dir"])


def test_a_killed_part_takes_its_processes_with_it():
    process, info = start("buildkitd", "registry")
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    wait_until_gone(info["buildkitd"]["pid"])
    wait_until_gone(info["registry"]["pid"])
    for part in info.values():
        shutil.rmtree(part["dir"])


def test_a_part_that_cannot_start_says_why():
    with pytest.raises(parts.PartError, match="buildkitd ended"):
        with parts.Buildkitd(config="not toml ["):
            pass


@pytest.mark.parametrize("auth", ["none", "htpasswd", "token"])
def test_a_build_is_pushed_with_the_registrys_credentials_only(tmp_path, auth):
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /x\n")
    with parts.Buildkitd(tls=True) as builder, parts.Registry(auth) as registry:
        def push(docker_config):
            return builder.buildctl(
                "build", "--frontend", "dockerfile.v0", "--local", f"context={tmp_path}",
                "--local", f"dockerfile={tmp_path}", "--output", f"type=image,name={registry.host}/a:1,push=true",
                over_tcp=True, env={**os.environ, "DOCKER_CONFIG": str(docker_config)})
        anonymous = push(tmp_path)
        assert (anonymous.returncode == 0) == (auth == "none"), anonymous.stderr
        known = push(registry.docker_config())
        assert known.returncode == 0, known.stderr


def test_the_builders_certificate_is_good_for_its_name_alone():
    with parts.Buildkitd(tls=True) as builder:
        assert builder.buildctl("debug", "info", over_tcp=True).returncode == 0
        builder.server_name = "other.test"
        refused = builder.buildctl("debug", "info", over_tcp=True)
        assert refused.returncode != 0 and "other.test" in refused.stderr


def test_the_stand_in_refuses_a_script_it_does_not_understand():
    with parts.Standin() as api:
        with pytest.raises(parts.PartError, match="no such kind of fault"):
            api.script(faults=[{"kind": "nonsense"}])
        with pytest.raises(parts.PartError, match="unknown field"):
            api.script(nonsense=1)
        assert api.calls() == []


def test_the_proxy_tunnels_to_the_hosts_it_knows_alone(tmp_path):
    certs = parts.Certificates(tmp_path / "certs", "api.test")
    with parts.Standin(certs=certs) as api, parts.Proxy({"api.test": "127.0.0.1"}) as proxy:
        def ask(host):
            url = f"https://{host}:{api.ready['port']}/_/calls"
            argv = [parts.program("curl", "curl"), "-sS", "--cacert", certs.ca, "--proxy", proxy.url, url]
            return subprocess.run(argv, capture_output=True, text=True)

        assert ask("api.test").stdout == "[]", ask("api.test").stderr
        assert "403" in ask("other.test").stderr
        assert [line.split(":")[0] for line in proxy.requests] == ["CONNECT api.test", "CONNECT other.test"]


def test_pinned_versions_are_those_of_the_modules():
    """packaging/versions is where people look; a module's go.mod is what is compiled. The bench's peers
    are compiled with what they were released with, and the older engines are of older versions."""
    pinned = dict(line.split("=", 1) for line in (parts.ROOT / "packaging/versions").read_text().splitlines()
                  if line and not line.startswith("#"))
    mods = [path for top in ("packaging", "tests") for path in (parts.ROOT / top).glob("**/go.mod")
            if not {parts.ROOT / "tests/bench/peers", parts.ROOT / "tests/parts/engines"} & set(path.parents)]
    for key, module in [("DEPOT_GO_VERSION", "github.com/depot/depot-go"),
                        ("BUILDKIT_VERSION", "github.com/moby/buildkit")]:
        found = {path: re.findall(rf"(?m)^(?:require)?\s+{module} (\S+)$", path.read_text()) for path in mods}
        assert any(found.values()), module
        for path, versions in found.items():
            assert versions in ([], [pinned[key]]), path
