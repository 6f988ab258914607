#!/usr/bin/env python3
"""checks_test.py TOOLS: each structure check passes a small good tree and fails the same tree with one thing wrong."""

import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, sys.argv.pop(1))

import check_layers  # noqa: E402
import check_sizes  # noqa: E402
import check_tour  # noqa: E402
import check_weak_symbols  # noqa: E402
import check_words  # noqa: E402
import tree  # noqa: E402

GOOD = {
    "docs/architecture.md": "# A\n```mermaid\ngraph TD\n  upper --> lower & middle\n  middle --> lower\n  lower\n```\n",
    "docs/notation.md": "| term | meaning |\n|---|---|\n| **row** | a |\n| **tile** | b |\n",
    "docs/tour.md": "It starts in `src/upper/a.cc:Start` and then `src/lower/c.h:Sum::Add`.\n",
    "src/upper/a.cc": '#include "lower/c.h"\n#include "middle/b.h"\nvoid Start() {}\n',
    "src/middle/b.h": '#include "lower/c.h"\n',
    "src/lower/c.h": "#include <vector>\nstruct Sum { void Add(); };\n",
    "src/lower/c_test.cc": '#include "upper/a.h"\n',
}


class Checks(unittest.TestCase):
    def found(self, check, **changes):
        """The problems of the good tree with some files changed; a name writes / as __ and . as _dot_."""
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**GOOD, **{k.replace("__", "/").replace("_dot_", "."): v for k, v in changes.items()}}.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)) or root, exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            return check.problems(root)

    def test_a_good_tree_has_no_problems(self):
        for check in (check_layers, check_sizes, check_words, check_tour):
            self.assertEqual(self.found(check), [])

    def test_layers(self):
        graph = GOOD["docs/architecture.md"]
        for changes, expected in (
            ({"src__lower__d_dot_h": '#include "upper/a.h"\n'}, "no arrow lower --> upper"),
            ({"src__upper__a_dot_cc": '#include "lower/c.h"\n'}, "arrow upper --> middle, and nothing"),
            ({"docs__architecture_dot_md": graph.replace("  lower\n", "  lower --> upper\n")}, "cycle of graph"),
            ({"src__lower__d_dot_h": '#include "middle/b.h"\n'}, "cycle of includes"),
            ({"src__extra__e_dot_h": ""}, "src/extra has no node"),
            ({"docs__architecture_dot_md": graph.replace("  lower\n", "  lower\n  gone\n")}, "gone is in the graph"),
        ):
            self.assertIn(expected, " | ".join(self.found(check_layers, **changes)))

    def test_sizes(self):
        long = "void Long(int a) {\n" + "  a++;\n" * 59 + "}\n"
        self.assertIn("Long has 61 lines", self.found(check_sizes, src__long_dot_cc=long)[0])
        self.assertEqual(self.found(check_sizes, src__long_dot_cc=long.replace("  a++;\n", "", 1)), [])
        self.assertIn("501 lines, at most 500", self.found(check_sizes, src__a_dot_cc="\n" * 501)[0])
        self.assertIn("201 lines, at most 200", self.found(check_sizes, README_dot_md="x\n" * 201)[0])
        self.assertIn("long has 61 lines", self.found(check_sizes, tools__a_dot_py="def long():\n" + "    pass\n" * 60)[0])

    def test_functions_are_found_where_braces_mislead(self):
        source = (
            "namespace a {\n// not a brace: {\nconst char* k = \"{\" R\"({)\";\nconstexpr int kTable[] = {\n1,\n2,\n};\n"
            "class B : public C {\n public:\n  explicit B(int x) : x_{x}, y_(x) {\n    if (x) {\n    }\n  }\n  int Get() const { return x_; }\n};\n"
            "Status D(const E& e = {}) {\n  return {};\n}\n}  // namespace a\n"
        )
        self.assertEqual([(name, size) for name, _, size in check_sizes.cpp_functions(source)], [("B", 4), ("Get", 1), ("D", 3)])

    def test_words(self):
        for changes, expected in (
            ({"src__lower__text_" + "util_dot_h": ""}, "util"),
            ({"src__lower__d_dot_h": "class Row" + "Manager {};\n"}, "RowManager"),
            ({"src__lower__d_dot_h": "void Load" + "Impl();\n"}, "LoadImpl"),
            ({"src__lower__d_dot_h": "// see /" + "root/x\n"}, "absolute path"),
            ({"docs__a_dot_md": "from https://pypi" + ".org\n"}, "registry"),
            ({"src__lower__d_dot_h": "// TO" + "DO: later\n"}, "unfinished"),
            ({"docs__notation_dot_md": GOOD["docs/notation.md"] + "| **row** | again |\n"}, "row is defined twice"),
        ):
            self.assertIn(expected, " | ".join(self.found(check_words, **changes)))
        self.assertEqual(self.found(check_words, src__lower__d_dot_h='// a new base, "ImplUtil"\nint database_renewal;\n'), [])

    def test_tour(self):
        self.assertIn("gone.cc does not exist", self.found(check_tour, docs__tour_dot_md="`src/gone.cc:Start`")[0])
        self.assertIn("has no Stop", self.found(check_tour, docs__tour_dot_md="`src/upper/a.cc:Stop`")[0])
        self.assertIn("names no place", self.found(check_tour, docs__tour_dot_md="nothing")[0])

    def test_weak_symbols(self):
        with tempfile.TemporaryDirectory() as folder:
            for body, count in (("inline int Twice(int x) { return 2 * x; }\nint f(int x) { return Twice(x); }\n", 1), ("int f(int x) { return 2 * x; }\n", 0)):
                source = os.path.join(folder, "a.cc")
                with open(source, "w", encoding="utf-8") as file:
                    file.write(body)
                subprocess.run([os.environ.get("CXX", "c++"), "-O0", "-c", source, "-o", source + ".o"], check=True)
                self.assertEqual(len(check_weak_symbols.problems([source + ".o"])), count)

    def test_stripping_keeps_line_numbers(self):
        text = '/* a\n{ */ int x = 1\'000; // {\n"{\\"" R"x({\n)x"\n\'{\'\n'
        self.assertEqual(tree.strip_cpp(text).count("\n"), text.count("\n"))
        self.assertNotIn("{", tree.strip_cpp(text))


if __name__ == "__main__":
    unittest.main()
