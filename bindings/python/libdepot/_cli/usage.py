"""The parser that the commands share, and the one complaint it has."""

from __future__ import annotations

import argparse
import os
import sys

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn


class UsageError(Exception):
    pass


class Failure(Exception):
    """What was asked for cannot be had."""


def agreed(command: str, what: str, flag: str) -> bool:
    """Asks before something is removed."""
    sys.stderr.write(f"WARNING! This will remove {what}. Are you sure you want to continue? [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:
        sys.stderr.write("\n")
        raise UsageError(f"{command} asks before it removes, and nobody answered: use {flag}")
    return answer.strip() in ("y", "Y", "yes", "Yes")


class Formatter(argparse.HelpFormatter):
    """As wide as shutil.get_terminal_size() says: argparse makes one of these for every argument, and
    would import shutil, with the compressors of its archives, for the width."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=columns() - 2)


def columns() -> int:
    try:
        width = int(os.environ.get("COLUMNS", ""))
    except ValueError:
        width = 0
    if width <= 0:
        try:
            width = os.get_terminal_size(1).columns
        except OSError:
            pass
    return width if width > 0 else 80


# What Go's flags take for a boolean.
BOOLS = {**dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
         **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False)}


class Parser(argparse.ArgumentParser):
    """Reports what is wrong without repeating values: one may be a token."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        found, rest = super().parse_known_args(self.switched(sys.argv[1:] if args is None else args), namespace)
        if rest:  # argparse would let the parser of all commands complain
            flags = [word.split("=", 1)[0] for word in rest if word.startswith("-")]
            wanted = " ".join([str(action.metavar) for action in self._actions if not action.option_strings])
            self.error(f"unknown flag: {flags[0]}" if flags else
                       f"{self.prog} takes {f'one {wanted}' if wanted else 'no arguments'}")
        return found, rest

    def switched(self, words: Sequence[str]) -> list[str]:
        """--flag=true and --flag=false of flags without a value, as Go's flags have them; the last one counts."""
        out: list[str] = []
        for at, word in enumerate(words):
            if word == "--":
                return [*out, *words[at:]]
            flag, equals, value = word.partition("=")
            action = self._option_string_actions.get(flag) if equals else None
            if action is None or action.nargs != 0:
                out.append(word)
                continue
            if value not in BOOLS:
                self.error(f"{flag} takes no value but true or false")
            out = [each for each in out if each not in action.option_strings]
            if BOOLS[value]:
                out.append(flag)
        return out

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}\nSee '{self.prog} --help'.")
