#!/usr/bin/env python3
"""package_test.py BUILD SOURCE COMPILER GENERATOR SANITIZERS: installs into a new prefix and builds against it, the source tree out of sight."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD, SOURCE, COMPILER, GENERATOR, SANITIZERS = sys.argv[1:6]
del sys.argv[1:]
FLAGS = [f"-fsanitize={SANITIZERS}"] if SANITIZERS else []

HEADER_ONLY = """#include <baleen/baleen.h>
int main() {
  const baleen::Expected<baleen::Engine> engine = baleen::Engine::Open({.model = "no/such/folder/anywhere"});
  return !engine && engine.error().kind == baleen::ErrorKind::kNotFound && !engine.error().message.empty() ? 0 : 1;
}
"""


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        raise AssertionError(f"{shlex.join(done.args)} gave {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        built = os.path.join(cls.folder.name, "built")
        run("cmake", "--install", BUILD, "--prefix", built)
        # Moved after installing: nothing may remember where it was.
        cls.prefix = os.path.join(cls.folder.name, "prefix")
        os.rename(built, cls.prefix)

    def test_what_is_installed(self):
        for path in ("bin/baleen", "lib/libbaleen.a", "share/baleen/models/plankton/config.json"):
            self.assertTrue(os.path.exists(os.path.join(self.prefix, path)), path)
        headers = [name for _, _, names in os.walk(os.path.join(self.prefix, "include")) for name in names]
        self.assertEqual(headers, ["baleen.h"])
        for folder, _, names in os.walk(os.path.join(self.prefix, "lib")):
            for name in (n for n in names if n.endswith((".cmake", ".pc"))):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    text = file.read()
                for place in (SOURCE, BUILD, self.folder.name):
                    self.assertNotIn(place, text, name)

    def test_the_program_finds_its_model(self):
        program, options = os.path.join(self.prefix, "bin/baleen"), {"cwd": self.folder.name, "env": {**os.environ}, "timeout": 60}
        options["env"].pop("BALEEN_HOME", None)
        self.assertIn("Examples:", run(program, "generate", "--help", **options))
        output = run(program, "chat", "--temperature", "0", input="35+4\n", **options)
        self.assertIn("\n35 + 4 = 36.\n", "\n" + output)

    def test_the_example(self):
        source, build = os.path.join(self.folder.name, "example"), os.path.join(self.folder.name, "example_build")
        os.mkdir(source)
        for name in ("CMakeLists.txt", "main.cc"):
            shutil.copy(os.path.join(SOURCE, "examples/library", name), source)
        run("cmake", "-S", source, "-B", build, "-G", GENERATOR, f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_CXX_COMPILER={COMPILER}",
            "-DCMAKE_CXX_FLAGS=" + " ".join(FLAGS + ["-Wall -Wextra -Wpedantic -Werror"]))
        run("cmake", "--build", build)
        output = run(os.path.join(build, "conversations"), timeout=60)

        endings = {(name, int(turn)): (finish, int(prompt), int(cached), int(answer)) for name, turn, finish, prompt, cached, answer in re.findall(
            r"^\[([ABC]), turn (\d): ([a-z ]+); prompt (\d+) tokens, (\d+) of them cached; answer (\d+) tokens in", output, re.MULTILINE)}
        self.assertEqual(sorted(endings), [("A", 1), ("A", 2), ("B", 1), ("C", 1), ("C", 2)], output)
        self.assertEqual(endings["B", 1][0], "cancelled", output)
        self.assertLess(endings["B", 1][3], 20, output)
        for name in "AC":
            first, second = endings[name, 1], endings[name, 2]
            self.assertIn(first[0], ("end token", "length"), output)
            self.assertGreaterEqual(second[2], first[1], output)  # the first turn's prompt at least is not computed again
            self.assertLess(second[2], second[1], output)
        streams = re.findall(r"^([ABC])> ", output, re.MULTILINE)
        self.assertEqual(set(streams[:6]), set("ABC"), output)  # all three together
        self.assertIn("[5 requests in ", output)
        self.assertIn(", 1 cancelled, ", output)

    def test_the_header_alone(self):
        source, program = os.path.join(self.folder.name, "alone.cc"), os.path.join(self.folder.name, "alone")
        with open(source, "w", encoding="utf-8") as file:
            file.write(HEADER_ONLY)
        environment = {**os.environ, "PKG_CONFIG_PATH": os.path.join(self.prefix, "lib/pkgconfig")}
        flags = shlex.split(run("pkg-config", "--cflags", "--libs", "baleen", env=environment))
        for standard in ("-std=c++20", "-std=c++23"):
            run(COMPILER, standard, "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror", *FLAGS, source, "-o", program, *flags)
            run(program)


if __name__ == "__main__":
    unittest.main()
