"""Builds as data (scenario.py has the format), each made by libdepot from Python, from C++ and from its
command line and by a judge, buildctl or buildx, on one builder: all have to come to the same image. What
all of them find in the builder's cache after the first one they asked for in the very same words."""

from __future__ import annotations

import copy
import functools
import http.server
import os
import pathlib
import re
import sys
import tarfile
import threading

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "parts")]
import clients  # noqa: E402
import images  # noqa: E402
import parts  # noqa: E402
import scenario as scenarios  # noqa: E402

ALL = scenarios.load()
OLD = ("v0.13", "v0.20")


@pytest.fixture(scope="session")
def registry():
    with parts.Registry() as started:
        yield started


@pytest.fixture(scope="session", params=("", *OLD), ids=lambda version: version or "today")
def builder(request, registry):
    config = f'[registry."{registry.host}"]\n  http = true\n'
    with parts.Buildkitd(version=request.param, config=config) as started:
        yield started


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def places(tmp_path, registry):
    """What the placeholders of a scenario stand for, but for {out}."""
    here = tmp_path / "here"
    here.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=here))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {"here": str(here), "context": str(here / "context"), "registry": registry.host,
           "web": f"http://127.0.0.1:{server.server_address[1]}"}
    server.shutdown()
    server.server_close()


def request_of(given, expect):
    """With an export to look at, if it has none of its own."""
    request = copy.deepcopy(given)
    if "exports" not in request and "error" not in expect:
        request["exports"] = ["type=oci,dest={out}/image.tar"]
    return request


def build(client, scenario, builder, places, monkeypatch, tmp_path, who):
    out = tmp_path / f"out-{who}"
    out.mkdir()
    places = {**places, "out": str(out)}
    environment = clients.environment(scenarios.fill(scenario.env, places))
    with monkeypatch.context() as patch:
        patch.chdir(places["context"])
        for name in set(os.environ) - set(environment):
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        for before in scenario.before:
            if "untar" in before:
                with tarfile.open(scenarios.fill(before["untar"], places)) as archive:
                    archive.extractall(scenarios.fill(before["to"], places), filter="data")
                continue
            first = client(builder, scenarios.fill(before, places), places["context"], environment)
            assert first.error is None, f"{who}, before: {first.text}"
        given = {"command": scenario.commanded, **dict.fromkeys(clients.JUDGES, scenario.judged)}.get(who)
        given = given or scenario.request
        request = scenarios.fill(request_of(given, scenario.expect), places)
        return client(builder, request, places["context"], environment), out


def within(wanted, found, where):
    """Every value of `wanted`, at any depth, is that of `found`."""
    if isinstance(wanted, dict):
        assert isinstance(found, dict), f"{where}: {found}"
        for key, value in wanted.items():
            within(value, found.get(key), f"{where}.{key}")
    else:
        assert found == wanted, f"{where}: {found}, not {wanted}"


def hold(scenario, outcome, out):
    """An outcome against what the scenario expects."""
    expect = scenario.expect
    wanted = expect.get("error")
    if wanted:
        assert outcome.error, f"{outcome.who}: it went well"
        if outcome.who in ("python", "cpp"):
            for part in ("hop", "code"):
                assert wanted.get(part, outcome.error[part]) == outcome.error[part], f"{outcome.who}: {outcome.error}"
        if outcome.who in clients.OURS:
            assert re.search(wanted["message"], outcome.error["message"]), f"{outcome.who}: {outcome.error}"
        return
    assert outcome.error is None, f"{outcome.who}: {outcome.error}\n{outcome.text}"
    for key, pattern in expect.get("response", {}).items():
        assert re.fullmatch(pattern, str(outcome.response.get(key, ""))), f"{outcome.who}: {key}: {outcome.response}"
    for path, text in expect.get("written", {}).items():
        found = out / path
        assert (found.read_text() if found.is_file() else None) == text, f"{outcome.who}: {path}"
    archive = out / "image.tar"
    if not archive.exists():
        assert not set(expect) & {"files", "config", "annotations", "platforms", "attestations"}, "no image.tar"
        return
    image = images.Image(archive)
    found = image.files() if "files" in expect else {}
    for path, text in expect.get("files", {}).items():
        assert found.get(path) == text, f"{outcome.who}: {path}: {found.get(path)!r} of {sorted(found)}"
    within(expect.get("config", {}), image.config(), f"{outcome.who}: config")
    within(expect.get("annotations", {}), image.images()[0][1].get("annotations") or {}, f"{outcome.who}: annotations")
    if "platforms" in expect:
        named = ["/".join(filter(None, (d["platform"].get(k) for k in ("os", "architecture", "variant"))))
                 for d, _ in image.images()]
        assert sorted(named) == sorted(expect["platforms"]), outcome.who
    if "attestations" in expect:
        assert image.predicates() == set(expect["attestations"]), outcome.who


def trees(out):
    """The content of every directory, and of every tar but an image's, whose digest is compared. A
    directory that is an OCI layout has what it names: the times of its files are when they were written."""
    found = {path.name: images.layout(path) if (path / "oci-layout").exists() else images.folder(path)
             for path in out.iterdir() if path.is_dir()}
    for path in sorted(out.glob("*.tar")):
        with tarfile.open(path) as archive:
            if "index.json" not in archive.getnames():
                found[path.name] = images.listing(archive)
    return found


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: f"{scenario.topic}-{scenario.name}")
def test_all_come_to_the_same(scenario, builder, places, monkeypatch, tmp_path):
    if not scenario.runs_on(builder.version):
        return refused(scenario, builder, places, monkeypatch, tmp_path)
    scenarios.write_files(scenario, pathlib.Path(places["here"]))
    who = dict(clients.OURS)
    if builder.version:  # the judges are of today; their words and defaults may not be those of then
        who = {"python": clients.python, "cpp": clients.cpp}
    elif scenario.judge:
        who[scenario.judge] = clients.JUDGES[scenario.judge]
    came_to = {}
    for name, client in who.items():
        outcome, out = build(client, scenario, builder, places, monkeypatch, tmp_path, name)
        hold(scenario, outcome, out)
        came_to[name] = {"digest": (outcome.digest if scenario.same == "digest" else ""),
                         "trees": trees(out) if scenario.same != "nothing" else {},
                         "failed": outcome.error is not None}
    (first, *others) = came_to
    for other in others:
        assert came_to[other] == came_to[first], f"{other} and {first}"


def refused(scenario, builder, places, monkeypatch, tmp_path):
    """A builder that is too old: an error that says so, or an answer of the builder's own, but no success
    that is none."""
    scenarios.write_files(scenario, pathlib.Path(places["here"]))
    outcome, _ = build(clients.python, scenario, builder, places, monkeypatch, tmp_path, "python")
    assert outcome.error, f"BuildKit {builder.version} is said to be too old for it"
