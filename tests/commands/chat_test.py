"""baleen chat: from a pipe, and at a terminal with Ctrl-C, commands and history."""

import json
import unittest

import program
from program import MODEL, run


def chat(text, *arguments, **options):
    return run("chat", "--temperature", 0, *arguments, text=text, **options)


class Pipe(program.Case):
    def test_one_answer_a_line(self):
        lines = self.answered(chat("hello\n\n  \n35+4\r\nthanks")).split("\n")
        self.assertEqual(len(lines), 4)
        self.assertEqual(lines[1], "35 + 4 = 36.")
        self.assertEqual(lines[3], "")

    def test_line_ends_inside_become_spaces(self):
        text = self.answered(chat("Tell me a story.\n", "--think", "low"))
        self.assertEqual(text.count("\n"), 1)
        self.assertNotIn("Plan:", text)  # thinking is not printed

    def test_turns_are_those_of_generate(self):
        path = self.folder / "talk.json"
        answers = self.answered(chat(f"My name is Ann.\nhello\n/save {path}\n")).splitlines()
        messages = json.loads(path.read_text())
        self.assertEqual([m["content"] for m in messages if m["role"] == "assistant"], answers)
        again = run("generate", "--model", MODEL, "--temperature", 0, "--messages", self.file("m.json", messages[:3]))
        self.assertEqual(self.answered(again), answers[1] + "\n")

    def test_commands_print_nothing(self):
        path = self.folder / "talk.json"
        done = chat(f"/help\n/think low\nWhat is the capital of Peru?\n/save {path}\n/reset\n/load {path}\n/think off\n/quit\nnot read\n", "--system", "Be kind.")
        self.assertEqual(self.answered(done), "The capital of Peru is Lima.\n")
        messages = json.loads(path.read_text())
        self.assertEqual([m["role"] for m in messages], ["system", "user", "assistant"])
        self.assertIn("reasoning_content", messages[2])

    def test_save_keeps_everything_that_was_loaded(self):
        messages = dict(program.references())["09-tools-thinking"]["messages"]
        first, second = self.folder / "first.json", self.folder / "second.json"
        self.answered(chat(f"/load {self.file('m.json', messages)}\n/save {first}\n/load {first}\n/save {second}\n"))
        self.assertEqual(first.read_bytes(), second.read_bytes())
        saved = json.loads(first.read_text())
        self.assertEqual(saved[0]["tools"], messages[0]["tools"])
        self.assertEqual([m.get("tool_calls") for m in saved], [m.get("tool_calls") for m in messages])

    def test_a_refused_line_does_not_end_the_talk(self):
        bad = self.file("bad.json", [{"role": "user", "content": 7}])
        for line in (b"\xff\xfe", b"/nope", b"/think hard", b"/save", b"/save /proc/none/x", b"/load", b"/load /absent", f"/load {bad}".encode(), b"/quit now", b"/\xff"):
            with self.subTest(line=line):
                done = chat(line + b"\n35+4\n")
                self.refused(done, "line 1")
                self.assertEqual(done.stdout, b"35 + 4 = 36.\n")

    def test_a_full_context_is_said(self):
        done = chat("35+4\nhello there, how are you today?\n/reset\n35+4\n", "--context", 24)
        self.refused(done, "context is full", "/reset")
        self.assertEqual(done.stdout, b"35 + 4 = 36.\n35 + 4 = 36.\n")

    def test_no_message_is_no_answer(self):
        self.assertEqual(self.answered(chat("")), "")
        self.refused(chat("hi\n", "--model", self.folder))
        self.refused(chat("hi\n", "--think", "hard"))
        self.refused(chat("x" * (17 << 20)), "bytes")


class AtTerminal(program.Case):
    def start(self, *arguments, **environment):
        terminal = program.Terminal("chat", *arguments, environment={"XDG_STATE_HOME": str(self.folder / "state"), "LC_ALL": "", **environment})
        self.assertTrue(terminal.wait_for("/help"), terminal.seen)
        self.assertTrue(terminal.wait_for("> "), terminal.seen)
        return terminal

    def expect(self, terminal, keys, words):
        terminal.type(keys)
        self.assertTrue(terminal.wait_for(words), repr(terminal.seen))

    def test_a_talk_with_commands_and_history(self):
        path = self.folder / "talk.json"
        terminal = self.start("--temperature", 0)
        self.assertIn("plankton", terminal.seen)
        self.expect(terminal, "/help\n", "/think")
        self.expect(terminal, "35+4\n", "35 + 4 = 36.")
        self.assertTrue(terminal.wait_for("tokens/s"))
        self.expect(terminal, "你好\n", "context ")
        self.expect(terminal, "/nope\n", "unknown command")
        self.expect(terminal, "/think high\n", "thinking: high")
        self.expect(terminal, f"/save {path}\n", "4 messages saved")
        self.expect(terminal, "/reset\n", "new conversation")
        self.expect(terminal, f"/load {path}\n", "4 messages loaded")
        terminal.wait_for_prompt()
        self.expect(terminal, "half a line\x03", "\n")
        self.expect(terminal, "/quit\n", "/quit")
        self.assertEqual(terminal.finish(), 0)
        self.assertEqual(json.loads(path.read_text())[2]["content"], "你好")
        again = self.start()
        self.expect(again, "\x1b[A", "/quit")  # the arrow up
        again.type("\x15\x04")  # the line is emptied, and left
        self.assertEqual(again.finish(), 0)

    def test_ctrl_c_stops_the_answer_and_not_the_program(self):
        # Noise that does not end soon, by the slow kernels, whose numbers are the same everywhere.
        terminal = self.start("--temperature", 30, "--seed", 1, "--max-tokens", 100000, BALEEN_ISA="reference")
        self.expect(terminal, "hello\n", "hello\r\n")
        self.assertTrue(terminal.wait_for_more(100))
        terminal.type("\x03")
        self.assertTrue(terminal.wait_for("stopped"), repr(terminal.seen[-300:]))
        self.assertTrue(terminal.wait_for("> "))
        self.expect(terminal, "/think off\n", "thinking: off")
        self.assertEqual(terminal.leave(), 0)

    def test_no_place_for_a_history_is_no_error(self):
        terminal = program.Terminal("chat", environment={"XDG_STATE_HOME": "/proc/none", "TERM": "dumb"})
        self.assertTrue(terminal.wait_for("/help"), terminal.seen)
        terminal.type("/quit\n")
        self.assertEqual(terminal.finish(), 0)


if __name__ == "__main__":
    unittest.main()
