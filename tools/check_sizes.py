#!/usr/bin/env python3
"""Files of at most 500 lines, functions of at most 60, a README of at most 200. The length of a line is the business of .clang-format."""

import ast
import re

import tree

FILE_LINES = 500
FUNCTION_LINES = 60
README_LINES = 200
# Generated tables: exempt from all limits.
GENERATED = {"src/text/unicode_categories_table.cc"}

_SCOPE = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b")


def cpp_functions(text):
    """Yields (name, first line, lines) of each function body outside other functions, by matching braces."""
    text = tree.strip_cpp(text)
    text = re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.MULTILINE)
    scopes, header, first_line, line, parentheses = [], "", 0, 1, 0
    for character in text:
        if character == "\n":
            line += 1
        if character in "()":
            parentheses += 1 if character == "(" else -1
        inside = bool(scopes) and scopes[-1][0] != "scope"
        if character == "{":
            scopes.append((_kind(header, inside, parentheses), header, first_line))
            if not inside and parentheses == 0:
                header = ""
        elif character == "}" and scopes:
            kind, opened_by, began = scopes.pop()
            if kind == "function":
                yield _name(opened_by), began, line - began + 1
            elif kind == "initializer":  # of a member, in a constructor's list: the body is still to come
                header, first_line = opened_by, began
                continue
            header = "" if kind != "inner" else header
        elif character == ";" and not inside:
            header = ""
        elif not inside:
            if not header.strip():
                header, first_line = "", line
            header += character
            if re.fullmatch(r"\s*(?:public|private|protected)\s*:", header):
                header = ""


def _kind(header, inside, parentheses):
    if inside or parentheses > 0:
        return "inner"
    flat = " ".join(header.split())
    if re.search(r"\)\s*(?:noexcept\s*)?:\s*(?:.*,\s*)?[A-Za-z_:<>]+$", flat):
        return "initializer"
    if "(" in flat and not re.search(r"[^=!<>]=\s*$", flat):
        return "function"
    return "scope" if _SCOPE.search(flat) else "inner"


def _name(header):
    names = re.findall(r"([~\w:]+)\s*\(", header)
    return names[0] if names else "function"


def _python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def problems(root):
    found = []
    for path in tree.files(root, tree.TEXT):
        if path in GENERATED:
            continue
        text = tree.read(root, path)
        lines = text.count("\n")
        limit = README_LINES if path == "README.md" else FILE_LINES
        if lines > limit and path != "LICENSE":
            found.append(f"{path}: {lines} lines, at most {limit} allowed")
        if path.endswith(tree.CPP + (".py",)):
            functions = _python_functions(text) if path.endswith(".py") else cpp_functions(text)
            found += [f"{path}:{n}: {name} has {size} lines, at most {FUNCTION_LINES} allowed" for name, n, size in functions if size > FUNCTION_LINES]
    return found


if __name__ == "__main__":
    tree.main(problems)
