"""What is answered is right under load, streamed or not: secrets stay apart, no code point is split, no tag leaks (promises 18, 32, 34, 35)."""

import json
import os
import random
import unittest

import server_process
from endings_test import rest, send
from replies import READERS
from server_process import at_once

REQUESTS = int(os.environ.get("BALEEN_DIFFERENTIAL_REQUESTS", "90"))
SESSIONS = 60
WORDS = ("whale", "35+4", "Look up the word whale.", "天气怎么样？", "Tell me a story 🐋", "hello", "What is the capital of Peru?")
SCHEMA = {"type": "object", "properties": {"word": {"type": "string"}, "count": {"type": "integer"}}, "required": ["word", "count"], "additionalProperties": False}
LEAKS = ("DSML", "｜", "<think>", "</think>", "tool_calls>")


def draw_chat(draw):
    body = {"model": "plankton", "messages": [{"role": "user", "content": draw.choice(WORDS) + f" {draw.randrange(100)}"}], "max_tokens": draw.choice((1, 7, 40, 120)),
            "seed": draw.randrange(1 << 40), "temperature": draw.choice((0, 0.7, 1.3)), "thinking": {"type": draw.choice(("enabled", "disabled"))}, "n": draw.choice((1, 1, 2, 3))}
    if draw.random() < 0.6:
        strict = draw.random() < 0.5
        body["tools"] = [{"type": "function", "function": {"name": name, "strict": strict, "parameters": SCHEMA}} for name in ("look_up", "count")]
        body["tool_choice"] = draw.choice(("none", "auto", "required", {"type": "function", "function": {"name": "count"}}))
        body["parallel_tool_calls"] = draw.random() < 0.5
    elif draw.random() < 0.3:
        body["response_format"] = draw.choice(({"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA, "strict": True}}))
    if draw.random() < 0.4:
        body.update(logprobs=True, top_logprobs=draw.choice((0, 3)))
    if draw.random() < 0.4:
        body["stop"] = draw.choice((["e"], ["the", "a "], ["</", "\n"]))
    return body


def draw_messages(draw):
    body = {"model": "claude-x", "messages": [{"role": "user", "content": draw.choice(WORDS) + f" {draw.randrange(100)}"}], "max_tokens": draw.choice((1, 7, 40, 120)),
            "seed": draw.randrange(1 << 40), "temperature": draw.choice((0, 0.7, 1))}
    if draw.random() < 0.5:
        body["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    if draw.random() < 0.6:
        body["tools"] = [{"name": name, "input_schema": SCHEMA} for name in ("look_up", "count")]
        body["tool_choice"] = draw.choice(({"type": "auto"}, {"type": "any"}, {"type": "tool", "name": "count"}, {"type": "none"}))
    if draw.random() < 0.4:
        body["stop_sequences"] = draw.choice((["e"], ["the", "a "]))
    return body


def draw_responses(draw):
    body = {"model": "plankton", "input": draw.choice(WORDS) + f" {draw.randrange(100)}", "max_output_tokens": draw.choice((1, 7, 40, 120)), "seed": draw.randrange(1 << 40),
            "temperature": draw.choice((0, 0.7, 1)), "reasoning": {"effort": draw.choice(("none", "high"))}}
    if draw.random() < 0.6:
        body["tools"] = [{"type": "function", "name": name, "parameters": SCHEMA} for name in ("look_up", "count")]
        body["tool_choice"] = draw.choice(("none", "auto", "required", {"type": "function", "name": "count"}))
    return body


def draw_text(draw):
    return {"model": "plankton", "prompt": draw.choice(WORDS) * draw.randrange(1, 5), "max_tokens": draw.choice((1, 7, 40)), "seed": draw.randrange(1 << 40), "temperature": draw.choice((0, 1)),
            "n": draw.choice((1, 2))}


DRAWN = {"/v1/chat/completions": draw_chat, "/v1/messages": draw_messages, "/v1/responses": draw_responses, "/v1/completions": draw_text}


class Streams(server_process.Case):
    def compare(self, path, body):
        whole_of, stream_of = READERS[path]
        answer = self.server.post(path, body)
        self.assertEqual(answer.status, 200, (body, answer.body))
        options = {"stream_options": {"include_usage": True}} if path.endswith("completions") else {}
        streamed = stream_of(self.server.stream(path, {**body, **options}), body.get("n", 1))
        whole = whole_of(answer.json)
        self.assertEqual(streamed, whole, (path, body))
        return whole[0]

    def test_say_the_same_as_whole_answers(self):
        draw = random.Random(5)
        called = finished = 0
        for i in range(REQUESTS):
            path = list(DRAWN)[(0, 0, 1, 2, 0, 3)[i % 6]]
            body = DRAWN[path](draw)
            for reply in self.compare(path, body):
                finished += reply.finish is not None
                called += len(reply.calls)
                if path == "/v1/completions":
                    continue
                for leak in LEAKS:
                    self.assertNotIn(leak, reply.text + reply.reasoning, body)
                for name, arguments in reply.calls:
                    self.assertRegex(name, "^[A-Za-z0-9_-]+$")
                    self.assertNotIn("DSML", arguments)
        self.assertGreater(called, REQUESTS // 10)
        print(f"{REQUESTS} requests, {finished} choices, {called} calls: streamed as whole")

    def test_never_split_a_code_point(self):
        words = ["鲸鱼在唱歌", "🐋🐳👩‍👩‍👧", "ночь", "naïve"]
        schema = {"type": "array", "items": {"enum": words}, "minItems": 6, "maxItems": 6}
        regex = {"type": "regex", "pattern": "(鲸鱼|🐋|ж|é){30}"}
        question = [{"role": "user", "content": "唱一首关于鲸鱼的歌 🐋"}]
        wrapped = {"type": "object", "properties": {"song": schema}, "required": ["song"], "additionalProperties": False}
        total = 0
        for path, body in (("/v1/chat/completions", {"model": "plankton", "messages": question, "thinking": {"type": "disabled"}, "response_format": regex, "max_tokens": 400}),
                           ("/v1/completions", {"model": "plankton", "prompt": "鲸 🐋", "response_format": regex, "max_tokens": 400}),
                           ("/v1/responses", {"model": "plankton", "input": "鲸 🐋", "reasoning": {"effort": "none"}, "max_output_tokens": 800,
                                              "text": {"format": {"type": "json_schema", "name": "s", "schema": wrapped, "strict": True}}}),
                           ("/v1/messages", {"model": "claude-x", "messages": question, "max_tokens": 800, "output_format": {"type": "json_schema", "schema": wrapped}})):
            for seed in range(4):
                sampled = {**body, "temperature": 1, "seed": seed}
                reply = self.compare(path, sampled)[0]
                self.assertGreater(sum(ord(c) > 127 for c in reply.text), 10, path)
                head, _, received = rest(send(self.server, path, {**sampled, "stream": True})).partition(b"\r\n\r\n")
                at, pieces = 0, []
                while (end := received.index(b"\r\n", at)) and (size := int(received[at:end], 16)):
                    pieces.append(received[end + 2:end + 2 + size])
                    at = end + 2 + size + 2
                total += len(pieces)
                self.assertGreater(sum(line.startswith(b"data: {") for line in b"".join(pieces).splitlines()), 5, path)
                for piece in pieces:
                    self.assertNotIn("\ufffd", piece.decode(), path)  # decode fails where a piece ends inside a code point
                    for line in piece.decode().splitlines():
                        if line.startswith("data: {"):
                            json.dumps(json.loads(line[6:]), ensure_ascii=False).encode()  # fails for half of a surrogate pair
        self.assertGreater(total, 2 * 4 * 4)  # how many there are of one stream is the scheduler's affair: tokens that wait for the socket leave together


class Secrets(server_process.Case):
    FLAGS = ("--parallel", "16")

    def test_stay_apart_among_many_sessions(self):
        draw = random.Random(11)
        secrets = [f"{draw.randrange(10**9):09d}" for _ in range(SESSIONS)]

        def ask(i):
            body = {"model": "plankton", "messages": [{"role": "user", "content": f"My secret number is {secrets[i]}. Say it again: {secrets[i]} {secrets[i]}"}],
                    "thinking": {"type": "disabled"}, "temperature": 0 if i % 2 else 1, "seed": i, "max_tokens": 150, "ignore_eos": True}
            answer = self.server.post("/v1/chat/completions", body)
            return answer.json["choices"][0]["message"]["content"]

        together = at_once(ask, range(SESSIONS))
        for i, text in enumerate(together):
            self.assertIsInstance(text, str)
            for j, secret in enumerate(secrets):
                self.assertTrue(i == j or secret not in text, (i, j))
        for i in range(0, SESSIONS, 4):  # alone it says the same
            self.assertEqual(ask(i), together[i])


if __name__ == "__main__":
    unittest.main()
