#!/usr/bin/env python3
"""Holds the C API to what was promised: the committed files declarations.txt (every constant, type,
field and function of the headers, one a line) and symbols.txt (what libdepot.so exports).

    abi.py declarations [--update]          nothing that was promised is gone or different, nothing new
                                            is unrecorded; every header says since when it is there
    abi.py symbols LIBRARY [--update]       the library exports that list, and every function of the
                                            headers is on it
    abi.py null-calls OUT.c                 writes a C file that calls every function with nothing

--update records what is new. It refuses to drop or change a line: that breaks callers.
"""

import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
HEADERS = HERE.parent.parent / "capi/include/depot"

# A callee that changes its own version is no breach.
VERSION = re.compile(r"#define DEPOT_VERSION_")


def code(header):
    """The header without comments, line continuations and what only the preprocessor sees."""
    text = re.sub(r"/\*.*?\*/", " ", header.read_text(), flags=re.S).replace("\\\n", " ")
    defines = [" ".join(d.split()) for d in re.findall(r"^#define (DEPOT_\w+ \S.*)$", text, re.M)]
    text = re.sub(r"^#.*$", "", text, flags=re.M)
    return re.sub(r"DEPOT_(BEGIN|END)_DECLS|\bDEPOT_API\b", "", text), defines


def one_line(text):
    text = " ".join(text.split())
    return re.sub(r"\s*([(),;])\s*", lambda m: {",": ", "}.get(m[1], m[1]), text).strip()


def declarations():
    """{declaration: file} in the order of the headers. A field is "struct.field N: text", N its place."""
    out = {}
    for header in sorted(HEADERS.glob("*.h")):
        text, defines = code(header)
        for define in defines:
            name, value = define.split(" ", 1)
            if name not in ("DEPOT_API", "DEPOT_BEGIN_DECLS", "DEPOT_END_DECLS") and not name.endswith("_INIT"):
                out[f"#define {name} {value}"] = header.name
        def record(match, header=header):
            for at, field in enumerate(f for f in match[2].split(";") if f.strip()):
                out[f"{match[1]}.{at}: {one_line(field)}"] = header.name
            return f"typedef struct {match[1]} {match[3]};"
        text = re.sub(r"typedef struct (\w+) \{(.*?)\} (\w+);", record, text, flags=re.S)
        for statement in text.split(";"):
            if statement.strip():
                out[one_line(statement)] = header.name
    return out


FUNCTION = re.compile(r"^((?:const )?\w+ ?\**) ?(depot_\w+)\((.*)\)$")


def functions():
    """[(returned type, name, [parameter types])]"""
    out = []
    for line in declarations():
        match = FUNCTION.match(line)
        if match and not line.startswith("typedef"):
            names = [] if match[3] in ("void", "") else [p.strip() for p in match[3].split(",")]
            out.append((match[1].strip(), match[2], [re.sub(r"\w+$", "", p).strip() for p in names]))
    return out


def hold(title, file, now, update, changed_is_breach):
    """Compares with the committed list; returns the exit code."""
    path = HERE / file
    then = [line for line in path.read_text().splitlines() if line and line[0] != ";"] if path.exists() else []
    gone = [line for line in then if line not in now and not VERSION.match(line)]
    new = [line for line in now if line not in then]
    for line in gone:
        print(f"{title}: promised, but gone or changed: {line}")
    if gone and changed_is_breach:
        return 1
    if update:
        path.write_text("\n".join(now) + "\n")
        print(f"{title}: {len(now)} lines, {len(new)} of them new")
        return 0
    new = [line for line in new if not VERSION.match(line)]
    for line in new:
        print(f"{title}: not in {file} yet (abi.py --update records it): {line}")
    print(f"{title}: {len(now)} lines")
    return 1 if new else 0


def exported(library):
    """Names without their versions; the version nodes themselves (type A) are no symbols."""
    listed = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return sorted(row[-1].split("@")[0] for row in rows if row[-2] != "A")


def check_symbols(library, update):
    now, promised = exported(library), {name for _, name, _ in functions()}
    code = hold("symbols", "symbols.txt", now, update, True)
    for name in sorted(promised - set(now)):
        print(f"symbols: in the headers, but not exported: {name}")
    for name in sorted(set(now) - promised):
        print(f"symbols: exported, but in no header: {name}")
    return code or int(promised != set(now))


NULL_HEAD = '''/* Written by abi.py from the headers: every function, called with nothing. */
#include <depot/depot.h>
#include <stdint.h>
#include <string.h>

#include "null_calls.h"

#define ZERO(type) ((type)0)

/* Fails for a function that returned NULL, or that took nothing for a success. */
#define EXPECT(function, ok) \\
  do { \\
    if (!(ok)) report(function, #ok); \\
  } while (0)

void call_everything_with_nothing(void (*report)(const char *function, const char *expected)) {
'''
HANDLES = '''}

/* The same with a real first argument, where one can be had without a builder. */
void call_with_a_handle_alone(const struct null_handles *h) {
'''


def zeros(types):
    return [f"ZERO({t})" for t in types]


def null_calls(out):
    lines = [NULL_HEAD]
    made = {"depot_client": "h->client", "depot_solve_request": "h->request", "depot_error": "h->error",
            "depot_cancel": "h->cancel", "depot_build": "h->build", "depot_machine": "h->machine",
            "depot_progress": "h->progress", "depot_trace": "h->trace"}
    for returned, name, types in functions():
        args = zeros(types)
        fallible = bool(types) and types[-1] == "depot_error **"
        if name.endswith("_new") and not types:
            lines.append(f'  {{ {returned} made = {name}(); EXPECT("{name}", made != NULL); '
                         f'{name[:-3]}free(made); }}')
        elif fallible:
            lines.append(f'  EXPECT("{name}", {name}({", ".join(args)}) == DEPOT_INVALID_ARGUMENT);')
            lines.append('  {\n    depot_error *error = NULL;\n'
                         f'    EXPECT("{name}", {name}({", ".join([*args[:-1], "&error"])}) == '
                         'DEPOT_INVALID_ARGUMENT);\n'
                         f'    EXPECT("{name}", depot_error_hop(error) == DEPOT_HOP_USAGE);\n'
                         f'    EXPECT("{name}", *depot_error_message(error) != 0);\n'
                         '    depot_error_free(error);\n  }')
        elif returned.endswith("*"):
            lines.append(f'  EXPECT("{name}", {name}({", ".join(args)}) != NULL);')
        else:
            lines.append(f"  {'' if returned == 'void' else '(void)'}{name}({', '.join(args)});")
    lines.append(HANDLES)
    for returned, name, types in functions():
        handle = re.sub(r"const | ?\*", "", types[0]) if types else ""
        if handle not in made or name.endswith(("_free", "_finish", "_release", "_connect", "_trigger")):
            continue
        args = [made[handle], *zeros(types[1:])]
        lines.append(f"  {'' if returned == 'void' else '(void)'}{name}({', '.join(args)});")
    lines.append("}\n")
    pathlib.Path(out).write_text("\n".join(lines))


def main(argv):
    update = "--update" in argv
    argv = [a for a in argv if a != "--update"]
    if argv == ["declarations"]:
        dateless = [p.name for p in HEADERS.glob("*.h") if not re.match(r"/\*.*?\bSince \d.*?\*/", p.read_text(), re.S)]
        for name in dateless:
            print(f"declarations: {name}: its first comment does not say since when")
        return hold("declarations", "declarations.txt", list(declarations()), update, True) or int(bool(dateless))
    if len(argv) == 2 and argv[0] == "symbols":
        return check_symbols(argv[1], update)
    if len(argv) == 2 and argv[0] == "null-calls":
        return null_calls(argv[1])
    raise SystemExit(__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
