#!/usr/bin/env python3
"""check_weak_symbols.py OBJECT... : no object compiled for one instruction set may define a weak function.

The linker keeps one copy of each weak function (an inline function or a template of a header), and may keep the one compiled for
AVX-512: every machine would then run it. Objects without optimisation show them all, because nothing is inlined away.
"""

import re
import subprocess
import sys


def weak_functions(listing):
    """Names of the weak functions defined, from the output of nm -C."""
    return [match.group(1) for match in re.finditer(r"^[0-9a-f]+ W (.+)$", listing, re.MULTILINE)]


def problems(objects):
    found = []
    for path in objects:
        listing = subprocess.run(["nm", "-C", "--defined-only", path], capture_output=True, text=True, check=True).stdout
        found += [f"{path}: weak function {name}" for name in weak_functions(listing)]
    return found


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("check_weak_symbols.py: expected the object files to look at")
    weak = problems(sys.argv[1:])
    for line in weak:
        print(line)
    print(f"check_weak_symbols.py: {len(sys.argv) - 1} objects, {len(weak)} problems")
    sys.exit(1 if weak else 0)
