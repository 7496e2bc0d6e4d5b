"""The command line's arguments: all flags, and no value repeated in a complaint."""

import io
import re

import pytest

import libdepot
from libdepot._cli.arguments import make_parser, parse, request_of
from libdepot._cli.flags.attributes import build_args
from libdepot._cli.flags.outputs import export_of, split_csv
from libdepot._cli.usage import UsageError

FLAGS = ("-f -t --push --output -o --build-arg --target --platform --no-cache --project --token --builder "
         "--tlscacert --tlscert --tlskey --tlsservername --progress --metadata-file --iidfile").split()


def request(*arguments):
    return request_of(parse(["build", *arguments]), io.BytesIO())


def test_every_flag_is_there(capsys):
    with pytest.raises(SystemExit):
        make_parser().parse_args(["build", "--help"])
    text = capsys.readouterr().out
    for flag in FLAGS:
        assert re.search(rf"(^|[\s,\[]){flag}\b", text, re.M), flag


def test_flags_fill_the_request():
    got = request("dir", "-f", "D", "-t", "a", "-t", "b", "--push", "-o", "type=oci,dest=x", "--build-arg", "A=1=2",
                  "--build-arg", "B", "--target", "t", "--platform", "linux/amd64", "--platform", "linux/arm64",
                  "--no-cache")
    assert got == libdepot.SolveRequest(
        context="dir", dockerfile="D", tags=["a", "b"], push=True, exports=["type=oci,dest=x"],
        build_args={"A": "1=2", "B": None}, target="t", platform=["linux/amd64", "linux/arm64"], no_cache=True)


def test_defaults():
    assert request(".") == libdepot.SolveRequest(context=".", exports=[], tags=[])
    options = parse(["build", "."])
    assert (options.progress, options.builder, options.token) == ("auto", "auto", None)


@pytest.mark.parametrize("arguments", [
    ["build", "--tokn", "s3cret", "."], ["build", "--tokn=s3cret", "."], ["build", ".", "s3cret"],
    ["build", "--toke=s3cret", "."], ["build", "--token"], ["build", "--token", "s3cret"],
])
def test_a_complaint_repeats_no_value(arguments):
    with pytest.raises(UsageError) as raised:
        parse(arguments)
    assert "s3cret" not in str(raised.value)


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
    out = io.BytesIO()
    assert export_of("type=oci,dest=x.tar", out) == "type=oci,dest=x.tar"
    assert export_of("-", out) == libdepot.Export("tar", dest=out)
    assert export_of("type=docker,name=a,dest=-", out) == libdepot.Export("docker", dest=out, attrs={"name": "a"})
    assert export_of('Type=oci,Dest=-,"annotation.x=a,b"', out).attrs == {"annotation.x": "a,b"}
    with pytest.raises(UsageError, match="no type"):
        export_of("dest=-", out)
    with pytest.raises(UsageError, match="given twice"):
        export_of("type=oci,dest=-,dest=x", out)
    with pytest.raises(UsageError, match="only one"):
        request(".", "-o", "-", "-o", "type=oci,dest=-")
    with pytest.raises(UsageError, match="exclude each other"):
        request(".", "-o", "-", "-q")


def test_build_args():
    assert build_args(["A=", "B=x=y", "C"]) == {"A": "", "B": "x=y", "C": None}
    with pytest.raises(UsageError):
        build_args(["=x"])
