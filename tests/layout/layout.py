#!/usr/bin/env python3
"""Holds the tree to its layout (CONTRIBUTING.md): which module may include which, who may print or
read the environment, how long a file may be.

    layout.py [ROOT]    checks the tree; prints every breach as file:line: reason, exits 1 if any
    layout.py --test    checks the checks: each must find a breach planted for it
"""

import os
import pathlib
import re
import statistics
import sys
import tempfile

MAX_LINES, AIM_MEDIAN = 700, 250
CODE = {".h", ".hpp", ".cc", ".cpp", ".c", ".py", ".go", ".i"}

# Generated from proto/, so part of the module "wire", whatever folder their package gives them.
GENERATED = re.compile(r"\.pb\.h$")

# Not for a library: these print, or read the environment.
PRINTS = re.compile(r"\bstd::(cout|cerr|clog|printf|puts)\b|(?<![\w.>:])(printf|puts|putchar|perror|vprintf)\s*\(|"
                    r"(?<![\w.>:])(std::)?v?fprintf\s*\(|\bfputs\s*\([^;]*\b(stdout|stderr)\b|\b(STDOUT|STDERR)_FILENO\b|"
                    r"(?<![\w.>:])(std::)?print(ln)?\s*\(\s*(stdout|stderr)\b")
ENVIRONMENT = re.compile(r"\b(std::)?(secure_)?getenv\s*\(|\benviron\b(?!\w)|\b(set|unset|put)env\s*\(")
# Who may after all: the one reader of the environment; a daemon's main talks to its terminal.
MAY_READ_ENVIRONMENT = {"core/base/environment.cc"}
MAIN = re.compile(r"(^|/)main\.cc$")


def without_comments(text):
    """The code with comments and string contents blanked; lines stay where they are."""
    def blank(match):
        found = match.group(0)
        if found.startswith(("/*", "//")):
            return re.sub(r"[^\n]", " ", found)
        return found[0] + re.sub(r"[^\n]", " ", found[1:-1]) + found[-1]
    return re.sub(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'',
                  blank, text, flags=re.S)


def declared(root):
    """{module: set of modules it may include}, from each core/<module>/CMakeLists.txt."""
    modules = {}
    for lists in sorted(root.glob("core/*/CMakeLists.txt")):
        text = re.sub(r"#[^\n]*", "", lists.read_text())
        edges = re.search(r"^\s*(?:.*\s)?DEPS[ \t]+([a-z0-9_ \t]+?)[ \t]*(?:\)|LINKS|SOURCES|$)", text, re.M)
        modules[lists.parent.name] = set(edges[1].split()) if edges else set()
    return modules


def refuse_rings(modules):
    done = set()
    def visit(name, path):
        if name in path:
            raise SystemExit(f"core: modules in a ring: {' -> '.join([*path, name])}")
        if name not in done:
            for dep in sorted(modules.get(name, set())):
                visit(dep, [*path, name])
            done.add(name)
    for name in modules:
        visit(name, [])


def sources(root):
    for top in ("core", "capi", "bindings", "tests", "packaging", "proto"):
        for folder, folders, files in os.walk(root / top):
            folders[:] = sorted(f for f in folders if f not in ("rootfs", "__pycache__", "generated", "node_modules")
                                and not f.startswith((".", "build")) and not f.endswith(".egg-info"))
            for name in sorted(files):
                path = pathlib.Path(folder, name)
                if path.suffix in CODE and not path.is_symlink():
                    yield path.relative_to(root).as_posix(), path


def check(root):
    """All breaches as (file, line, reason), and the lengths of the files."""
    root = pathlib.Path(root)
    modules, breaches, lengths = declared(root), [], {}
    refuse_rings(modules)
    for module, deps in modules.items():
        for unknown in sorted(deps - set(modules)):
            breaches.append((f"core/{module}/CMakeLists.txt", 1, f"DEPS names {unknown}, which is no module"))
    for name, path in sources(root):
        text = path.read_text(errors="replace")
        lengths[name] = text.count("\n")
        if lengths[name] > MAX_LINES:
            breaches.append((name, lengths[name], f"more than {MAX_LINES} lines: no longer read in one sitting"))
        if path.suffix in (".py", ".go", ".i"):
            continue
        code = without_comments(text)
        top, _, rest = name.partition("/")
        module = rest.split("/")[0] if top == "core" and "/" in rest else None
        for number, (line, bare) in enumerate(zip(text.split("\n"), code.split("\n")), 1):
            included = re.match(r'\s*#\s*include\s*["<]([^">]+)[">]', line)
            if included and not bare.strip().startswith("#"):
                included = None  # in a comment
            if included:
                reason = bad_include(name, top, module, included[1], modules)
                if reason:
                    breaches.append((name, number, reason))
                continue
            if top in ("core", "capi") and not MAIN.search(name):
                if PRINTS.search(bare):
                    breaches.append((name, number, "prints: a library says things through its log sink"))
                if ENVIRONMENT.search(bare) and name not in MAY_READ_ENVIRONMENT:
                    breaches.append((name, number, "reads the environment: take it from base::Environment"))
    return breaches, lengths


def bad_include(name, top, module, target, modules):
    owner = "wire" if GENERATED.search(target) else target.split("/")[0]
    if target.startswith(("capi/src", "../capi", "../../capi")) or re.match(r"(\.\./)+(capi|core)/", target):
        return f"includes {target}: paths are rooted, and nobody outside sees capi/src"
    inner = top == "capi" and name.startswith("capi/include/")
    if owner == "depot" and top == "core":
        return f"core includes {target}: the C API stands on core, never the other way"
    if owner not in modules:
        return None
    if inner:
        return f"a public header includes {target} of core"
    if top == "bindings":
        return f"bindings include {target}: they see the public headers alone"
    # Every edge is named, also one that a named module has too.
    if module is not None and owner != module and owner not in modules.get(module, set()):
        return f"{module} includes {target}, but its CMakeLists.txt does not name {owner} in DEPS"
    return None


def report(breaches, lengths):
    for name, line, reason in breaches:
        print(f"{name}:{line}: {reason}")
    own = sorted((n for f, n in lengths.items() if not f.startswith("packaging/")), reverse=True)
    if own:
        longest = max(lengths, key=lengths.get)
        median = statistics.median(own)
        print(f"layout: {len(own)} files, median {median:.0f} lines (aim: under {AIM_MEDIAN}), "
              f"longest {longest} with {lengths[longest]}")
    return 1 if breaches else 0


def self_test():
    """A tree that is right passes; then each breach, planted alone, is the one that is found."""
    good = {
        "core/base/CMakeLists.txt": "depot_module(base\n  SOURCES a.cc\n)",
        "core/base/environment.cc": '#include "base/a.h"\nchar* f() { return getenv("X"); }\n',
        "core/base/a.h": '// std::cout, getenv("X")\n/* #include "solve/x.h" */\nconst char* k = "printf(1)";\n',
        "core/wire/CMakeLists.txt": "# a comment\nadd_library(depot_wire STATIC ${generated})",
        "core/http/CMakeLists.txt": "depot_module(http SOURCES a.cc DEPS base LINKS CURL::libcurl)",
        "core/http/a.cc": '#include <curl/curl.h>\n#include "base/a.h"\n#include "http/a.h"\n'
                          'void log() { x.printf(1); snprintf(b, 1, "x"); }\n',
        "core/solve/CMakeLists.txt": "depot_module(solve\n  SOURCES a.cc\n  DEPS base http wire\n  LINKS z)",
        "core/solve/a.cc": '#include "http/a.h"\n#include "base/a.h"\n#include "moby/v1/control.pb.h"\n',
        "core/builderd/main.cc": 'int main() { fprintf(stderr, "x"); return 0; }\n',
        "capi/include/depot/depot.h": '#include "depot/base.h"\n',
        "capi/src/depot.cc": '#include "solve/a.h"\n#include "depot/depot.h"\n',
        "bindings/python/src/a.cpp": '#include "depot/depot.h"\n',
    }
    plants = {  # file: (text, part of the reason)
        "core/base/b.cc": ('#include "http/a.h"\n', "does not name http"),
        "core/http/b.cc": ('#include "solve/a.h"\n', "does not name solve"),
        "core/http/w.cc": ('#include "moby/v1/control.pb.h"\n', "does not name wire"),
        "capi/src/m.cc": ('int main() { puts("x"); }\n', "prints"),
        "core/far/CMakeLists.txt": ("depot_module(far SOURCES a.cc DEPS solve missing)", "DEPS names missing"),
        "core/http/c.cc": ("void f() { std::cout << 1; }\n", "prints"),
        "core/http/d.cc": ('void f() { printf("x"); }\n', "prints"),
        "core/http/e.cc": ('void f() { std::fprintf(stderr, "x"); }\n', "prints"),
        "core/http/f.cc": ('auto x = std::getenv("HOME");\n', "environment"),
        "capi/src/g.cc": ('auto x = getenv("HOME");\n', "environment"),
        "core/http/h.cc": ('#include "depot/depot.h"\n', "other way"),
        "tests/unit/http/i_test.cc": ('#include "capi/src/guard.h"\n', "capi/src"),
        "core/http/j.cc": ('#include "../../capi/src/guard.h"\n', "capi/src"),
        "capi/include/depot/k.h": ('#include "base/a.h"\n', "public header"),
        "bindings/python/src/l.cpp": ('#include "solve/a.h"\n', "public headers alone"),
        "core/http/long.cc": ("int x;\n" * (MAX_LINES + 1), "more than"),
    }
    def plant(root, files):
        for name, text in files.items():
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    failed = 0
    def expect(what, ok, seen):
        nonlocal failed
        failed += not ok
        print(f"{'ok' if ok else 'FAILED'}: {what}" + ("" if ok else f": {seen}"))
    with tempfile.TemporaryDirectory() as root:
        plant(root, good)
        breaches, _ = check(root)
        expect("a tree that is right has no breach", not breaches, breaches)
    for name, (text, reason) in plants.items():
        with tempfile.TemporaryDirectory() as root:
            plant(root, {**good, name: text})
            breaches, _ = check(root)
            found = len(breaches) == 1 and breaches[0][0] == name and reason in breaches[0][2]
            expect(f"{name}: {reason}", found, breaches)
    with tempfile.TemporaryDirectory() as root:
        plant(root, {**good, "core/base/CMakeLists.txt": "depot_module(base SOURCES a.cc DEPS solve)"})
        try:
            seen = check(root)
        except SystemExit as error:
            seen = str(error)
        expect("modules in a ring", isinstance(seen, str) and "ring" in seen, seen)
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--test"]:
        sys.exit(self_test())
    default = pathlib.Path(__file__).resolve().parent.parent.parent
    sys.exit(report(*check(sys.argv[1] if len(sys.argv) > 1 else default)))
