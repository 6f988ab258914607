"""chat and score on lines, commands and texts that are damaged or hostile."""

import json
import os
import unittest

import program
from bad_input_test import DEEP, INVALID_UTF8, is_json
from program import MODEL
from session import CHAT, variant
from trial import Trial, run_all

REFUSED_LINES = {
    "unknown command": (b"/dance\n", ("/dance",)),
    "think foo": (b"/think foo\n", ("foo",)),
    "save nowhere": (b"/save /no/such/folder/x\n", ("/no/such",)),
    "save nothing": (b"/save\n", ("/save",)),
    "save folder": (b"/save /tmp\n", ()),
    "save proc": (b"/save /proc/x\n", ()),
    "load absent": (b"/load /no/such\n", ("/no/such",)),
    "load folder": (b"/load /tmp\n", ()),
    "load input": (b"/load -\n", ()),
    "help and words": (b"/help me\n", ("me",)),
    "slash": (b"/\n", ()),
    "command invalid": (b"/save \xff\n", ("UTF-8",)),
    "invalid": (b"a\xffb\n", ("line 1", "UTF-8")),
    "megabyte": (b"word " * 200000 + b"\n", ("context",)),
    "many bad": (b"/x\n" * 20000, ("20000",)),
    "quit and words": (b"/quit now\n", ()),
}


class BadConversations(program.Case):
    def test_chat(self):
        refused = dict(REFUSED_LINES)
        for name, content in {
            "empty": b"",
            "half": b"[{",
            "object": b"{}",
            "none": b"[]",
            "deep": DEEP,
            "role": b'[{"role": "x"}]',
            "invalid": b'["\xff"]',
        }.items():
            file = self.file("load-" + name, content)
            refused["load " + name] = (f"/load {file}\n".encode(), (file.name,))
        trials = []
        for name, (text, says) in refused.items():
            trials.append(Trial("chat " + name, CHAT, text, None, says, b""))
            if name in ("unknown command", "invalid", "megabyte", "load deep", "save nowhere"):
                trials.append(
                    Trial(
                        "chat goes on after " + name, CHAT, text + b"35+4\n", None, says, lambda found: found.startswith(b"35 + 4") and found.count(b"\n") == 1
                    )
                )
        trials.append(Trial("chat beyond the context", [*CHAT, "--context", "40"], b"35+4\n" * 6, 2, ("context",), lambda found: 1 <= found.count(b"\n") < 6))
        trials.append(
            Trial(
                "chat no line breaks",
                ["chat", "--model", MODEL, "--temperature", "50", "--seed", "5", "--max-tokens", "200"],
                b"a\nb\nc\n",
                0,
                output=lambda found: len(found.decode().splitlines()) == 3,
            )
        )
        for name, flags in {
            "temperature": ["--temperature", "-1"],
            "context": ["--context", "0"],
            "stop": ["--stop", ""],
            "think": ["--think", "x"],
            "system": ["--system", b"\xff"],
        }.items():
            trials.append(Trial("chat flag " + name, ["chat", "--model", MODEL, *flags], b"35+4\n", None, output=b""))
        run_all(self, trials)

    def test_chat_good(self):
        one = lambda found: found.startswith(b"35 + 4") and found.count(b"\n") == 1
        saved = self.folder / "saved.json"
        good = {
            "empty": (b"", b""),
            "blank": (b"\n \n\t\r\n", b""),
            "commands": (b"/help\n/think\n/think high\n/think off\n/reset\n/quit\n", b""),
            "no line end": (b"35+4", one),
            "crlf": (b"35+4\r\n", one),
            "quit first": (b"/quit\n35+4\n", b""),
            "quit later": (b"35+4\n/quit\n35+4\n", one),
            "nul": (b"35\0+4\n", lambda found: found.count(b"\n") == 1),
            "10 MB of line ends": (b"\n" * 10_000_000, b""),
            "many commands": (b"/reset\n" * 100000, b""),
            "save": (f"35+4\n/save {saved}\n".encode(), one),
            "thinks": (b"/think max\n35+4\n", lambda found: found.count(b"\n") == 1),
        }
        trials = [Trial("chat good " + name, CHAT, text, 0, output=output, folder=self.folder) for name, (text, output) in good.items()]
        run_all(self, trials)
        self.assertEqual([message["role"] for message in json.loads(saved.read_text())], ["user", "assistant"])
        run_all(self, [Trial("chat load", CHAT, f"/load {saved}\n/save {saved}\n".encode(), 0, output=b"", folder=self.folder)])

    def test_score(self):
        score = ["score", "--model", MODEL]
        small = json.loads((MODEL / "config.json").read_text())
        trials = [Trial("score " + name, score, text, 2, ("standard input",), b"") for name, text in {"empty": b"", **INVALID_UTF8}.items()]
        for name, path in {
            "absent": self.folder / "absent",
            "folder": self.folder,
            "empty name": "",
            "empty file": self.file("e", b""),
            "invalid": self.file("i", b"\xff"),
            "device": "/dev/zero",
            "invalid name": b"\xff",
        }.items():
            trials.append(Trial("score file " + name, [*score, "--text", path], b"", None, output=b""))
        trials.append(
            Trial(
                "score too long",
                ["score", "--model", variant(self.folder / "short", config={**small, "max_position_embeddings": 8})],
                b"word " * 100,
                None,
                ("8",),
                b"",
            )
        )
        for name, text in {"one byte": b"a", "nul": b"\0", "specials": "<think><｜User｜>".encode(), "line ends": b"\r\n\n", "no text file": None}.items():
            arguments = [*score, "--json"] + (["--text", self.file("t", b"x")] if text is None else [])
            trials.append(
                Trial("score good " + name, arguments, text or b"", 0, output=is_json(lambda found: len(found["tokens"]) == len(found["logprobs"]) >= 1))
            )
        run_all(self, trials)

    def test_broken_characters_at_the_terminal(self):
        terminal = program.Terminal(*CHAT, environment={"XDG_STATE_HOME": str(self.folder)})
        self.assertTrue(terminal.wait_for("> "))
        os.write(terminal.descriptor, b"\xff\xe4\r")  # Enter behind half a character is still Enter
        self.assertTrue(terminal.wait_for("tokens/s"), terminal.seen)
        self.assertEqual(terminal.leave(), 0)


if __name__ == "__main__":
    unittest.main()
