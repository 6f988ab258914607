"""The files of this repository as the structure checks see them: which there are, and their text without comments and strings."""

import os
import re
import sys

SKIPPED = {"build", "out", ".git", ".cache", "__pycache__", "models"}
SKIPPED_PATHS = {"tests/golden", "tests/fuzz/corpus"}
CPP = (".cc", ".h", ".inl")
CODE = CPP + (".py", ".sh", ".cmake", ".txt", ".json", "")
TEXT = CODE + (".md", ".yml")

# Comments, raw strings, strings and characters of C++, in this order of trial at each place. A digit before ' is a separator (1'000).
_CPP_PIECES = re.compile(
    r"//[^\n]*|/\*.*?\*/|R\"([^()\\\s]{0,16})\(.*?\)\1\"|\"(?:\\.|[^\"\\\n])*\"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'", re.DOTALL
)


def files(root, suffixes):
    """Paths relative to root of all files with one of the suffixes, sorted. The suffix "" is a name without a dot."""
    found = []
    for folder, subfolders, names in os.walk(root):
        inside = os.path.relpath(folder, root)
        subfolders[:] = [s for s in subfolders if s not in SKIPPED and os.path.normpath(os.path.join(inside, s)) not in SKIPPED_PATHS]
        for name in names:
            if os.path.splitext(name)[1] in suffixes and not os.path.islink(os.path.join(folder, name)):
                found.append(os.path.normpath(os.path.join(inside, name)))
    return sorted(found)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def strip_cpp(text):
    """C++ with comments and literals blanked, so that line numbers stay and braces inside them are gone."""

    def blank(match):
        piece = match.group(0)
        lines = "\n" * piece.count("\n")
        return lines if piece.startswith("/") else '""' + lines

    return _CPP_PIECES.sub(blank, text)


def main(problems):
    """The main of a check: problems(root) over the repository (or the folder named on the command line); exit code 1 if any."""
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found = problems(root)
    for line in found:
        print(line)
    print(f"{os.path.basename(sys.argv[0])}: {len(found)} problems")
    sys.exit(1 if found else 0)
