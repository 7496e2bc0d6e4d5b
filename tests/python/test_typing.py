"""The types that callers see: complete, and in step with what runs."""

import ast
import dataclasses
import inspect
import pathlib
import subprocess
import sys

import libdepot
from libdepot import _core

PACKAGE = pathlib.Path(libdepot.__file__).parent

CALLER = """
import asyncio
import libdepot
import libdepot.aio
from typing_extensions import Unpack, assert_type

def on_status(status: libdepot.Status) -> None: ...

result = libdepot.build(".", tags=["a"], push=True, on_status=on_status, on_statu=None)  # error: on_statu
assert_type(result, libdepot.Result)
assert_type(result.digest, str)
with libdepot.Client(token="t", project="p") as client:
    with client.new_build() as build:
        with build.acquire("arm64") as machine:
            assert_type(machine.solve(libdepot.SolveRequest(context=".", exports=["type=oci,dest=x"])), libdepot.Result)
            machine.solve(".", tags=3)  # error: tags

def secret(name: str) -> bytes:
    return b"x"

def wrapper(context: libdepot.Context, on_status: libdepot.StatusCallback, on_log: libdepot.LogCallback,
            **fields: Unpack[libdepot.RequestFields]) -> libdepot.Result:
    asked: libdepot.SecretCallback = secret
    fields["secrets"] = {"s": asked}
    options: libdepot.ClientOptions = {"on_log": on_log, "token": 3}  # error: token
    with libdepot.Client(**options) as client:
        return client.build(context, on_status=on_status, **fields)

async def main() -> None:
    assert_type(await libdepot.aio.build("."), libdepot.Result)
    async with libdepot.aio.Client() as c, await c.new_build() as b, await b.acquire() as m:
        await m.solve(".", on_status=on_status)

try:
    asyncio.run(main())
except libdepot.Error as error:
    assert_type(error.code, libdepot.Code)
"""


def mypy(*arguments, cwd):
    return subprocess.run([sys.executable, "-m", "mypy", "--strict", "--no-incremental", *map(str, arguments)],
                          capture_output=True, text=True, cwd=cwd)


def test_the_package_is_strict(tmp_path):
    checked = mypy("-p", "libdepot", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout


def test_a_caller_is_checked(tmp_path):
    (tmp_path / "caller.py").write_text(CALLER)
    checked = mypy("caller.py", cwd=tmp_path)
    expected = {number: line.rsplit("# error: ", 1)[1] for number, line in enumerate(CALLER.split("\n"), 1)
                if "# error: " in line}
    errors = [line for line in checked.stdout.splitlines() if ": error: " in line]
    assert len(errors) == len(expected), checked.stdout
    for number, word in expected.items():
        assert any(line.startswith(f"caller.py:{number}:") and word in line for line in errors), checked.stdout


def typed_dict(file, name):
    for node in ast.walk(ast.parse((PACKAGE / file).read_text())):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return {item.target.id: ast.unparse(item.annotation) for item in node.body
                    if isinstance(item, ast.AnnAssign)}
    raise AssertionError(name)


def test_keyword_arguments_are_those_of_the_dataclass():
    fields = {field.name: field.type for field in dataclasses.fields(libdepot.SolveRequest)}
    del fields["context"]
    assert typed_dict("_request.py", "RequestFields") == fields


def test_options_are_those_of_the_client():
    parameters = list(inspect.signature(libdepot.Client).parameters.values())
    assert typed_dict("_base.py", "ClientOptions") == {p.name: p.annotation for p in parameters}


def test_the_stub_names_what_the_extension_has():
    def public(names):
        return {name for name in names if not name.startswith("_")}

    stub = ast.parse((PACKAGE / "_core.pyi").read_text())
    named = {}
    for node in stub.body:
        if isinstance(node, ast.ClassDef):
            named[node.name] = public(item.name for item in node.body if isinstance(item, ast.FunctionDef))
        elif isinstance(node, ast.FunctionDef):
            named[node.name] = None
        elif isinstance(node, ast.AnnAssign):
            named[node.target.id] = None
    assert set(named) == public(vars(_core))
    for name, members in named.items():
        if members is not None:
            assert members == public(vars(getattr(_core, name))), name


def test_what_is_exported_is_there():
    assert [name for name in libdepot.__all__ if not hasattr(libdepot, name)] == []
    assert sorted(libdepot.__all__) == libdepot.__all__
    assert (PACKAGE / "py.typed").exists()
    assert libdepot.aio.build
    assert {"StatusCallback", "SecretCallback", "LoginCallback", "RealmCallback", "WriteCallback", "LogCallback",
            "PruneCallback", "Context", "Cache", "Files", "FileData", "StrPath"} <= set(libdepot.__all__)
