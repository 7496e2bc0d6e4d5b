"""What is shown while it builds, and written when it is built."""

from __future__ import annotations

import argparse


def add_flags(build: argparse.ArgumentParser) -> None:
    add = build.add_argument
    add("--progress", choices=("auto", "plain", "rawjson", "quiet"), default="auto",
        help="how to show progress (default: auto); quiet prints the image's digest alone")
    add("-q", "--quiet", action="store_const", const="quiet", dest="progress", help="as --progress quiet")
    add("--metadata-file", metavar="PATH", help="write the result's metadata as JSON")
    add("--iidfile", metavar="PATH", help="write the image's digest")
