"""Requests and what they are lowered to, and the rules of a build's outcome, without any builder."""

import asyncio
import dataclasses
import io
import pathlib

import pytest

import libdepot
from libdepot import Outcome, _core
from libdepot._base import BaseBuild, milliseconds
from libdepot._cli.flags.outputs import export_of
from libdepot._cli.usage import UsageError
from libdepot._request import lower, make_request, writer_of


def test_every_field_is_taken():
    lower(libdepot.SolveRequest(
        context=pathlib.Path("dir"), dockerfile="D", dockerfile_text="FROM scratch", ignore_text=b"*",
        files={"a": b"1", "b": "2", "c": libdepot.File(lambda: b"3", mode=0o755)}, tags=["a"], push=True,
        build_args={"A": "1", "HOME": None},
        target="t", platform=["linux/amd64"], no_cache=True, labels={"l": "v"}, pull=True, add_hosts=["h:::1"],
        network="none", shm_size="64m", ulimits=["core=0"], resources={"memory": "1g", "cpu-quota": 5},
        cgroup_parent="g", entitlements=["device"], annotations={"index:a": "b"}, attests=["type=sbom"],
        provenance="mode=max", default_attestations=True, call="check", no_cache_filter=["s"],
        attrs={"k": "v"}, frontend="dockerfile.v0", locals={"more": pathlib.Path("x"), "other": {"d": b"4"}},
        record_context=True, record_provenance="max", registry_auth={"host": ("user", "password")}, docker_config="",
        build_contexts={"a": pathlib.Path("x"), "b": "docker-image://c"},
        cache_from=["a", {"type": "local", "src": pathlib.Path('a,"b')}], cache_to=["type=inline"],
        exports=["type=oci,dest=a.tar", libdepot.Export("tar", dest=io.BytesIO()),
                 libdepot.Export("docker", dest=pathlib.Path("b.tar"), attrs={"name": "x"})]))


def test_keyword_arguments_win_over_a_request():
    request = libdepot.SolveRequest(context="a", tags=["x"])
    assert make_request(request, {}) is request
    assert make_request(request, {"push": True}) == dataclasses.replace(request, push=True)
    assert make_request("b", {"tags": ["y"]}) == libdepot.SolveRequest(context="b", tags=["y"])
    with pytest.raises(TypeError, match="nonsense"):
        libdepot.build(".", builder="local", nonsense=1)


@pytest.mark.parametrize("field", ["tags", "exports", "no_cache_filter", "add_hosts", "ulimits", "entitlements",
                                   "attests"])
def test_a_string_is_no_list(field):
    with pytest.raises(TypeError, match=field):
        libdepot.SolveRequest(**{field: "type=oci"})


def test_a_request_shows_no_password():
    assert "hunter2" not in repr(libdepot.SolveRequest(registry_auth={"host": ("user", "hunter2")}))


@pytest.mark.parametrize("wrong", [
    {"exports": ["type=oci,dest=-"]}, {"exports": ["dest=x"]}, {"exports": ["type=nonsense"]},
    {"exports": [libdepot.Export("image", dest="x")]}, {"tags": ["UPPER:"]}, {"frontend": "nonsense"},
    {"build_args": {"": "x"}}, {"platform": ""}, {"files": {"../a": b""}}, {"locals": {"": {"a": b""}}},
])
def test_what_cannot_be_right_is_refused(wrong):
    with pytest.raises(libdepot.InvalidArgumentError) as raised:
        lower(libdepot.SolveRequest(**wrong))
    assert raised.value.hop is libdepot.Hop.USAGE


@pytest.mark.parametrize("spec", [
    "type=oci", "type=docker,name=a", 'type=oci,"name=a,b"', "TYPE=oci,Name=a", "type=tar,tar=true", "type=oci,a=b=c",
    "nonsense=1", "type=oci,name=a,name=b", 'type=oci,name="a"', '"type=oci', "type=oci,,", "type=nonsense", "",
])
def test_outputs_to_standard_output_are_read_as_the_library_reads_the_others(spec):
    """What the command line makes of dest=- itself is right or wrong as dest=FILE is in the library."""
    def python():
        made = export_of(f"{spec},dest=-" if spec else "dest=-", io.BytesIO())
        lower(libdepot.SolveRequest(exports=[made]))

    def library():
        _core.Request().add_output(f"{spec},dest=x" if spec else "dest=x")

    def passes(function):
        try:
            function()
        except (UsageError, libdepot.Error):
            return False
        return True

    assert passes(python) == passes(library)


def test_an_unbuffered_file_gets_everything():
    class OneByteAtATime:
        data = b""

        def write(self, chunk):
            self.data += bytes(chunk[:1])
            return 1

    slow = OneByteAtATime()
    writer_of(slow)(b"all of it")
    assert slow.data == b"all of it"
    with pytest.raises(TypeError, match="dest"):
        writer_of(3)


def test_timeouts_never_become_the_default():
    assert milliseconds(None) == 0
    assert milliseconds(0.00001) == 1
    assert milliseconds(1.5) == 1500


def solved(*failures):
    build = BaseBuild(None)
    for failure in failures:
        build._solve_ended(failure)
    return build


ERROR = libdepot.SolveError("it failed")


@pytest.mark.parametrize("build, raised, expected", [
    (solved(None), None, (Outcome.SUCCESS, "")),
    (solved(), None, (Outcome.FAILED, "nothing was built")),
    (solved(ERROR), None, (Outcome.FAILED, "it failed")),  # swallowed in the block
    (solved(ERROR, None), None, (Outcome.FAILED, "it failed")),
    (solved(None), ERROR, (Outcome.FAILED, "it failed")),
    (solved(None), ValueError("mine"), (Outcome.FAILED, "ValueError: mine")),
    (solved(None), SystemExit(0), (Outcome.FAILED, "SystemExit: 0")),
    (solved(None), KeyboardInterrupt(), (Outcome.CANCELED, "")),
    (solved(None), asyncio.CancelledError(), (Outcome.CANCELED, "")),
    (solved(None), libdepot.CanceledError("stopped"), (Outcome.CANCELED, "")),
    (solved(libdepot.CanceledError("stopped")), None, (Outcome.CANCELED, "")),
])
def test_success_is_never_an_accident(build, raised, expected):
    assert build._outcome(raised) == expected


def test_an_outcome_is_told_by_name():
    with pytest.raises(ValueError, match="nonsense"):
        BaseBuild(None)._finish("nonsense", "")
