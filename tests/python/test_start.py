"""What a start costs: the modules that are not imported for it. And what is made without importing
dataclasses behaves as what dataclasses make, before anybody asks for them and after."""

import copy
import dataclasses
import importlib
import inspect
import pathlib
import pickle
import pprint
import subprocess
import sys
import typing

import pytest

import libdepot
from libdepot import Range
from libdepot._light import Late

PACKAGE = pathlib.Path(libdepot.__file__).parent
EXAMPLE = pathlib.Path(__file__).resolve().parent.parent / "examples/solve_dockerfile.py"

DEAR = {"asyncio", "ast", "collections", "concurrent.futures", "contextlib", "dataclasses", "dis", "enum",
        "functools", "inspect", "json", "logging", "math", "re", "shutil", "signal", "string", "textwrap", "threading",
        "tokenize", "traceback", "types", "typing", "typing_extensions"}


def imported(code, *arguments):
    """The dear modules that these lines import, but those that come with a bare interpreter."""
    # Without site: its .pth files import whatever was installed.
    lines = f"import sys; sys.path.append({str(PACKAGE.parent)!r})\n{code}\nprint(*sys.modules)"
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", lines, *map(str, arguments)], capture_output=True,
                         text=True, timeout=240)
    assert ran.returncode == 0, ran.stderr
    return set(ran.stdout.splitlines()[-1].split()) & DEAR


def test_the_import():
    assert imported("import libdepot") == set()


@pytest.mark.parametrize("exported", [False, True])
def test_a_build(plain_builder, context, tmp_path, monkeypatch, exported):
    monkeypatch.setenv("BUILDKIT_HOST", plain_builder.endpoint)
    arguments = [context("FROM scratch\nCOPY Dockerfile /\n"), *([tmp_path / "image.tar"] if exported else [])]
    assert imported(EXAMPLE.read_text(), *arguments) == set()


def test_an_error_imports_nothing():
    """For what failed may be that no file can be opened."""
    code = """import libdepot
before = set(sys.modules)
try:
    libdepot.Client(builder="nonsense://there")
except libdepot.Error as error:
    assert str(error) and error.message
else:
    sys.exit("no error")
assert set(sys.modules) == before, set(sys.modules) - before"""
    assert imported(code) == set()


def test_names_are_there_before_their_modules():
    code = """import libdepot
assert set(libdepot.__all__) <= set(dir(libdepot))
from libdepot import *
assert Outcome.SUCCESS == 1 and Code.OK == 0 and Hop.NONE == 0 and Range(1, 2, 3, 4).end_line == 3
try:
    libdepot.Nonsense
except AttributeError as error:
    assert "'Nonsense'" in str(error)"""
    assert "enum" in imported(code)


def test_the_command_line():
    code = "from libdepot._cli import arguments, main\narguments.parse(['build', '.'])"
    assert imported(code) == imported("import argparse, signal")


# Arguments of each class, and how many of them it needs.
VALUES = {
    "Blob": (("logs", "sha256:1", "type", "linux/amd64", 3), 2),
    "BuildFailure": ((2, "exit code: 3", "text"), 2),
    "BuilderInfo": (("v0.34.2", "package", "revision", "1.2"), 1),
    "Call": (("lint", "{}", "text", 1, (), "error", "name", "about", (), ()), 3),
    "ContextFile": (("a/b", 3), 2),
    "CredentialUse": (("registry.example", "auth.example"), 1),
    "Device": (("gpu", True, True), 1),
    "DiskUsage": ((("record",), 3, 2, 1), 1),
    "Explanation": ((False, ".dockerignore", 2, "!a", "a"), 5),
    "Export": (("oci", "image.tar", {"name": "a"}), 1),
    "File": ((b"#!", 0o755), 1),
    "GcPolicy": ((True, 2.0, 1, 2, 3, ("filter",)), 0),
    "HistoryRecord": (("ref", "name", "failed", 1, 2, 3, 4, 5, 6, True, "dockerfile.v0", {"a": "b"}, ("oci",),
                       {"c": "d"}, ("blob",), "failure"), 1),
    "LintWarning": (("Rule", "about", "url", "detail", "Dockerfile", ((1, 0, 1, 5),)), 1),
    "ListedBuild": (("build-1", "failed", 1, 2), 1),
    "LocalMachine": (("amd64", "running", 7, "v0.34.2", 2), 1),
    "LocalProject": (("p", "/there", ("machine",), 2, 1, 3, True), 1),
    "OutlineEntry": (("arg", "A", "about", "1", True, ((1, 0, 1, 5),)), 2),
    "PullInfo": (("r.test/p:1", "x-token", "hunter2", ("target",)), 3),
    "PullTarget": (("app", ("a:1",)), 0),
    "Result": (("sha256:1", "sha256:2", {"size": 3}, "a", "ref", "id", "url", {"k": "v"}, [], "stats", '{"k": 1}',
                "call", ("attestation",)), 11),
    "Attestation": (("type", "linux/amd64", "sha256:1", 3), 4),
    "Stats": ((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1, 2, 3, 4, 5, 6, 7, 8), 14),
    "SentFile": (("context", "a/b", 3, True), 4),
    "SolveRequest": (("dir", "D", None, b"*", {"a": b"b"}, ["type=oci,dest=x"], ["a"], True, True, True,
                      ["v1"], {"A": None},
                      "t", ["linux/amd64"], True, {"l": "v"},
                      ["s"], True, ["h:::1"], "none", "64m", ["core=0"], {"memory": 5}, "group", ["device"],
                      {"index:a": "b"}, ["type=sbom"], True, "mode=max", True, "check", {"k": "v"},
                      "dockerfile.v0", {"more": "x"}, True, {"host": ("user", "hunter2")}, {"host": ["auth"]},
                      {"id": b"hunter2"}, ["default"], "", {"base": "dir"}, ["type=gha"], ["type=inline"],
                      "min"), 0),
    "Source": (("Dockerfile", b"RUN x", ((1, 0, 1, 5),), "excerpt"), 3),
    "Status": ((("vertexes",), ("statuses",), ("logs",), ("warnings",), '{"k": 1}', ("uses",)), 0),
    "Step": (("sha256:1", "RUN x", 2, 1, "error", "linux/arm64", 1, 2, 0.5, ("sha256:0",), ((1, 2),), ("layer",),
              ("old",), "tail", "group", True, True, 1, 2, 3), 4),
    "Target": (("app", "about", "base", "linux/arm64", True, ((1, 0, 1, 5),)), 1),
    "UsageRecord": (("id", "regular", "about", 3, 1, 2, 4, True, True, True, ("parent",)), 1),
    "Vertex": (("sha256:1", "[1/2] RUN x", "exit code: 3", 1, 2, True, ("sha256:0",), "group", "the group"), 2),
    "VertexLog": (("sha256:1", b"text", 1, 2), 2),
    "VertexStatus": (("layer", "sha256:1", "name", 1, 2, 3, 4, 5), 2),
    "VertexWarning": (("sha256:1", "old", "url", "Dockerfile", ("more",), ((1, 0, 1, 5),), 1, "excerpt"), 2),
    "Worker": (("id", ("linux/amd64",), {"a": "b"}, "v0.34.2", "package", "revision", "1.2", ("policy",),
                ("device",)), 1),
}
MUTABLE = {"Export", "File", "SolveRequest"}
UNHASHABLE = MUTABLE | {"HistoryRecord", "Result", "Worker"}  # they have dictionaries


@pytest.fixture
def fresh(monkeypatch):
    """Gives the public class of a name as it is before anybody asked for its fields."""
    assert libdepot.Step and libdepot.Explanation  # imported when they are asked for
    for name in ("_books", "_builds", "_call", "_context", "_errors", "_local", "_progress", "_request", "_result",
                 "_status"):
        monkeypatch.setattr(libdepot, name, getattr(libdepot, name))
        monkeypatch.delitem(sys.modules, f"libdepot.{name}")

    def load(name):
        found = getattr(importlib.import_module(getattr(libdepot, name).__module__), name)
        assert is_light(found) and found is not getattr(libdepot, name)
        return found
    return load


def is_light(cls):
    return isinstance(vars(cls)["__dataclass_fields__"], Late)


@pytest.fixture(params=["light", "true"])
def value(fresh, request):
    def load(name):
        cls = fresh(name)
        if request.param == "true":
            dataclasses.fields(cls)
            assert not is_light(cls)
        return cls
    return load


def test_every_value_class_is_listed():
    made = {name for name in libdepot.__all__ if dataclasses.is_dataclass(getattr(libdepot, name))}
    assert made == set(VALUES)


@pytest.mark.parametrize("name", VALUES)
def test_values(value, name):
    cls, (args, needed) = value(name), VALUES[name]
    light = is_light(cls)
    names = list(cls.__annotations__)
    made = cls(*args)
    assert tuple(vars(made)) == tuple(names) == cls.__match_args__
    assert tuple(getattr(made, field) for field in names) == args
    assert made == cls(**dict(zip(names, args))) == cls(*args[:2], **dict(zip(names[2:], args[2:])))
    assert made != args and not made == object() and made.__eq__(args) is NotImplemented
    if needed < len(args):
        assert made != cls(*args[:needed]) == cls(*args[:needed])
        assert vars(cls(*args[:needed])).keys() == vars(made).keys()
    assert repr(made) == repr(getattr(libdepot, name)(*args))
    for again in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert again == made and type(again) is cls and again is not made
    if name in UNHASHABLE:
        with pytest.raises(TypeError, match="unhashable"):
            hash(made)
    else:
        assert hash(made) == hash(cls(*args)) == hash(args)
    if name in MUTABLE:
        setattr(made, names[0], "other")
        assert getattr(made, names[0]) == "other" and made != cls(*args)
    assert is_light(cls) == light


@pytest.mark.parametrize("name", sorted(set(VALUES) - MUTABLE))
def test_frozen_values(value, name):
    cls = value(name)
    made = cls(*VALUES[name][0])
    before = dict(vars(made))
    for field in (*cls.__annotations__, "another"):
        with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot assign to field '{field}'"):
            setattr(made, field, 1)
        with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot delete field '{field}'"):
            delattr(made, field)
    assert vars(made) == before


@pytest.mark.parametrize("name", VALUES)
def test_wrong_arguments(fresh, name):
    cls, (args, needed) = fresh(name), VALUES[name]
    first = next(iter(cls.__annotations__))
    wrong = [((*args, 1), {}), (args, {"nonsense": 1}), (args[:1], {first: 1}), (args, {"self": 1})]
    wrong += [(args[:needed - 1], {})] if needed else []

    def complaints():
        for positional, named in wrong:
            with pytest.raises(TypeError) as raised:
                cls(*positional, **named)
            yield str(raised.value)

    before = list(complaints())
    dataclasses.fields(cls)
    assert before == list(complaints())
    assert "unexpected keyword argument 'nonsense'" in before[1]
    assert f"multiple values for argument '{first}'" in before[2]


def subclassed(cls, made):
    sub = dataclasses.dataclass(frozen=made.__dataclass_params__.frozen)(
        type("Sub", (cls,), {"__annotations__": {"more": "int"}, "more": 7}))
    assert sub(*vars(made).values()).more == 7 and dataclasses.fields(sub)[:-1] == dataclasses.fields(cls)
    return True


def printed_nicely(cls, made):
    several_lines = "\n" in pprint.pformat(made, width=10)
    return dataclasses.is_dataclass(cls) and several_lines == (sys.version_info >= (3, 10))


# Each is the first that is asked of a class.
@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("ask", [
    lambda cls, made: dataclasses.is_dataclass(cls) and dataclasses.is_dataclass(made),
    lambda cls, made: [field.name for field in dataclasses.fields(made)] == list(cls.__annotations__),
    lambda cls, made: dataclasses.replace(made) == made and dataclasses.replace(made) is not made,
    lambda cls, made: list(dataclasses.asdict(made)) == list(cls.__annotations__),
    lambda cls, made: len(dataclasses.astuple(made)) == len(cls.__annotations__),
    lambda cls, made: list(inspect.signature(cls).parameters) == list(cls.__annotations__),
    lambda cls, made: cls.__dataclass_params__.frozen == (cls.__name__ not in MUTABLE),
    lambda cls, made: copy.replace(made) == made if sys.version_info >= (3, 13) else not hasattr(cls, "__replace__"),
    printed_nicely,
    subclassed,
], ids=["is_dataclass", "fields", "replace", "asdict", "astuple", "signature", "params", "copy.replace", "pprint",
        "subclassed"])
def test_what_dataclasses_can(fresh, name, ask):
    cls = fresh(name)
    made = cls(*VALUES[name][0])
    before = repr(made)
    assert ask(cls, made)
    assert not is_light(cls)
    assert repr(made) == before and made == cls(*VALUES[name][0])


@pytest.mark.parametrize("name", VALUES)
def test_the_true_ones_are_what_the_source_says(fresh, name):
    """Fields and parameters, against dataclasses that were made of the same lines without our decorator."""
    cls = fresh(name)
    source = pathlib.Path(inspect.getfile(cls)).read_text()
    source = source.replace("from ._light import dataclass, field", "from dataclasses import dataclass, field")
    lines = {"__name__": cls.__module__, "__package__": "libdepot"}
    source = source.replace("dataclass, field, typing", "dataclass, field\nimport typing")
    exec(compile(source, cls.__module__, "exec", dont_inherit=True), lines)
    true = lines[name]
    assert str(inspect.signature(cls)) == str(inspect.signature(true))
    assert str(dataclasses.fields(cls)) == str(dataclasses.fields(true))
    assert repr(cls.__dataclass_params__) == repr(true.__dataclass_params__)
    assert cls.__doc__ == true.__doc__ and set(vars(true)) - set(vars(cls)) == set()
    for field in cls.__annotations__:
        assert getattr(cls, field, None) == getattr(true, field, None)


def test_values_in_values():
    vertex, source = libdepot.Vertex("sha256:1", "RUN x"), libdepot.Source("D", b"", (Range(1, 0, 1, 5),))
    assert dataclasses.asdict(libdepot.Status((vertex,)))["vertexes"] == (dataclasses.asdict(vertex),)
    for made in (libdepot.Status((vertex,)), source):
        assert copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == made


def test_default_dictionaries_are_not_shared(value):
    cls = value("SolveRequest")
    assert cls().attrs == {} and cls().attrs is not cls().attrs and cls().attrs is not cls().locals
    assert "hunter2" not in repr(cls(registry_auth={"host": ("user", "hunter2")}))
    with pytest.raises(TypeError, match="tags"):
        cls(tags="a")


def test_the_descriptor_is_read_when_it_is_asked_for(fresh):
    fresh("Result")
    module = sys.modules["libdepot._result"]
    raw = dict(zip(module.Result.__annotations__, VALUES["Result"][0]))
    del raw["descriptor"]
    raw["call"], raw["stats"], raw["attestations"] = None, [0] * 14, []

    def made(text='{"size": 3}'):
        return module.make_result({**raw, "descriptor_json": text})

    values = dict(zip(module.Result.__annotations__, VALUES["Result"][0]))
    expected = module.Result(**{**values, "call": None, "stats": module.Stats(*[0] * 14), "attestations": ()})
    assert made() == expected and repr(made()) == repr(expected)
    assert made().descriptor == {"size": 3} and made("").descriptor is None
    for again in (copy.copy(made()), copy.deepcopy(made()), pickle.loads(pickle.dumps(made())),
                  dataclasses.replace(made())):
        assert again == expected
    read = made()
    assert read.descriptor is read.descriptor
    assert dataclasses.asdict(made()) == dataclasses.asdict(expected)
    with pytest.raises(AttributeError, match="'Result' object has no attribute 'nonsense'"):
        read.nonsense  # noqa: B018


def test_ranges():
    made = Range(1, 0, end_line=2, end_character=5)
    assert made == (1, 0, 2, 5) and repr(made) == "Range(start_line=1, start_character=0, end_line=2, end_character=5)"
    assert made._replace(end_line=3).end_line == 3 and Range.__doc__.startswith("A place")
    assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == made
    assert typing.get_type_hints(Range) == dict.fromkeys(Range._fields, int)


@pytest.mark.skipif(sys.version_info < (3, 10), reason="X | Y")
def test_annotations_can_be_evaluated():
    for name in VALUES:
        cls = getattr(libdepot, name)
        assert list(typing.get_type_hints(cls)) == [field.name for field in dataclasses.fields(cls)]
    assert typing.get_type_hints(libdepot.Result)["descriptor"] == typing.Optional[dict[str, typing.Any]]
    for function in (libdepot.Client.__init__, libdepot.Client.new_build, libdepot.Build.acquire,
                     libdepot.Build.finish, libdepot.Machine.connect, libdepot.Error.__init__):
        assert typing.get_type_hints(function)


def test_log_levels_are_those_of_logging():
    import logging

    from libdepot import _base
    assert _base._LEVELS == {1: logging.DEBUG, 2: logging.INFO, 3: logging.WARNING, 4: logging.ERROR}
    assert _base._INFO == logging.INFO
