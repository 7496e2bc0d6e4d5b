"""Counts a client's instructions under valgrind: unlike its time, they are the same on a busy machine."""

import pathlib
import re
import shutil
import subprocess


def prepare(folder):
    if not shutil.which("valgrind"):
        raise SystemExit("bench: --callgrind needs valgrind (Debian's package of that name)")
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)


def count(argv, builder, env, out):
    """One run at a null builder: instructions of all, with the program's start, and by entry and MiB."""
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *argv]
    ran = subprocess.run(valgrind, capture_output=True, text=True, errors="replace", env=env)
    if ran.returncode:
        raise SystemExit(f"bench: under valgrind it ended with {ran.returncode}:\n{ran.stderr[-3000:]}")
    (told,) = builder.reports(1)
    # One line for each dump; there is one, at the end.
    ir = sum(int(n) for n in re.findall(r"(?m)^totals: (\d+)", pathlib.Path(out).read_text(errors="replace")))
    mib = told["bytes"] / (1 << 20)
    return {"ir": ir, "per_entry": ir / told["stats"], "per_mib": ir / mib if mib >= 1 else None}


def line(got):
    text = f"{got['ir'] / 1e6:.1f} million instructions, {got['per_entry']:.0f} for each entry"
    return text + (f", {got['per_mib']:.0f} for each MiB" if got["per_mib"] else "")
