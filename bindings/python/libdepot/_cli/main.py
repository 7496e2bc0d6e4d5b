"""Entry point of the command line: exit code 0, 1 for a failure, 2 for wrong usage, 130 for Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from libdepot import Call, Error, Stats, _core

from .arguments import parse, request_of
from .context import in_words, list_sent
from .flags.attributes import warnings_of
from .flags.builders import client_of
from .flags.results import CallFlag, Metadata, display_of
from .usage import Failure, UsageError

FAILED, USAGE, INTERRUPTED, TERMINATED = 1, 2, 130, 143

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing import TextIO


class Terminated(BaseException):
    """SIGTERM: as Ctrl-C, the build is cancelled and the machine given back."""


def terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def write_file(path: str, text: str) -> None:
    """Whole or not at all."""
    try:
        write_beside(f"{path}.{os.getpid()}.tmp", path, text)
    except OSError as error:  # by the name that the user knows
        raise OSError(error.errno, error.strerror, path) from None


def write_beside(beside: str, path: str, text: str) -> None:
    # Ours alone: a file or symlink that somebody put there is neither followed nor removed.
    out = open(beside, "x", encoding="utf-8")  # noqa: SIM115
    try:
        with out:
            out.write(text)
        os.replace(beside, path)
    except BaseException:
        try:
            os.unlink(beside)
        except OSError:
            pass
        raise


def check_place(flag: str, path: str) -> None:
    """Says before a build what would keep its file from being written."""
    folder = os.path.dirname(path) or "."
    if os.path.isdir(path):
        why = "is a directory"
    elif not os.path.isdir(folder):
        why = f"{folder} is no directory"
    elif not os.access(folder, os.W_OK | os.X_OK):
        why = f"{folder} cannot be written to"
    else:
        return
    raise UsageError(f"{flag} {path}: {why}")


def build(arguments: Sequence[str] | None) -> int:
    options = parse(arguments)
    if options.command != "build":
        return int(options.run(options))
    request = request_of(options, sys.stdout.buffer)
    for flag, path in (("--metadata-file", options.metadata_file), ("--iidfile", options.iidfile)):
        if path:
            check_place(flag, path)
    err = sys.stderr
    warnings = warnings_of(options)
    try:
        with client_of(options, warnings) as client:
            builder = client.builder
            display = display_of(options, err, description=builder)
            metadata = Metadata(display)
            with display:
                result = client.build(request, build_platform=options.build_platform, on_status=metadata)
    finally:
        err.write("".join([f"WARNING: {line}\n" for line in warnings]))
    if options.metadata_file:
        write_file(options.metadata_file, metadata.text(result))
    if options.iidfile:
        write_file(options.iidfile, result.digest)
    if options.stats:
        err.write(in_lines(result.stats))
    if options.list_context:
        list_sent(result.sent_files, err)
    if result.call is not None:
        return answer(result.call, CallFlag(options.call), dockerfile_of(options))
    taken = any([not isinstance(export, str) for export in request.exports])  # standard output, by an export
    if options.progress == "quiet" and result.digest and not taken:
        print(result.digest, flush=True)
    elif display.kind not in ("quiet", "rawjson"):
        if result.build_url.startswith(("http://", "https://")):  # the local builder's is no page
            err.write(f"Build: {result.build_url}\n")
        if request.save or request.save_tags:
            err.write(f"Saved: libdepot pull {result.build_id}\n")
        elif not (request.exports or request.push or request.load or keeps_images(builder)):
            err.write("WARNING: no output was named: the result stays in the builder's cache. To keep it, use "
                      "--push, --load or --output\n")
    return 0


def keeps_images(builder: str) -> bool:
    """A Docker Engine has the image when the build is done; out of other builders a name alone brings nothing."""
    return builder.startswith("docker://")


def in_lines(stats: Stats) -> str:
    parts = [("context", stats.context), ("export", stats.export), ("push", stats.push)]
    within = ", ".join([f"{name} {seconds:.2f}s" for name, seconds in parts if seconds])
    return (f"Time: acquire {stats.acquire:.2f}s, connect {stats.connect:.2f}s, solve {stats.solve:.2f}s"
            f"{f' ({within})' if within else ''}\n"
            f"Steps: {stats.steps}, {stats.cached_steps} cached\n"
            f"Sent: {in_words(stats.context_bytes)} in {stats.context_files} of {stats.context_entries} entries; "
            f"received: {in_words(stats.export_bytes)}\n")


def dockerfile_of(options: argparse.Namespace) -> str:
    """The Dockerfile as the user knows it, where it is one of ours; "" else."""
    if options.file:
        return str(options.file) if os.path.isfile(options.file) else ""
    return os.path.join(options.context, "Dockerfile") if os.path.isdir(options.context) else ""


def with_path(text: str, path: str) -> str:
    """The frontend knows no more of the Dockerfile's name than its end: "Dockerfile:3" over the excerpts."""
    lines = text.split("\n")
    for at in range(len(lines) - 1 if path else 0):
        file, colon, line = lines[at].rpartition(":")
        if colon and line.isdigit() and file == os.path.basename(path) and lines[at + 1].startswith("----------"):
            lines[at] = f"{path}:{line}"
    return "\n".join(lines)


def answer(call: Call, flag: CallFlag, dockerfile: str) -> int:
    """Prints what the frontend told, as docker buildx does, and returns the status it gave."""
    if flag.format == "json":
        print(call.json, flush=True)
    else:
        sys.stdout.write(with_path(call.text, dockerfile))
        sys.stdout.flush()
    if call.error:
        sys.stderr.write(f"ERROR: {with_path(call.error, dockerfile)}\n")
        return FAILED
    return 0 if flag.ignore_status else call.status


def report(error: Error, err: TextIO) -> None:
    for source in error.sources:
        err.write(source.excerpt)
    err.write(f"ERROR: {error.message}\n")
    if error.hint:
        err.write("".join(f"  {line}\n" for line in error.hint.splitlines()))
    err.flush()


def stopped(code: int) -> int:
    sys.stderr.write("ERROR: canceled\n")
    sys.stderr.flush()
    if _core.live_calls():  # a second Ctrl-C: the user does not want to wait for the goodbye
        os._exit(code)
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        before = signal.signal(signal.SIGTERM, terminate)
        try:
            return build(arguments)
        finally:
            signal.signal(signal.SIGTERM, before)
    except UsageError as error:
        sys.stderr.write(f"ERROR: {error}\n")
        return USAGE
    except KeyboardInterrupt:
        return stopped(INTERRUPTED)
    except Terminated:
        return stopped(TERMINATED)
    except Error as error:
        try:
            report(error, sys.stderr)
        except BrokenPipeError:
            pass  # that was the error
        return FAILED
    except BrokenPipeError:
        # Nobody reads what we print; keep the interpreter from saying so at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (Failure, OSError) as error:
        sys.stderr.write(f"ERROR: {error}\n")
        return FAILED
