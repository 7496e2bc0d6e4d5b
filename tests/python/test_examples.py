"""The examples in Python do what those of the same name in C do: one list of cases for all."""

import os
import pathlib
import subprocess
import sys

import parts
import pytest

import libdepot

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent / "examples"


@pytest.mark.parametrize("stem", ["hello", "solve_dockerfile", "depot_flow", "cancel"])
def test_example(stem):
    builderd = pathlib.Path(libdepot.__file__).parent / "libdepot-builderd"
    ran = subprocess.run([sys.executable, str(EXAMPLES / "run_example.py"), stem, str(EXAMPLES / f"{stem}.py"),
                          str(builderd)], capture_output=True, text=True,
                         env={**os.environ, "XDG_CACHE_HOME": str(parts.CACHE.parent)})  # has the compiled parts
    assert ran.returncode == 0, ran.stderr
