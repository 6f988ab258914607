#!/usr/bin/env python3
"""Words that say nothing in names of files, types and functions; content that belongs to one machine; terms defined twice.

The expressions below are spelled so that they do not match themselves.
"""

import os
import re

import tree

EMPTY_WORDS = {"util", "utils", "common", "misc", "helper", "helpers", "manager", "handler", "base", "impl", "legacy", "new", "v2"}
# Names given by others: the released -Base checkpoints.
OFFICIAL_NAMES = {"FlashBase", "ProBase"}
CONTENT = (
    (re.compile(r"(?:^|[^\w.$}-])/(?:work|farm|root|home)/"), "an absolute path of one machine"),
    (re.compile(r"\b(?:T[O]DO|F[I]XME|X[X]X)\b"), "unfinished work; finish it or file it"),
    (re.compile(r"\b(?:pypi\.[o]rg|pythonhosted\.[o]rg|debian\.[o]rg|huggingface\.[c]o|npmjs\.[c]om|crates\.[i]o)\b"), "the name of a registry's host"),
)
_TYPE = re.compile(r"\b(?:class|struct|enum|enum class|union|concept|namespace|using)\s+(?:\[\[\w+\]\]\s*)?([A-Za-z_]\w*)")
_FUNCTION = re.compile(r"\b([A-Z][a-z]\w*)\s*\(")


def words(name):
    """readHTTPHeader_v2 -> read, http, header, v2"""
    return [w.lower() for part in name.split("_") for w in re.findall(r"v[0-9]+$|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", part)]


def empty_words(name):
    return [] if name in OFFICIAL_NAMES else [w for w in words(name) if w in EMPTY_WORDS]


def terms_twice(text):
    """Terms that stand first in two rows of the tables of docs/notation.md."""
    seen, twice = set(), []
    for term in re.findall(r"^\| \*\*(.+?)\*\* \|", text, re.MULTILINE):
        if term in seen:
            twice.append(term)
        seen.add(term)
    return twice


def problems(root):
    found = []
    for path in tree.files(root, tree.TEXT):
        for part in path.split(os.sep):
            for word in empty_words(part.rsplit(".", 1)[0]):
                found.append(f'{path}: "{word}" in a file name says nothing')
        text = tree.read(root, path)
        for number, line in enumerate(text.splitlines(), 1):
            for pattern, what in CONTENT:
                if pattern.search(line):
                    found.append(f"{path}:{number}: {what}")
        if path.endswith(tree.CPP):
            code = tree.strip_cpp(text)
            for name in sorted(set(_TYPE.findall(code)) | set(_FUNCTION.findall(code))):
                found += [f'{path}: "{word}" in the name {name} says nothing' for word in empty_words(name)]
    if os.path.exists(os.path.join(root, "docs/notation.md")):
        found += [f"docs/notation.md: the term {term} is defined twice" for term in terms_twice(tree.read(root, "docs/notation.md"))]
    return found


if __name__ == "__main__":
    tree.main(problems)
