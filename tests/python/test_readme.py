"""The README's programs, as they stand there, compiled and run; and its commands, which exist."""

import os
import pathlib
import re
import subprocess
import sys

import parts
import pytest
from conftest import HELLO

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text()


def block(language):
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", README, re.S | re.M)
    return text


@pytest.fixture
def there(plain_builder, tmp_path, monkeypatch):
    """A directory to run in, with a builder in the environment."""
    folder = tmp_path / "there"
    folder.mkdir()
    monkeypatch.setenv("BUILDKIT_HOST", plain_builder.endpoint)
    return folder


def run(argv, folder):
    ran = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def inspect(image):
    return run([parts.program("skopeo", "skopeo"), "inspect", f"oci-archive:{image}"], image.parent)


def test_the_c_program(there):
    library = ROOT / "build/release/capi"
    (there / "main.c").write_text(block("c"))
    run(["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "main.c", f"-I{ROOT / 'capi/include'}",
         f"-L{library}", f"-Wl,-rpath,{library}", "-ldepot", "-o", "main"], there)
    digest = run(["./main", HELLO], there).strip()
    assert digest.startswith("sha256:") and digest in inspect(there / "image.tar")


def test_the_python_program(there):
    (there / "main.py").write_text(block("python"))
    lines = run([sys.executable, "main.py", HELLO], there).splitlines()
    assert lines[0].startswith("sha256:") and any(line.startswith("vertexes: ") for line in lines[1:])
    assert lines[0] in inspect(there / "image.tar") and (there / "files.tar").stat().st_size > 0


def test_they_fit_on_a_screen():
    for language in ("c", "python"):
        lines = [line for line in block(language).splitlines() if line.strip() and not line.lstrip().startswith("#")]
        assert len(lines) <= 20, f"{language}: {len(lines)} lines"


def test_what_is_named_is_there():
    for name in re.findall(r"\]\(([^)#:]+)\)", README) + re.findall(r"^(packaging/\w+)", README, re.M):
        assert (ROOT / name).exists(), name
    prose = re.sub(r"^```.*?^```", "", README, flags=re.S | re.M)
    named = set(re.findall(r"`(--[a-z]+)", prose))
    assert len(named) >= 5
    for flag in named:
        helped = subprocess.run([sys.executable, "-m", "libdepot", "build", "--help"], capture_output=True, text=True,
                                env={**os.environ, "COLUMNS": "200"}, check=True).stdout
        assert flag in helped, flag
