"""Requests and what they are lowered to, and the rules of a build's outcome, without any builder."""

import asyncio
import dataclasses
import datetime
import io
import pathlib
import traceback

import pytest

import libdepot
from libdepot import Outcome, _core
from libdepot._base import BaseBuild
from libdepot._check import milliseconds
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


KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n"


@pytest.mark.parametrize("field, wrong, message", [
    ("registry_auth", {"reg": (None, "hunter2")}, r"registry_auth\['reg'\] must be a tuple.*\(NoneType, str\)"),
    ("registry_auth", {"reg": ("user", b"hunter2")}, r"registry_auth\['reg'\].*\(str, bytes\)"),
    ("registry_auth", {"reg": ("user", "hunter2", "")}, r"registry_auth\['reg'\].*\(str, str, str\)"),
    ("registry_auth", {"reg": "hunter2"}, r"registry_auth\['reg'\].*not str"),
    ("registry_auth", {b"reg": ("user", "hunter2")}, "key of registry_auth must be a str, not bytes"),
    ("registry_auth", {("user", "hunter2"): "reg"}, "key of registry_auth must be a str, not tuple"),
    ("registry_auth", ("user", "hunter2"), "registry_auth must be a dict or a function, not tuple"),
    ("realms", {"reg": "hunter2"}, r"realms\['reg'\] must be a list, not str"),
    ("realms", ["hunter2"], "realms must be a dict or a function, not list"),
    ("secrets", {1: b"hunter2"}, "key of secrets must be a str, not int"),
    ("secrets", {b"hunter2": "id"}, "key of secrets must be a str, not bytes"),
    ("secrets", {"id": "hunter2"}, r"secrets\['id'\] must be bytes, a Secret or a function, not str"),
    ("secrets", [("id", b"hunter2")], "each of secrets must be a str, not tuple"),
    ("secrets", b"hunter2", "secrets must be a list, not bytes"),
    ("ssh", {1: libdepot.SshKeys(KEY)}, "key of ssh must be a str, not int"),
    ("ssh", {"default": KEY}, r"ssh\['default'\] must be an SshAgent or SshKeys, not bytes"),
    ("ssh", [KEY], "each of ssh must be a str, not bytes"),
    ("files", {pathlib.Path("a"): b"hunter2"}, "key of files must be a str, not PosixPath"),
    ("files", {"a": libdepot.File(b"hunter2", mode="0755")}, r"mode of files\['a'\] must be an int, as 0o755, not str"),
    ("files", {"a": ["hunter2"]}, r"files\['a'\] must be bytes, a str or a function, not list"),
    ("files", [("a", b"hunter2")], "files must be a dict, not list"),
    ("locals", {"more": {1: b"hunter2"}}, r"key of locals\['more'\] must be a str, not int"),
    ("locals", {"more": [b"hunter2"]}, r"locals\['more'\] must be a path or a dict of files, not list"),
    ("build_args", {"A": b"hunter2"}, r"build_args\['A'\] must be a str or None, not bytes"),
    ("build_args", ["A=hunter2"], "build_args must be a dict, not list"),
    ("build_contexts", {"base": ["hunter2"]}, r"build_contexts\['base'\] must be a path, not list"),
    ("labels", {"A": b"hunter2"}, r"labels\['A'\] must be a str, not bytes"),
    ("annotations", {"A": b"hunter2"}, r"annotations\['A'\] must be a str, not bytes"),
    ("attrs", {"A": b"hunter2"}, r"attrs\['A'\] must be a str, not bytes"),
    ("resources", {"memory": b"hunter2"}, r"resources\['memory'\] must be a str or an int, not bytes"),
    ("dockerfile_text", ["hunter2"], "dockerfile_text must be bytes or a str, not list"),
    ("ignore_text", 1, "ignore_text must be bytes or a str, not int"),
    ("cache_to", [("secret_access_key", "hunter2")], "each of cache_to must be a dict or a str, not tuple"),
    ("cache_from", [{"token": ["hunter2"]}], r"cache_from\['token'\] must be a path, not list"),
    ("cache_from", {"token": "hunter2"}, "cache_from must be a list, not dict"),
    ("exports", libdepot.Export("tar"), "exports must be a list, not Export"),
    ("exports", [{"type": "tar", "dest": "hunter2"}], "each of exports must be an Export or a str, not dict"),
    ("exports", [libdepot.Export("oci", "x.tar", {"tar": False})], r"Export.attrs\['tar'\] must be a str, not bool"),
    ("exports", [libdepot.Export(b"hunter2")], "Export.type must be a str, not bytes"),
    ("tags", {"hunter2": 1}, "tags must be a list, not dict"), ("tags", [b"hunter2"], "each of tags must be a str"),
    ("add_hosts", [1], "each of add_hosts must be a str, not int"), ("platform", [1], "each of platform must be a str"),
    ("push", "hunter2", "push must be a bool, not str"), ("sbom", ["hunter2"], "sbom must be a bool, not list"),
    ("target", b"hunter2", "target must be a str or None, not bytes"), ("frontend", b"", "frontend must be a str"),
    ("dockerfile", 1, "dockerfile must be a path, not int"), ("shm_size", 1.5, "shm_size must be a str or an int"),
    ("context", 3, "context must be a path, an open binary file or None, not int"),
    ("docker_config", 3, "docker_config must be a path, not int"),
])
def test_a_mistake_in_a_type_is_told_by_field_and_never_with_the_value(field, wrong, message):
    with pytest.raises(TypeError, match=message) as raised:
        lower(libdepot.SolveRequest(**{field: wrong}))
    assert "hunter2" not in "".join(traceback.format_exception(None, raised.value, None))


@pytest.mark.parametrize("make, message", [
    (lambda: libdepot.SshKeys(KEY.decode()), "as bytes, not as a str"),
    (lambda: libdepot.SshKeys(["hunter2"]), "a path, or a key's text as bytes, not list"),
    (lambda: libdepot.Secret.file(["hunter2"]), "the file of a Secret must be a path, not list"),
    (lambda: libdepot.Secret.env(b"hunter2"), "the variable of a Secret must be a str or None, not bytes"),
    (lambda: libdepot.Client(token=["hunter2"]), "token must be a str, not list"),
    (lambda: libdepot.Client(proxy=("user", "hunter2")), "proxy must be a str, not tuple"),
    (lambda: libdepot.Client(token="hunter2", max_message_size="1"), "max_message_size must be an int, not str"),
    (lambda: libdepot.Client(token="hunter2", allow_plaintext="no"), "allow_plaintext must be a bool, not str"),
    (lambda: libdepot.Client(builder="local").new_build(token="hunter2", save="no"), "save must be a bool, not str"),
    (lambda: libdepot.Client(builder="local").new_build(token="hunter2", tags="app"), "tags must be a list, not str"),
    (lambda: libdepot.Client(builder="local").pull_info(3, token="hunter2"), r"pull_info\(\) does not take"),
    (lambda: libdepot.Client(builder="local").list_builds(3.5, token="hunter2"), "project must be a str, not float"),
])
def test_nor_with_what_is_given_beside_it(make, message):
    with pytest.raises(TypeError, match=message) as raised:
        make()
    assert "hunter2" not in "".join(traceback.format_exception(None, raised.value, None))


def test_the_extension_shows_no_arguments_whatever_they_are():
    """Below all that: pybind11 would, in the TypeError of each function and constructor."""
    found = 0
    for scope in (_core, *(each for each in vars(_core).values() if isinstance(each, type))):
        for name, function in vars(scope).items():
            if not callable(function) or isinstance(function, type) or name.startswith("_pybind11"):
                continue
            call = scope if name == "__init__" else getattr(scope, name)
            for arguments, named in ((("hunter2",) * 20, {}), ((scope,), {"hunter2": "hunter2"})):
                with pytest.raises(TypeError) as raised:
                    call(*arguments, **named)
                assert "hunter2" not in str(raised.value), name
                found += 1
    assert found > 100
    request = _core.Request()
    with pytest.raises(TypeError, match=r"^set_registry_auth\(\) does not take \(str, NoneType, str\)$"):
        request.set_registry_auth("host", None, "hunter2")
    request.set_registry_auth("host", "user", "hunter2")


@pytest.mark.parametrize("wrong, kind", [
    ("5", TypeError), ([5], TypeError), (datetime.timedelta(seconds=5), TypeError), (0, ValueError), (-1, ValueError),
    (1e30, ValueError), (10**400, ValueError), (float("inf"), ValueError), (float("nan"), ValueError),
])
def test_timeouts_that_are_none(wrong, kind):
    with pytest.raises(kind, match="^timeout must be a (positive )?number of seconds"):
        libdepot.build(".", builder="tcp://127.0.0.1:1", timeout=wrong)


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
