"""packaging/docs/flags.md: every flag of the command line is in its table, and every name in it exists."""

import argparse
import dataclasses
import inspect
import pathlib
import re

import libdepot
from libdepot._cli.arguments import make_parser

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HEADERS = "".join(path.read_text() for path in (ROOT / "capi/include/depot").glob("*.h"))
SETTERS = "".join(path.read_text() for path in (ROOT / "bindings/cpp/depot").glob("*.hpp"))


def rows():
    text = (ROOT / "packaging/docs/flags.md").read_text()
    table = text.split("## All of them")[1].split("| Flag |")[1].split("\n\n")[0]
    return [[set(re.findall(r"`([^`]+)`", cell)) for cell in line.strip("|").split("|")]
            for line in table.splitlines()[2:]]


def build_actions():
    (commands,) = [action for action in make_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return [action for action in commands.choices["build"]._actions
            if not isinstance(action, argparse._HelpAction) and action.help is not argparse.SUPPRESS]


def test_every_flag_is_in_the_table_and_none_that_is_not():
    listed = set().union(*[row[0] for row in rows()])
    there = set()
    for action in build_actions():
        there |= set(action.option_strings or [action.metavar])
    assert there - listed == set(), "flags.md has no line for these"
    assert listed - there == set(), "flags.md has lines for flags that are not there"


def test_every_name_in_the_table_exists():
    fields = {field.name for field in dataclasses.fields(libdepot.SolveRequest)}
    owners = {"": fields, "Client": set(inspect.signature(libdepot.Client).parameters),
              "build": set(inspect.signature(libdepot.build).parameters)}
    for flags, _, in_c, in_python in rows():
        for name in in_c:
            assert re.search(rf"\b{name}\b", HEADERS), f"{flags}: {name}"
        for name in in_python:
            owner, _, option = name.rpartition(".")
            assert option in owners[owner], f"{flags}: {name}"


def test_every_setter_is_in_cpp_too():
    functions = set(re.findall(r"\b(depot_solve_request_(?:set|add)_\w+)\(", HEADERS))
    assert functions and {name for name in functions if f"{name}" not in SETTERS} == set()


def test_every_field_is_in_the_table_or_under_it():
    text = (ROOT / "packaging/docs/flags.md").read_text()
    named = set(re.findall(r"`(\w+)`", text))
    fields = {field.name for field in dataclasses.fields(libdepot.SolveRequest)}
    assert fields - named - {"frontend", "registry_auth", "docker_config"} == set()
