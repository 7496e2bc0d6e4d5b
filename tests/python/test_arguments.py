"""The command line's arguments: all flags, and no value repeated in a complaint."""

import argparse
import io
import re

import pytest

import libdepot
from libdepot._cli.arguments import make_parser, parse, request_of
from libdepot._cli.flags.attributes import build_args, warnings_of
from libdepot._cli.flags.outputs import export_of, split_csv
from libdepot._cli.flags.results import CallFlag
from libdepot._cli.usage import UsageError

def request(*arguments):
    return request_of(parse(["build", *arguments]), io.BytesIO())


def test_the_help(capsys):
    with pytest.raises(SystemExit):
        make_parser().parse_args(["build", "--help"])
    text = capsys.readouterr().out
    assert re.search(r"(?m)^  -f(, | PATH, )--file PATH", text) and "--memory" not in text


def test_flags_fill_the_request():
    got = request("dir", "-f", "D", "-t", "a", "-t", "b", "--push", "-o", "type=oci,dest=x", "--build-arg", "A=1=2",
                  "--build-arg", "B", "--target", "t", "--platform", "linux/amd64", "--platform", "linux/arm64",
                  "--no-cache", "--provenance", "false", "--build-context", "base=docker-image://a=b",
                  "--build-context", "more=dir", "--cache-from", "a", "--cache-from", "type=gha", "--cache-to", "b")
    assert got == libdepot.SolveRequest(
        context="dir", dockerfile="D", push=True, build_args={"A": "1=2", "B": None}, target="t",
        platform=["linux/amd64", "linux/arm64"], no_cache=True, provenance="false",
        build_contexts={"base": "docker-image://a=b", "more": "dir"},
        **{**NOTHING, "tags": ["a", "b"], "exports": ["type=oci,dest=x"], "cache_from": ["a", "type=gha"],
           "cache_to": ["b"]})


# What the command line says by itself.
NOTHING = {"exports": [], "tags": [], "no_cache_filter": [], "add_hosts": [], "ulimits": [], "entitlements": [],
           "attests": [], "call": "build", "default_attestations": True, "cache_from": [], "cache_to": [],
           "save_tags": []}


def test_flags_of_how_to_build():
    got = request(
        ".", "--label", "a=b=c", "--label", "empty", "--no-cache-filter", "one", "--pull", "--add-host", "db:::1",
        "--network", "host", "--shm-size", "64m", "--ulimit", "core=0", "-m", "1g", "--cpu-quota=5", "--resource",
        "cpuset-cpus=0-1", "--cgroup-parent", "g", "--allow", "device", "--allow", "", "--annotation", "index:a=b=c",
        "--attest", "type=sbom", "--sbom", "true", "--provenance", "mode=max", "--check")
    assert got == libdepot.SolveRequest(
        context=".", labels={"a": "b=c", "empty": ""}, pull=True, network="host", shm_size="64m",
        resources={"memory": "1g", "cpu-quota": "5", "cpuset-cpus": "0-1"}, cgroup_parent="g",
        annotations={"index:a": "b=c"}, sbom="true", provenance="mode=max",
        **{**NOTHING, "no_cache_filter": ["one"], "add_hosts": ["db:::1"], "ulimits": ["core=0"],
           "entitlements": ["device"], "attests": ["type=sbom"], "call": "check"})
    for wrong in (["--label", "=x"], ["--annotation", "a"], ["--resource", "memory"]):
        with pytest.raises(UsageError):
            request(".", *wrong)


def test_flags_of_the_builder_before_buildkit():
    """docker buildx takes and hides them, and warns of some."""
    assert request(".", "--rm", "--force-rm=true", "--compress", "--squash", "--isolation", "default",
                   "--security-opt=a", "--security-opt", "b") == request(".")
    assert warnings_of(parse(["build", ".", "--rm=false", "--force-rm", "--compress", "--squash=0"])) == []
    warnings = warnings_of(parse(["build", ".", "--squash", "--isolation=", "--security-opt", "a"]))
    assert [line.split(" is ")[0] for line in warnings] == [
        "isolation flag", "security-opt flag", "experimental flag squash"]
    assert request(".", "--print", "outline").call == "outline"


def test_what_the_environment_says(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "17")
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/arm64")
    monkeypatch.setenv("BUILDX_NO_DEFAULT_ATTESTATIONS", "true")
    got = request(".")
    assert got.build_args == {"SOURCE_DATE_EPOCH": None}
    assert (got.platform, got.default_attestations) == ("linux/arm64", False)
    got = request(".", "--build-arg", "SOURCE_DATE_EPOCH=18", "--platform", "linux/amd64")
    assert (got.build_args, got.platform) == ({"SOURCE_DATE_EPOCH": "18"}, ["linux/amd64"])
    monkeypatch.setenv("BUILDX_NO_DEFAULT_ATTESTATIONS", "0")
    assert request(".").default_attestations
    monkeypatch.setenv("BUILDX_NO_DEFAULT_ATTESTATIONS", "perhaps")
    with pytest.raises(UsageError, match="BUILDX_NO_DEFAULT_ATTESTATIONS"):
        request(".")


def switches():
    """Every flag of a build that takes no value, by its longest spelling."""
    (commands,) = [action for action in make_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return [max(action.option_strings, key=len) for action in commands.choices["build"]._actions
            if action.nargs == 0 and not isinstance(action, argparse._HelpAction)]


@pytest.mark.parametrize("flag", switches())
def test_switches_take_go_s_booleans(flag):
    parser = make_parser()

    def given(*words):
        return vars(parser.parse_args(["build", *words, "."]))

    on, off = given(flag), given()
    assert on != off
    for value in ("1", "t", "T", "true", "TRUE", "True"):
        assert given(f"{flag}={value}") == given(f"{flag}=false", f"{flag}={value}") == on
    for value in ("0", "f", "F", "false", "FALSE", "False"):
        assert given(f"{flag}={value}") == given(flag, f"{flag}={value}") == off
    assert parser.parse_args(["build", flag, "false"]).context == "false"
    for wrong in ("", "no", "s3cret"):
        with pytest.raises(UsageError, match=f"^{flag} takes no value but true or false\n") as raised:
            given(f"{flag}={wrong}")
        assert "s3cret" not in str(raised.value)


def test_switches_among_other_words():
    assert parse(["build", "-q", "-D", "-q=false", "-D=0", "."]) == parse(["build", "."])
    assert parse(["build", "--progress", "plain", "--quiet=false", "."]).progress == "plain"
    assert parse(["build", "--build-arg", "push=no", "--build-arg=pull=no", "."]).build_arg == ["push=no", "pull=no"]
    assert parse(["build", "--", "--push=no"]).context == "--push=no"
    assert parse(["prune", "--force=false", "--all=true"]).all


@pytest.mark.parametrize("given, expected", [
    ("build", ("build", "", False)), ("", ("build", "", False)), ("check", ("check", "", False)),
    ("outline,format=json", ("outline", "json", False)), ("ignorestatus=1,lint", ("lint", "", True)),
])
def test_calls(given, expected):
    flag = CallFlag(given)
    assert (flag.method, flag.format, flag.ignore_status) == expected


@pytest.mark.parametrize("given", ["check,outline", "check,colour=red", "check,ignorestatus=perhaps", 'check,"'])
def test_calls_that_are_none(given):
    with pytest.raises(UsageError):
        CallFlag(given)


def test_defaults():
    assert request(".") == libdepot.SolveRequest(context=".", **NOTHING)
    options = parse(["build", "."])
    assert (options.progress, options.builder, options.token) == ("auto", None, None)


@pytest.mark.parametrize("arguments", [
    ["build", "--tokn", "s3cret", "."], ["build", "--tokn=s3cret", "."], ["build", ".", "s3cret"],
    ["build", "--toke=s3cret", "."], ["build", "--token"], ["build", "--token", "s3cret"],
])
def test_a_complaint_repeats_no_value(arguments):
    with pytest.raises(UsageError) as raised:
        parse(arguments)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("arguments, complaint", [
    (["build", "--nonsense=1", "."], "unknown flag: --nonsense\nSee 'libdepot build --help'."),
    (["build", ".", "there"], "libdepot build takes one CONTEXT\nSee 'libdepot build --help'."),
    (["du", "all"], "libdepot du takes no arguments\nSee 'libdepot du --help'."),
    (["debug", "info", "-x"], "unknown flag: -x\nSee 'libdepot debug info --help'."),
    (["--nonsense", "build", "."], "unknown flag: --nonsense\nSee 'libdepot --help'."),
])
def test_a_complaint_names_the_command(arguments, complaint):
    with pytest.raises(UsageError) as raised:
        parse(arguments)
    assert str(raised.value) == complaint


@pytest.mark.parametrize("command", ["du", "prune"])
def test_filters_are_names_and_values(command):
    with pytest.raises(UsageError) as raised:
        parse([command, "--filter", "bogus"])
    assert str(raised.value) == ("argument --filter: bad format of filter (expected name=value)\n"
                                 f"See 'libdepot {command} --help'.")
    given = ["type=regular", "", "type==regular,shared=true"]
    assert parse([command, *[f"--filter={each}" for each in given]]).filter == given


@pytest.mark.parametrize("line, fields", [
    ("", [""]), ("a", ["a"]), ("a,b", ["a", "b"]), ("a,", ["a", ""]), (",", ["", ""]),
    ('"a,b",c', ["a,b", "c"]), ('"a""b"', ['a"b']), ('""', [""]), ('type=oci,"dest=a,b"', ["type=oci", "dest=a,b"]),
])
def test_csv_as_go_reads_it(line, fields):
    assert split_csv(line) == fields


@pytest.mark.parametrize("line", ['a"b', '"a', '"a"b', 'dest="x"', '"a""'])
def test_csv_that_go_refuses(line):
    with pytest.raises(UsageError):
        split_csv(line)


def test_outputs_to_standard_output():
    class Out(io.BytesIO):
        pass

    out = Out()
    assert export_of("type=oci,dest=x.tar", out) == "type=oci,dest=x.tar"
    assert export_of("-", out) == libdepot.Export("tar", dest=out)
    assert export_of("type=docker,name=a,dest=-", out) == libdepot.Export("docker", dest=out, attrs={"name": "a"})
    assert export_of("type=tar", out) == export_of("type=tar,dest=", out) == libdepot.Export("tar", dest=out)
    assert export_of("type=oci,tar=T", out) == libdepot.Export("oci", dest=out, attrs={"tar": "T"})
    for elsewhere in ("type=oci,tar=false", "type=docker", "type=local", "type=image,name=a", "oci"):
        assert export_of(elsewhere, out) == elsewhere
    assert export_of('Type=oci,Dest=-,"annotation.x=a,b"', out).attrs == {"annotation.x": "a,b"}
    with pytest.raises(UsageError, match="no type"):
        export_of("dest=-", out)
    with pytest.raises(UsageError, match="given twice"):
        export_of("type=oci,dest=-,dest=x", out)
    with pytest.raises(UsageError, match="only one"):
        request(".", "-o", "-", "-o", "type=oci")
    out.isatty = lambda: True
    for given, kind in (("-", "tar"), ("type=tar", "tar"), ("type=oci", "oci"), ("type=docker,dest=-", "docker")):
        with pytest.raises(UsageError, match=f"^output type={kind} needs dest=FILE: standard output is a terminal$"):
            request_of(parse(["build", ".", "-o", given]), out)


def test_build_args():
    assert build_args(["A=", "B=x=y", "C"]) == {"A": "", "B": "x=y", "C": None}
    with pytest.raises(UsageError):
        build_args(["=x"])
