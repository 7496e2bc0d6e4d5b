"""`libdepot ls`, `stop` and `reset`: the local builder's projects."""

from __future__ import annotations

import argparse

import libdepot
from libdepot import LocalProject

from .machines import add_format, add_parser, timeout_of
from .table import ago, json_line, put, rfc3339, size_in_words, tabbed, table
from .usage import UsageError, agreed

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from .machines import Commands
    from .usage import Parser

HEADER = ("PROJECT", "MACHINES", "BUILDS", "CACHE", "LAST USED")


def add_commands(commands: Commands) -> None:
    ls = add_parser(commands, "ls", "list the local builder's projects", asks=False)
    add_format(ls)
    add_timeout(ls)
    ls.set_defaults(run=run_ls)

    stop = add_parser(commands, "stop", "stop the local builder's machines",
                      "Stop the machines of projects. Their caches stay.", asks=False)
    stop.add_argument("project", metavar="PROJECT", nargs="*")
    stop.add_argument("--all", action="store_true", help="of all projects")
    stop.add_argument("-f", "--force", action="store_true", help="also those that builds use: they fail")
    add_timeout(stop)
    stop.set_defaults(run=run_stop)

    reset = add_parser(commands, "reset", "remove the cache of a project of the local builder",
                       "Stop a project's machines and remove its cache.", asks=False)
    reset.add_argument("project", metavar="PROJECT")
    reset.add_argument("-y", "--yes", action="store_true", help="do not ask first")
    reset.add_argument("-f", "--force", action="store_true",
                       help="do not ask first, and also while builds use it: they fail")
    add_timeout(reset)
    reset.set_defaults(run=run_reset)


def add_timeout(parser: Parser) -> None:
    parser.add_argument("--timeout", metavar="DURATION", help="how long to wait for an answer: 20s, 5m")


def client() -> libdepot.Client:
    # Whatever else the environment says of builders has no say here.
    return libdepot.Client(builder="local")


def size_of(project: LocalProject) -> str:
    if project.cache_size is None:
        return "-"
    return size_in_words(project.cache_size) + ("+" if project.cache_partial else "")


def cells_of(project: LocalProject) -> tuple[str, str, str, str, str]:
    machines = ", ".join([f"{machine.architecture} {machine.state}" for machine in project.machines])
    return (project.id, machines or "-", str(project.builds), size_of(project), ago(project.last_used))


def project_json(project: LocalProject) -> str:
    return json_line({
        "id": project.id, "directory": project.directory,
        "machines": [{"architecture": machine.architecture, "state": machine.state, "pid": machine.pid,
                      "buildkitVersion": machine.buildkit_version, "builds": machine.builds}
                     for machine in project.machines],
        "builds": project.builds, "lastUsedAt": rfc3339(project.last_used), "cacheSize": project.cache_size,
        "cachePartial": project.cache_partial})


def run_ls(options: argparse.Namespace) -> int:
    with client() as local:
        projects = local.local_projects(timeout=timeout_of(options))
    if options.format == "json":
        put("".join([project_json(project) for project in projects]))
    else:
        put(table([HEADER, *[cells_of(project) for project in projects]]))
    return 0


def run_stop(options: argparse.Namespace) -> int:
    if options.all == bool(options.project):
        raise UsageError("stop takes PROJECTs, or --all")
    timeout = timeout_of(options)
    with client() as local:
        stopped = sum([local.local_stop(project, force=options.force, timeout=timeout)
                       for project in options.project or [None]])
    put(f"Stopped:\t{stopped}\n")
    return 0


def run_reset(options: argparse.Namespace) -> int:
    asks = not (options.yes or options.force)
    if asks and not agreed("reset", f"the build cache of project {options.project}", "--yes"):
        return 0
    with client() as local:
        freed = local.local_reset(options.project, force=options.force, timeout=timeout_of(options))
    put(tabbed([("Total:", size_in_words(freed))]))
    return 0
