"""`libdepot history` and `libdepot logs`: the builds that a builder remembers."""

from __future__ import annotations

import argparse
import sys
import time

import libdepot
from libdepot import HistoryRecord

from .flags.results import add_progress_flags, display_of
from .machines import add_filter, add_format, add_parser, filters_of, on_machine, timeout_of
from .table import ago, duration, json_line, printable, put, rfc3339, tabbed, table
from .usage import Failure, Formatter, Parser, UsageError

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing import Any

    from .machines import Commands

LIMIT = 50  # as docker buildx
REF = "the build's ref; ^1 is the one before the last (default: the last one)"
STATES = {"running": "Running", "completed": "Completed", "failed": "Error", "canceled": "Canceled"}
# What --type of an attachment stands for.
TYPES = {
    "index": ("application/vnd.oci.image.index.v1+json",),
    "manifest": ("application/vnd.oci.image.manifest.v1+json",),
    "image": ("application/vnd.oci.image.config.v1+json",),
    "provenance": ("https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v0.2"),
    "sbom": ("https://spdx.dev/Document",),
}


def add_commands(commands: Commands) -> None:
    history = commands.add_parser("history", allow_abbrev=False, formatter_class=Formatter,
                                  help="the builds that a builder remembers")
    actions = history.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)
    listing = add_parser(actions, "ls", "list builds")
    add_filter(listing, "status=error, ref=x, startedAt>=24h")
    listing.add_argument("--no-trunc", action="store_true", help="names as long as they are")
    add_format(listing)
    listing.set_defaults(run=run_ls)

    inspect = add_parser(actions, "inspect", "all that is known of a build",
                         'All that is known of a build. "inspect attachment REF DIGEST" prints what it left: '
                         "provenance, SBOM, manifests.")
    inspect.add_argument("words", metavar="REF", nargs="*", help=REF)
    inspect.add_argument("--type", help="of an attachment: provenance, sbom, index, manifest, image, or a media type")
    inspect.add_argument("--attachment-platform", metavar="PLATFORM", help="of an attachment: linux/amd64")
    inspect.add_argument("--format", choices=("pretty", "json"), default="pretty", help="(default: pretty)")
    inspect.set_defaults(run=run_inspect)

    remove = add_parser(actions, "rm", "remove builds")
    remove.add_argument("refs", metavar="REF", nargs="*", help="the builds' refs")
    remove.add_argument("--all", action="store_true", help="all that have ended")
    remove.set_defaults(run=run_rm)

    for where in (actions, commands):
        logs = add_parser(where, "logs", "the log of a build")
        logs.add_argument("ref", metavar="REF", nargs="?", default="", help=REF)
        add_progress_flags(logs)
        logs.set_defaults(run=run_logs, progress="plain")


def bare(ref: str) -> str:
    """Of a ref as metadata files have it, BUILDER/NODE/REF, what the builder knows."""
    return ref.rpartition("/")[2]


def find(machine: libdepot.Machine, ref: str, timeout: float | None) -> HistoryRecord:
    """The build of a ref, of ^1, or the last one."""
    ref = bare(ref)
    if ref and not ref.startswith("^"):
        return machine.history(ref=ref, timeout=timeout)[0]
    if ref and not ref[1:].isdecimal():
        raise UsageError(f"'{ref}' is no offset: ^1 is the build before the last one")
    offset = int(ref[1:] or 0)
    records = sorted(machine.history(timeout=timeout), key=lambda record: -(record.created or 0))
    if offset >= len(records):
        raise Failure("the builder remembers no build" if not records else
                      f"the builder remembers {len(records)} builds, and none is ^{offset}")
    return records[offset]


def seconds_of(record: HistoryRecord) -> float:
    end = time.time() * 1e9 if record.completed is None else record.completed
    return max(0.0, (end - (record.created or end)) / 1e9)


def runs_for(record: HistoryRecord) -> str:
    return duration(seconds_of(record)) + ("+" if record.completed is None else "")


def run_ls(options: argparse.Namespace) -> int:
    records = on_machine(options, lambda machine: machine.history(
        filters_of(options), limit=LIMIT, timeout=timeout_of(options)))
    if options.format == "json":
        for record in records:
            line = {"ref": record.ref, "name": record.name, "status": STATES.get(record.state, record.state),
                    "created_at": rfc3339(record.created), "total_steps": record.total_steps,
                    "completed_steps": record.completed_steps, "cached_steps": record.cached_steps}
            if record.completed is not None:
                line["completed_at"] = rfc3339(record.completed)
            put(json_line(line))
        return 0
    rows = [("BUILD ID", "NAME", "STATUS", "CREATED AT", "DURATION")]
    for record in records:
        name = record.name
        if len(name) > 36 and not options.no_trunc:
            name = ".." + name[-34:]
        rows.append((record.ref, name, STATES.get(record.state, record.state), ago(record.created), runs_for(record)))
    put(table(rows))
    return 0


def run_inspect(options: argparse.Namespace) -> int:
    if options.words[:1] == ["attachment"]:
        return attachment(options, options.words[1:])
    if len(options.words) > 1:
        raise UsageError("history inspect takes one REF")
    ref = options.words[0] if options.words else ""
    record = on_machine(options, lambda machine: find(machine, ref, timeout_of(options)))
    put(as_json(record) if options.format == "json" else pretty(record))
    return 0


def with_prefix(record: HistoryRecord, prefix: str) -> list[tuple[str, str]]:
    return [(key[len(prefix):], value) for key, value in sorted(record.attrs.items()) if key.startswith(prefix)]


def as_json(record: HistoryRecord) -> str:
    """With docker buildx's names."""
    out: dict[str, Any] = {
           "Name": record.name, "Ref": record.ref, "Context": record.attrs.get("context"),
           "Dockerfile": record.attrs.get("filename"), "VCSRepository": record.attrs.get("vcs:source"),
           "VCSRevision": record.attrs.get("vcs:revision"), "Target": record.attrs.get("target"),
           "StartedAt": rfc3339(record.created), "CompletedAt": rfc3339(record.completed),
           "Duration": int(seconds_of(record) * 1e9), "Status": record.state}
    if record.failure is not None:
        out["Error"] = {"Code": int(record.failure.code), "Message": record.failure.message}
    out |= {"NumCompletedSteps": record.completed_steps, "NumTotalSteps": record.total_steps,
            "NumCachedSteps": record.cached_steps}
    for name, prefix in (("NamedContexts", "context:"), ("BuildArgs", "build-arg:"), ("Labels", "label:")):
        out[name] = [{"Name": key, "Value": value} for key, value in with_prefix(record, prefix)]
    out["Attachments"] = [{"Digest": blob.digest, "Platform": blob.platform, "Type": blob.type}
                          for blob in record.blobs if blob.kind in ("result", "attestation")]
    return json_line({key: value for key, value in out.items() if value not in (None, "", [])})


def pretty(record: HistoryRecord) -> str:
    attrs = record.attrs
    first = [("Name:", record.name), ("Ref:", record.ref), ("Context:", attrs.get("context", "")),
             ("Dockerfile:", attrs.get("filename", "")), ("VCS Repository:", attrs.get("vcs:source", "")),
             ("VCS Revision:", attrs.get("vcs:revision", "")), ("Target:", attrs.get("target", "")),
             ("Platforms:", attrs.get("platform", "").replace(",", ", "))]
    out = tabbed([row for row in first if row[1]]) + "\n"
    out += listed("Named Context", with_prefix(record, "context:"))
    started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime((record.created or 0) / 1e9))
    rows = [("Started:", started),
            ("Duration:", duration(seconds_of(record)) + (" (running)" if record.state == "running" else ""))]
    if record.state == "canceled":
        rows.append(("Status:", "Canceled"))
    elif record.failure is not None:
        rows.append(("Error:", f"{record.failure.code.name} {record.failure.message}"))
    share = record.cached_steps / record.total_steps * 100 if record.total_steps else 0.0
    rows.append(("Build Steps:", f"{record.completed_steps}/{record.total_steps} ({share:.0f}% cached)"))
    if record.warnings:
        rows.append(("Warnings:", str(record.warnings)))
    out += tabbed(rows) + "\n"
    out += listed("Build Arg", with_prefix(record, "build-arg:")) + listed("Label", with_prefix(record, "label:"))
    left = [blob for blob in record.blobs if blob.kind in ("result", "attestation")]
    if left:
        rows3 = [("DIGEST", "PLATFORM", "TYPE"), *[(blob.digest, blob.platform, blob.type) for blob in left]]
        out += "Attachments:\n" + tabbed(rows3) + "\n"
    return out + f"Print build logs: libdepot history logs {record.ref}\n"


def listed(title: str, rows: list[tuple[str, str]]) -> str:
    return tabbed([(title.upper(), "VALUE"), *rows]) + "\n" if rows else ""


def attachment(options: argparse.Namespace, words: list[str]) -> int:
    ref, digest = [*words, "", ""][:2]
    if len(words) > 2:
        raise UsageError("history inspect attachment takes a REF and a DIGEST")
    if not (digest or options.type or options.attachment_platform):
        raise UsageError("one of --type, --attachment-platform or DIGEST must be given")
    timeout = timeout_of(options)

    def read(machine: libdepot.Machine) -> bytes:
        wanted = digest
        if not wanted:
            record = find(machine, ref, timeout)
            types = TYPES.get(options.type, (options.type,))
            fitting = [blob.digest for blob in record.blobs if blob.kind in ("result", "attestation")
                       and (not options.type or blob.type in types)
                       and (not options.attachment_platform or blob.platform == options.attachment_platform)]
            if not fitting:
                raise Failure(f"build {record.ref} left nothing of that kind")
            wanted = fitting[0]
        return machine.read_blob(wanted, timeout=timeout)

    sys.stdout.buffer.write(on_machine(options, read))
    sys.stdout.flush()
    return 0


def run_rm(options: argparse.Namespace) -> int:
    if bool(options.refs) == options.all:
        raise UsageError("history rm takes either --all or at least one REF")
    timeout = timeout_of(options)

    def remove(machine: libdepot.Machine) -> None:
        refs = options.refs
        if options.all:
            refs = [record.ref for record in machine.history(timeout=timeout) if record.state != "running"]
        for ref in refs:
            machine.history_delete(bare(ref), timeout=timeout)

    on_machine(options, remove)
    return 0


def run_logs(options: argparse.Namespace) -> int:
    timeout = timeout_of(options)

    def show(machine: libdepot.Machine) -> None:
        record = find(machine, options.ref, timeout)
        # Of a build that still runs it comes at its own pace.
        with display_of(options, sys.stderr, replay=record.completed is not None) as display:
            machine.history_logs(record.ref, display, timeout=timeout)
        if record.failure is not None:
            sys.stderr.write(f"ERROR: {printable(record.failure.message)}\n")

    on_machine(options, show)
    return 0
