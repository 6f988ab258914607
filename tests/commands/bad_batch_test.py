"""baleen batch under hostile and clumsy use: fields and schemas that nobody should send, files that are not there or another's, signals."""

import json
import signal
import subprocess
import time
import unittest

import program
from program import MODEL, PROGRAM, run

BODY = '"messages": [{"role": "user", "content": "hello"}], "thinking": {"type": "disabled"}, "max_tokens": 3, "temperature": 0'


def line(custom_id, members):
    """A request with more members, as JSON text: what json.dumps would not write."""
    return f'{{"custom_id": "{custom_id}", "method": "POST", "url": "/v1/chat/completions", "body": {{{BODY}, {members}}}}}'.encode()


class BadBatch(program.Case):
    def batch(self, lines, *flags, name="in.jsonl"):
        done = run("batch", self.file(name, b"\n".join(lines) + b"\n"), "--out", self.folder / "out.jsonl", "--model", MODEL, *flags)
        self.assertIn(done.returncode, (0, 2), done.stderr.decode(errors="replace"))
        answers = [json.loads(text) for text in (self.folder / "out.jsonl").read_text().split("\n")[:-1]]
        (self.folder / "out.jsonl").unlink()
        self.assertEqual(len(answers), len(lines))
        return answers

    def fields(self, wanted):
        """wanted: (field, members, whether they are served)."""
        answers = self.batch([line(f"r{i}", members) for i, (_, members, _) in enumerate(wanted)])
        for i, ((field, members, served), answer) in enumerate(zip(wanted, answers)):
            status = answer["response"]["status_code"]
            self.assertEqual(answer["custom_id"], f"r{i}", members[:100])
            self.assertIn(status, (200,) if served else (400, 422), members[:100])
            if not served:
                self.assertIn(field, answer["response"]["body"]["error"]["message"], members[:100])
                self.assertTrue(answer["response"]["body"]["error"]["param"].startswith(field), members[:100])


class Fields(BadBatch):
    def test_numbers(self):
        wanted = []
        for field, least, most in (("temperature", 0, 2), ("top_p", 0, 1), ("min_p", 0, 1), ("frequency_penalty", -2, 2), ("presence_penalty", -2, 2)):
            for value in (least, most, "null", "-0.0", "1e-400"):
                wanted.append((field, f'"{field}": {value}', True))
            for value in (least - 0.001, most + 0.001, "NaN", "Infinity", "1e999", '"1"', "true", "[]", "{}", "9" * 400):
                wanted.append((field, f'"{field}": {value}', False))
        for field in ("max_tokens", "max_completion_tokens", "n"):
            wanted += [(field, f'"{field}": {value}', False) for value in (0, -1, 1.5, '"1"', "9" * 40, "true", "NaN", "[]")]
        for value in (0, -1, 2**63, 2**64 - 1, -2**63, "null", "-0"):
            wanted.append(("seed", f'"seed": {value}', True))
        for value in (2**64, -2**63 - 1, 1.5, '"1"', "true", "9" * 1000):
            wanted.append(("seed", f'"seed": {value}', False))
        self.fields(wanted)

    def test_lists(self):
        stops = [json.dumps([f"x{i}" for i in range(count)]) for count in (16, 17)]
        wanted = [("stop", f'"stop": {stops[0]}', True), ("stop", f'"stop": {stops[1]}', False)]
        wanted += [("stop", f'"stop": {value}', False) for value in ('""', '[""]', "5", "[null]", "{}", '"\\ud800"')]
        wanted += [("logit_bias", f'"logit_bias": {value}', False)
                   for value in ('{"01": 1}', '{"-1": 1}', '{"99999999": 1}', '{"5": 100.5}', '{"5": "1"}', '{"5": NaN}', "[]", '{"": 1}', '{"5.0": 1}')]
        wanted += [("top_logprobs", f'"top_logprobs": {value}', False) for value in ("5", "21", '-1, "logprobs": true', '21, "logprobs": true', '3, "logprobs": false')]
        wanted += [("logprobs", f'"logprobs": true, "top_logprobs": {value}', True) for value in (0, 20)]
        self.fields(wanted)

    def test_a_line_that_is_too_deep_keeps_its_custom_id(self):
        deep = "[" * 70 + "]" * 70
        very_deep = '{"a": ' * 100000 + "1" + "}" * 100000
        wanted = [("response_format", f'"response_format": {deep}', False), ("tools", f'"tools": {very_deep}', False), ("messages", f'"messages": ["\\ud800"]', False),
                  ("stop", '"stop": ["fine", "\\udc00\\ud800"]', False)]
        self.fields(wanted)
        good = line("good", '"n": 1')
        half = b'{"custom_id": "\\ud800", "method": "POST"}'
        answers = self.batch([half, b'{"x": ' + deep.encode() + b', "custom_id": "late"}', b'{"x": ' + deep.encode(), b"[" * 100000, good])
        self.assertEqual([answer["custom_id"] for answer in answers], [None, "late", None, None, "good"])
        self.assertEqual([answer.get("line") for answer in answers], [1, None, 3, 4, None])
        self.assertEqual([answers[i]["response"]["body"]["error"]["param"] for i in (0, 1)], ["custom_id", "x"])


    def test_hostile_patterns_are_answered_soon(self):
        for pattern in (".{1000}", "(a|a)*b", "(.*a){25}"):
            schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}, "required": ["a"]}
            wanted = json.dumps({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
            begin = time.monotonic()
            answer, = self.batch([line("a", f'"max_tokens": 100, "temperature": 1, "response_format": {wanted}')])
            self.assertLess(time.monotonic() - begin, 15, pattern)  # several times what it takes on an idle machine
            self.assertIn(answer["response"]["status_code"], (200, 400, 422))

    def test_what_leaves_no_token_names_a_field(self):
        schema = '{"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}'
        tool = '{"type": "function", "function": {"name": "f", "strict": true, "parameters": {"type": "object"}}}'
        wrong = '{"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "objekt"}}}'
        bias = json.dumps({str(i): -100 for i in range(2, 2048)})
        answers = self.batch([line("a", f'"response_format": {schema}, "logit_bias": {bias}'), line("b", f'"response_format": {wrong}, "tools": [{tool}]'),
                              line("c", f'"response_format": {wrong}, "tools": [{tool}], "tool_choice": "required"')])
        for answer, field in zip(answers, ("logit_bias", "response_format", "response_format")):
            if "xgrammar" in answer["response"]["body"].get("error", {}).get("message", ""):
                self.skipTest("a build without xgrammar")
            self.assertIn(answer["response"]["status_code"], (400, 422))
            self.assertIn(field, answer["response"]["body"]["error"]["message"])


class Surroundings(BadBatch):
    def test_a_foreign_file_without_a_newline_is_left(self):
        source = self.file("in.jsonl", line("a", '"n": 1') + b"\n")
        for text in (b"a diary", b'{"key": 1}', b"\x00" * 100, b"[" * 100000):
            for name in ("out.jsonl", "out.jsonl.partial"):
                mine = self.file(name, text)
                self.refused(run("batch", source, "--out", self.folder / "out.jsonl", "--model", MODEL), name, "another input")
                self.assertEqual(mine.read_bytes(), text)
                mine.unlink()

    def test_short_contexts(self):
        for context in (2, 3, 4, 7):
            answer, = self.batch([line("a", '"n": 1')], "--context", context)
            self.assertEqual(answer["response"]["body"]["error"]["param"], "messages")
        for context in (8, 40, 127, 128, 129):
            answer, = self.batch([line("a", '"n": 1, "max_tokens": 500, "ignore_eos": true')], "--context", context)
            self.assertEqual(answer["response"]["body"]["usage"]["total_tokens"], context)

    def test_sizes(self):
        source = self.file("in.jsonl", line("a", '"n": 1') + b"\n")
        for flag, value in (("--kv-memory", "0"), ("--kv-memory", "-1"), ("--kv-memory", "much"), ("--kv-memory", "9" * 30), ("--kv-memory", "1PiB"),
                            ("--cache-bytes", "-5"), ("--cache-bytes", "x"), ("--parallel", 1025), ("--step-rows", 0), ("--threads", "1.5")):
            self.refused(run("batch", source, "--out", self.folder / "out.jsonl", "--model", MODEL, flag, value), flag if value != "1PiB" else "bytes")

    def test_termination_keeps_whole_lines(self):
        lines = [line(f"r{i}", '"max_tokens": 60, "ignore_eos": true') for i in range(60)]
        source = self.file("in.jsonl", b"\n".join(lines) + b"\n")
        for stop in (signal.SIGTERM, signal.SIGHUP):
            process = subprocess.Popen([PROGRAM, "batch", str(source), "--out", str(self.folder / "out.jsonl"), "--model", str(MODEL), "--parallel", "1"], stderr=subprocess.PIPE)
            partial = self.folder / "out.jsonl.partial"
            end = time.monotonic() + 60
            while time.monotonic() < end and not (partial.exists() and partial.read_bytes().count(b"\n") >= 2):
                time.sleep(0.005)
            process.send_signal(stop)
            _, message = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 5, message)
            self.assertIn(b"run the same command again", message)
            self.assertTrue(partial.read_bytes().endswith(b"\n"))
            partial.unlink()


if __name__ == "__main__":
    unittest.main()
