#!/usr/bin/env python3
"""Holds the includes between the folders of src/ against the mermaid graph of docs/architecture.md.

A problem is an include without an arrow, an arrow without an include, a folder without a node, or a cycle.
Unit tests (x_test.cc) may look at any folder; they are not counted.
"""

import os
import re

import tree

GRAPH = "docs/architecture.md"


def arrows_of_graph(text):
    """{folder: set of folders} from the first mermaid block; lines `a --> b & c`, a node alone is a folder without arrows."""
    block = re.search(r"```mermaid\n(.*?)```", text, re.DOTALL)
    arrows = {}
    if not block:
        return arrows
    for line in block.group(1).splitlines():
        match = re.fullmatch(r"\s*([a-z]+)\s*(?:-->\s*([a-z]+(?:\s*&\s*[a-z]+)*))?\s*", line)
        if match:
            arrows.setdefault(match.group(1), set()).update(re.findall(r"[a-z]+", match.group(2) or ""))
    return arrows


def arrows_of_includes(root):
    """{folder: {folder: first including file}} from the sources."""
    arrows = {}
    for path in tree.files(root, tree.CPP):
        parts = path.split(os.sep)
        if parts[0] != "src" or len(parts) < 3:
            continue
        folder = arrows.setdefault(parts[1], {})
        if path.endswith("_test.cc"):
            continue
        for target in re.findall(r'^\s*#\s*include\s+"([a-z_]+)/', tree.read(root, path), re.MULTILINE):
            if target != parts[1] and os.path.isdir(os.path.join(root, "src", target)):
                folder.setdefault(target, path)
    return arrows


def cycle(arrows):
    """One cycle as a list of folders, or None."""
    done, path = set(), []

    def walk(folder):
        if folder in path:
            return path[path.index(folder):] + [folder]
        if folder in done:
            return None
        path.append(folder)
        for target in sorted(arrows.get(folder, ())):
            found = walk(target)
            if found:
                return found
        path.pop()
        done.add(folder)
        return None

    for start in sorted(arrows):
        found = walk(start)
        if found:
            return found
    return None


def problems(root):
    graph = arrows_of_graph(tree.read(root, GRAPH))
    includes = arrows_of_includes(root)
    found = [f"{GRAPH}: the folder src/{folder} has no node in the graph" for folder in sorted(includes) if folder not in graph]
    found += [f"{GRAPH}: {folder} is in the graph and not in src/" for folder in sorted(graph) if folder not in includes]
    for folder, targets in sorted(includes.items()):
        for target, path in sorted(targets.items()):
            if target not in graph.get(folder, ()):
                found.append(f"{path}: includes {target}/, and the graph has no arrow {folder} --> {target}")
    for folder, targets in sorted(graph.items()):
        for target in sorted(targets):
            if folder in includes and target not in includes[folder]:
                found.append(f"{GRAPH}: arrow {folder} --> {target}, and nothing in src/{folder} includes {target}/")
    for name, arrows in (("graph", graph), ("includes", includes)):
        round_trip = cycle(arrows)
        if round_trip:
            found.append(f"cycle of {name}: {' --> '.join(round_trip)}")
    return found


if __name__ == "__main__":
    tree.main(problems)
