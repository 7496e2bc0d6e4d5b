"""`libdepot du`, `prune` and `debug`: what a builder's cache holds, and what it is."""

from __future__ import annotations

import argparse

import libdepot
from libdepot import DiskUsage, UsageRecord

from .machines import add_filter, add_format, add_parser, filters_of, named, on_machine, timeout_of
from .table import ago, json_line, printable, put, rfc3339, size_in_words, tabbed, table
from .usage import Formatter, Parser, UsageError, agreed

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from .machines import Commands

HEADER = ("ID", "RECLAIMABLE", "SIZE", "LAST ACCESSED")
EXAMPLES = "type=regular, shared=true, until=24h"


def add_commands(commands: Commands) -> None:
    du = add_parser(commands, "du", "disk usage of a builder's cache")
    add_filter(du, EXAMPLES, named)
    du.add_argument("--verbose", action="store_true", help="all that is known of each record")
    add_format(du)
    du.set_defaults(run=run_du)

    prune = add_parser(commands, "prune", "remove build cache", "Remove what is not in use from a builder's cache.")
    prune.add_argument("-a", "--all", action="store_true", help="internal records and those of frontends, too")
    add_filter(prune, EXAMPLES, named)
    prune.add_argument("--keep-duration", metavar="DURATION", help="as --filter until=DURATION")
    prune.add_argument("--reserved-space", "--keep-storage", metavar="SIZE", default="0",
                       help="always allowed to keep: 10GB")
    prune.add_argument("--max-used-space", metavar="SIZE", default="0", help="kept at most")
    prune.add_argument("--min-free-space", metavar="SIZE", default="0", help="of the disk to be free afterwards")
    prune.add_argument("--verbose", action="store_true", help="all that is known of each record")
    prune.add_argument("-f", "--force", action="store_true", help="do not ask first")
    add_format(prune)
    prune.set_defaults(run=run_prune)

    debug = commands.add_parser("debug", allow_abbrev=False, formatter_class=Formatter,
                                help="workers and version of a builder")
    actions = debug.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)
    workers = add_parser(actions, "workers", "list workers")
    add_filter(workers, "containerd's syntax, id==x")
    workers.add_argument("-v", "--verbose", action="store_true", help="labels, devices and rules of the clean-up, too")
    add_format(workers)
    workers.set_defaults(run=run_workers)
    info = add_parser(actions, "info", "which BuildKit it is")
    add_format(info)
    info.set_defaults(run=run_info)


def record_json(record: UsageRecord) -> str:
    """With BuildKit's own names."""
    return json_line({
        "id": record.id, "mutable": record.mutable, "inUse": record.in_use, "size": record.size,
        "createdAt": rfc3339(record.created), "lastUsedAt": rfc3339(record.last_used),
        "usageCount": record.usage_count, "parents": list(record.parents), "description": record.description,
        "recordType": record.type, "shared": record.shared})


def yes(value: bool) -> str:
    return "true" if value else "false"


def cells_of(record: UsageRecord) -> tuple[str, str, str, str]:
    return (record.id + ("*" if record.mutable else ""), yes(not record.in_use),
            size_in_words(record.size) + ("*" if record.shared else ""), ago(record.last_used))


def details_of(record: UsageRecord) -> str:
    lines = [f"ID:           {record.id}"]
    if record.parents:
        lines += ["Parents:", *[f" - {parent}" for parent in record.parents]]
    lines += [f"Created at:   {rfc3339(record.created)}", f"Mutable:      {yes(record.mutable)}",
              f"Reclaimable:  {yes(not record.in_use)}", f"Shared:       {yes(record.shared)}",
              f"Size:         {size_in_words(record.size)}"]
    if record.description:
        lines.append(f"Description:  {record.description}")
    lines.append(f"Usage count:  {record.usage_count}")
    if record.last_used is not None:
        lines.append(f"Last used:    {ago(record.last_used)}")
    if record.type:
        lines.append(f"Type:         {record.type}")
    return "".join([printable(line) + "\n" for line in lines]) + "\n"


def summary_of(usage: DiskUsage) -> str:
    rows = []
    if usage.shared > 0:
        rows = [("Shared:", size_in_words(usage.shared)), ("Private:", size_in_words(usage.total - usage.shared))]
    return tabbed([*rows, ("Reclaimable:", size_in_words(usage.reclaimable)), ("Total:", size_in_words(usage.total))])


def run_du(options: argparse.Namespace) -> int:
    if options.format == "json" and options.verbose:
        raise UsageError("--format and --verbose cannot be used together")
    usage = on_machine(options, lambda machine: machine.disk_usage(filters_of(options), timeout=timeout_of(options)))
    if options.format == "json":
        put("".join([record_json(record) for record in usage.records]))
        return 0
    if options.verbose:
        put("".join([details_of(record) for record in usage.records]))
    else:
        put(table([HEADER, *[cells_of(record) for record in usage.records]]))
    if not filters_of(options):
        put(summary_of(usage))
    return 0


class Removed:
    """Prints each record as it goes, and their sum."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.first = True

    def __call__(self, record: UsageRecord) -> None:
        if self.options.format == "json":
            return put(record_json(record))
        if self.options.verbose:
            return put(details_of(record))
        identity, reclaimable, size, used = cells_of(record)
        row = (f"{identity:<40}", f"{reclaimable:<5}", f"{size:<10}", used)
        put(tabbed([HEADER, row] if self.first else [row]))
        self.first = False


def run_prune(options: argparse.Namespace) -> int:
    # What is malformed is said before anybody is asked.
    from libdepot import _core

    reserved, most, free = [_core.parse_size(size) for size in (
        options.reserved_space, options.max_used_space, options.min_free_space)]
    if options.keep_duration is not None:
        _core.parse_duration(options.keep_duration)
        options.filter.append(f"until={options.keep_duration}")
    which = "all" if options.all else "all dangling"
    if not options.force and not agreed("prune", f"{which} build cache", "--force"):
        return 0
    freed = on_machine(options, lambda machine: machine.prune(
        filters_of(options), all=options.all, reserved_space=reserved, max_used_space=most, min_free_space=free,
        on_record=Removed(options), timeout=timeout_of(options)))
    if options.format == "table":
        put(tabbed([("Total:", size_in_words(freed))]))
    return 0


def run_workers(options: argparse.Namespace) -> int:
    workers = on_machine(options, lambda machine: machine.workers(filters_of(options), timeout=timeout_of(options)))
    if options.format == "json":
        for worker in workers:
            put(worker_json(worker))
        return 0
    if not options.verbose:
        put(tabbed([("ID", "PLATFORMS"), *[(worker.id, ",".join(worker.platforms)) for worker in workers]]))
        return 0
    for worker in workers:
        put(worker_details(worker))
    return 0


def worker_json(worker: libdepot.Worker) -> str:
    return json_line({
        "id": worker.id, "labels": worker.labels, "platforms": list(worker.platforms),
        "gcPolicy": [{"all": one.all, "filter": list(one.filters), "keepDuration": int(one.keep_duration * 1e9),
                      "reservedSpace": one.reserved_space, "maxUsedSpace": one.max_used_space,
                      "minFreeSpace": one.min_free_space} for one in worker.gc_policies],
        "buildkitVersion": {"package": worker.buildkit_package, "version": worker.buildkit_version,
                            "revision": worker.buildkit_revision, "dockerfileVersion": worker.dockerfile_version},
        "cdiDevices": [{"name": one.name, "autoAllow": one.auto_allow, "onDemand": one.on_demand}
                       for one in worker.devices]})


def worker_details(worker: libdepot.Worker) -> str:
    version = " ".join([worker.buildkit_package, worker.buildkit_version, worker.buildkit_revision])
    rows = [("ID:", worker.id), ("Platforms:", ",".join(worker.platforms)), ("BuildKit:", version)]
    if worker.dockerfile_version:
        rows.append(("Dockerfile:", worker.dockerfile_version))
    out = tabbed(rows) + "Labels:\n"
    out += indented([(f"{key}:", value) for key, value in sorted(worker.labels.items())])
    if worker.devices:
        out += "Devices:\n"
        for device in worker.devices:
            how = ("OnDemand:", "true") if device.on_demand else ("AutoAllow:", yes(device.auto_allow))
            out += indented([("Name:", device.name), how])
    for number, policy in enumerate(worker.gc_policies):
        out += f"GC Policy rule#{number}:\n"
        rows = [("All:", yes(policy.all))]
        if policy.filters:
            rows.append(("Filters:", " ".join(policy.filters)))
        if policy.keep_duration:
            rows.append(("Keep duration:", f"{policy.keep_duration:g}s"))
        for name, value in (("Reserved space:", policy.reserved_space), ("Minimum free space:", policy.min_free_space),
                            ("Maximum used space:", policy.max_used_space)):
            if value > 0:
                rows.append((name, size_in_words(value)))
        out += indented(rows)
    return out + "\n"


def indented(rows: list[tuple[str, str]]) -> str:
    return "".join([f"\t{line}\n" for line in tabbed(rows).splitlines()])


def run_info(options: argparse.Namespace) -> int:
    info = on_machine(options, lambda machine: machine.info(timeout=timeout_of(options)))
    if options.format == "json":
        put(json_line({"buildkitVersion": {"package": info.package, "version": info.version, "revision": info.revision,
                                           "dockerfileVersion": info.dockerfile_version}}))
        return 0
    space = "  " if info.dockerfile_version else ""
    put(printable(f"BuildKit: {space}{info.package} {info.version} {info.revision}") + "\n")
    if info.dockerfile_version:
        put(printable(f"Dockerfile: {info.dockerfile_version}") + "\n")
    return 0
