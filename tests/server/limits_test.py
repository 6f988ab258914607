"""Every limit of a request at its most and just beyond, through HTTP, on all dialects; a refusal names the field (promise 4 of docs/serving.md)."""

import http.client
import json
import socket
import unittest

import server_process

QUESTION = [{"role": "user", "content": "35+4"}]
MIB = 1 << 20


def function(name):
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}


def flat(name):
    return {"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}}


def of_messages(name):
    return {"name": name, "input_schema": {"type": "object", "properties": {}}}


def many(make, count):
    return [make(f"tool_{i}") for i in range(count)]


def nested(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


class Case(server_process.Case):
    """PATH with BODY; a table has (field, [values that are taken], [values that are refused])."""

    FLAGS = ("--context", "8192")
    PATH, BODY = "", {}

    def check(self, table):
        for field, good, bad in table:
            for value in good:
                answer = self.server.post(self.PATH, {**self.BODY, field: value})
                self.assertEqual(answer.status, 200, (field, str(value)[:80], answer.body[:300]))
            for value in bad:
                answer = self.server.post(self.PATH, {**self.BODY, field: value})
                self.assertIn(answer.status, (400, 422), (field, str(value)[:80], answer.body[:300]))
                self.assertIn(field, answer.error["message"], (field, str(value)[:80]))
                self.assertTrue((answer.error.get("param") or field).startswith(field), answer.body)
        self.assertEqual(self.server.post(self.PATH, self.BODY).status, 200)

    def vocabulary(self):
        return self.server.get("/v1/status").json["model"]["vocabulary"]

    def shared(self):
        vocabulary = self.vocabulary()
        return [("temperature", [0, 2], [-0.01, 2.01, "1"]), ("top_p", [0, 1], [-0.01, 1.01]), ("min_p", [0, 1], [-0.01, 1.01]), ("top_k", [-1, 2**31 - 1], [-2, 2**31]),
                ("frequency_penalty", [-2, 2], [-2.01, 2.01]), ("presence_penalty", [-2, 2], [-2.01, 2.01]), ("seed", [-2**63, 2**64 - 1], [-2**63 - 1, 2**64]),
                ("n", [1, 16], [0, 17, 1.5]), ("max_tokens", [1, 2**31], [0, -1, 2**31 + 1, "9"]), ("stop", ["x" * 4096, ["x"] * 16, []], ["", "x" * 4097, ["x"] * 17, [1]]),
                ("user_id", ["u" * 512], ["u" * 513]), ("user", ["u" * 512], ["u" * 513, 7]),
                ("logit_bias", [{"0": 100}, {str(vocabulary - 1): -100}], [{"0": 100.1}, {"0": -100.1}, {str(vocabulary): 1}, {"-1": 1}]),
                ("stream", [False], ["yes"]), ("ignore_eos", [True], [1])]


class Chat(Case):
    PATH = "/v1/chat/completions"
    BODY = {"model": "plankton", "messages": QUESTION, "thinking": {"type": "disabled"}, "max_completion_tokens": 2}

    def test_fields(self):
        self.check(self.shared())
        self.check([("messages", [], [[], "x", [{"role": "bot", "content": "x"}], [{"content": "x"}], [{"role": "user"}]]),
                    ("tools", [many(function, 128), [function("x" * 64)]], [many(function, 129), [function("x" * 65)], [function("a b")], "x"]),
                    ("reasoning_effort", ["ultra"], ["most"]), ("model", [], ["m" * 4097, 7]),
                    ("response_format", [{"type": "text"}], [{"type": "xml"}, {"type": "regex", "pattern": "x" * 65537}])])

    def test_alternatives(self):
        type(self).BODY, before = {**self.BODY, "logprobs": True}, self.BODY
        self.check([("top_logprobs", [0, 20], [-1, 21])])
        type(self).BODY = before

    def test_depth(self):
        self.check([("metadata", [{"a": nested(62)}], [])])
        answer = self.server.post(self.PATH, {**self.BODY, "metadata": {"a": nested(63)}})
        self.assertEqual(answer.status, 400)
        self.assertIn("64 deep", answer.error["message"])

    def test_a_prompt_that_does_not_fit_is_named(self):
        answer = self.server.post(self.PATH, {**self.BODY, "messages": [{"role": "user", "content": "whale " * 20000}]})
        self.assertEqual((answer.status, answer.error["code"], answer.error["param"]), (400, "context_length_exceeded", "messages"))


class Text(Case):
    PATH = "/v1/completions"
    BODY = {"model": "plankton", "prompt": "35+4", "max_completion_tokens": 2}

    def test_fields(self):
        vocabulary = self.vocabulary()
        self.check(self.shared())
        self.check([("prompt", [[vocabulary - 1], ["one"], [[1, 2]]], ["", [], [vocabulary], [-1], ["a", "b"], 7]), ("suffix", ["x"], [7]), ("logprobs", [0, 20, True], [-1, 21]),
                    ("best_of", [1], [2, 17]), ("echo", [False], [True])])


class Responses(Case):
    PATH = "/v1/responses"
    BODY = {"model": "plankton", "input": "35+4", "reasoning": {"effort": "none"}, "max_output_tokens": 2}

    def test_fields(self):
        self.check([("temperature", [0, 2], [-0.01, 2.01]), ("top_p", [0, 1], [-0.01, 1.01]), ("max_output_tokens", [1], [0, 2**31 + 1, "9"]), ("top_logprobs", [0, 20], [-1, 21]),
                    ("tools", [many(flat, 128), [flat("x" * 128)]], [many(flat, 129), [flat("x" * 129)]]), ("user", ["u" * 512], ["u" * 513]),
                    ("metadata", [{f"k{i}": "v" for i in range(16)}, {"k" * 64: "v" * 512}], [{f"k{i}": "v" for i in range(17)}, {"k" * 65: "v"}, {"k": "v" * 513}]),
                    ("input", [QUESTION], [[], 7]), ("previous_response_id", [], ["resp_1"]), ("reasoning", [{"effort": "low"}], [{"effort": "most"}])])


class Messages(Case):
    PATH = "/v1/messages"
    BODY = {"model": "claude-x", "messages": QUESTION, "max_tokens": 2}

    def test_fields(self):
        self.check([("max_tokens", [1], [0, 2**31 + 1, "9"]), ("temperature", [0, 2], [-0.01, 2.01]), ("top_p", [0, 1], [-0.01, 1.01]), ("top_k", [0, 2**31 - 1], [-1, 2**31]),
                    ("stop_sequences", [["x"] * 16, ["x" * 4096]], [["x"] * 17, ["x" * 4097], [""], "x"]), ("metadata", [{"user_id": "u" * 512}], [{"user_id": "u" * 513}]),
                    ("tools", [many(of_messages, 128), [of_messages("x" * 128)]], [many(of_messages, 129), [of_messages("x" * 129)]]),
                    ("messages", [], [[], [{"role": "bot", "content": "x"}], [{"role": "user", "content": []}]])])
        answer = self.server.post(self.PATH, {"model": "claude-x", "messages": QUESTION})
        self.assertEqual(answer.status, 400)
        self.assertIn("max_tokens", answer.error["message"])


class Http(server_process.Case):
    BODY = json.dumps({"model": "plankton", "messages": QUESTION, "max_tokens": 1})

    def send(self, head, body=b""):
        """The status of what comes for these bytes, and the whole of it."""
        with socket.create_connection((self.server.host, self.server.port), timeout=20) as one:
            one.sendall(head)
            for at in range(0, len(body), MIB):
                one.sendall(body[at:at + MIB])
            response = http.client.HTTPResponse(one)
            response.begin()
            return response.status, response.read()

    def test_header(self):
        for size, status in ((8000, 200), (16000, 200), (16 << 10, 431), (1 << 20, 431)):
            self.assertEqual(self.server.get("/v1/models", headers={"x-long": "a" * (size - 200)} if status == 200 else {"x-long": "a" * size}).status, status, size)
        self.assertEqual(self.server.get("/v1/models?" + "a" * 8000).status, 200)
        self.assertEqual(self.server.get("/v1/models?" + "a" * 8192).status, 414)

    def test_body(self):
        filled = self.BODY[:-1] + ', "x": "%s"}'
        exact = (filled % ("a" * (48 * MIB - len(filled) + 2))).encode()
        self.assertEqual(len(exact), 48 * MIB)
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        self.assertEqual(self.send(head % len(exact), exact)[0], 200)
        status, answer = self.send(head % (len(exact) + 1))
        self.assertEqual(status, 413)
        self.assertIn("50331648", json.loads(answer)["error"]["message"])
        status, answer = self.send((head % (len(exact) + 1)).replace(b"/v1/chat/completions", b"/v1/messages"))
        self.assertEqual((status, json.loads(answer)["error"]["type"]), (413, "request_too_large"))
        chunked = head.split(b"content-length")[0] + b"transfer-encoding: chunked\r\n\r\n" + b"%x\r\n" % (len(exact) + 1)
        self.assertEqual(self.send(chunked)[0], 413)

    def test_what_is_no_json(self):
        for body in (b"", b"{", b"[]", b"7", b"\xff\xfe", b"{\"a\": 1} x", b"{\"a\": 'x'}", b"[" * 100000, b"{\"model\": \"\xed\xa0\x80\"}"):
            answer = self.server.post("/v1/chat/completions", body)
            self.assertEqual(answer.status, 400, body[:40])
            self.assertTrue(answer.error["message"])


if __name__ == "__main__":
    unittest.main()
