"""The pages of packaging/docs: every C and Python block is a whole program, and each is compiled and
run as it stands there.

A block that follows a line `<!-- file: NAME -->` is written to NAME in the folder where the page's
programs run (a Dockerfile that copies rootfs/ finds a busybox there), a sh block that follows `<!-- run -->`
is run there first; `<!-- env: NAME=VALUE -->` adds to their environment. They take no arguments, find a real
builder in BUILDKIT_HOST, and exit with 0. Those of a page with `<!-- api -->` find that builder through Depot's
API, that is the stand-in for it.
"""

import pathlib
import re
import shutil
import subprocess
import sys

import parts
import pytest
from conftest import HELLO

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LIBRARY = ROOT / "build/release/capi"
PAGES = sorted((ROOT / "packaging/docs").glob("*.md"))
RUN = re.compile(r"^<!-- run -->\n```sh\n(.*?)^```$", re.S | re.M)
BLOCK = re.compile(r"(?:^<!-- file: (?P<name>\S+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.S | re.M)


def programs(page):
    """The page's programs by language, and the files they need."""
    found, files = {"c": [], "python": []}, {}
    for block in BLOCK.finditer(page.read_text()):
        if block["name"]:
            files[block["name"]] = block["text"]
        elif block["language"] in found:
            found[block["language"]].append(block["text"])
    return found, files


@pytest.fixture
def there(request, plain_builder, registry, tmp_path, monkeypatch):
    folder = tmp_path / "there"
    folder.mkdir()
    page = request.getfixturevalue("page")
    for name, text in programs(page)[1].items():
        path = folder / name
        assert folder in path.resolve().parents, name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if "rootfs/" in text and not (folder / "rootfs").exists():
            shutil.copytree(HELLO / "rootfs", folder / "rootfs", symlinks=True)
    monkeypatch.setenv("BUILDKIT_HOST", plain_builder.endpoint)
    monkeypatch.setenv("REGISTRY", registry.host)
    for name, value in re.findall(r"^<!-- env: (\w+)=(.*) -->$", page.read_text(), re.M):
        monkeypatch.setenv(name, value)
    if "<!-- api -->" in page.read_text():
        api = request.getfixturevalue("plain_api")
        api.script(additional_tags=[{"tag": f"{registry.host}/docs:saved"}],
                   pull_info={"reference": f"{registry.host}/docs:saved", "username": "x-token", "password": "secret",
                              "options": [{"command": 1, "save": True}]})
        monkeypatch.delenv("BUILDKIT_HOST")
        for name, value in {"API_URL": api.url, "TOKEN": "the-token", "PROJECT_ID": "p1"}.items():
            monkeypatch.setenv(f"DEPOT_{name}", value)
    for script in RUN.findall(page.read_text()):
        run(["sh", "-ec", script], folder)
    return folder


@pytest.fixture
def plain_api(plain_builder):
    with parts.Standin(plain_builder, token="the-token", project="p1") as started:
        yield started


def run(argv, folder):
    ran = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_programs_of(page, there):
    found, _ = programs(page)
    assert found["c"] and found["python"], "a page has an example in C and one in Python"
    for text in found["c"]:
        (there / "main.c").write_text(text)
        run(["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "main.c", f"-I{ROOT / 'capi/include'}",
             f"-L{LIBRARY}", f"-Wl,-rpath,{LIBRARY}", "-ldepot", "-o", "main"], there)
        run(["./main"], there)
    for text in found["python"]:
        (there / "main.py").write_text(text)
        run([sys.executable, "main.py"], there)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_links_of(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} points at {target}, which is not there"
