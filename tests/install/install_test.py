#!/usr/bin/env python3
"""Installs a build into a prefix of its own and uses it as strangers do: with cc and pkg-config, with
CMake's find_package, in C and in C++, after the prefix was moved; two examples run with real parts.

    install_test.py BUILD_DIR
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ""
CC, CXX = os.environ.get("CC", "cc"), os.environ.get("CXX", "c++")
SAYS = "libdepot 0.1.0 on unix:///nonexistent/buildkitd.sock"


def run(*argv, **kwargs):
    ran = subprocess.run([str(a) for a in argv], capture_output=True, text=True, **kwargs)
    if ran.returncode:
        raise AssertionError(f"{' '.join(map(str, argv))}: {ran.returncode}\n{ran.stdout}{ran.stderr}")
    return ran.stdout


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = pathlib.Path(tempfile.mkdtemp(prefix="depot-install-"))
        cls.addClassCleanup(shutil.rmtree, cls.base, ignore_errors=True)
        first = cls.base / "first"
        run("cmake", "--install", BUILD, "--prefix", first)
        cls.prefix = cls.base / "moved"
        first.rename(cls.prefix)
        (found,) = cls.prefix.glob("**/depot.pc")
        cls.lib = found.parent.parent
        cls.env = {**os.environ, "PKG_CONFIG_PATH": str(found.parent), "LD_LIBRARY_PATH": str(cls.lib)}

    def pkg_config(self, *words):
        return run("pkg-config", *words, "depot", env=self.env).split()

    def compiled(self, compiler, source, *flags):
        out = self.base / f"program-{source.name}"
        run(compiler, *flags, "-Wall", "-Wextra", "-Werror", source, "-o", out,
            *self.pkg_config("--cflags", "--libs"))
        return out

    def test_what_is_there(self):
        files = {p.relative_to(self.prefix).as_posix() for p in self.prefix.rglob("*") if not p.is_dir()}
        headers = {f"include/depot/{p.name}" for folder in ("capi/include/depot", "bindings/cpp/depot")
                   for p in (ROOT / folder).glob("*.h*")}
        self.assertEqual({f for f in files if f.startswith("include/")}, headers)
        lib = self.lib.relative_to(self.prefix).as_posix()
        rest = files - headers
        self.assertEqual({f for f in rest if not re.search(r"/cmake/depot/depot-config(-\w+)?\.cmake$", f)}, {
            f"{lib}/libdepot.so", f"{lib}/libdepot.so.0", f"{lib}/libdepot.so.0.1.0", f"{lib}/pkgconfig/depot.pc",
            "bin/libdepot-builderd"})
        self.assertTrue(os.access(self.prefix / "bin/libdepot-builderd", os.X_OK))

    def test_the_library_names_itself_and_no_folder_of_the_build(self):
        dynamic = run("readelf", "-d", self.lib / "libdepot.so")
        self.assertIn("Library soname: [libdepot.so.0]", dynamic)
        self.assertNotRegex(dynamic, r"\((RPATH|RUNPATH)\)")
        for text in [*self.lib.rglob("*.pc"), *self.lib.rglob("*.cmake")]:
            self.assertNotIn(str(ROOT), text.read_text(), text)
            self.assertNotIn("first", text.read_text(), f"{text} knows where it was installed first")

    def test_pkg_config(self):
        self.assertEqual(self.pkg_config("--modversion"), ["0.1.0"])
        for path in [self.pkg_config("--cflags")[0][2:], self.pkg_config("--libs")[0][2:]]:
            self.assertTrue(os.path.samefile(os.path.commonpath([self.prefix, os.path.realpath(path)]), self.prefix))

    def test_c_with_pkg_config(self):
        program = self.compiled(CC, HERE / "consumer/main.c", "-std=c99")
        self.assertEqual(run(program, env=self.env).strip(), SAYS)

    def test_cpp_with_pkg_config(self):
        program = self.compiled(CXX, HERE / "consumer/main.cpp", "-std=c++17", "-fvisibility=hidden")
        self.assertEqual(run(program, env=self.env).strip(), SAYS)

    def example(self, stem):
        return self.compiled(CC, ROOT / f"tests/examples/{stem}.c", "-std=c99", "-pthread")

    def run_example(self, stem):
        """All cases of tests/examples, with real parts. The builder is the one beside the library."""
        run(sys.executable, ROOT / "tests/examples/run_example.py", stem, self.example(stem), env=self.env)

    def test_depot_flow_runs(self):
        self.run_example("depot_flow")

    def test_the_installed_builder_runs(self):
        self.run_example("hello")

    def test_the_other_examples_compile(self):
        for source in sorted((ROOT / "tests/examples").glob("*.c")):
            if source.stem not in ("depot_flow", "hello"):
                self.example(source.stem)

    def test_the_readme_with_pkg_config(self):
        blocks = re.findall(r"^```c\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
        self.assertTrue(blocks, "the README shows no C")
        for at, block in enumerate(blocks):
            source = self.base / f"readme{at}.c"
            source.write_text(block)
            self.compiled(CC, source, "-std=c99")

    def test_find_package(self):
        out = self.base / "consumer"
        run("cmake", "-S", HERE / "consumer", "-B", out, f"-DCMAKE_PREFIX_PATH={self.prefix}",
            f"-DCMAKE_C_COMPILER={CC}", f"-DCMAKE_CXX_COMPILER={CXX}")
        run("cmake", "--build", out)
        for program in ("consumer_c", "consumer_cpp"):
            # Found by the run path that CMake wrote, without help of the environment.
            self.assertEqual(run(out / program).strip(), SAYS)

    def test_another_minor_version_is_refused(self):
        source = self.base / "newer"
        source.mkdir()
        (source / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.16)\nproject(x C)\n"
                                               "find_package(depot 0.2 REQUIRED)\n")
        ran = subprocess.run(["cmake", "-S", str(source), "-B", str(source / "b"),
                              f"-DCMAKE_PREFIX_PATH={self.prefix}"], capture_output=True, text=True)
        self.assertNotEqual(ran.returncode, 0)
        self.assertIn("0.1.0", ran.stderr)


if __name__ == "__main__":
    BUILD = sys.argv[1]
    unittest.main(argv=sys.argv[:1], verbosity=2)
