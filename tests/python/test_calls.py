"""Calls: check, outline and targets, typed and as docker buildx prints them."""

import json
import re

import pytest
from conftest import tls_flags

import libdepot
from libdepot import LintWarning, OutlineEntry, Range, Target

DOCKERFILE = """# check=skip=none
ARG WHO=world
# base has nothing in it
FROM scratch AS base
FROM base as Build
# LOUD says it loudly
ARG LOUD=no
ARG WHO
RUN --mount=type=secret,id=token,required=true --mount=type=ssh --mount=type=cache,id=store,target=/c true
# last is what is shipped
FROM --platform=linux/arm64 base AS last
COPY Dockerfile /
"""
RULES = {"StageNameCasing", "FromAsCasing", "FromPlatformFlagConstDisallowed"}


@pytest.fixture
def call(tls, context):
    def ask(method, dockerfile=DOCKERFILE, **fields):
        result = libdepot.build(context(dockerfile), options=tls, call=method, **fields)
        assert result.call is not None and result.digest == ""
        return result.call
    return ask


def test_a_check(call):
    checked = call("check", tags=["not/pushed"], push=True)
    assert (checked.method, checked.status, checked.error) == ("lint", 1, "")
    assert {warning.rule for warning in checked.warnings} == RULES
    casing = next(warning for warning in checked.warnings if warning.rule == "FromAsCasing")
    assert casing.source_file == "Dockerfile" and casing.ranges == (Range(5, 0, 5, 0),)
    assert "FROM" in casing.detail and casing.url.startswith("https://") and casing.description
    assert json.loads(checked.json)["warnings"][0]["ruleName"] in RULES
    assert checked.text.startswith("Check complete, 3 warnings have been found!\n\nWARNING: ")
    assert "Dockerfile:5\n--------------------\n" in checked.text


def test_a_check_of_a_good_one(call):
    checked = call("lint", "FROM scratch\nCOPY Dockerfile /\n")
    assert checked == libdepot.Call("lint", checked.json, "Check complete, no warnings found.\n")


def test_a_check_of_a_broken_one(call):
    checked = call("check", "FROM scratch\nCOPY --nonsense Dockerfile /\n")
    assert checked.status == 1 and checked.warnings == ()
    assert re.search(r"(?s)unknown flag: --nonsense\nDockerfile:2\n-+\n.*>>> COPY --nonsense", checked.error)


def test_an_outline(call):
    outline = call("outline", target="Build")
    assert (outline.method, outline.status, outline.name) == ("outline", 0, "build")
    assert outline.outline == (
        OutlineEntry("arg", "WHO", "", "world", ranges=(Range(2, 0, 2, 0),)),
        OutlineEntry("arg", "LOUD", "says it loudly", "no", ranges=(Range(7, 0, 7, 0),)),
        OutlineEntry("secret", "token", required=True, ranges=(Range(9, 0, 9, 0),)),
        OutlineEntry("ssh", "default", ranges=(Range(9, 0, 9, 0),)))
    assert outline.text.startswith("TARGET: build\n")


def test_an_outline_with_nothing_to_tell(call):
    outline = call("outline", "FROM scratch\nCOPY Dockerfile /\n")
    assert (outline.method, outline.outline, outline.text) == ("outline", (), "")
    assert json.loads(outline.json)["sources"]


def test_targets(call):
    targets = call("targets")
    assert targets.targets == (
        Target("base", "has nothing in it", "scratch", ranges=(Range(4, 0, 4, 0),)),
        Target("build", "", "base", ranges=(Range(5, 0, 5, 0),)),
        Target("last", "is what is shipped", "base", "linux/arm64", True, ranges=(Range(11, 0, 11, 0),)))
    assert targets.text.startswith("TARGET ")


def test_another_call_has_text_and_json(call):
    described = call("subrequests.describe")
    assert described.text.startswith("NAME ") and {"frontend.targets", "frontend.outline"} <= {
        each["name"] for each in json.loads(described.json)}


def test_a_call_that_the_frontend_does_not_know(call):
    with pytest.raises(libdepot.Error, match="nonsense") as raised:
        call("nonsense")
    assert raised.value.hop is libdepot.Hop.SOLVE


def test_a_call_leaves_no_trace_in_the_history(plain_builder, context):
    libdepot.build(context("FROM scratch\nLABEL trace=call\n"), builder=plain_builder.endpoint, call="check")
    listed = plain_builder.buildctl("debug", "histories")
    assert listed.returncode == 0, listed.stderr
    assert "frontend.lint" not in listed.stdout


def test_the_command_line(run_libdepot, builder, context, tmp_path):
    """As docker buildx prints it, with its exit status."""
    folder = context(DOCKERFILE)

    def run(*flags, expect=0):
        return run_libdepot("build", folder, *flags, "--progress", "quiet", *tls_flags(builder), expect=expect)

    out, err = run("--check", "--metadata-file", tmp_path / "meta.json", expect=1)
    assert err == "" and out.startswith("Check complete, 3 warnings have been found!\n\nWARNING: ")
    assert f"\n{folder}/Dockerfile:5\n-----" in out
    meta = json.loads((tmp_path / "meta.json").read_text())
    assert meta["result.statuscode"] == "1" and {w["ruleName"] for w in meta["result.json"]["warnings"]} == RULES
    assert run("--call", "check,ignorestatus=true")[0] == out
    as_json = json.loads(run("--call=lint,format=json", expect=1)[0])
    assert {warning["ruleName"] for warning in as_json["warnings"]} == RULES
    assert run("--call", "outline", "--target", "Build")[0] == (
        "TARGET: build\n\nBUILD ARG   VALUE   DESCRIPTION\nWHO         world   \nLOUD        no      says it loudly\n\n"
        "SECRET   REQUIRED\ntoken    true\n\nSSH       REQUIRED\ndefault   \n\n")
    assert run("--call", "targets")[0].splitlines() == [
        "TARGET         DESCRIPTION", "base           has nothing in it", "build          ",
        "last (default) is what is shipped"]
    plain = context("FROM scratch\nCOPY Dockerfile /\n", "plain")
    assert run_libdepot("build", plain, "--call", "outline", "--progress", "quiet", *tls_flags(builder))[0] == ""
    broken = context("FROM scratch\nCOPY --nonsense Dockerfile /\n", "broken")
    out, err = run_libdepot("build", broken, "--check", "--progress", "quiet", *tls_flags(builder), expect=1)
    assert out == ""
    assert re.match(rf"(?s)ERROR: .*unknown flag: --nonsense\n{broken}/Dockerfile:2\n-+\n", err), err
    assert "--call" in run("--call", "check,colour=red", expect=2)[1]


def test_values():
    assert LintWarning("Rule") == LintWarning("Rule", "", "", "", "", ())
    assert Target("a").is_default is False and OutlineEntry("arg", "A").required is False
