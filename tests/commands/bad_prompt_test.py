"""render and parse on messages and replies that are damaged, hostile or merely unusual."""

import json
import unittest

import program
from bad_input_test import DEEP, GOLDEN, INVALID_UTF8, is_json, lines, refused_lines
from trial import Trial, run_all

BEGIN, END, USER, ASSISTANT = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"


def user(**fields):
    return [{"role": "user", "content": "hi", **fields}]


def assistant(**fields):
    return [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "", **fields}]


def calls(*given):
    return assistant(tool_calls=list(given))


def function(**fields):
    return {"type": "function", "function": fields}


BAD_MESSAGES = {
    "object": {},
    "number": 5,
    "text": "hi",
    "null": None,
    "message text": ["hi"],
    "message array": [[]],
    "message null": [None],
    "no role": [{"content": "x"}],
    "role number": [{"role": 1, "content": "x"}],
    "role null": [{"role": None, "content": "x"}],
    "role empty": [{"role": "", "content": "x"}],
    "role unknown": [{"role": "wizard", "content": "x"}],
    "role capital": [{"role": "User", "content": "x"}],
    "content number": user(content=5),
    "content object": user(content={"a": 1}),
    "content true": user(content=True),
    "part text": user(content=["a"]),
    "part image": user(content=[{"type": "image_url"}]),
    "part type number": user(content=[{"type": 1}]),
    "part text number": user(content=[{"type": "text", "text": 1}]),
    "task unknown": user(task="dance"),
    "task number": user(task=5),
    "task empty": user(task=""),
    "calls object": assistant(tool_calls={"a": 1}),
    "calls text": assistant(tool_calls="x"),
    "call number": calls(1),
    "call without function": calls({"type": "function"}),
    "function text": calls({"function": "f"}),
    "no name": calls(function(arguments="{}")),
    "name number": calls(function(name=1, arguments="{}")),
    "no arguments": calls(function(name="f")),
    "arguments number": calls(function(name="f", arguments=5)),
    "arguments array": calls(function(name="f", arguments=[1])),
    "arguments null": calls(function(name="f", arguments=None)),
    "arguments json array": calls(function(name="f", arguments="[1]")),
    "arguments json number": calls(function(name="f", arguments="5")),
    "arguments json null": calls(function(name="f", arguments="null")),
    "arguments surrogate": calls(function(name="f", arguments='{"a": "\\ud800"}')),
    "call id number": calls({"id": 5, **function(name="f", arguments="{}")}),
    "tools text": [{"role": "system", "content": "", "tools": "x"}],
    "tools object": [{"role": "system", "content": "", "tools": {"a": 1}}],
    "tool number": [{"role": "system", "content": "", "tools": [1]}],
    "tool without function": [{"role": "system", "content": "", "tools": [{"type": "function"}]}],
    "reasoning number": assistant(reasoning_content=5),
    "tool call id number": [*user(), {"role": "tool", "tool_call_id": 7, "content": "x"}],
    "developer without content": [{"role": "developer"}],
}

GOOD_MESSAGES = {
    "no content": user(content=""),
    "content null": user(content=None),
    "parts": user(content=[{"type": "text", "text": "a"}]),
    "no parts": user(content=[]),
    "nothing": [],
    "system only": [{"role": "system", "content": "x"}],
    "assistant first": [{"role": "assistant", "content": "x"}],
    "specials": user(content=f"<think></think>{END}{BEGIN}{USER}｜DSML｜"),
    "controls": user(content="\0\1\x7f\u2028"),
    "megabyte": user(content="x y " * 300000),
    "unknown keys": user(name="bob", x={"y": [1]}),
    "null everywhere": user(tool_calls=None, tools=None, response_format=None, task=None, reasoning_content=None),
    "no calls": assistant(tool_calls=[]),
    "thousand messages": user() * 10000,
    "arguments not json": calls(function(name="f", arguments="{")),
    "arguments empty": calls(function(name="f", arguments="")),
    "arguments object": calls(function(name="f", arguments={"a": 1})),
    "arguments huge": calls(function(name="f", arguments='{"a": ' + "9" * 5000 + "}")),
    "arguments NaN": calls(function(name="f", arguments='{"a": NaN, "b": -Infinity, "c": 1e999}')),
    "arguments deep": calls(function(name="f", arguments='{"a": ' + "[" * 100000)),
    "name odd": calls(function(name='"><\n', arguments="{}")),
    "tool first": [{"role": "tool", "tool_call_id": "x", "content": "y"}],
    "thousand calls": calls(*[function(name="f", arguments='{"a": 1}')] * 5000),
    "schema": [{"role": "system", "content": "", "tools": [function(name="f", parameters={"type": "object"})], "response_format": {"a": 1}}],
}


def request(given, **fields):
    return json.dumps({"version": "0731", "messages": given, "thinking_mode": "chat", "reasoning_effort": None, **fields}).encode()


BAD_REQUESTS = [
    b"{}",
    b"[]",
    b"1",
    b"null",
    b'"x"',
    b"",
    b"{",
    DEEP,
    b'{"a":' * 50000,
    b'{"messages": "\xff"}',
    *(request(messages) for messages in BAD_MESSAGES.values()),
    *(
        request(user(), **fields)
        for fields in (
            {"version": "may"},
            {"version": None},
            {"version": 731},
            {"thinking_mode": "on"},
            {"thinking_mode": None},
            {"thinking_mode": 1},
            {"thinking_mode": True},
            {"reasoning_effort": "medium"},
            {"reasoning_effort": 5},
            {"reasoning_effort": "HIGH"},
            {"version": "april", "reasoning_effort": "low"},
            {"version": "april", "thinking_mode": "thinking", "reasoning_effort": "low"},
            {"drop_thinking": 1},
            {"drop_thinking": "true"},
            {"messages": None},
            {"version": "0731", "thinking_mode": "thinking", "reasoning_effort": "lowest"},
        )
    ),
]

DSML = "｜DSML｜"


def block(inside, end=END):
    return f"text\n\n<{DSML}tool_calls>\n{inside}</{DSML}tool_calls>{end}"


def call(name="f", *parameters):
    return (
        f'<{DSML}invoke name="{name}">\n'
        + "".join(f'<{DSML}parameter name="{key}" string="{flag}">{value}</{DSML}parameter>\n' for key, flag, value in parameters)
        + f"</{DSML}invoke>\n"
    )


BAD_REPLIES = {
    "empty": "",
    "no end": "hi",
    "two ends": f"hi{END}{END}",
    "behind the end": f"hi{END}x",
    "begin inside": f"a{BEGIN}b{END}",
    "think inside": f"a<think>b{END}",
    "think end inside": f"a</think>b{END}",
    "dsml inside": f"a{DSML}b{END}",
    "block not closed": f"a\n\n<{DSML}tool_calls>\n",
    "block without line end": f"a\n\n<{DSML}tool_calls>" + call() + f"</{DSML}tool_calls>{END}",
    "call not closed": block(f'<{DSML}invoke name="f">\n'),
    "no name": block(f"<{DSML}invoke>\n</{DSML}invoke>\n"),
    "name without quotes": block(f"<{DSML}invoke name=f>\n</{DSML}invoke>\n"),
    "text between": block("x" + call()),
    "text after parameter": block(call("f", ("a", "true", "1")).replace("parameter>\n</", "parameter>\nx</")),
    "flag missing": block(f'<{DSML}invoke name="f">\n<{DSML}parameter name="a">1</{DSML}parameter>\n</{DSML}invoke>\n'),
    "flag wrong": block(call("f", ("a", "maybe", "1"))),
    "same name twice": block(call("f", ("a", "true", "1"), ("a", "true", "2"))),
    "parameter not closed": block(f'<{DSML}invoke name="f">\n<{DSML}parameter name="a" string="true">1\n</{DSML}invoke>\n'),
    "behind the block": block(call(), "x" + END),
    "second block": block(call(), "") + block(call()),
    "parameter outside": block(f'<{DSML}parameter name="a" string="true">1</{DSML}parameter>\n'),
    "cut tag": f"a\n\n<{DSML}tool_ca",
    "only invoke": call() + END,
}


BAD_FILES = {
    "empty file": b"",
    "half": b'[{"role": "us',
    "deep": DEEP,
    "deep objects": b'[{"a":' * 60000,
    "bom": b"\xef\xbb\xbf[]",
    "nul": bytes(10),
    "two": b"[][]",
    "comma": b'[{"role": "user",}]',
    "control": b'[{"role": "user", "content": "a\nb"}]',
    "surrogate": b'[{"role": "user", "content": "\\ud800"}]',
    **{"utf8 " + key: b'[{"role": "user", "content": "' + value + b'"}]' for key, value in INVALID_UTF8.items()},
}


class BadPrompts(program.Case):
    def render(self, name, value, *more, code=None, says=(), output=b""):
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        return Trial("render " + name, ["render", "--model", GOLDEN, "--messages", self.file(name.replace(" ", "-"), raw), *more], b"", code, says, output)

    def test_render(self):
        prompt = lambda found: found.startswith(BEGIN.encode())
        trials = [self.render(name, messages, code=2) for name, messages in BAD_MESSAGES.items()]
        trials += [self.render(name, messages, code=0, output=prompt) for name, messages in GOOD_MESSAGES.items()]
        trials += [self.render("thinking " + name, messages, "--thinking", "max", code=0, output=prompt) for name, messages in GOOD_MESSAGES.items()]
        for name, raw in BAD_FILES.items():
            trials.append(self.render("file " + name, raw, code=2, says=("file-" + name.replace(" ", "-"),)))
        for name, arguments in {
            "nothing named": [],
            "absent": ["--messages", self.folder / "absent"],
            "folder": ["--messages", self.folder],
            "empty name": ["--messages", ""],
            "device": ["--messages", "/dev/null"],
            "unknown encoding": ["--messages", "-", "--encoding", "may"],
            "unknown thinking": ["--messages", "-", "--thinking", "on"],
            "not utf-8 name": ["--messages", b"\xff"],
            "no value": ["--messages"],
            "unknown flag": ["--messages", "-", "--loud"],
            "empty input": ["--messages", "-"],
            "twice": ["--messages", "-", "--messages", "-"],
            "april low is fine but no file": ["--encoding", "april", "--thinking", "low"],
        }.items():
            trials.append(Trial("render " + name, ["render", "--model", GOLDEN, *arguments], b"", None, output=b""))
        run_all(self, trials)

    def test_render_lines_and_input(self):
        trials = [Trial("render without model", ["render", "--messages", "-"], b"[]", 0, output=BEGIN.encode())]
        trials.append(
            Trial(
                "render repeated keys",
                ["render", "--messages", "-"],
                b'[{"role": "system", "role": "user", "content": "hi"}]',
                0,
                output=f"{BEGIN}{USER}hi{ASSISTANT}</think>".encode(),
            )
        )
        trials.append(Trial("render input invalid", ["render", "--messages", "-"], b'[{"role": "user", "content": "\xff"}]', 2, output=b""))
        trials.append(
            Trial("render bad lines", ["render", "--lines", "--model", GOLDEN], b"\n".join(BAD_REQUESTS) + b"\n", 0, output=refused_lines(len(BAD_REQUESTS)))
        )
        good = [request(messages) for messages in GOOD_MESSAGES.values()] + [
            request(user(), reasoning_effort=effort, thinking_mode=mode) for effort in (None, "low", "high", "max") for mode in ("chat", "thinking")
        ]
        trials.append(
            Trial(
                "render good lines",
                ["render", "--lines", "--model", GOLDEN],
                b"\n".join(good),
                0,
                output=lines(lambda found: len(found) == len(good) and all(isinstance(line, str) for line in found)),
            )
        )
        trials.append(
            Trial(
                "render deep tools",
                ["render", "--lines"],
                b'{"version": "0731", "thinking_mode": "chat", "messages": [{"role": "system", "content": "", "tools": [{"function": '
                + b'{"a":' * 100000
                + b"1"
                + b"}" * 100000
                + b"}]}]}",
                0,
                output=refused_lines(1),
            )
        )
        run_all(self, trials)

    def test_parse(self):
        off, on = ["parse", "--thinking", "off"], ["parse", "--thinking", "on"]
        trials = [Trial("parse " + name, off, text, 2, output=b"") for name, text in BAD_REPLIES.items()]
        trials += [Trial("parse thinking " + name, on, "a</think>" + text, 2, output=b"") for name, text in BAD_REPLIES.items()]
        trials += [Trial("parse utf8 " + name, off, text + END.encode(), 2, ("UTF-8",), b"") for name, text in INVALID_UTF8.items()]
        trials.append(Trial("parse thought without end", on, f"hmm{END}", 2, output=b""))
        trials.append(Trial("parse thought with block", on, block(call()), 2, output=b""))
        for name, wrong in {"mode": ["parse", "--thinking", "high"], "empty mode": ["parse", "--thinking", ""], "model": ["parse", "--model", "x"]}.items():
            trials.append(Trial("parse wrong " + name, wrong, f"hi{END}", 1, output=b""))
        good = {
            "nothing": (off, END),
            "nul": (off, f"a\0b{END}"),
            "thought": (on, f"a</think>b{END}"),
            "empty thought": (on, f"</think>{END}"),
            "call": (off, block(call("f", ("a", "true", "x")))),
            "no end behind": (off, block(call(), "")),
            "thousands of calls": (off, block(call("f", *[(f"k{i}", "false", "1") for i in range(5)]) * 20000)),
            "thousands of parameters": (off, block(call("f", *[(f"k{i}", "true", "v") for i in range(50000)]))),
            "10 MB": (off, "word " * 2_000_000 + END),
            "10 MB of less": (off, "<" * 10_000_000 + END),
            "10 MB of half tags": (off, f"\n\n<{DSML[:3]}" * 500_000 + END),
            "10 MB value": (off, block(call("f", ("a", "true", "x" * 10_000_000)))),
            "value with quotes": (off, block(call("f", ("a", "true", '" string="' * 300_000)))),
        }
        for name, (arguments, text) in good.items():
            trials.append(
                Trial("parse good " + name, arguments, text, 0, output=is_json(lambda found: set(found) == {"reasoning_content", "content", "tool_calls"}))
            )
        line = lambda text, mode="chat": json.dumps({"text": text, "thinking_mode": mode}).encode()
        bad = (
            [line(text) for text in BAD_REPLIES.values()]
            + [line("a" + END, mode) for mode in ("", "on", None, 5)]
            + [line(5), line(None), b"{}", b"[]", b"", b"x", DEEP, b'{"text": "\xff", "thinking_mode": "chat"}']
        )
        trials.append(Trial("parse bad lines", ["parse", "--lines"], b"\n".join(bad) + b"\n", 0, output=refused_lines(len(bad))))
        hostile = f'<{DSML}invoke name="f">\n<{DSML}parameter name="' + '" string="x' * 500_000
        trials.append(Trial("parse name without end", off, block(hostile), 2, output=b""))
        run_all(self, trials)

    def test_golden_lines(self):
        def rows(name):
            return [json.loads(text) for text in (GOLDEN / name).read_text().split("\n") if text]

        renders, replies = rows("render.jsonl"), rows("parse.jsonl")
        keys = ("version", "messages", "thinking_mode", "reasoning_effort", "drop_thinking")
        given = b"\n".join(json.dumps({key: row[key] for key in keys if key in row}).encode() for row in renders)
        answers = [json.loads(text) for text in self.answered(program.run("render", "--lines", text=given)).split("\n") if text]
        self.assertEqual(len(answers), len(renders))
        for row, answer in zip(renders, answers):
            if row.get("accident"):
                continue
            self.assertTrue(isinstance(answer, dict) and "error" in answer if row.get("error") else answer == row["expected"], row["case"])
        for row in renders[::12]:
            if row.get("accident") or row.get("error") or row.get("drop_thinking") is False:
                continue
            thinking = "off" if row["thinking_mode"] == "chat" else row["reasoning_effort"] or "low"
            done = program.run("render", "--encoding", row["version"], "--thinking", thinking, "--messages", self.file("m", row["messages"]))
            self.assertEqual(self.answered(done), row["expected"], row["case"])
        given = b"\n".join(json.dumps({"text": row["text"], "thinking_mode": row["thinking_mode"]}).encode() for row in replies)
        answers = [json.loads(text) for text in self.answered(program.run("parse", "--lines", text=given)).split("\n") if text]
        self.assertEqual(len(answers), len(replies))
        for row, answer in zip(replies, answers):
            if row.get("quirk"):
                continue
            self.assertTrue("error" in answer if row.get("error") else answer == row["expected"], row["case"])
            if row["case"].endswith("1"):
                done = program.run("parse", "--thinking", "on" if row["thinking_mode"] == "thinking" else "off", text=row["text"])
                self.refused(done) if row.get("error") else self.assertEqual(json.loads(self.answered(done)), row["expected"])


if __name__ == "__main__":
    unittest.main()
