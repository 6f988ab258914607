#!/usr/bin/env python3
"""Every `path:Symbol` that docs/tour.md names exists: the file is there and its code has the symbol."""

import os
import re

import tree

TOUR = "docs/tour.md"


def problems(root):
    found = []
    places = re.findall(r"`([\w./-]+\.(?:cc|h|inl|py|sh|md)):([\w:~]+)`", tree.read(root, TOUR))
    if not places:
        found.append(f"{TOUR}: names no place of the form `path:Symbol`")
    for path, symbol in places:
        if not os.path.isfile(os.path.join(root, path)):
            found.append(f"{TOUR}: {path} does not exist")
            continue
        text = tree.read(root, path)
        code = tree.strip_cpp(text) if path.endswith(tree.CPP) else text
        if not re.search(rf"(?<!\w){re.escape(symbol.split('::')[-1])}(?!\w)", code):
            found.append(f"{TOUR}: {path} has no {symbol}")
    return found


if __name__ == "__main__":
    tree.main(problems)
