#!/usr/bin/env python3
"""Where a library's code should lie: what runs, first and together.

    order.py MAP PROFILE... [-- PROFILE...]  >  SCRIPT

MAP is what ld -Map wrote of the library, each PROFILE what callgrind wrote (--dump-instr=yes
--compress-pos=no) of a program that uses it. SCRIPT is for ld -T: it puts the sections of which
anything ran before all others. A page of code that is touched brings its neighbours into memory;
without an order a small build brought nearly all of 8 MB. What the second lot of profiles has beyond
the first comes after it. What the script names and the library has
not is passed over, so an old script does no harm.
"""

import bisect
import itertools
import re
import sys

SECTION = re.compile(r"^ (\.text\S*)(?:\s+(0x[0-9a-f]+)\s+(0x[0-9a-f]+)\s+(\S.*))?$")
REST = re.compile(r"^\s+(0x[0-9a-f]+)\s+(0x[0-9a-f]+)\s+(\S.*)$")  # of a long name, on a line of its own
OBJECT = re.compile(r"^c?ob=\((\d+)\)(?: (.*))?$")
MEMBER = re.compile(r"([^/]+\.a)\((.+)\)$")
WHOLE = {"libssl.a", "libcrypto.a"}


def sections(path):
    """(address, size, name, file) of the code that was linked, in order."""
    found, inside, name = [], False, None
    with open(path, errors="replace") as lines:
        for line in lines:
            if line.startswith("."):
                inside = line.startswith(".text")
            if not inside:
                continue
            if whole := SECTION.match(line.rstrip()):
                name = whole[1]
                place = whole.groups()[1:]
            elif name and (rest := REST.match(line)):
                place = rest.groups()
            else:
                name = None
                continue
            if place[0] is not None:
                if int(place[1], 16) > 0:
                    found.append((int(place[0], 16), int(place[1], 16), name, place[2].strip()))
                name = None
    return sorted(found)


def addresses(paths, library):
    """What of the library ran."""
    ran = set()
    for path in paths:
        names, here = {}, False
        with open(path, errors="replace") as lines:
            for line in lines:
                if line.startswith("0x"):
                    if here:
                        ran.add(int(line.split(" ", 1)[0], 16))
                elif match := OBJECT.match(line):
                    if match[2]:
                        names[match[1]] = match[2]
                    if line.startswith("ob="):
                        here = library in names[match[1]]
    return sorted(ran)


def main():
    linked = sections(sys.argv[1])
    starts = [section[0] for section in linked]
    patterns, objects = {}, {}
    ran = []
    for _, lot in itertools.groupby(sys.argv[2:], lambda argument: argument == "--"):
        ran += addresses([profile for profile in lot if profile != "--"], "libdepot.so")
    for address in ran:
        start, size, name, file = linked[max(bisect.bisect_right(starts, address) - 1, 0)]
        if not start <= address < start + size:
            continue  # the linker's own
        if name != ".text":
            patterns.setdefault(f"*({name})", size)
            # The system's archives have the same objects, in one section each.
            if member := MEMBER.search(file):
                if member[1] in WHOLE:
                    objects[f"*{member[1]}:{member[2]}(.text)"] = size
        elif member := MEMBER.search(file):
            patterns.setdefault(f"*{member[1]}:{member[2]}(.text)", size)
    if not patterns:
        raise SystemExit("order.py: nothing of the library ran")
    print("SECTIONS\n{\n  .text.first : ALIGN(4096)\n  {")
    for pattern in {**patterns, **objects}:
        print(f"    {pattern}")
    print("  }\n}\nINSERT BEFORE .text;")
    print(f"order.py: {len(patterns)} sections, {sum(patterns.values()) // 1024} KiB", file=sys.stderr)


if __name__ == "__main__":
    main()
