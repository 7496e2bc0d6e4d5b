"""Depot's real command line as a counterpart: what it says to the API for a build, what it makes and what it
writes are what libdepot does; and it builds with the local builder as with Depot."""

import json
import os
import pathlib
import re
import subprocess

import parts
import pytest
from conftest import ENGINE, ROOTFS

import libdepot

# Told by both, by theirs before the names of the image are known.
DIFFERENT = {"outputs"}


@pytest.fixture
def depot_cli(tmp_path):
    """Runs it with a home of its own; nothing is told to anybody but the API."""
    program = parts.depot_cli()

    def run(*arguments, expect=0, **environment):
        env = {"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"], "NO_PROXY": "*",
               "DEPOT_DISABLE_OTEL": "1", "DEPOT_ERROR_TELEMETRY": "0", "DEPOT_NO_UPDATE_NOTIFIER": "1", **environment}
        ran = subprocess.run([program, *map(str, arguments)], env=env, capture_output=True, text=True, timeout=120,
                             stdin=subprocess.DEVNULL)
        assert ran.returncode == expect, ran.stdout + ran.stderr
        return ran
    return run


@pytest.fixture
def runners(api, depot_cli, run_libdepot, monkeypatch):
    """The two, told of the same API."""
    variables = {"DEPOT_API_URL": api.url, "DEPOT_TOKEN": "the-token", "DEPOT_PROJECT_ID": "p1"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return {"theirs": lambda *words, **more: depot_cli(*words, **variables, **more), "ours": run_libdepot}


@pytest.fixture
def both(api, runners, tmp_path):
    """One build by each of the two: the calls the API saw of it, and the metadata file."""
    def run(folder, *flags, **script):
        found = []
        for name, runner in runners.items():
            api.reset()
            api.script(**script)
            file = tmp_path / f"{name}.json"
            runner("build", "--metadata-file", file, *(flag.replace("{name}", name) for flag in flags), folder)
            api.calls("FinishBuild", at_least=1, done=True)
            found.append((api.calls(), json.loads(file.read_text())))
        return found
    return run


def said(calls, method):
    return [call["fields"] for call in calls if call["method"] == method]


def options_of(calls):
    (create,) = said(calls, "CreateBuild")
    assert create["project_id"] == "p1"
    (options,) = create["options"]
    return {key: value for key, value in options.items() if key not in DIFFERENT}


@pytest.mark.parametrize("flags", [
    ["--output", "type=oci,dest={folder}/{name}.tar"],
    ["--tag", "{registry}/cli/pushed:1", "--push"],
    ["--save"],
    ["--save", "--save-tag", "v1"],
    ["--target", "made", "--build-arg", "A=1", "--output", "type=local,dest={folder}/{name}"],
], ids=lambda flags: " ".join(flags))
def test_a_build(flags, both, registry, context, tmp_path):
    folder = context("FROM scratch AS made\nARG A\nCOPY Dockerfile /x\n")
    place = {"tag": f"{registry.host}/cli/saved:build-1", "push": True}
    flags = [flag.replace("{folder}", str(tmp_path)).replace("{registry}", registry.host) for flag in flags]
    # Or the time at which each was made is in what it made.
    flags += ["--provenance=false", "--build-arg", "SOURCE_DATE_EPOCH=1700000000"]
    script = {"additional_tags": [place]} if "--save" in flags else {}
    (theirs, their_file), (ours, our_file) = both(folder, *flags, **script)
    assert options_of(ours) == options_of(theirs)
    for method in ("GetBuildKitConnection", "FinishBuild"):
        assert said(ours, method) == said(theirs, method) and len(said(ours, method)) == 1
    assert said(ours, "ReportBuildHealth")[0] == said(theirs, "ReportBuildHealth")[0]
    for newer in ("provenance", "ref"):  # than the version of buildx that Depot's is made of
        our_file.pop(f"buildx.build.{newer}", None)
    assert our_file == their_file and our_file["depot.build"]
    if any("type=oci" in flag for flag in flags):
        assert "2023-11-14" in our_file["containerimage.descriptor"]["annotations"]["org.opencontainers.image.created"]
        assert (tmp_path / "ours.tar").read_bytes() == (tmp_path / "theirs.tar").read_bytes()
    elif "--output" not in flags:
        assert our_file["containerimage.digest"].startswith("sha256:")


def test_a_build_that_fails(api, runners, context):
    folder = context(ROOTFS + "RUN exit 3\n")
    endings = []
    for run in runners.values():
        api.reset()
        run("build", folder, expect=1)
        (finish,) = api.calls("FinishBuild", at_least=1)
        endings.append(set(finish["fields"]))
    assert endings == [{"build_id", "error"}] * 2


def test_with_the_local_builder(depot_cli, context, tmp_path, run_libdepot):
    """It takes the local builder for Depot: a machine of it, mutual TLS, the end of the build."""
    state, runtime = os.environ["LIBDEPOT_STATE_DIR"], os.environ["LIBDEPOT_RUNTIME_DIR"]
    token = tmp_path / "token"
    token.write_text("a-token-of-16-or-more")
    daemon = parts.Process("builderd", [
        str(pathlib.Path(libdepot.__file__).with_name("libdepot-builderd")), "--runtime-dir", runtime,
        "--state-dir", state, "--buildkitd", f"{ENGINE}/buildkitd", "--runc", f"{ENGINE}/runc",
        "--idle-timeout", "60", "--exit-after", "600", "--listen", "127.0.0.1:0", "--token-file", str(token)],
        tmp_path / "builderd-out", namespace=True)
    try:
        daemon.wait_for("ready")
        port = re.search(r"listening on TCP port (\d+)", pathlib.Path(state, "builderd.log").read_text())[1]
        variables = {"DEPOT_API_URL": f"http://127.0.0.1:{port}", "DEPOT_TOKEN": token.read_text(),
                     "DEPOT_PROJECT_ID": "cli"}
        folder, out = context(ROOTFS + "RUN echo built >/made\n"), tmp_path / "out"
        depot_cli("build", "--output", f"type=local,dest={out}", folder, **variables)
        assert (out / "made").read_text() == "built\n"
        refused = depot_cli("build", folder, expect=1, **{**variables, "DEPOT_TOKEN": "another"})
        assert "a-token-of-16-or-more" not in refused.stderr + refused.stdout
        failed = depot_cli("build", context(ROOTFS + "RUN exit 3\n", "fails"), expect=1, **variables)
        assert "exit code: 3" in failed.stderr + failed.stdout
        assert '"cli"' in run_libdepot("ls", "--format", "json")[0]
    finally:
        daemon.stop()
